/* Offloading: values that nothing uses for a while wait in host memory.
 *
 * A gap lies between two uses of a value with runs in between. Where a schedule of runs exceeds the budget most, the
 * value with the longest gap there goes to the host for all of it, until everything fits; ties go to more bytes, and
 * values that are small against what is missing wait their turn. Then every copy gets its place. The store comes right
 * after the use before the gap; the wait for it, which frees the memory, as soon as the store is done or when the
 * memory is needed. The fetches come in the order of the uses after the gaps, as late as leaves each twice its copy's
 * time, where the memory is there by then; the wait for it right before the use. Kernels that have to wait do so, and
 * that is counted. */
#ifndef REMAT_SOLVER_OFFLOAD_H
#define REMAT_SOLVER_OFFLOAD_H

#include "solver/solver.h"

/* Adds copies to a schedule of runs, which may exceed the budget, until its live bytes are within both budgets; where
 * that does not do, runs get options with less scratch. *found false: it knows no way. The caller frees *out in any
 * case. */
REMAT_MUST_CHECK enum remat_status remat_offload(const struct remat_task_graph *graph,
                                                 const struct remat_schedule *schedule, int64_t budget_bytes,
                                                 int64_t host_budget_bytes, struct remat_schedule *out, bool *found,
                                                 struct remat_error *err);

/* Recomputing and offloading together: what the solver recomputes for some budgets from the asked one to keep-all's,
 * each offloaded down to the asked one; the fastest. Anytime solvers leave these budgets to the chain method.
 * REMAT_INFEASIBLE if none fits. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_offload_solve(struct remat_solving *solving, const struct remat_solver *solver,
                                                       const struct remat_solve_options *options,
                                                       struct remat_schedule *out, struct remat_error *err);

#endif
