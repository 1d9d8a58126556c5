/* A plan in words: what is kept, what is recomputed at which price, where the peak is; and the schedule, readable. */
#ifndef REMAT_CORE_PLAN_EXPLAIN_H
#define REMAT_CORE_PLAN_EXPLAIN_H

#include "core/plan/plan.h"

#include <stdio.h>

struct remat_explain_options {
    bool instructions; /* list every instruction with its operands' addresses */
};

/* Writes to `stream` (borrowed). Refuses a plan that does not verify (REMAT_BAD_DATA); fails with REMAT_IO if writing
 * fails. */
REMAT_MUST_CHECK enum remat_status remat_plan_explain(const struct remat_task_graph *graph,
                                                      const struct remat_plan *plan,
                                                      const struct remat_explain_options *options, FILE *stream,
                                                      struct remat_error *err);

/* Of a block of the network: the forward values that backward needs, kept from their first making on, or made again;
 * and the time that the block's recomputing runs take in a step. */
struct remat_plan_block {
    const char *name; /* the graph's */
    int32_t kept, again;
    int64_t kept_bytes, again_bytes, extra_ns;
};
/* One row a block, one in all if the graph has no blocks. Refuses a plan that does not verify. The caller frees *out.
 */
REMAT_MUST_CHECK enum remat_status remat_plan_blocks(const struct remat_task_graph *graph,
                                                     const struct remat_plan *plan, struct remat_plan_block **out,
                                                     int32_t *count, struct remat_error *err);

#endif
