/* The search: what the simpler methods know, then walks over sequences within a limit of time or work. One preparation,
 * and every plan found, serves the budgets that follow. */
#include "core/base/clock.h"
#include "solver/exact.h"
#include "solver/search_team.h"

#include <stdlib.h>
#include <string.h>

/* Of a limit of time. */
static const double FORESIGHT_SHARE = 0.1, MOST_SPENT = 0.6, LOWER_SHARE = 0.2, PATIENCE_SHARE = 0.25;
static const double AGAIN_WITHIN = 0.9;

/* Keep-all if it fits, else the chain method's answer. */
static enum remat_status offer_chain(struct remat_search *search, const struct remat_solve_options *options,
                                     struct remat_incumbent *best, struct remat_error *err)
{
    const struct remat_solve_options asked = remat_search_for_chain(options);
    struct remat_schedule schedule = {0};
    enum remat_status status = remat_chain_solve(&search->chain, &asked, &schedule, err);
    return remat_incumbent_offer_answer(search->graph, best, options->budget_bytes, status, &schedule, err);
}

/* Segments need no tables, so they are soon tried. */
static enum remat_status offer_segments(struct remat_search *search, const struct remat_solve_options *options,
                                        struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_solving solving = {.graph = search->graph};
    struct remat_schedule schedule = {0};
    enum remat_status status = remat_sqrt_solve(&solving, options, &schedule, err);
    return remat_incumbent_offer_answer(search->graph, best, options->budget_bytes, status, &schedule, err);
}

/* Good enough by the least that is known of the step's time. */
static bool is_good(const struct remat_search *search, const struct remat_solve_options *options,
                    const struct remat_incumbent *best)
{
    return best->found && (double)best->cost_ns <= (1 + options->gap) * (double)remat_closure_base_ns(search->closure);
}

/* And what earlier searches found. */
static enum remat_status offer_starts(struct remat_search *search, const struct remat_solve_options *options,
                                      struct remat_incumbent *best, struct remat_error *err)
{
    if (remat_solve_is_hasty(options))
        REMAT_TRY(offer_segments(search, options, best, err));
    if (is_good(search, options, best))
        return REMAT_OK;
    REMAT_TRY(offer_chain(search, options, best, err));
    return remat_search_offer_known(search, options->budget_bytes, best, err);
}

/* The exact method's answer, which may be that nothing is faster than what is known: *settled, if it got that far. */
static enum remat_status offer_exact(struct remat_search *search, int64_t budget, struct remat_incumbent *best,
                                     bool *settled, struct remat_error *err)
{
    struct remat_exact exact;
    int64_t below_ns = best->found && best->peak_bytes <= budget ? best->cost_ns : INT64_MAX;
    enum remat_status status = remat_exact_solve(search->graph, budget, below_ns, REMAT_EXACT_STATES, &exact, err);
    *settled = exact.found || exact.lower_bound_ns >= below_ns;
    if (status == REMAT_OK && exact.found)
        return remat_incumbent_offer(search->graph, best, budget, &exact.schedule, err);
    remat_schedule_free(&exact.schedule);
    return status;
}

static struct remat_bound_effort effort_of(const struct remat_solve_options *options, double seconds)
{
    struct remat_bound_effort effort = remat_bound_thorough;
    effort.stop = options->stop;
    effort.deadline = remat_clock_seconds() + seconds;
    return effort;
}

/* With a limit of time, a share of it may show that the answer at hand is the best, or when a search is done. */
static enum remat_status foresee(struct remat_search *search, struct remat_solve_options *options,
                                 struct remat_bound *bound, struct remat_progress *progress, struct remat_error *err)
{
    struct remat_bound_effort effort = effort_of(options, FORESIGHT_SHARE * options->time_limit_seconds);
    if (options->time_limit_seconds <= 0 || (options->stop && *options->stop))
        return REMAT_OK;
    options->time_limit_seconds *= 1 - FORESIGHT_SHARE;
    return remat_closure_strengthen(search->closure, &effort, progress, bound, err);
}

/* Halves what lies between the least conceivable peak and the least known as long as the exact method knows. */
static enum remat_status lower_exactly(struct remat_search *search, bool *settled, struct remat_error *err)
{
    struct remat_incumbent *best = &search->smallest;
    int32_t task;
    int64_t least = remat_closure_least_bytes(search->closure, &task);
    *settled = true;
    while (*settled && least < best->peak_bytes) {
        int64_t budget = least + (best->peak_bytes - least) / 2;
        struct remat_incumbent found = {0};
        REMAT_TRY(offer_exact(search, budget, &found, settled, err));
        if (found.found)
            REMAT_TRY(remat_incumbent_offer(search->graph, best, 0, &found.schedule, err));
        else
            least = budget + 1;
    }
    return REMAT_OK;
}

