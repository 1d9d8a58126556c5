/* The chain method: options of each block, the dynamic program over the chain, and its answers tried on the true rules.
 * One preparation serves every budget. */
#ifndef REMAT_SOLVER_CURVE_H
#define REMAT_SOLVER_CURVE_H

#include "core/plan/schedule.h"
#include "solver/chain_dp.h"

struct remat_curve;

/* The caller frees *out. `graph` is borrowed until then. Past `deadline`, seconds of the monotonic clock, only few
 * more things are tried, so that some schedules are known in any case. 0 = none. */
REMAT_MUST_CHECK enum remat_status remat_curve_make(const struct remat_task_graph *graph, double deadline,
                                                    struct remat_curve **out, struct remat_error *err);
void remat_curve_free(struct remat_curve *curve);

/* The fastest schedule known whose peak is at most budget_bytes; *found is false if there is none. The caller frees
 * *out. */
REMAT_MUST_CHECK enum remat_status remat_curve_at(struct remat_curve *curve, int64_t budget_bytes, bool *found,
                                                  struct remat_schedule *out, struct remat_error *err);
/* The schedule of smallest peak known. */
REMAT_MUST_CHECK enum remat_status remat_curve_smallest(struct remat_curve *curve, struct remat_schedule *out,
                                                        struct remat_error *err);

/* The blocks that the dynamic program works on; borrowed. */
const struct remat_chain *remat_curve_chain(const struct remat_curve *curve);

#endif
