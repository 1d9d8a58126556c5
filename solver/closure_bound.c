#include "solver/closure_bound.h"

#include "solver/closure_branch.h"
#include "solver/closure_lines.h"
#include "solver/linear.h"
#include "solver/window_bound.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_STEPS = 60, BRANCH_CUTS = 12, BRANCH_SOLVES = 4000, BRANCH_WORK = 1600000 };

/* What branching proved: no schedule within the budget takes less. */
struct proof {
    int64_t budget_bytes, extra_ns;
    int32_t position;
    double price;
};

struct remat_closure {
    struct remat_cut_model model;
    struct remat_closure_network network;
    struct remat_closure_lines *cuts; /* per position */
    int32_t *order;                   /* positions, most promising first */
    double *promise;                  /* per position, for the budget at hand */
    bool *used[2];                    /* per way: the choices that set the best bound so far */
    struct proof *proofs;
    int32_t proofs_count, proofs_capacity;
    int64_t least_bytes;
    int32_t least_position;
};

/* ------------------------------------------------------------------------------------------------------ preparing */

/* The two choices that need no search: nothing is made again, everything is. */
static enum remat_status open_cut(struct remat_closure *closure, int32_t position, struct remat_error *err)
{
    struct remat_closure_network *network = &closure->network;
    struct remat_closure_lines *cut = &closure->cuts[position];
    REMAT_TRY(remat_closure_network_cut(network, position, err));
    cut->fixed_bytes = network->fixed_bytes;
    if (cut->fixed_bytes > closure->least_bytes) {
        closure->least_bytes = cut->fixed_bytes;
        closure->least_position = position;
    }
    REMAT_TRY(
        remat_closure_lines_add(cut, (struct remat_closure_point){{0, (double)network->loose_bytes}, -1, 0}, err));
    return remat_closure_lines_add(cut, (struct remat_closure_point){remat_closure_network_line(network, NULL), -1, 0},
                                   err);
}

enum remat_status remat_closure_make(const struct remat_task_graph *graph, struct remat_closure **out,
                                     struct remat_error *err)
{
    struct remat_closure *closure;
    int32_t p;
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    closure = *out;
    REMAT_TRY(remat_cut_model_make(graph, &closure->model, err));
    REMAT_TRY(remat_closure_network_init(&closure->network, &closure->model, err));
    REMAT_TRY(REMAT_ALLOC(closure->cuts, graph->order_count, err));
    REMAT_TRY(REMAT_ALLOC(closure->order, graph->order_count, err));
    REMAT_TRY(REMAT_ALLOC(closure->promise, graph->order_count, err));
    REMAT_TRY(REMAT_ALLOC(closure->used[0], closure->model.ways_count, err));
    REMAT_TRY(REMAT_ALLOC(closure->used[1], closure->model.ways_count, err));
    for (p = 0; p < graph->order_count; p++)
        REMAT_TRY(open_cut(closure, p, err));
    return REMAT_OK;
}

void remat_closure_free(struct remat_closure *closure)
{
    int32_t p;
    if (!closure)
        return;
    for (p = 0; closure->cuts && p < closure->model.graph->order_count; p++)
        free(closure->cuts[p].points);
    free(closure->cuts);
    free(closure->order);
    free(closure->promise);
    free(closure->proofs);
    free(closure->used[0]);
    free(closure->used[1]);
    remat_closure_network_free(&closure->network);
    remat_cut_model_free(&closure->model);
    free(closure);
}

int64_t remat_closure_base_ns(const struct remat_closure *closure)
{
    return closure->model.base_ns;
}

int64_t remat_closure_least_bytes(const struct remat_closure *closure, int32_t *task)
{
    *task = closure->model.graph->order[closure->least_position];
    return closure->least_bytes;
}

/* ------------------------------------------------------------------------------------------------------- refining */

static void remember_use(struct remat_closure *closure, bool *used)
{
    int32_t w;
    for (w = 0; w < closure->model.ways_count; w++)
        used[w] = remat_closure_network_used(&closure->network, w);
}