/* The chain's smallest plan, lowered as far as it goes. */
static enum remat_status lower_here(struct remat_search *search, const struct remat_solve_options *options,
                                    struct remat_error *err)
{
    bool settled;
    REMAT_TRY(remat_search_know_smallest(search, options, err));
    REMAT_TRY(lower_exactly(search, &settled, err));
    return settled ? REMAT_OK : remat_search_lower(search, options, err);
}

/* A graph that borrows all of another's but the tasks: each takes a nanosecond. */
static enum remat_status make_even(const struct remat_task_graph *graph, struct remat_task_graph *out,
                                   struct remat_error *err)
{
    struct remat_option *options;
    int64_t count = 0;
    int32_t t, k;
    *out = *graph;
    for (t = 0; t < graph->tasks_count; t++)
        count += graph->tasks[t].options_count;
    REMAT_TRY(REMAT_ALLOC(out->tasks, graph->tasks_count, err));
    if (REMAT_ALLOC(options, count, err) != REMAT_OK) {
        free(out->tasks);
        return REMAT_OUT_OF_MEMORY;
    }
    for (t = 0; t < graph->tasks_count; t++) {
        out->tasks[t] = graph->tasks[t];
        out->tasks[t].options = options;
        for (k = 0; k < graph->tasks[t].options_count; k++) {
            *options = graph->tasks[t].options[k];
            options++->time_ns = 1;
        }
    }
    return REMAT_OK;
}

static void free_even(struct remat_task_graph *even)
{
    if (even->tasks_count > 0)
        free(even->tasks[0].options);
    free(even->tasks);
}

/* Once; the same answer whatever was solved before: a budget of this size is feasible to every solving. And whatever
 * tasks take, which each measurement tells differently. */
static enum remat_status lower(struct remat_search *search, const struct remat_solve_options *options,
                               struct remat_error *err)
{
    struct remat_task_graph even;
    struct remat_solving solving = {.graph = &even};
    struct remat_search *other;
    struct remat_schedule schedule = {0};
    enum remat_status status;
    if (search->lowered)
        return REMAT_OK;
    REMAT_TRY(make_even(search->graph, &even, err));
    status = remat_search_of(&solving, options, &other, err);
    if (status == REMAT_OK)
        status = lower_here(other, options, err);
    if (status == REMAT_OK)
        status = remat_schedule_copy(&other->smallest.schedule, &schedule, err);
    if (status == REMAT_OK)
        status = remat_incumbent_offer(search->graph, &search->smallest, 0, &schedule, err);
    remat_solving_end(&solving);
    free_even(&even);
    search->lowered = status == REMAT_OK;
    return status == REMAT_OK ? remat_search_remember(search, &search->smallest, err) : status;
}

/* Walks to the budget; where they fail, what the smallest plan is found by. */
static enum remat_status reach_within(struct remat_search *search, const struct remat_solve_options *options,
                                      struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_solve_options rest = *options;
    struct remat_best found = {0};
    enum remat_status status = remat_search_reach(search, options, &found, err);
    if (status == REMAT_OK)
        status = remat_search_offer(search, options->budget_bytes, &found, best, err);
    remat_best_free(&found);
    if (status != REMAT_OK || best->found)
        return status;
    rest.time_limit_seconds *= LOWER_SHARE;
    REMAT_TRY(lower(search, &rest, err));
    return remat_search_offer_known(search, options->budget_bytes, best, err);
}

/* What was spent since is gone from the limit of time, but for a part that is left in any case. */
static void spend(struct remat_solve_options *options, double since)
{
    double least = (1 - MOST_SPENT) * options->time_limit_seconds;
    options->time_limit_seconds -= remat_clock_seconds() - since;
    if (options->time_limit_seconds < least)
        options->time_limit_seconds = least;
}

/* Something within the budget, if it can be reached. */
static enum remat_status reach(struct remat_search *search, struct remat_solve_options *options,
                               struct remat_incumbent *best, struct remat_error *err)
{
    double started = remat_clock_seconds();
    enum remat_status status = reach_within(search, options, best, err);
    spend(options, started);
    return status;
}

/* Walks from what is known, if anything; with several threads one of them raises the bound first. */
static enum remat_status walk(struct remat_search *search, int32_t threads, const struct remat_walks *walks,
                              const struct remat_bound *bound, struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_walker *walker = &search->walkers[0];
    struct remat_prover prover = {.closure = search->closure,
                                  .effort = effort_of(walks->options, walks->options->time_limit_seconds),
                                  .bound = *bound};
    struct remat_best found = {0};
    enum remat_status status = REMAT_OK;
    if (best->found) {
        status = remat_walker_load(walker, search->graph, &best->schedule, err);
        if (status == REMAT_OK)
            status = remat_best_offer(&found, &walker->sequence, err);
    }
    if (found.found)
        remat_progress_find(walks->progress, found.cost_ns);
    if (status == REMAT_OK)
        status = remat_team_walk(search, threads, walks, &prover, &found, err);
    if (status == REMAT_OK)
        status = remat_search_offer(search, walks->options->budget_bytes, &found, best, err);
    remat_best_free(&found);
    return status;
}

