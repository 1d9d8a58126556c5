/* Keep-all: the base order, nothing recomputed. Values are freed after their last use by the meaning of a schedule. */
#include "solver/methods.h"

#include <string.h>

enum remat_status remat_keep_all_smallest(struct remat_solving *solving, const struct remat_solve_options *options,
                                          struct remat_schedule *out, struct remat_error *err)
{
    struct remat_incumbent best = {0};
    struct remat_schedule base = {0};
    enum remat_status status = remat_schedule_base(solving->graph, &base, err);
    (void)options;
    memset(out, 0, sizeof *out);
    if (status == REMAT_OK)
        status = remat_incumbent_offer(solving->graph, &best, 0, &base, err);
    remat_schedule_free(&base);
    *out = best.schedule;
    return status;
}

enum remat_status remat_keep_all_solve(struct remat_solving *solving, const struct remat_solve_options *options,
                                       struct remat_schedule *out, struct remat_error *err)
{
    struct remat_incumbent best = {0};
    struct remat_schedule base = {0};
    enum remat_status status = remat_schedule_base(solving->graph, &base, err);
    memset(out, 0, sizeof *out);
    if (status == REMAT_OK)
        status = remat_incumbent_offer(solving->graph, &best, options->budget_bytes > 0 ? options->budget_bytes : 1,
                                       &base, err);
    if (status == REMAT_OK && !best.found) {
        status = remat_keep_all_smallest(solving, options, &base, err);
        if (status == REMAT_OK)
            status = remat_report_infeasible(solving->graph, "keep-all", options->budget_bytes, &base, err);
    }
    remat_schedule_free(&base);
    *out = best.schedule;
    return status;
}
