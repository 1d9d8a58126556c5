/* The search: what the simpler methods know, then walks over sequences (solver/anneal.h) within a limit of time or
 * work. One preparation, and every plan found, serves the budgets that follow. */
#include "solver/anneal.h"

#include "core/base/clock.h"
#include "solver/closure_bound.h"
#include "solver/exact.h"
#include "solver/methods.h"
#include "solver/polish.h"

#include <stdlib.h>
#include <string.h>

/* Work limits are counted in changes of the sequence, per stage of graphs up to a size; larger ones take longer for
 * each. */
enum { SEARCH_WORK = 18000, FEASIBILITY_WORK = 9000, FLOOR_WORK = 4500, SMALL = 100, LARGE = 400 };
enum { FLOOR_WALKS = 24, VARY_WALKS = 4, MOST_KNOWN = 64, WINDOW_STATES = 600 };

/* A stage of the search: until a share of the limit, from the base order or the best found, at a temperature. */
struct leg {
    double until, hot;
    bool fresh;
};
static const struct leg legs[] = {{0.08, 0.1, false}, {0.30, 0.3, true},  {0.45, 0.1, false}, {0.70, 0.3, true},
                                  {0.80, 0.1, false}, {0.90, 0.2, false}, {0.97, 0.05, false}};
static const double FORESIGHT_SHARE = 0.1; /* of a limit of time */
static const double COLD = 0.01, AGAIN_SHARE = 0.2, AGAIN_WITHIN = 0.9, VARY_HOT = 0.1, FIRST_STEP = 0.08,
                    LAST_STEP = 0.005, STRICT = 1000, POLISH_SHARE = 0.03;

/* A schedule found before. */
struct known {
    struct remat_schedule schedule;
    int64_t peak_bytes, cost_ns;
};

struct search {
    const struct remat_task_graph *graph;
    struct remat_model model;
    struct remat_sequence sequence;
    struct remat_mover mover;
    struct remat_solving chain;
    struct remat_closure *closure; /* borrowed */
    struct known known[MOST_KNOWN];
    int32_t known_count;
    struct remat_schedule last; /* the answer for last_budget */
    int64_t last_budget, last_cost_ns, last_peak_bytes;
    struct remat_incumbent smallest; /* the chain's, lowered once asked for */
    bool lowered;
};

static void free_search(void *memo)
{
    struct search *search = memo;
    int32_t k;
    remat_solving_end(&search->chain);
    for (k = 0; k < search->known_count; k++)
        remat_schedule_free(&search->known[k].schedule);
    remat_schedule_free(&search->last);
    remat_schedule_free(&search->smallest.schedule);
    remat_mover_free(&search->mover);
    remat_sequence_free(&search->sequence);
    remat_model_free(&search->model);
    free(search);
}

static enum remat_status search_of(struct remat_solving *solving, const struct remat_solve_options *options,
                                   struct search **out, struct remat_error *err)
{
    const struct remat_task_graph *graph = solving->graph;
    struct search *search = solving->memo;
    struct remat_schedule schedule = {0};
    enum remat_status status;
    *out = search;
    if (search)
        return REMAT_OK;
    REMAT_TRY(REMAT_ALLOC(search, 1, err));
    *out = solving->memo = search;
    solving->release = free_search;
    search->graph = search->chain.graph = graph;
    REMAT_TRY(remat_solving_closure(solving, &search->closure, err));
    REMAT_TRY(remat_model_of_graph(graph, &search->model, err));
    REMAT_TRY(remat_sequence_init(&search->sequence, &search->model, graph, graph->order, graph->order_count, err));
    REMAT_TRY(remat_mover_init(&search->mover, &search->sequence, options->seed, err));
    status = remat_chain_smallest(&search->chain, options, &schedule, err);
    return remat_incumbent_offer_answer(graph, &search->smallest, 0, status, &schedule, err);
}

static enum remat_status copy_schedule(const struct remat_schedule *from, struct remat_schedule *out,
                                       struct remat_error *err)
{
    int32_t r;
    memset(out, 0, sizeof *out);
    for (r = 0; r < from->count; r++)
        REMAT_TRY(remat_schedule_push(out, from->entries[r].task, from->entries[r].option, err));
    return REMAT_OK;
}

static bool dominates(int64_t peak, int64_t cost, const struct known *other)
{
    return peak <= other->peak_bytes && cost <= other->cost_ns;
}

