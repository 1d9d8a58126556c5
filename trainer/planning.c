#include "trainer/planning.h"

#include "runtime/backend/memory.h"
#include "solver/solver.h"

#include <jansson.h>
#include <string.h>

static enum remat_status solve(const char *solver_name, const struct remat_task_graph *graph,
                               const struct remat_solve_options *options, struct remat_plan *out,
                               struct remat_error *err)
{
    const struct remat_solver *solver;
    REMAT_TRY(remat_solver_find(solver_name, &solver, err));
    return remat_solve(graph, solver, options, out, err);
}

static enum remat_status keep_all(const struct remat_task_graph *graph, int64_t budget_bytes, struct remat_plan *out,
                                  struct remat_error *err)
{
    struct remat_solve_options options = {.budget_bytes = budget_bytes};
    return solve("keep-all", graph, &options, out, err);
}

/* Its live peak, which is what its placement takes (plan.h), without placing it. */
static enum remat_status keep_all_bytes(const struct remat_task_graph *graph, int64_t *out, struct remat_error *err)
{
    const struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    struct remat_solving solving = {.graph = graph};
    struct remat_schedule schedule = {0};
    struct remat_liveness live = {0};
    const struct remat_solver *solver;
    enum remat_status status;
    REMAT_TRY(remat_solver_find("keep-all", &solver, err));
    status = solver->solve(&solving, &options, &schedule, err);
    if (status == REMAT_OK)
        status = remat_liveness(graph, &schedule, &live, err);
    *out = live.peak_bytes;
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    remat_solving_end(&solving);
    return status;
}

enum remat_status remat_planning_budget(const struct remat_planning *planning, const struct remat_task_graph *graph,
                                        int64_t *out, struct remat_error *err)
{
    int64_t whole = 0, memory_bytes = INT64_MAX;
    *out = INT64_MAX;
    if (planning->budget) {
        if (planning->budget->fraction >= 0)
            REMAT_TRY(keep_all_bytes(graph, &whole, err));
        *out = remat_size_resolve(*planning->budget, whole);
    }
    if (planning->memory) {
        memory_bytes = remat_size_resolve(*planning->memory, planning->available_bytes);
        if (memory_bytes - graph->persistent_bytes < *out)
            *out = memory_bytes - graph->persistent_bytes;
    }
    if (*out > 0)
        return REMAT_OK;
    return remat_fail(
        err, REMAT_INFEASIBLE,
        "%s: parameters and optimizer state alone take %lld bytes; nothing of the %lld is left for the step",
        graph->name, (long long)graph->persistent_bytes, (long long)memory_bytes);
}

int64_t remat_planning_host_budget(const struct remat_size *offload)
{
    int64_t available = remat_available_bytes();
    return remat_size_resolve(*offload, available > 0 ? available : 0);
}

/* A deep copy, by way of the plan's own JSON. */
static enum remat_status copy_plan(const struct remat_plan *plan, struct remat_plan *out, struct remat_error *err)
{
    json_t *json = remat_plan_to_json(plan);
    enum remat_status status;
    if (!json)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for a plan");
    status = remat_plan_from_json(json, "the given plan", out, err);
    json_decref(json);
    return status;
}

enum remat_status remat_planning_train(const struct remat_planning *planning, const struct remat_task_graph *graph,
                                       struct remat_plan *out, int64_t *budget_bytes, struct remat_error *err)
{
    struct remat_solve_options options = {.time_limit_seconds = planning->time_limit_seconds,
                                          .gap = planning->gap,
                                          .seed = planning->seed,
                                          .threads = planning->threads};
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_planning_budget(planning, graph, budget_bytes, err));
    if (planning->plan) {
        REMAT_TRY(copy_plan(planning->plan, out, err));
        if (out->arena_bytes > *budget_bytes)
            return remat_fail(err, REMAT_INFEASIBLE, "the given plan needs an arena of %lld bytes; the budget is %lld",
                              (long long)out->arena_bytes, (long long)*budget_bytes);
        return REMAT_OK;
    }
    if (*budget_bytes == INT64_MAX)
        return keep_all(graph, INT64_MAX, out, err);
    options.budget_bytes = *budget_bytes;
    options.host_budget_bytes = remat_planning_host_budget(&planning->offload);
    return solve(planning->solver, graph, &options, out, err);
}

enum remat_status remat_planning_eval(const struct remat_task_graph *graph, int64_t budget_bytes,
                                      struct remat_plan *out, struct remat_error *err)
{
    enum remat_status status = keep_all(graph, budget_bytes, out, err);
    if (status == REMAT_INFEASIBLE)
        remat_error_prefix(err, "evaluation does not fit into the training budget");
    return status;
}