/* Improves on what is known, if anything, until the bound proves it good enough. */
static enum remat_status improve(struct remat_search *search, const struct remat_solve_options *options,
                                 struct remat_incumbent *best, struct remat_error *err)
{
    int64_t budget = options->budget_bytes;
    int32_t threads = remat_solve_threads(options);
    struct remat_solve_options rest = *options; /* of time: without what looking ahead takes */
    struct remat_progress progress = {.best_ns = best->found ? best->cost_ns : INT64_MAX, .gap = options->gap};
    struct remat_walks walks = {.options = &rest, .progress = &progress};
    struct remat_bound bound;
    bool settled;
    enum remat_status status = remat_closure_bounds(search->closure, &budget, 1, &bound, err);
    if (status != REMAT_OK || bound.infeasible)
        return status;
    walks.again = search->last.schedule.count > 0 && budget <= search->last_budget &&
                  (double)budget > AGAIN_WITHIN * (double)search->last_budget;
    remat_progress_prove(&progress, bound.lower_bound_ns);
    if (remat_progress_is_enough(&progress))
        return REMAT_OK;
    REMAT_TRY(offer_exact(search, budget, best, &settled, err));
    if (settled)
        return REMAT_OK;
    if (!best->found)
        REMAT_TRY(reach(search, &rest, best, err));
    if (best->found)
        remat_progress_find(&progress, best->cost_ns);
    if (threads == 1 && best->found && !remat_progress_is_enough(&progress))
        REMAT_TRY(foresee(search, &rest, &bound, &progress, err));
    if (remat_progress_is_enough(&progress))
        return REMAT_OK;
    walks.price = bound.price;
    walks.started = remat_clock_seconds();
    walks.gives_way = threads == 1 && rest.time_limit_seconds > 0 && !options->without_bound;
    progress.patience_ns = (int64_t)(PATIENCE_SHARE * 1e9 * rest.time_limit_seconds);
    return walk(search, threads, &walks, &bound, best, err);
}

enum remat_status remat_search_smallest(struct remat_solving *solving, const struct remat_solve_options *options,
                                        struct remat_schedule *out, struct remat_error *err)
{
    struct remat_search *search;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_search_of(solving, options, &search, err));
    REMAT_TRY(lower(search, options, err));
    return remat_schedule_copy(&search->smallest.schedule, out, err);
}

/* Something to improve on. Without a limit of time that is the smallest plan where nothing else fits, so that the
 * answer does not depend on whether the smallest plan was asked for before. */
static enum remat_status start(struct remat_search *search, const struct remat_solve_options *options,
                               struct remat_incumbent *best, struct remat_error *err)
{
    REMAT_TRY(offer_starts(search, options, best, err));
    if (best->found || options->time_limit_seconds > 0)
        return REMAT_OK;
    REMAT_TRY(lower(search, options, err));
    return offer_starts(search, options, best, err);
}

static enum remat_status find(struct remat_search *search, const struct remat_solve_options *options,
                              struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_solve_options rest = *options;
    double started = remat_clock_seconds();
    REMAT_TRY(start(search, options, best, err));
    spend(&rest, started);
    if (is_good(search, options, best) || (!best->found && options->time_limit_seconds <= 0))
        return REMAT_OK;
    return improve(search, &rest, best, err);
}

enum remat_status remat_search_solve(struct remat_solving *solving, const struct remat_solve_options *options,
                                     struct remat_schedule *out, struct remat_error *err)
{
    struct remat_solve_options asked = *options;
    struct remat_incumbent best = {0};
    struct remat_schedule smallest = {0};
    struct remat_search *search;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    asked.budget_bytes = options->budget_bytes > 0 ? options->budget_bytes : 1;
    REMAT_TRY(remat_search_of(solving, options, &search, err));
    REMAT_TRY_GOTO(find(search, &asked, &best, err), done);
    if (best.found) {
        status = remat_search_answer(search, &best, asked.budget_bytes, err);
    } else {
        status = remat_search_smallest(solving, &asked, &smallest, err);
        if (status == REMAT_OK)
            status = remat_report_infeasible(search->graph, "search", asked.budget_bytes, &smallest, err);
        remat_schedule_free(&smallest);
    }
done:
    *out = best.schedule;
    return status;
}