/* Finds the minimum cut at a price. */
static enum remat_status evaluate(struct remat_closure *closure, int32_t position, double price,
                                  struct remat_error *err)
{
    struct remat_closure_point point = {.price = price};
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    point.value = remat_closure_network_solve(&closure->network, price, &point.line);
    return remat_closure_lines_add(&closure->cuts[position], point, err);
}

/* Where neither simple choice fits: the one of least bytes, and whether it does. */
static enum remat_status find_fitting(struct remat_closure *closure, int32_t position, int64_t budget_bytes,
                                      bool *possible, struct remat_error *err)
{
    struct remat_closure_lines *cut = &closure->cuts[position];
    struct remat_closure_point point = {.price = -1};
    int64_t bytes = budget_bytes - cut->fixed_bytes;
    *possible = bytes >= 0 && remat_closure_lines_fit(cut, bytes);
    if (*possible || bytes < 0)
        return REMAT_OK;
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    remat_closure_network_least(&closure->network, &point.line);
    *possible = point.line.bytes <= (double)bytes;
    if (cut->fixed_bytes + (int64_t)point.line.bytes > closure->least_bytes) {
        closure->least_bytes = cut->fixed_bytes + (int64_t)point.line.bytes;
        closure->least_position = position;
    }
    return remat_closure_lines_add(cut, point, err);
}

/* Differences that no answer shows: a ten-millionth of the step, or what rounding loses. */
static double tolerance(const struct remat_closure *closure)
{
    return ldexp((double)closure->model.base_ns * 1e-7, closure->network.shift) + closure->model.values_count;
}

/* Prices where the lines known meet, until nothing above `enough` can be proven at this cut or nothing is gained. */
static enum remat_status refine(struct remat_closure *closure, int32_t position, int64_t bytes, double enough,
                                struct remat_error *err)
{
    struct remat_closure_lines *cut = &closure->cuts[position];
    double slack = tolerance(closure);
    int32_t step, best;
    for (step = 0; step < MOST_STEPS; step++) {
        double price, most = remat_closure_lines_promised(cut, bytes, &price);
        double sure = (double)remat_closure_lines_proven(cut, bytes, &best);
        if (!(most > enough + slack) || !(most > sure + slack))
            break;
        REMAT_TRY(evaluate(closure, position, price, err));
    }
    return REMAT_OK;
}

/* The choices on both sides of the best price here serve other cuts as first lines. */
static enum remat_status keep_choices(struct remat_closure *closure, int32_t position, int64_t bytes,
                                      struct remat_error *err)
{
    const struct remat_closure_lines *cut = &closure->cuts[position];
    struct remat_closure_line line;
    int32_t side, k, chosen;
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    for (side = 0; side < 2; side++) {
        for (chosen = -1, k = 0; k < cut->count; k++) {
            bool above = cut->points[k].line.bytes > (double)bytes;
            if (cut->points[k].price >= 0 && above == (side == 1) &&
                (chosen < 0 || (cut->points[k].price < cut->points[chosen].price) != above))
                chosen = k;
        }
        if (chosen < 0)
            continue;
        remat_closure_network_solve(&closure->network, cut->points[chosen].price, &line);
        remember_use(closure, closure->used[side]);
    }
    return REMAT_OK;
}

static enum remat_status borrow_choices(struct remat_closure *closure, int32_t position, struct remat_error *err)
{
    int32_t side;
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    for (side = 0; side < 2; side++)
        REMAT_TRY(remat_closure_lines_add(
            &closure->cuts[position],
            (struct remat_closure_point){remat_closure_network_line(&closure->network, closure->used[side]), -1, 0},
            err));
    return REMAT_OK;
}

/* -------------------------------------------------------------------------------------------------- all the cuts */

