/* A task graph seen as a chain of blocks: forward positions split into consecutive blocks, then the backward positions
 * into the same blocks in reverse. Blocks come from the tasks' tags; a graph without them (an imported one) is cut
 * wherever a single value passes on. Any graph has a partition, at worst of one block. */
#ifndef REMAT_SOLVER_PARTITION_H
#define REMAT_SOLVER_PARTITION_H

#include "solver/retention.h"

struct remat_partition {
    int32_t count;
    int32_t turn;         /* first backward position: the loss, or the first task of another phase */
    int32_t stages_count; /* positions */
    int32_t *forward;     /* count + 1: block b has forward positions [forward[b], forward[b + 1]) */
    int32_t *backward;    /* count + 1: and backward positions [backward[b + 1], backward[b]) */
    /* Per value. */
    int32_t *producer;     /* position */
    int32_t *forward_end;  /* last forward position that reads it; at least its producer's */
    int32_t *last_use;     /* last position that reads it; at least its producer's */
    int32_t *block;        /* of its producer */
    int32_t *forward_last; /* block of forward_end */
    bool *pinned;          /* a forward value that is held from its making to its last use in every schedule */
    int64_t pinned_bytes;
};

REMAT_MUST_CHECK enum remat_status remat_partition_make(const struct remat_task_graph *graph,
                                                        struct remat_partition *out, struct remat_error *err);
void remat_partition_free(struct remat_partition *partition);

/* Whether a value passes from block b - 1 or earlier to forward tasks of block b or later, and is not pinned. */
bool remat_partition_crosses(const struct remat_partition *partition, int32_t value, int32_t b);
/* Whether a backward value passes from the backward part of block b or later to that of block b - 1 or earlier. */
bool remat_partition_crosses_back(const struct remat_partition *partition, int32_t value, int32_t b);

/* The holds (per value) that every schedule has: forward values over the forward part, pinned and backward values to
 * their last use. The caller owns *out. */
REMAT_MUST_CHECK enum remat_status remat_partition_holds(const struct remat_task_graph *graph,
                                                         const struct remat_partition *partition,
                                                         struct remat_hold **out, struct remat_error *err);
/* Adds the holds of sqrt(n) checkpointing with segments of k blocks: what passes between segments is kept; the inside
 * of a segment is held from the beginning of its backward part on, that of the last one from the forward pass on. */
void remat_partition_hold_segments(const struct remat_task_graph *graph, const struct remat_partition *partition,
                                   int32_t k, struct remat_hold *holds);

#endif
