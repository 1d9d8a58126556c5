#include "core/base/size.h"
#include "solver/methods.h"
#include "solver/model.h"

#include <string.h>

void remat_incumbent_free(struct remat_incumbent *incumbent)
{
    remat_schedule_free(&incumbent->schedule);
    memset(incumbent, 0, sizeof *incumbent);
}

static bool preferred(const struct remat_incumbent *best, int64_t budget_bytes, int64_t peak_bytes, int64_t cost_ns)
{
    if (budget_bytes == 0)
        return !best->found || peak_bytes < best->peak_bytes ||
               (peak_bytes == best->peak_bytes && cost_ns < best->cost_ns);
    if (peak_bytes > budget_bytes)
        return false;
    return !best->found || cost_ns < best->cost_ns || (cost_ns == best->cost_ns && peak_bytes < best->peak_bytes);
}

enum remat_status remat_incumbent_offer(const struct remat_task_graph *graph, struct remat_incumbent *best,
                                        int64_t budget_bytes, struct remat_schedule *candidate, struct remat_error *err)
{
    struct remat_liveness live;
    enum remat_status status = remat_choose_options(graph, budget_bytes, candidate, err);
    if (status != REMAT_OK) {
        remat_schedule_free(candidate);
        return status;
    }
    status = remat_liveness(graph, candidate, &live, err);
    if (status == REMAT_OK && preferred(best, budget_bytes, live.peak_bytes, live.cost_ns)) {
        remat_incumbent_free(best);
        *best = (struct remat_incumbent){*candidate, live.peak_bytes, live.cost_ns, true};
        memset(candidate, 0, sizeof *candidate);
    }
    remat_schedule_free(candidate);
    remat_liveness_free(&live);
    return status;
}

static enum remat_status describe_smallest(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                           const struct remat_solve_options *options,
                                           const struct remat_schedule *schedule, struct remat_error *err)
{
    struct remat_liveness live;
    char asked[32], smallest[32];
    enum remat_status status = remat_liveness(graph, schedule, &live, err);
    if (status == REMAT_OK)
        status = remat_fail(
            err, REMAT_INFEASIBLE,
            "%s: the budget of %s (%lld bytes) is below the smallest that solver %s can do, %s (%lld bytes); task '%s' "
            "sets it. Give a larger budget or a smaller batch",
            graph->name ? graph->name : "graph", remat_size_format(options->budget_bytes, asked, sizeof asked),
            (long long)options->budget_bytes, solver->name,
            remat_size_format(live.peak_bytes, smallest, sizeof smallest), (long long)live.peak_bytes,
            schedule->count > 0 ? graph->tasks[schedule->runs[live.peak_run].task].name : "(none)");
    remat_liveness_free(&live);
    return status;
}

enum remat_status remat_report_infeasible(const struct remat_task_graph *graph, const struct remat_solver *solver,
                                          const struct remat_solve_options *options, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    enum remat_status status = solver->smallest(graph, options, &schedule, err);
    if (status == REMAT_OK)
        status = describe_smallest(graph, solver, options, &schedule, err);
    remat_schedule_free(&schedule);
    return status;
}
