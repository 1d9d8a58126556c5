/* Which plans a run uses: the given one or one solved within the budget, and keep-all for evaluation, which must fit
 * beside nothing else in the same arena. */
#ifndef REMAT_TRAINER_PLANNING_H
#define REMAT_TRAINER_PLANNING_H

#include "core/base/size.h"
#include "core/plan/plan.h"

struct remat_planning {
    const struct remat_plan *plan; /* borrowed; NULL = solve */
    const struct remat_task_graph
        *plan_graph;                 /* with `plan`: what it was made for, with the times that it predicts by */
    const struct remat_size *budget; /* of the arena, fractions of keep-all's; NULL = none */
    const struct remat_size *memory; /* of persistent + arena, fractions of available_bytes; NULL = none */
    struct remat_size offload;       /* host memory that offloaded values may take; all zero = none */
    int64_t available_bytes;         /* of the device, before anything of the run is there */
    const char *solver;              /* NULL = the default */
    double time_limit_seconds, gap;  /* as in remat_solve_options */
    uint64_t seed;
    int32_t threads; /* of the solver; 0 = all processors */
};

/* The arena's limit that budget and memory mean for this graph; INT64_MAX = none. */
REMAT_MUST_CHECK enum remat_status remat_planning_budget(const struct remat_planning *planning,
                                                         const struct remat_task_graph *graph, int64_t *out,
                                                         struct remat_error *err);
/* The host memory that is meant; fractions are of what is available now. */
int64_t remat_planning_host_budget(const struct remat_size *offload);
/* A verified plan of the training graph, and the budget it keeps. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_planning_train(const struct remat_planning *planning,
                                                        const struct remat_task_graph *graph, struct remat_plan *out,
                                                        int64_t *budget_bytes, struct remat_error *err);
/* A verified plan of the evaluation graph within the budget. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_planning_eval(const struct remat_task_graph *graph, int64_t budget_bytes,
                                                       struct remat_plan *out, struct remat_error *err);

#endif
