/* Recomputing and offloading together. */
#include "solver/methods.h"
#include "solver/offload.h"

#include <stdlib.h>
#include <string.h>

enum { BUDGETS = 12 };

/* The chain method's own solving, beside that of an anytime method. */
static enum remat_status chain_of(struct remat_solving *solving, struct remat_solving **out, struct remat_error *err)
{
    if (!solving->chain) {
        REMAT_TRY(REMAT_ALLOC(solving->chain, 1, err));
        solving->chain->graph = solving->graph;
    }
    *out = solving->chain;
    return REMAT_OK;
}

/* A method and its solving, for a number of budgets. */
struct source {
    const struct remat_solver *solver;
    struct remat_solving *solving;
    const struct remat_solve_options *options;
};

static enum remat_status offer(const struct source *source, struct remat_schedule *runs, struct remat_incumbent *best,
                               struct remat_error *err)
{
    struct remat_schedule copies = {0};
    bool found = false;
    int64_t budget = source->options->budget_bytes;
    enum remat_status status =
        remat_offload(source->solving->graph, runs, budget, source->options->host_budget_bytes, &copies, &found, err);
    remat_schedule_free(runs);
    if (status == REMAT_OK && found)
        return remat_incumbent_offer(source->solving->graph, best, budget, &copies, err);
    remat_schedule_free(&copies);
    return status;
}

/* The live peak of a method's smallest schedule, or of keep-all. */
static enum remat_status peak_of(const struct source *source, const struct remat_solver *solver, int64_t *out,
                                 struct remat_error *err)
{
    struct remat_schedule runs = {0};
    struct remat_liveness live = {0};
    enum remat_status status = solver->smallest(source->solving, source->options, &runs, err);
    if (status == REMAT_OK)
        status = remat_liveness(source->solving->graph, &runs, &live, err);
    *out = live.peak_bytes;
    remat_liveness_free(&live);
    remat_schedule_free(&runs);
    return status;
}

static enum remat_status try_budgets(const struct source *source, struct remat_incumbent *best, struct remat_error *err)
{
    const struct remat_solver *keep_all;
    struct remat_solve_options inner = *source->options;
    int32_t count;
    int64_t low, high, base_ns = remat_task_graph_base_time_ns(source->solving->graph);
    REMAT_TRY(remat_solver_find("keep-all", &keep_all, err));
    REMAT_TRY(peak_of(source, source->solver, &low, err));
    REMAT_TRY(peak_of(source, keep_all, &high, err));
    low = low > source->options->budget_bytes ? low : source->options->budget_bytes;
    count = high > low ? BUDGETS : 0;
    for (int32_t k = 0; k <= count && !(best->found && best->cost_ns <= base_ns); k++) {
        struct remat_schedule runs = {0};
        enum remat_status status;
        /* keep-all first: often it is all that is needed */
        inner.budget_bytes = k == 0 ? INT64_MAX : low + (high - low) / BUDGETS * (BUDGETS - k);
        status = source->solver->solve(source->solving, &inner, &runs, err);
        if (status == REMAT_OK)
            status = offer(source, &runs, best, err);
        remat_schedule_free(&runs);
        if (status != REMAT_OK && status != REMAT_INFEASIBLE)
            return status;
    }
    return REMAT_OK;
}

enum remat_status remat_offload_solve(struct remat_solving *solving, const struct remat_solver *solver,
                                      const struct remat_solve_options *options, struct remat_schedule *out,
                                      struct remat_error *err)
{
    struct source source = {solver, solving, options};
    struct remat_incumbent best = {0};
    enum remat_status status = REMAT_OK;
    memset(out, 0, sizeof *out);
    if (solver->anytime) {
        REMAT_TRY(remat_solver_find("chain", &source.solver, err));
        REMAT_TRY(chain_of(solving, &source.solving, err));
    }
    status = try_budgets(&source, &best, err);
    *out = best.schedule;
    if (status == REMAT_OK && !best.found)
        return remat_fail(err, REMAT_INFEASIBLE, "%s: nothing fits into %lld bytes with %lld bytes of host memory",
                          solving->graph->name ? solving->graph->name : "graph", (long long)options->budget_bytes,
                          (long long)options->host_budget_bytes);
    return status;
}