/* Remembers a schedule unless a known one is as good; forgets those it beats. */
static enum remat_status remember(struct search *search, const struct remat_incumbent *found, struct remat_error *err)
{
    struct known fresh = {.peak_bytes = found->peak_bytes, .cost_ns = found->cost_ns};
    int32_t k, kept = 0;
    for (k = 0; k < search->known_count; k++)
        if (dominates(search->known[k].peak_bytes, search->known[k].cost_ns, &fresh))
            return REMAT_OK;
    for (k = 0; k < search->known_count; k++)
        if (dominates(fresh.peak_bytes, fresh.cost_ns, &search->known[k]))
            remat_schedule_free(&search->known[k].schedule);
        else
            search->known[kept++] = search->known[k];
    search->known_count = kept;
    if (kept == MOST_KNOWN)
        return REMAT_OK;
    REMAT_TRY(copy_schedule(&found->schedule, &fresh.schedule, err));
    search->known[search->known_count++] = fresh;
    return REMAT_OK;
}

/* Keep-all if it fits, else the chain method's answer and what earlier searches found. */
static enum remat_status offer_starts(struct search *search, const struct remat_solve_options *options,
                                      struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    int64_t budget = options->budget_bytes;
    int32_t k;
    enum remat_status status = remat_chain_solve(&search->chain, options, &schedule, err);
    REMAT_TRY(remat_incumbent_offer_answer(search->graph, best, budget, status, &schedule, err));
    for (k = 0; k < search->known_count; k++) {
        if (search->known[k].peak_bytes > budget)
            continue;
        status = copy_schedule(&search->known[k].schedule, &schedule, err);
        REMAT_TRY(remat_incumbent_offer_answer(search->graph, best, budget, status, &schedule, err));
    }
    return REMAT_OK;
}

/* Gives every task the option of least scratch that any of its runs has: it fits at all of them. */
static enum remat_status load_options(struct search *search, const struct remat_schedule *schedule,
                                      struct remat_error *err)
{
    struct remat_sequence *s = &search->sequence;
    int32_t *least, r;
    enum remat_status status = REMAT_OK;
    REMAT_TRY(REMAT_ALLOC(least, search->graph->tasks_count, err));
    memset(least, -1, (size_t)search->graph->tasks_count * sizeof *least);
    for (r = 0; r < schedule->count; r++) {
        const struct remat_entry *run = &schedule->entries[r];
        const struct remat_option *options = search->graph->tasks[run->task].options;
        int32_t *option = &least[run->task];
        if (*option < 0 || options[run->option].scratch_bytes < options[*option].scratch_bytes)
            *option = run->option;
    }
    for (r = 0; r < search->graph->tasks_count && status == REMAT_OK; r++)
        if (least[r] >= 0 && least[r] != s->option[r])
            status = remat_sequence_set_option(s, r, least[r], err);
    free(least);
    return status;
}

/* Puts a schedule into the sequence, options task by task. */
static enum remat_status load_schedule(struct search *search, const struct remat_schedule *schedule,
                                       struct remat_error *err)
{
    struct remat_sequence *s = &search->sequence;
    int32_t *nodes, r;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(nodes, schedule->count, err));
    for (r = 0; r < schedule->count; r++)
        nodes[r] = schedule->entries[r].task; /* the whole graph's nodes are its tasks */
    status = remat_sequence_load(s, nodes, schedule->count, err);
    free(nodes);
    if (status == REMAT_OK)
        status = load_options(search, schedule, err);
    remat_sequence_commit(s);
    return status;
}

static int64_t work_of(const struct search *search, int64_t work_per_stage)
{
    int32_t stages = search->graph->order_count;
    return work_per_stage * (SMALL + (stages < LARGE ? stages : LARGE));
}

/* Walks from what is in the sequence until something fits; the price of memory is so high that little else counts.
 * `seconds` 0: limited by work alone. */
static enum remat_status walk_down(struct search *search, double budget, int64_t work, double seconds,
                                   const volatile sig_atomic_t *stop, struct remat_best *best, struct remat_error *err)
{
    struct remat_anneal anneal = {.mover = &search->mover,
                                  .budget_bytes = budget,
                                  .hot = 2 * search->graph->order_count, /* so much does a datum's overflow weigh */
                                  .cold = 0.02 * search->graph->order_count,
                                  .work = work_of(search, work),
                                  .enough_ns = INT64_MAX,
                                  .stop = stop,
                                  .price = STRICT * (double)search->sequence.cost_ns / budget,
                                  .best = best};
    if (seconds > 0)
        anneal.deadline = remat_clock_seconds() + seconds;
    return remat_anneal(&anneal, err);
}

