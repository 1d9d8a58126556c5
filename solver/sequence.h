/* A schedule as a sequence of runs, with its cost and its memory kept up to date under single insertions and removals.
 *
 * The runs are those of core/plan/schedule.h, and so is what follows from them: a datum lives from the run that made it
 * to its last read before it is made again. Hence repeating a node anywhere after its first run gives a valid schedule,
 * and so does removing a repetition: only lifetimes change, those of the node's operands. Nothing else restricts the
 * sequence: several repetitions between two first runs, in any order, earlier than needed, all are possible.
 *
 * A stage is a first run and the repetitions just before it; the first run is the last run of its stage. Live bytes are
 * the sum of a part of a block of stages, a stage's part and a run's part, so that a lifetime across many stages
 * changes by one addition a block. */
#ifndef REMAT_SOLVER_SEQUENCE_H
#define REMAT_SOLVER_SEQUENCE_H

#include "solver/model.h"

enum { REMAT_SEQUENCE_BLOCK = 32 };

/* Runs are numbered; the first run of stage s is number s. `place` orders them: stage, then slot. */
struct remat_sequence_run {
    int32_t node;
    int32_t again; /* index in the list of repetitions, -1 for a first run */
    int64_t place;
    double live, extra; /* bytes beside those of the stage; scratch less what is written in place */
};

static inline int64_t remat_place(int32_t stage, int32_t slot)
{
    return (int64_t)stage << 24 | slot;
}
static inline int32_t remat_place_stage(int64_t place)
{
    return (int32_t)(place >> 24);
}
static inline int32_t remat_place_slot(int64_t place)
{
    return (int32_t)(place & 0xffffff);
}

struct remat_sequence_stage {
    int32_t *runs, count, capacity;
};

/* What happens to a datum, in the order of runs: run * 2 + 1 where it is made, run * 2 where it is read. */
struct remat_events {
    int32_t *at, count, capacity;
};

/* One change; undone by its opposite at the same place. */
struct remat_change {
    int32_t node, option; /* option >= 0: the node ran with this one */
    int64_t place;
    bool removed;
};

struct remat_sequence {
    const struct remat_model *model; /* borrowed, and so are graph and stages */
    const struct remat_task_graph *graph;
    const int32_t *stages; /* nodes */
    int32_t stages_count;
    struct remat_sequence_run *runs;
    int32_t runs_count, runs_capacity, *unused, unused_count, unused_capacity;
    int32_t *again, again_count, again_capacity; /* repetitions, in no order */
    struct remat_sequence_stage *stage;
    double *base, *highest;          /* per stage: bytes of all its runs, and the most that one of them has beside */
    double *block_base, *block_most; /* per block of stages: bytes of all of them, and the most of one beside */
    int32_t *dirty, dirty_count;
    bool *is_dirty, *block_dirty;
    struct remat_events *events;  /* per datum */
    int32_t *reads, *reads_begin; /* per node: its inputs, each once */
    double *made_bytes;           /* per node: of its outputs */
    int32_t *option;              /* per node, and what follows from it */
    int64_t *time_ns;
    double *scratch;
    struct remat_change *log;
    int32_t log_count, log_capacity;
    int64_t cost_ns;
    int64_t changes; /* ever made: a measure of work */
};

/* The base order alone. `graph` may be NULL: then nodes have one option only. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_sequence_init(struct remat_sequence *out, const struct remat_model *model,
                                                       const struct remat_task_graph *graph, const int32_t *stages,
                                                       int32_t stages_count, struct remat_error *err);
void remat_sequence_free(struct remat_sequence *sequence);

/* Back to the base order and the model's options. */
REMAT_MUST_CHECK enum remat_status remat_sequence_reset(struct remat_sequence *sequence, struct remat_error *err);

/* Nodes of all runs in order. `save` grows *nodes; `load` replaces the whole sequence by a valid one. */
REMAT_MUST_CHECK enum remat_status remat_sequence_save(const struct remat_sequence *sequence, int32_t **nodes,
                                                       int32_t *count, int32_t *capacity, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_sequence_load(struct remat_sequence *sequence, const int32_t *nodes,
                                                       int32_t count, struct remat_error *err);

/* Repeats a node before the run that now has this place. Its recipes must allow that (remat_node.last_key). */
REMAT_MUST_CHECK enum remat_status remat_sequence_insert(struct remat_sequence *sequence, int32_t node, int64_t place,
                                                         struct remat_error *err);
/* Removes a repetition. */
REMAT_MUST_CHECK enum remat_status remat_sequence_remove(struct remat_sequence *sequence, int32_t run,
                                                         struct remat_error *err);
/* Sets a run's part of scratch and in-place bytes anew. */
void remat_sequence_renew(struct remat_sequence *sequence, int32_t run);
/* Makes all runs of a node use an option of its task. */
REMAT_MUST_CHECK enum remat_status remat_sequence_set_option(struct remat_sequence *sequence, int32_t node,
                                                             int32_t option, struct remat_error *err);

/* The log of changes: forgotten, or undone. */
static inline void remat_sequence_commit(struct remat_sequence *sequence)
{
    sequence->log_count = 0;
}
/* Undoes all changes after the first `count` of the log. */
REMAT_MUST_CHECK enum remat_status remat_sequence_undo(struct remat_sequence *sequence, int32_t count,
                                                       struct remat_error *err);

/* Memory against a budget. */
struct remat_overflow {
    double bytes, peak_bytes; /* what the highest peak exceeds the budget by, and a share of all stages' excess; 0 if
                                 none. The highest peak itself. */
    int32_t stage;            /* of the peak */
};
struct remat_overflow remat_sequence_overflow(struct remat_sequence *sequence, double budget_bytes);

/* The most bytes that are live in stages `first` to `last`, without fixed ones; -1 if there are none. */
double remat_sequence_most(struct remat_sequence *sequence, int32_t first, int32_t last);

/* The first event of a datum at or after a place; events->count if there is none. */
static inline int32_t remat_event_from(const struct remat_sequence *sequence, const struct remat_events *events,
                                       int64_t place)
{
    int32_t low = 0, high = events->count;
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (sequence->runs[events->at[middle] >> 1].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
static inline bool remat_event_reads(const struct remat_events *events, int32_t i)
{
    return i < events->count && !(events->at[i] & 1);
}
static inline int64_t remat_event_place(const struct remat_sequence *sequence, const struct remat_events *events,
                                        int32_t i)
{
    return sequence->runs[events->at[i] >> 1].place;
}
/* Whether nothing that a run makes is read. */
bool remat_sequence_unread(const struct remat_sequence *sequence, int32_t run);

REMAT_MUST_CHECK enum remat_status remat_sequence_schedule(const struct remat_sequence *sequence,
                                                           struct remat_schedule *out, struct remat_error *err);

#endif