/* Positions by falling promise; few enough for the simplest sort of indices. */
static void sort_by_promise(const double *promise, int32_t *order, int32_t count)
{
    int32_t gap, i, k;
    for (i = 0; i < count; i++)
        order[i] = i;
    for (gap = count / 2; gap > 0; gap /= 2)
        for (i = gap; i < count; i++) {
            int32_t moved = order[i];
            for (k = i; k >= gap && promise[order[k - gap]] < promise[moved]; k -= gap)
                order[k] = order[k - gap];
            order[k] = moved;
        }
}

static enum remat_status find_promises(struct remat_closure *closure, int64_t budget_bytes, bool *possible,
                                       struct remat_error *err)
{
    int32_t count = closure->model.graph->order_count, p;
    double price;
    *possible = budget_bytes >= closure->least_bytes;
    for (p = 0; p < count && *possible; p++) {
        const struct remat_closure_lines *cut = &closure->cuts[p];
        int64_t bytes = budget_bytes - cut->fixed_bytes;
        REMAT_TRY(find_fitting(closure, p, budget_bytes, possible, err));
        closure->promise[p] =
            cut->points[0].line.bytes > (double)bytes ? remat_closure_lines_promised(cut, bytes, &price) : 0;
    }
    if (*possible)
        sort_by_promise(closure->promise, closure->order, count);
    return REMAT_OK;
}

static enum remat_status examine(struct remat_closure *closure, int64_t budget_bytes, struct remat_error *err)
{
    double best = 0, price;
    int32_t i, point;
    for (i = 0; i < closure->model.graph->order_count; i++) {
        int32_t position = closure->order[i];
        const struct remat_closure_lines *cut = &closure->cuts[position];
        int64_t bytes = budget_bytes - cut->fixed_bytes;
        double sure;
        if (closure->promise[position] <= best)
            return REMAT_OK;
        if (best > 0 && remat_closure_lines_promised(cut, bytes, &price) > best)
            REMAT_TRY(borrow_choices(closure, position, err));
        REMAT_TRY(refine(closure, position, bytes, best, err));
        sure = (double)remat_closure_lines_proven(cut, bytes, &point);
        if (sure > best) {
            best = sure;
            REMAT_TRY(keep_choices(closure, position, bytes, err));
        }
    }
    return REMAT_OK;
}

/* ------------------------------------------------------------------------------------------------------ branching */

/* Units as whole ns, rounded up: times are whole. */
static int64_t whole_ns(const struct remat_closure *closure, int64_t units)
{
    int32_t shift = closure->network.shift;
    return shift >= 0 ? (units + (INT64_C(1) << shift) - 1) >> shift : units << -shift;
}

static enum remat_status branch_cut(struct remat_closure *closure, int32_t position, int64_t budget_bytes,
                                    double enough, int32_t *solves, struct proof *proof, struct remat_error *err)
{
    const struct remat_closure_lines *cut = &closure->cuts[position];
    struct remat_branching branching = {.bytes = budget_bytes - cut->fixed_bytes, .enough = enough};
    int32_t point, allowed = (*solves + 1) / 2;
    REMAT_TRY(refine(closure, position, branching.bytes, 0, err));
    remat_closure_lines_proven(cut, branching.bytes, &point);
    branching.fitting = remat_closure_lines_fitting_time(cut, branching.bytes);
    if (point < 0 || branching.fitting <= enough)
        return REMAT_OK;
    branching.price = cut->points[point].price;
    branching.solves = allowed;
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    REMAT_TRY(remat_closure_branch(&closure->network, &branching, err));
    *solves -= allowed - branching.solves;
    if (whole_ns(closure, branching.proven) > proof->extra_ns) {
        proof->extra_ns = whole_ns(closure, branching.proven);
        proof->position = position;
        proof->price = branching.price;
    }
    return REMAT_OK;
}

static enum remat_status add_proof(struct remat_closure *closure, struct proof proof, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(closure->proofs, closure->proofs_capacity, closure->proofs_count + 1, err));
    closure->proofs[closure->proofs_count++] = proof;
    return REMAT_OK;
}

