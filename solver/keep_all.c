/* Keep-all: the base order, nothing recomputed. Values are freed after their last use by the meaning of a schedule. */
#include "solver/methods.h"

#include <string.h>

static enum remat_status offer_base(const struct remat_task_graph *graph, int64_t budget_bytes,
                                    struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_schedule base = {0};
    enum remat_status status = remat_schedule_base(graph, &base, err);
    if (status != REMAT_OK) {
        remat_schedule_free(&base);
        return status;
    }
    return remat_incumbent_offer(graph, best, budget_bytes, &base, err);
}

static enum remat_status solve_keep_all(const struct remat_task_graph *graph, const struct remat_solve_options *options,
                                        struct remat_schedule *out, struct remat_error *err)
{
    struct remat_incumbent best = {0};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = offer_base(graph, options->budget_bytes > 0 ? options->budget_bytes : 1, &best, err);
    if (status == REMAT_OK && !best.found)
        status = remat_report_infeasible(graph, &remat_keep_all_solver, options, err);
    *out = best.schedule;
    return status;
}

static enum remat_status smallest_keep_all(const struct remat_task_graph *graph,
                                           const struct remat_solve_options *options, struct remat_schedule *out,
                                           struct remat_error *err)
{
    struct remat_incumbent best = {0};
    enum remat_status status;
    (void)options;
    memset(out, 0, sizeof *out);
    status = offer_base(graph, 0, &best, err);
    *out = best.schedule;
    return status;
}

const struct remat_solver remat_keep_all_solver = {
    "keep-all", "keeps every value until its last use; recomputes nothing", solve_keep_all, smallest_keep_all};