/* Looks for anything that fits within a limit of time: at first in haste, from the smallest known plan. */
static enum remat_status reach(struct search *search, const struct remat_solve_options *options,
                               struct remat_best *best, struct remat_error *err)
{
    double seconds = options->time_limit_seconds / 4, share;
    for (share = 1.0 / 64; share < 1 && !best->found; share *= 4) {
        REMAT_TRY(load_schedule(search, &search->smallest.schedule, err));
        REMAT_TRY(walk_down(search, (double)options->budget_bytes, (int64_t)(share * FEASIBILITY_WORK), share * seconds,
                            options->stop, best, err));
    }
    if (best->found)
        return REMAT_OK;
    REMAT_TRY(remat_sequence_reset(&search->sequence, err));
    return walk_down(search, (double)options->budget_bytes, FEASIBILITY_WORK, seconds, options->stop, best, err);
}

static enum remat_status polish_best(struct search *search, const struct remat_solve_options *options, double deadline,
                                     struct remat_best *best, struct remat_error *err)
{
    const struct remat_polish polish = {.sequence = &search->sequence,
                                        .budget_bytes = (double)options->budget_bytes,
                                        .states = WINDOW_STATES,
                                        .deadline = deadline,
                                        .stop = options->stop};
    REMAT_TRY(remat_best_restore(best, &search->sequence, err));
    REMAT_TRY(remat_polish(&polish, err));
    return remat_best_offer(best, &search->sequence, err);
}

/* All legs. A search `again` for a little less starts from the answer that was too large, and has less to do. */
static enum remat_status walk_legs(struct search *search, const struct remat_solve_options *options, bool again,
                                   double price, int64_t enough_ns, struct remat_best *best, struct remat_error *err)
{
    double started = remat_clock_seconds(), done = 0, share = again ? AGAIN_SHARE : 1;
    double seconds = options->time_limit_seconds;
    int64_t work = (int64_t)(share * (double)work_of(search, SEARCH_WORK)), polished_ns = -1;
    size_t k;
    for (k = 0; k < sizeof legs / sizeof *legs; k++) {
        struct remat_anneal anneal = {.mover = &search->mover,
                                      .budget_bytes = (double)options->budget_bytes,
                                      .hot = legs[k].hot,
                                      .cold = COLD,
                                      .work = (int64_t)((legs[k].until - done) * (double)work),
                                      .enough_ns = enough_ns,
                                      .stop = options->stop,
                                      .price = price,
                                      .best = best};
        if (seconds > 0)
            anneal.deadline = started + legs[k].until * share * seconds;
        done = legs[k].until;
        if (best->found && !legs[k].fresh)
            REMAT_TRY(remat_best_restore(best, &search->sequence, err));
        else if (again)
            REMAT_TRY(load_schedule(search, &search->last, err));
        else
            REMAT_TRY(remat_sequence_reset(&search->sequence, err));
        REMAT_TRY(remat_anneal(&anneal, err));
        if (best->found && best->cost_ns != polished_ns && best->cost_ns > enough_ns) {
            REMAT_TRY(polish_best(search, options, seconds > 0 ? anneal.deadline + POLISH_SHARE * share * seconds : 0,
                                  best, err));
            polished_ns = best->cost_ns;
        }
        if (best->found && best->cost_ns <= enough_ns)
            break;
    }
    return REMAT_OK;
}

static enum remat_status offer_best(struct search *search, int64_t budget, const struct remat_best *found,
                                    struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    if (!found->found)
        return REMAT_OK;
    REMAT_TRY(remat_best_restore(found, &search->sequence, err));
    REMAT_TRY(remat_sequence_schedule(&search->sequence, &schedule, err));
    return remat_incumbent_offer(search->graph, best, budget, &schedule, err);
}

/* The exact method's answer, which may be that nothing is faster than what is known: *settled, if it got that far. */
static enum remat_status offer_exact(struct search *search, int64_t budget, struct remat_incumbent *best, bool *settled,
                                     struct remat_error *err)
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

/* Improves on what is known, if anything, until the bound proves it good enough. */
/* With a limit of time, a share of it may show that the answer at hand is the best, or when a search is done. */
static enum remat_status foresee(struct search *search, const struct remat_solve_options *options,
                                 const struct remat_incumbent *best, struct remat_bound *bound, struct remat_error *err)
{
    struct remat_bound_effort effort = remat_bound_thorough;
    if (options->time_limit_seconds <= 0 || (options->stop && *options->stop))
        return REMAT_OK;
    effort.deadline = remat_clock_seconds() + FORESIGHT_SHARE * options->time_limit_seconds;
    return remat_closure_strengthen(search->closure, &effort, best->found ? best->cost_ns : INT64_MAX, bound, err);
}