/* The cuts that promise most, each with half of the work left. */
static enum remat_status branch(struct remat_closure *closure, int64_t budget_bytes, struct remat_error *err)
{
    struct proof proof = {.budget_bytes = budget_bytes, .position = -1};
    int32_t count = closure->model.graph->order_count, solves, i;
    double price;
    for (i = 0; i < count; i++) {
        const struct remat_closure_lines *cut = &closure->cuts[i];
        int64_t bytes = budget_bytes - cut->fixed_bytes;
        closure->promise[i] =
            cut->points[0].line.bytes > (double)bytes ? remat_closure_lines_promised(cut, bytes, &price) : 0;
    }
    sort_by_promise(closure->promise, closure->order, count);
    solves = BRANCH_WORK / (closure->model.values_count + closure->model.ways_count + 1);
    solves = solves < BRANCH_SOLVES ? solves : BRANCH_SOLVES;
    for (i = 0; i < count && i < BRANCH_CUTS && closure->promise[closure->order[i]] > 0; i++)
        REMAT_TRY(branch_cut(closure, closure->order[i], budget_bytes,
                             ldexp((double)proof.extra_ns, closure->network.shift), &solves, &proof, err));
    if (proof.position < 0)
        return REMAT_OK;
    return add_proof(closure, proof, err);
}

/* -------------------------------------------------------------------------------------------------------- answers */

static void offer(const struct remat_closure *closure, int32_t position, int64_t extra_ns, double price,
                  struct remat_bound *out)
{
    int64_t step = closure->model.step_ns, bound;
    bound = closure->model.base_ns + (extra_ns + step - 1) / step * step; /* all times are multiples of it */
    if (bound > out->lower_bound_ns) {
        out->lower_bound_ns = bound;
        out->task = closure->model.graph->order[position];
        out->price = ldexp(price, -closure->network.shift);
    }
}

static void answer_cut(const struct remat_closure *closure, int32_t position, struct remat_bound *out)
{
    const struct remat_closure_lines *cut = &closure->cuts[position];
    int32_t point;
    int64_t extra = remat_closure_lines_proven(cut, out->budget_bytes - cut->fixed_bytes, &point);
    if (point >= 0)
        offer(closure, position, whole_ns(closure, extra), cut->points[point].price, out);
}

/* All that is known: what holds for a budget holds for smaller ones. */
static void answer(const struct remat_closure *closure, struct remat_bound *out)
{
    int32_t p, k;
    for (p = 0; p < closure->model.graph->order_count; p++)
        answer_cut(closure, p, out);
    for (k = 0; k < closure->proofs_count; k++)
        if (closure->proofs[k].budget_bytes >= out->budget_bytes)
            offer(closure, closure->proofs[k].position, closure->proofs[k].extra_ns, closure->proofs[k].price, out);
}

static void begin_answer(const struct remat_closure *closure, int64_t budget_bytes, struct remat_bound *out)
{
    *out = (struct remat_bound){.budget_bytes = budget_bytes, .task = -1, .lower_bound_ns = closure->model.base_ns};
}

static void answer_infeasible(const struct remat_closure *closure, struct remat_bound *out)
{
    out->infeasible = true;
    out->task = closure->model.graph->order[closure->least_position];
}

enum remat_status remat_closure_bounds(struct remat_closure *closure, const int64_t *budgets, int32_t count,
                                       struct remat_bound *out, struct remat_error *err)
{
    bool possible;
    int32_t i;
    for (i = 0; i < count; i++) {
        begin_answer(closure, budgets[i], &out[i]);
        REMAT_TRY(find_promises(closure, budgets[i], &possible, err));
        if (!possible)
            continue;
        REMAT_TRY(examine(closure, budgets[i], err));
        REMAT_TRY(branch(closure, budgets[i], err));
    }
    for (i = 0; i < count; i++)
        if (budgets[i] < closure->least_bytes)
            answer_infeasible(closure, &out[i]);
        else
            answer(closure, &out[i]);
    return REMAT_OK;
}

