/* Ejection search: places blocks below a fixed target. */
#ifndef REMAT_CORE_PLAN_PACK_BLOCKS_H
#define REMAT_CORE_PLAN_PACK_BLOCKS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct remat_pack_block {
    int64_t bytes;      /* > 0 */
    int32_t begin, end; /* both included */
    int64_t wish;       /* where it stands if nothing heavier wishes to stand there; -1 = anywhere */
    int64_t offset;     /* result */
    int64_t weight;     /* > 0: what it costs to take it out again */
    double rank;        /* blocks without a place are inserted by descending rank (>= 0) */
};

struct remat_pack_task {
    struct remat_pack_block *blocks; /* by ascending begin */
    int32_t count;
    int64_t base, target; /* every range lies in [base, target) */
    int32_t ejections;    /* give up after so many insertions that took something out */
    uint64_t *draws;      /* random numbers used so far */
    bool leaves_out;      /* a search that gives up leaves blocks out */
};

/* *placed is false if the search gave up. The offsets then mean nothing; or, if it leaves out, they are those of the
 * moment when blocks of the fewest bytes had no place, whose offset is -1. */
REMAT_MUST_CHECK enum remat_status remat_pack_blocks(const struct remat_pack_task *task, bool *placed,
                                                     struct remat_error *err);

#endif