static enum remat_status improve(struct search *search, const struct remat_solve_options *options,
                                 struct remat_incumbent *best, struct remat_error *err)
{
    int64_t budget = options->budget_bytes, enough_ns;
    struct remat_solve_options rest = *options; /* of time: without what looking ahead takes */
    struct remat_best found = {0};
    struct remat_bound bound;
    bool again = search->last.count > 0 && budget <= search->last_budget &&
                 (double)budget > AGAIN_WITHIN * (double)search->last_budget;
    bool settled;
    enum remat_status status = remat_closure_bounds(search->closure, &budget, 1, &bound, err);
    if (status != REMAT_OK || bound.infeasible)
        return status;
    enough_ns = (int64_t)((1 + options->gap) * (double)bound.lower_bound_ns);
    if (best->found && best->cost_ns <= enough_ns)
        return REMAT_OK;
    REMAT_TRY(foresee(search, options, best, &bound, err));
    rest.time_limit_seconds *= 1 - FORESIGHT_SHARE;
    enough_ns = (int64_t)((1 + options->gap) * (double)bound.lower_bound_ns);
    if (best->found && best->cost_ns <= enough_ns)
        return REMAT_OK;
    REMAT_TRY(offer_exact(search, budget, best, &settled, err));
    if (settled)
        return REMAT_OK;
    if (best->found) {
        REMAT_TRY(load_schedule(search, &best->schedule, err));
        status = remat_best_offer(&found, &search->sequence, err);
    } else {
        status = reach(search, &rest, &found, err);
    }
    if (status == REMAT_OK && !(found.found && found.cost_ns <= enough_ns))
        status = walk_legs(search, &rest, again, bound.price, enough_ns, &found, err);
    if (status == REMAT_OK)
        status = offer_best(search, budget, &found, best, err);
    remat_best_free(&found);
    return status;
}

static void forget_last(struct search *search)
{
    int32_t k, kept = 0;
    for (k = 0; k < search->known_count; k++)
        if (search->known[k].cost_ns == search->last_cost_ns && search->known[k].peak_bytes == search->last_peak_bytes)
            remat_schedule_free(&search->known[k].schedule);
        else
            search->known[kept++] = search->known[k];
    search->known_count = kept;
}

static bool is_last(const struct search *search, const struct remat_incumbent *plan)
{
    return plan->cost_ns == search->last_cost_ns && plan->peak_bytes == search->last_peak_bytes;
}

/* A short walk from the last answer. */
static enum remat_status walk_off(struct search *search, const struct remat_solve_options *options, double hot,
                                  double price, struct remat_incumbent *best, struct remat_error *err)
{
    double seconds = options->time_limit_seconds, now = remat_clock_seconds();
    struct remat_best found = {0};
    struct remat_anneal anneal = {.mover = &search->mover,
                                  .budget_bytes = (double)options->budget_bytes,
                                  .hot = hot,
                                  .cold = COLD,
                                  .work = (int64_t)(AGAIN_SHARE * (double)work_of(search, SEARCH_WORK)),
                                  .deadline = seconds > 0 ? now + (1 - AGAIN_SHARE) * seconds : 0,
                                  .stop = options->stop,
                                  .price = price,
                                  .best = &found};
    enum remat_status status = load_schedule(search, &search->last, err);
    if (status == REMAT_OK)
        status = remat_anneal(&anneal, err);
    if (status == REMAT_OK && found.found)
        status = polish_best(search, options, seconds > 0 ? now + seconds : 0, &found, err);
    if (status == REMAT_OK)
        status = offer_best(search, options->budget_bytes, &found, best, err);
    remat_best_free(&found);
    return status;
}

/* Another plan than the last answer, which had no placement, but about as good: the hotter the farther from it. */
static enum remat_status vary(struct search *search, const struct remat_solve_options *options,
                              struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_bound bound;
    double hot = VARY_HOT;
    int32_t k;
    REMAT_TRY(remat_closure_bounds(search->closure, &options->budget_bytes, 1, &bound, err));
    if (options->attempt == 1)
        forget_last(search);
    for (k = 0; k < VARY_WALKS && (!best->found || is_last(search, best)); k++, hot *= 2) {
        remat_schedule_free(&best->schedule);
        *best = (struct remat_incumbent){0};
        REMAT_TRY(walk_off(search, options, hot, bound.price, best, err));
    }
    return REMAT_OK;
}

