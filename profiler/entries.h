/* The distinct things to time: (signature, option) pairs of a task graph, identical tasks once.
 *
 * Of several steps each instruction's median counts, since what disturbs a step disturbs a few of its instructions, and
 * in another step others: an entry is the mean of the medians of the tasks that share the signature. So the entries add
 * up to an undisturbed step. Entries learnt from a second plan are scaled to the speed of the first by what both ran.
 * The spread is half the interquartile range over all samples. */
#ifndef REMAT_PROFILER_ENTRIES_H
#define REMAT_PROFILER_ENTRIES_H

#include "core/plan/plan.h"
#include "profiler/cache.h"

struct remat_profile_entry {
    uint64_t signature;
    int32_t task, option; /* the first task that has it */
    bool known, alone;    /* alone: not from a step, which may tell better */
    int64_t time_ns, spread_ns;
};

struct remat_profile_entries {
    struct remat_profile_entry *entries;
    int32_t *first_of_task; /* entry of option 0 of each task; its other options follow */
    int32_t count, capacity;
};

/* The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_profile_entries_collect(const struct remat_task_graph *graph,
                                                                 struct remat_profile_entries *out,
                                                                 struct remat_error *err);
void remat_profile_entries_free(struct remat_profile_entries *entries);
int32_t remat_profile_entries_unknown(const struct remat_profile_entries *entries);

/* Sets an entry from samples of one task, run alone (sorted in place). */
void remat_profile_entry_set(struct remat_profile_entry *entry, int64_t *samples_ns, int64_t count);
/* The share that entries timed alone have of the time of all. */
double remat_profile_entries_alone_share(const struct remat_profile_entries *entries);
/* Sets the entries that `plan` ran and no step before. times_ns[i * steps + s] is instruction i in step s; steps > 0.
 */
REMAT_MUST_CHECK enum remat_status remat_profile_entries_fill(struct remat_profile_entries *entries,
                                                              const struct remat_plan *plan, const int64_t *times_ns,
                                                              int32_t steps, struct remat_error *err);

void remat_profile_entries_load(struct remat_profile_entries *entries, const struct remat_task_graph *graph,
                                const struct remat_profile_cache *cache);
REMAT_MUST_CHECK enum remat_status remat_profile_entries_store(const struct remat_profile_entries *entries,
                                                               const struct remat_task_graph *graph,
                                                               struct remat_profile_cache *cache,
                                                               struct remat_error *err);
/* Writes the times of all entries, which are known, into the graph. */
void remat_profile_entries_apply(const struct remat_profile_entries *entries, struct remat_task_graph *graph);

#endif
