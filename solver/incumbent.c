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

enum remat_status remat_incumbent_offer_answer(const struct remat_task_graph *graph, struct remat_incumbent *best,
                                               int64_t budget_bytes, enum remat_status status,
                                               struct remat_schedule *candidate, struct remat_error *err)
{
    if (status == REMAT_OK)
        return remat_incumbent_offer(graph, best, budget_bytes, candidate, err);
    remat_schedule_free(candidate);
    return status == REMAT_INFEASIBLE ? REMAT_OK : status;
}

enum remat_status remat_fail_infeasible(const struct remat_task_graph *graph, const char *method, int64_t budget_bytes,
                                        int64_t least_bytes, int32_t task, struct remat_error *err)
{
    char asked[32], least[32];
    return remat_fail(err, REMAT_INFEASIBLE,
                      "%s: a budget of %s (%lld bytes) is not feasible with solver %s; the smallest feasible budget is "
                      "%s (%lld bytes), set by task '%s'. Give a larger budget or a smaller batch",
                      graph->name ? graph->name : "graph", remat_size_format(budget_bytes, asked, sizeof asked),
                      (long long)budget_bytes, method, remat_size_format(least_bytes, least, sizeof least),
                      (long long)least_bytes, task >= 0 ? graph->tasks[task].name : "(none)");
}

enum remat_status remat_report_infeasible(const struct remat_task_graph *graph, const char *method,
                                          int64_t budget_bytes, const struct remat_schedule *smallest,
                                          struct remat_error *err)
{
    struct remat_liveness live;
    enum remat_status status = remat_liveness(graph, smallest, &live, err);
    if (status == REMAT_OK)
        status = remat_fail_infeasible(graph, method, budget_bytes, live.peak_bytes,
                                       smallest->count > 0 ? smallest->entries[live.peak_entry].task : -1, err);
    remat_liveness_free(&live);
    return status;
}
