#include "solver/search_walks.h"

#include "core/base/clock.h"
#include "solver/polish.h"

/* Work limits are counted in changes of the sequence, per stage of graphs up to a size; larger ones take longer for
 * each. */
enum { SEARCH_WORK = 18000, FEASIBILITY_WORK = 9000, FLOOR_WORK = 4500, SMALL = 100, LARGE = 400 };
enum { FLOOR_WALKS = 24, WINDOW_STATES = 600, BASE_WALKS = 2 };

/* A stage of the search: until a share of the limit, from the base order or the best found, at a temperature. */
struct leg {
    double until, hot;
    bool fresh;
};
static const struct leg legs[] = {{0.08, 0.1, false}, {0.30, 0.3, true},  {0.45, 0.1, false}, {0.70, 0.3, true},
                                  {0.80, 0.1, false}, {0.90, 0.2, false}, {0.97, 0.05, false}};
static const double COLD = 0.01, AGAIN_SHARE = 0.2, FIRST_STEP = 0.08, LAST_STEP = 0.005, STRICT = 1000,
                    HASTE = 1.0 / 256, REACH_SHARE = 0.5, POLISH_SHARE = 0.03;
/* Walks from the base order. */
static const double BASE_HOT = 0.3, BASE_COLD = 0.02, BASE_PRICE = 10, BASE_HASTE = 1.0 / 32, BASE_GROWTH = 3;

static int64_t work_of(const struct remat_search *search, int64_t work_per_stage)
{
    int32_t stages = search->graph->order_count;
    return work_per_stage * (SMALL + (stages < LARGE ? stages : LARGE));
}

/* Walks from what is in the sequence until something fits; the price of memory is so high that little else counts.
 * Limited by work, and by `seconds` unless 0. */
static enum remat_status walk_down(struct remat_search *search, double budget, int64_t work, double seconds,
                                   const volatile sig_atomic_t *stop, struct remat_best *best, struct remat_error *err)
{
    struct remat_progress anything = {.best_ns = INT64_MAX, .proven_ns = INT64_MAX};
    struct remat_anneal anneal = {.mover = &search->walkers[0].mover,
                                  .budget_bytes = budget,
                                  .hot = 2 * search->graph->order_count, /* so much does a datum's overflow weigh */
                                  .cold = 0.02 * search->graph->order_count,
                                  .work = work_of(search, work),
                                  .progress = &anything,
                                  .stop = stop,
                                  .price = STRICT * (double)search->walkers[0].sequence.cost_ns / budget,
                                  .best = best};
    if (seconds > 0)
        anneal.deadline = remat_clock_seconds() + seconds;
    return remat_anneal(&anneal, err);
}

/* Walks from the base order until something fits. Few values are dropped there, and the price of memory rises until
 * enough are: in graphs that are no chains that gets farther, and to faster plans, than from the smallest known one,
 * where nearly all is made again. */
static enum remat_status walk_in(struct remat_search *search, double budget, int64_t work, double seconds,
                                 const volatile sig_atomic_t *stop, struct remat_best *best, struct remat_error *err)
{
    struct remat_progress anything = {.best_ns = INT64_MAX, .proven_ns = INT64_MAX};
    struct remat_sequence *sequence = &search->walkers[0].sequence;
    struct remat_anneal anneal = {.mover = &search->walkers[0].mover,
                                  .budget_bytes = budget,
                                  .hot = BASE_HOT,
                                  .cold = BASE_COLD,
                                  .work = work_of(search, work),
                                  .progress = &anything,
                                  .stop = stop,
                                  .best = best};
    REMAT_TRY(remat_sequence_reset(sequence, err));
    anneal.price = BASE_PRICE * (double)sequence->cost_ns / budget;
    if (seconds > 0)
        anneal.deadline = remat_clock_seconds() + seconds;
    return remat_anneal(&anneal, err);
}

static enum remat_status polish_best(struct remat_walker *walker, const struct remat_solve_options *options,
                                     double deadline, struct remat_best *best, struct remat_error *err)
{
    const struct remat_polish polish = {.sequence = &walker->sequence,
                                        .budget_bytes = (double)options->budget_bytes,
                                        .states = WINDOW_STATES,
                                        .deadline = deadline,
                                        .stop = options->stop};
    REMAT_TRY(remat_best_restore(best, &walker->sequence, err));
    REMAT_TRY(remat_polish(&polish, err));
    return remat_best_offer(best, &walker->sequence, err);
}