/* ------------------------------------------------------------------------------------------------- several cuts */

const struct remat_bound_effort remat_bound_thorough = {.cuts = 32, .parts = 20000, .columns = 80000};

enum remat_status remat_closure_strengthen(struct remat_closure *closure, const struct remat_bound_effort *effort,
                                           struct remat_progress *progress, struct remat_bound *bound,
                                           struct remat_error *err)
{
    struct remat_window_problem problem = {.most_cuts = effort->cuts,
                                           .budget_bytes = bound->budget_bytes,
                                           .progress = progress,
                                           .most_columns = effort->columns,
                                           .parts = effort->parts,
                                           .work = effort->work,
                                           .deadline = effort->deadline,
                                           .stop = effort->stop};
    struct proof proof = {.budget_bytes = bound->budget_bytes, .price = ldexp(bound->price, closure->network.shift)};
    if (bound->infeasible || bound->task < 0 || !remat_linear_libraries[0] || remat_progress_is_enough(progress))
        return REMAT_OK;
    proof.position = closure->model.graph->tasks[bound->task].position;
    problem.position = proof.position;
    REMAT_TRY(remat_window_bound(&closure->model, &problem, &proof.extra_ns, err));
    REMAT_TRY(add_proof(closure, proof, err));
    answer(closure, bound);
    return REMAT_OK;
}

/* ------------------------------------------------------------------------------------------------------- one cut */

/* Solves at the lowest price whose choice fits, or takes the choice of least bytes. */
static enum remat_status choose_fitting(struct remat_closure *closure, int32_t position, int64_t bytes,
                                        struct remat_error *err)
{
    const struct remat_closure_lines *cut = &closure->cuts[position];
    struct remat_closure_line line;
    double price = 0;
    int32_t k, chosen = -1, step;
    REMAT_TRY(remat_closure_network_cut(&closure->network, position, err));
    for (k = 0; k < cut->count; k++) {
        if (cut->points[k].price >= 0 && cut->points[k].line.bytes <= (double)bytes &&
            (chosen < 0 || cut->points[k].price < cut->points[chosen].price))
            chosen = k;
        price = cut->points[k].price > price ? cut->points[k].price : price;
    }
    price = chosen >= 0 ? cut->points[chosen].price : price;
    for (step = 0; step < MOST_STEPS; step++, price *= 1.25) {
        remat_closure_network_solve(&closure->network, price, &line);
        if (line.bytes <= (double)bytes)
            return REMAT_OK;
    }
    remat_closure_network_least(&closure->network, &line);
    return REMAT_OK;
}

enum remat_status remat_closure_at(struct remat_closure *closure, int32_t task, int64_t budget_bytes,
                                   struct remat_bound *out, bool *survives, struct remat_error *err)
{
    int32_t position = closure->model.graph->tasks[task].position, v;
    int64_t bytes;
    bool possible;
    if (survives)
        memset(survives, 0, (size_t)closure->model.values_count * sizeof *survives);
    begin_answer(closure, budget_bytes, out);
    if (position < 0)
        return remat_fail(err, REMAT_INTERNAL, "bound: task \"%s\" is not of the order",
                          closure->model.graph->tasks[task].name);
    REMAT_TRY(find_fitting(closure, position, budget_bytes, &possible, err));
    if (!possible) {
        out->infeasible = true;
        out->task = task;
        return REMAT_OK;
    }
    bytes = budget_bytes - closure->cuts[position].fixed_bytes;
    REMAT_TRY(refine(closure, position, bytes, 0, err));
    answer_cut(closure, position, out);
    if (!survives)
        return REMAT_OK;
    REMAT_TRY(choose_fitting(closure, position, bytes, err));
    for (v = 0; v < closure->model.values_count; v++)
        survives[v] = remat_closure_network_survives(&closure->network, v);
    return REMAT_OK;
}
