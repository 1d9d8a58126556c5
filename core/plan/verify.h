/* What the parts of the verifier share. Nothing here is used by schedules, layout or solvers, and the verifier uses
 * nothing of theirs. */
#ifndef REMAT_CORE_PLAN_VERIFY_H
#define REMAT_CORE_PLAN_VERIFY_H

#include "core/plan/plan.h"

struct remat_verify {
    const struct remat_task_graph *graph;
    const struct remat_plan *plan;
    bool aligned;       /* all sizes of the graph are multiples of the alignment: addresses must be, too */
    int32_t *first_use; /* per buffer: instruction, or -1 */
    int32_t *last_use;
    int64_t *used_bytes; /* per buffer: highest byte used */
    struct remat_error *err;
};

/* Every buffer is a true range of its space and no two of a space that share an instruction overlap; extents and live
 * peaks are what the plan says, and within its budgets. */
REMAT_MUST_CHECK enum remat_status remat_verify_layout(const struct remat_verify *verify);
/* Executes the instructions on names instead of bytes; fills in the uses of buffers. */
REMAT_MUST_CHECK enum remat_status remat_verify_instructions(struct remat_verify *verify);
/* The recorded times are what the graph's times and rates add up to. The instructions are right. */
REMAT_MUST_CHECK enum remat_status remat_verify_times(const struct remat_verify *verify);

#endif