/* Each gets the better one of its own and the others' best. */
static enum remat_status exchange_best(struct remat_exchange *exchange, struct remat_best *best, int32_t nodes_count,
                                       struct remat_error *err)
{
    enum remat_status status;
    pthread_mutex_lock(&exchange->lock);
    status = remat_best_copy(&exchange->best, best, nodes_count, err);
    if (status == REMAT_OK)
        status = remat_best_copy(best, &exchange->best, nodes_count, err);
    pthread_mutex_unlock(&exchange->lock);
    return status;
}

static enum remat_status begin_leg(const struct remat_search *search, struct remat_walker *walker,
                                   const struct remat_walks *walks, const struct leg *leg,
                                   const struct remat_best *best, struct remat_error *err)
{
    if (best->found && !leg->fresh)
        return remat_best_restore(best, &walker->sequence, err);
    if (walks->again)
        return remat_walker_load(walker, search->graph, &search->last.schedule, err);
    return remat_sequence_reset(&walker->sequence, err);
}

/* `polish_until` 0: limited by work alone. */
static enum remat_status end_leg(const struct remat_search *search, struct remat_walker *walker,
                                 const struct remat_walks *walks, double polish_until, int64_t *polished_ns,
                                 struct remat_best *best, struct remat_error *err)
{
    if (best->found && best->cost_ns != *polished_ns && !remat_progress_is_enough(walks->progress)) {
        REMAT_TRY(polish_best(walker, walks->options, polish_until, best, err));
        *polished_ns = best->cost_ns;
        remat_progress_find(walks->progress, best->cost_ns);
    }
    return walks->exchange ? exchange_best(walks->exchange, best, search->model.nodes_count, err) : REMAT_OK;
}

/* Whether the last two legs gained nothing noticeable. `best_ns[k]`: after leg k; 0 = it had no time. */
static bool is_exhausted(const int64_t *best_ns, size_t leg)
{
    return leg >= 2 && best_ns[leg - 2] > 0 && best_ns[leg] < INT64_MAX &&
           best_ns[leg] >= best_ns[leg - 2] - best_ns[leg - 2] / REMAT_PROGRESS_NOTICEABLE;
}

/* One of the walkers speaks for all. */
static void report(const struct remat_search *search, const struct remat_walker *walker,
                   const struct remat_walks *walks)
{
    const struct remat_solve_options *options = walks->options;
    if (options->report && walker == &search->walkers[0])
        options->report(options->context, atomic_load(&walks->progress->best_ns),
                        atomic_load(&walks->progress->proven_ns));
}

enum remat_status remat_search_walk(const struct remat_search *search, struct remat_walker *walker,
                                    const struct remat_walks *walks, struct remat_best *best, struct remat_error *err)
{
    double done = 0, share = walks->again ? AGAIN_SHARE : 1;
    double seconds = share * walks->options->time_limit_seconds, polish_until = 0;
    int64_t work = (int64_t)(share * (double)work_of(search, SEARCH_WORK)), polished_ns = -1;
    int64_t best_ns[sizeof legs / sizeof *legs] = {0};
    size_t k;
    if (walks->exchange)
        REMAT_TRY(exchange_best(walks->exchange, best, search->model.nodes_count, err));
    for (k = 0; k < sizeof legs / sizeof *legs && !remat_progress_is_enough(walks->progress); k++) {
        struct remat_anneal anneal = {.mover = &walker->mover,
                                      .budget_bytes = (double)walks->options->budget_bytes,
                                      .hot = legs[k].hot,
                                      .cold = COLD,
                                      .work = seconds > 0 ? 0 : (int64_t)((legs[k].until - done) * (double)work),
                                      .progress = walks->progress,
                                      .stop = walks->options->stop,
                                      .price = walks->price,
                                      .best = best};
        if (seconds > 0) {
            anneal.deadline = walks->started + legs[k].until * seconds;
            polish_until = anneal.deadline + POLISH_SHARE * seconds;
            if (anneal.deadline <= remat_clock_seconds())
                continue;
        }
        done = legs[k].until;
        report(search, walker, walks);
        REMAT_TRY(begin_leg(search, walker, walks, &legs[k], best, err));
        REMAT_TRY(remat_anneal(&anneal, err));
        REMAT_TRY(end_leg(search, walker, walks, polish_until, &polished_ns, best, err));
        best_ns[k] = best->found ? best->cost_ns : INT64_MAX;
        if (walks->gives_way && is_exhausted(best_ns, k))
            break;
    }
    return REMAT_OK;
}

/* Where a walk begins. */
enum start { FROM_SMALLEST, FROM_BASE };

