/* The methods behind remat_solvers[], a file each. */
#ifndef REMAT_SOLVER_METHODS_H
#define REMAT_SOLVER_METHODS_H

#include "solver/solver.h"

extern const struct remat_solver remat_keep_all_solver;
extern const struct remat_solver remat_sqrt_solver;
extern const struct remat_solver remat_chain_solver;

/* Replaces *best (owned) by *candidate (taken) if that is preferred: the fastest whose peak is within the budget, or,
 * with budget_bytes 0, the one of smallest peak. Peak and cost are those of remat_liveness(). */
struct remat_incumbent {
    struct remat_schedule schedule;
    int64_t peak_bytes, cost_ns;
    bool found;
};
REMAT_MUST_CHECK enum remat_status remat_incumbent_offer(const struct remat_task_graph *graph,
                                                         struct remat_incumbent *best, int64_t budget_bytes,
                                                         struct remat_schedule *candidate, struct remat_error *err);
void remat_incumbent_free(struct remat_incumbent *incumbent);

/* Fills `err` with the smallest peak that a method can do and the task that sets it; returns REMAT_INFEASIBLE. */
REMAT_MUST_CHECK enum remat_status remat_report_infeasible(const struct remat_task_graph *graph,
                                                           const struct remat_solver *solver,
                                                           const struct remat_solve_options *options,
                                                           struct remat_error *err);

#endif