/* Asks for less by a share that is halved whenever a walk fails. */
static enum remat_status lower_peak(struct search *search, const struct remat_solve_options *options,
                                    struct remat_error *err)
{
    struct remat_incumbent *best = &search->smallest;
    double share = FIRST_STEP, seconds = options->time_limit_seconds / FLOOR_WALKS;
    int32_t task, k;
    int64_t least = remat_closure_least_bytes(search->closure, &task);
    for (k = 0; k < FLOOR_WALKS && share > LAST_STEP && best->peak_bytes > least; k++) {
        double target = (1 - share) * (double)best->peak_bytes;
        struct remat_best found = {0};
        enum remat_status status = load_schedule(search, &best->schedule, err);
        if (target < (double)least)
            target = (double)least;
        if (status == REMAT_OK)
            status = walk_down(search, target, FLOOR_WORK, seconds, options->stop, &found, err);
        if (status == REMAT_OK && !found.found)
            share /= 2;
        if (status == REMAT_OK)
            status = offer_best(search, 0, &found, best, err);
        remat_best_free(&found);
        REMAT_TRY(status);
    }
    return REMAT_OK;
}

/* Halves what lies between the least conceivable peak and the least known as long as the exact method knows. */
static enum remat_status lower_exactly(struct search *search, bool *settled, struct remat_error *err)
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

/* Once; the same answer whatever was solved before: a budget of this size is feasible to every solving. */
static enum remat_status lower(struct search *search, const struct remat_solve_options *options,
                               struct remat_error *err)
{
    bool settled;
    if (search->lowered)
        return REMAT_OK;
    remat_mover_seed(&search->mover, options->seed);
    REMAT_TRY(lower_exactly(search, &settled, err));
    if (!settled)
        REMAT_TRY(lower_peak(search, options, err));
    search->lowered = true;
    return remember(search, &search->smallest, err);
}

enum remat_status remat_search_smallest(struct remat_solving *solving, const struct remat_solve_options *options,
                                        struct remat_schedule *out, struct remat_error *err)
{
    struct search *search;
    memset(out, 0, sizeof *out);
    REMAT_TRY(search_of(solving, options, &search, err));
    REMAT_TRY(lower(search, options, err));
    return copy_schedule(&search->smallest.schedule, out, err);
}

/* Something to improve on. Without a limit of time that is the smallest plan where nothing else fits, so that the
 * answer does not depend on whether the smallest plan was asked for before. */
static enum remat_status start(struct search *search, const struct remat_solve_options *options,
                               struct remat_incumbent *best, struct remat_error *err)
{
    REMAT_TRY(offer_starts(search, options, best, err));
    if (best->found || options->time_limit_seconds > 0)
        return REMAT_OK;
    REMAT_TRY(lower(search, options, err));
    return offer_starts(search, options, best, err);
}

static enum remat_status find(struct search *search, const struct remat_solve_options *options,
                              struct remat_incumbent *best, struct remat_error *err)
{
    REMAT_TRY(start(search, options, best, err));
    return best->found || options->time_limit_seconds > 0 ? improve(search, options, best, err) : REMAT_OK;
}

enum remat_status remat_search_solve(struct remat_solving *solving, const struct remat_solve_options *options,
                                     struct remat_schedule *out, struct remat_error *err)
{
    struct remat_solve_options asked = *options;
    struct remat_incumbent best = {0};
    struct remat_schedule smallest = {0};
    struct search *search;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    asked.budget_bytes = options->budget_bytes > 0 ? options->budget_bytes : 1;
    REMAT_TRY(search_of(solving, options, &search, err));
    if (options->attempt > 0 && search->last.count > 0)
        REMAT_TRY_GOTO(vary(search, &asked, &best, err), done);
    if (!best.found)
        REMAT_TRY_GOTO(find(search, &asked, &best, err), done);
    if (best.found && options->attempt > 0) {
        status = remember(search, &best, err);
    } else if (best.found) {
        remat_schedule_free(&search->last);
        search->last_budget = asked.budget_bytes;
        search->last_cost_ns = best.cost_ns;
        search->last_peak_bytes = best.peak_bytes;
        REMAT_TRY_GOTO(copy_schedule(&best.schedule, &search->last, err), done);
        status = remember(search, &best, err);
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