/* A walk to a plan of at most `target` bytes, which takes the place of the smallest known one. */
static enum remat_status lower_to(struct remat_search *search, enum start start, double target, int64_t work,
                                  double seconds, const volatile sig_atomic_t *stop, bool *lowered,
                                  struct remat_error *err)
{
    struct remat_best found = {0};
    enum remat_status status = REMAT_OK;
    if (start == FROM_SMALLEST)
        status = remat_walker_load(&search->walkers[0], search->graph, &search->smallest.schedule, err);
    if (status == REMAT_OK)
        status = start == FROM_SMALLEST ? walk_down(search, target, work, seconds, stop, &found, err)
                                        : walk_in(search, target, work, seconds, stop, &found, err);
    if (status == REMAT_OK && start == FROM_BASE && !found.found) /* it may be the smallest one all the same */
        status = remat_best_offer(&found, &search->walkers[0].sequence, err);
    if (status == REMAT_OK)
        status = remat_search_offer(search, 0, &found, &search->smallest, err);
    *lowered = (double)search->smallest.peak_bytes <= target;
    remat_best_free(&found);
    return status;
}

static double most_of(double a, double b)
{
    return a > b ? a : b;
}

enum remat_status remat_search_lower(struct remat_search *search, const struct remat_solve_options *options,
                                     struct remat_error *err)
{
    const int64_t *peak = &search->smallest.peak_bytes;
    double step = FIRST_STEP, seconds = options->time_limit_seconds / FLOOR_WALKS;
    int32_t task, k;
    int64_t least = remat_closure_least_bytes(search->closure, &task);
    bool lowered;
    for (k = 0; k < FLOOR_WALKS && step > LAST_STEP && *peak > least; k++) {
        double target = most_of((1 - step) * (double)*peak, (double)least);
        REMAT_TRY(lower_to(search, FROM_SMALLEST, target, FLOOR_WORK, seconds, options->stop, &lowered, err));
        if (!lowered && step >= FIRST_STEP)
            REMAT_TRY(lower_to(search, FROM_BASE, target, FLOOR_WORK, seconds, options->stop, &lowered, err));
        if (!lowered)
            step /= 2;
    }
    return REMAT_OK;
}

/* What to try next where nothing is within the budget. */
struct reaching {
    int32_t base_walks;           /* from the base order, before others in steps */
    double base_seconds, seconds; /* of each */
    double step;                  /* for so much less than the smallest known plan needs, as a share */
    int64_t work;                 /* of each */
};

/* After an attempt: smaller steps where others fail, and more time once they are too small. */
static void go_on(struct reaching *r, bool lowered)
{
    if (r->base_walks > 0) {
        r->base_walks--;
        return;
    }
    if (lowered)
        return;
    r->step = r->step > FIRST_STEP ? FIRST_STEP : r->step / 2;
    if (r->step < LAST_STEP)
        *r = (struct reaching){BASE_WALKS, BASE_GROWTH * r->base_seconds, 2 * r->seconds, FIRST_STEP, 2 * r->work};
}

/* Walks from the base order to the budget at once, and from the smallest plan: at once, too, if a hasty one gets there,
 * else in steps. */
enum remat_status remat_search_reach(struct remat_search *search, const struct remat_solve_options *options,
                                     struct remat_best *best, struct remat_error *err)
{
    double limit = options->time_limit_seconds, deadline = remat_clock_seconds() + REACH_SHARE * limit;
    double budget = (double)options->budget_bytes;
    struct reaching r = {BASE_WALKS, BASE_HASTE * limit, HASTE * limit, 1, FEASIBILITY_WORK};
    REMAT_TRY(remat_search_know_smallest(search, options, err));
    while ((double)search->smallest.peak_bytes > budget && remat_clock_seconds() < deadline &&
           !(options->stop && *options->stop)) {
        bool at_base = r.base_walks > 0, lowered;
        double target = at_base ? budget : most_of((1 - r.step) * (double)search->smallest.peak_bytes, budget);
        REMAT_TRY(lower_to(search, at_base ? FROM_BASE : FROM_SMALLEST, target, r.work,
                           at_base ? r.base_seconds : r.seconds, options->stop, &lowered, err));
        go_on(&r, lowered);
    }
    if ((double)search->smallest.peak_bytes > budget)
        return REMAT_OK;
    REMAT_TRY(remat_walker_load(&search->walkers[0], search->graph, &search->smallest.schedule, err));
    return remat_best_offer(best, &search->walkers[0].sequence, err);
}
