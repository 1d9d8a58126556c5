/* Random task graphs shaped like training steps, random valid schedules of them, and a byte-level replay of plans. */
#ifndef REMAT_TESTS_CORE_SUPPORT_RANDOM_GRAPH_H
#define REMAT_TESTS_CORE_SUPPORT_RANDOM_GRAPH_H

#include "core/plan/plan.h"

/* A deterministic stream of numbers. */
struct random_stream {
    uint64_t seed, count;
};
/* Uniform in [0, below). */
int32_t random_below(struct random_stream *stream, int32_t below);

/* A chain of `layers` random layers with skip connections, its backward pass and updates: in-place pairs, several
 * outputs, cells with versions, alternates, options with scratch. Odd seeds accumulate gradients over two micro steps
 * and update in a finish section. Asserts that the graph is valid; free it with remat_task_graph_free(). */
void random_graph(struct remat_task_graph *graph, uint64_t seed, int32_t layers);

/* The order with random options and up to `repeats` recomputations per task, most of them of what is read next. */
void random_schedule(const struct remat_task_graph *graph, uint64_t seed, int32_t repeats, struct remat_schedule *out);

/* Adds copies to a schedule of runs: stores, most of them fetched again before the value's next use, with waits
 * anywhere that the rules permit. Gives the graph rates of copies. */
void random_copies(struct remat_task_graph *graph, uint64_t seed, struct remat_schedule *schedule);

/* Plays a plan on tagged 64-byte lines, poisoning whatever a kernel may overwrite; a copy takes as long as
 * its wait lets it. NULL if every read finds what it
 * should, all tasks run in order and every cell version fits; else what went wrong. Trusts array indices. */
const char *replay_plan(const struct remat_task_graph *graph, const struct remat_plan *plan);

#endif
