/* The chain method, with keep-all beside it. */
#include "core/base/clock.h"
#include "solver/curve.h"
#include "solver/methods.h"

#include <string.h>

/* However short the limit: enough for all but large graphs without repetitions. */
static const double LEAST_SECONDS = 1;

static void release_curve(void *memo)
{
    remat_curve_free(memo);
}

static enum remat_status curve_of(struct remat_solving *solving, const struct remat_solve_options *options,
                                  struct remat_curve **out, struct remat_error *err)
{
    if (!solving->memo) {
        double seconds = options->time_limit_seconds, deadline = 0;
        if (seconds > 0)
            deadline = remat_clock_seconds() + (seconds > LEAST_SECONDS ? seconds : LEAST_SECONDS);
        REMAT_TRY(remat_curve_make(solving->graph, deadline, out, err));
        solving->memo = *out;
        solving->release = release_curve;
    }
    *out = solving->memo;
    return REMAT_OK;
}

static enum remat_status offer_curve(struct remat_solving *solving, const struct remat_solve_options *options,
                                     int64_t budget, struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    struct remat_curve *curve;
    bool found = true;
    enum remat_status status = curve_of(solving, options, &curve, err);
    if (status == REMAT_OK)
        status = budget == 0 ? remat_curve_smallest(curve, &schedule, err)
                             : remat_curve_at(curve, budget, &found, &schedule, err);
    if (status == REMAT_OK && found)
        return remat_incumbent_offer(solving->graph, best, budget, &schedule, err);
    remat_schedule_free(&schedule);
    return status;
}

enum remat_status remat_chain_smallest(struct remat_solving *solving, const struct remat_solve_options *options,
                                       struct remat_schedule *out, struct remat_error *err)
{
    struct remat_incumbent best = {0};
    struct remat_schedule schedule = {0};
    enum remat_status status = remat_keep_all_smallest(solving, options, &schedule, err);
    status = remat_incumbent_offer_answer(solving->graph, &best, 0, status, &schedule, err);
    if (status == REMAT_OK)
        status = offer_curve(solving, options, 0, &best, err);
    *out = best.schedule;
    return status;
}

static enum remat_status search(struct remat_solving *solving, const struct remat_solve_options *options,
                                struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    int64_t budget = options->budget_bytes;
    enum remat_status status = remat_keep_all_solve(solving, options, &schedule, err);
    REMAT_TRY(remat_incumbent_offer_answer(solving->graph, best, budget, status, &schedule, err));
    if (best->found)
        return REMAT_OK; /* nothing is faster */
    return offer_curve(solving, options, budget, best, err);
}

enum remat_status remat_chain_solve(struct remat_solving *solving, const struct remat_solve_options *options,
                                    struct remat_schedule *out, struct remat_error *err)
{
    struct remat_solve_options asked = *options;
    struct remat_incumbent best = {0};
    struct remat_schedule smallest = {0};
    enum remat_status status;
    asked.budget_bytes = options->budget_bytes > 0 ? options->budget_bytes : 1;
    status = search(solving, &asked, &best, err);
    if (status == REMAT_OK && !best.found) {
        status = remat_chain_smallest(solving, &asked, &smallest, err);
        if (status == REMAT_OK)
            status = remat_report_infeasible(solving->graph, "chain", asked.budget_bytes, &smallest, err);
        remat_schedule_free(&smallest);
    }
    *out = best.schedule;
    return status;
}
