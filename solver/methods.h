/* The methods behind remat_solvers[], a file each. */
#ifndef REMAT_SOLVER_METHODS_H
#define REMAT_SOLVER_METHODS_H

#include "solver/solver.h"

#define REMAT_DECLARE_METHOD(name)                                                                                   \
    enum remat_status remat_##name##_solve(struct remat_solving *solving, const struct remat_solve_options *options, \
                                           struct remat_schedule *out, struct remat_error *err);                     \
    enum remat_status remat_##name##_smallest(struct remat_solving *solving,                                         \
                                              const struct remat_solve_options *options, struct remat_schedule *out, \
                                              struct remat_error *err)
REMAT_DECLARE_METHOD(keep_all);
REMAT_DECLARE_METHOD(sqrt);
REMAT_DECLARE_METHOD(chain);
REMAT_DECLARE_METHOD(search);

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
/* The same for what another method answered with `status`; REMAT_INFEASIBLE is no answer, and no failure. */
REMAT_MUST_CHECK enum remat_status
remat_incumbent_offer_answer(const struct remat_task_graph *graph, struct remat_incumbent *best, int64_t budget_bytes,
                             enum remat_status status, struct remat_schedule *candidate, struct remat_error *err);
void remat_incumbent_free(struct remat_incumbent *incumbent);

/* Fills `err`: the least budget that a method can do, and the task that sets it. Returns REMAT_INFEASIBLE. */
enum remat_status remat_fail_infeasible(const struct remat_task_graph *graph, const char *method, int64_t budget_bytes,
                                        int64_t least_bytes, int32_t task, struct remat_error *err);
/* The same; the least budget is the peak of `smallest`. */
REMAT_MUST_CHECK enum remat_status remat_report_infeasible(const struct remat_task_graph *graph, const char *method,
                                                           int64_t budget_bytes, const struct remat_schedule *smallest,
                                                           struct remat_error *err);

#endif
