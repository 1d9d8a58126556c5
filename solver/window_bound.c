#include "solver/window_bound.h"

#include "core/base/clock.h"
#include "solver/window_gaps.h"
#include "solver/window_tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Parts that are looked at before cuts are added; cuts beside the first at the start;
 * cuts in all until everything is divided, which stand where memory is shortest. */
enum { PARTS_A_CHOICE = 10, FIRST_CUTS = 3, MOST_CUTS_AT_FIRST = 8 };

/* Of a budget: less is not worth a cut. */
static const double LEAST_EXCESS = 1e-3;
/* Of what cuts gain: dividing that gains less is not worth while. */
static const double LITTLE = 1.0 / 8;

struct search {
    struct remat_window_tree tree;
    struct remat_window_cut *cuts;
    int32_t cuts_count, most_cuts; /* that are permitted so far */
    /* What the last cuts gained for the columns solved, and what dividing does. */
    double gain_of_cuts, gain_of_dividing;
    int64_t work_before;  /* the last cuts were taken */
    double begin_seconds; /* that their program took, undivided */
};

static int ascending(const void *a, const void *b)
{
    const struct remat_window_cut *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->way > y->way) - (x->way < y->way);
}

/* Late cuts are cheap, since little is read after them, and tell of times when what is dropped has to be made again. */
static double worth(const struct remat_window_gap *gap)
{
    double values = gap->values + 1;
    return gap->excess_bytes > 0 ? gap->excess_bytes / values : gap->excess_bytes * values;
}

static int by_worth(const void *a, const void *b)
{
    const struct remat_window_gap *x = a, *y = b;
    double first = worth(x), second = worth(y);
    if (first != second)
        return first < second ? 1 : -1;
    return ascending(&x->cut, &y->cut);
}

static int by_excess(const void *a, const void *b)
{
    const struct remat_window_gap *x = a, *y = b;
    if (x->excess_bytes != y->excess_bytes)
        return x->excess_bytes < y->excess_bytes ? 1 : -1;
    return ascending(&x->cut, &y->cut);
}

/* The first of the gaps in an order becomes a cut, and is a gap no more. */
static void take_first(struct search *s, struct remat_window_gap *gaps, int32_t *count,
                       int (*order)(const void *, const void *))
{
    if (*count == 0 || s->cuts_count >= s->most_cuts)
        return;
    qsort(gaps, (size_t)*count, sizeof *gaps, order);
    s->cuts[s->cuts_count++] = gaps[0].cut;
    gaps[0] = gaps[--*count];
}

/* Adds cuts where the solution exceeds the budget most, and, beside many, one where it does so for what that costs; or,
 * if it does not at all and `anyway`, where it comes nearest to it. */
static enum remat_status add_cuts(struct search *s, bool anyway, bool *added, struct remat_error *err)
{
    const double budget = (double)s->tree.problem->budget_bytes;
    struct remat_window_gap *gaps;
    int32_t count;
    enum remat_status status;
    *added = false;
    REMAT_TRY(REMAT_ALLOC(gaps, REMAT_MOST_GAPS(s->cuts_count), err));
    status = remat_window_gaps(&s->tree.program, s->tree.solution, LEAST_EXCESS * budget, gaps, &count, err);
    if (status == REMAT_OK && count == 0 && anyway)
        status = remat_window_gaps(&s->tree.program, s->tree.solution, -budget, gaps, &count, err);
    *added = count > 0;
    take_first(s, gaps, &count, by_excess);
    take_first(s, gaps, &count, s->cuts_count <= MOST_CUTS_AT_FIRST ? by_excess : by_worth);
    qsort(s->cuts, (size_t)s->cuts_count, sizeof *s->cuts, ascending);
    free(gaps);
    return status;
}

/* Adds cuts where the solution of a part asks for them. */
static enum remat_status refine(struct search *s, int32_t part, bool anyway, bool *added, struct remat_error *err)
{
    bool found = false;
    *added = false;
    if (s->cuts_count >= s->most_cuts)
        return REMAT_OK;
    REMAT_TRY(remat_window_tree_solve(&s->tree, part, &found, err));
    return found ? add_cuts(s, anyway, added, err) : REMAT_OK;
}

static int64_t run_bytes(const struct remat_cut_model *model, int32_t position)
{
    struct remat_cut_memory memory;
    remat_cut_memory_at(model, model->graph->order[position], &memory);
    return memory.fixed_bytes;
}

/* The given one, and of each of equal parts of the order after it the one whose run needs most. */
static void first_cuts(struct search *s)
{
    int32_t begin = s->tree.problem->position + 1, rest = s->tree.model->graph->order_count - begin, part, p;
    int32_t parts = s->tree.problem->most_cuts - 1 < FIRST_CUTS ? s->tree.problem->most_cuts - 1 : FIRST_CUTS;
    s->cuts[s->cuts_count++] = (struct remat_window_cut){s->tree.problem->position, -1};
    for (part = 1; part <= parts && parts <= rest; part++) {
        int32_t end = s->tree.problem->position + 1 + (int32_t)((int64_t)rest * part / parts), best = begin;
        for (p = begin; p < end; p++)
            if (run_bytes(s->tree.model, p) > run_bytes(s->tree.model, best))
                best = p;
        s->cuts[s->cuts_count++] = (struct remat_window_cut){best, -1};
        begin = end;
    }
}

/* Dividing goes far with few cuts and takes long with many: more are permitted once all is divided, or if dividing does
 * next to nothing where cuts did much. */
static bool permit_more_cuts(struct search *s)
{
    int32_t before = s->most_cuts, most = s->tree.problem->most_cuts;
    if (s->cuts_count == before)
        s->most_cuts = before + before / 2 < most ? before + before / 2 : most;
    return s->most_cuts > before;
}

/* Divides some parts. *now: what is proven then. */
static enum remat_status divide(struct search *s, int64_t proven, int64_t *now, struct remat_error *err)
{
    struct remat_window_tree *tree = &s->tree;
    const bool is_new = tree->count == 1;
    int64_t work = is_new ? s->work_before : tree->work, before = is_new ? proven : remat_window_tree_proven(tree);
    int32_t some = tree->made + PARTS_A_CHOICE, most = tree->problem->parts;
    REMAT_TRY(remat_window_tree_divide(tree, some < most ? some : most, err));
    *now = remat_window_tree_proven(tree);
    *(is_new ? &s->gain_of_cuts : &s->gain_of_dividing) = (double)(*now - before) / (double)(tree->work - work + 1);
    return REMAT_OK;
}

static enum remat_status begin(struct search *s, struct remat_error *err)
{
    double before = remat_clock_seconds();
    s->work_before = s->tree.work;
    s->gain_of_dividing = INFINITY;
    REMAT_TRY(remat_window_tree_begin(&s->tree, s->cuts, s->cuts_count, err));
    s->begin_seconds = remat_clock_seconds() - before;
    return REMAT_OK;
}

/* A larger program takes longer. */
static bool has_time_to_begin(const struct search *s)
{
    double deadline = s->tree.problem->deadline;
    return deadline <= 0 || remat_clock_seconds() + 2 * s->begin_seconds < deadline;
}

/* From few cuts on: divides some parts, then adds cuts where the weakest one's answer shows that they are missing. */
static enum remat_status search(struct search *s, int64_t *proven, struct remat_error *err)
{
    struct remat_window_tree *tree = &s->tree;
    int32_t weakest;
    bool added;
    s->most_cuts = tree->problem->most_cuts < MOST_CUTS_AT_FIRST ? tree->problem->most_cuts : MOST_CUTS_AT_FIRST;
    REMAT_TRY(REMAT_ALLOC(s->cuts, tree->problem->most_cuts + 1, err));
    first_cuts(s);
    REMAT_TRY(begin(s, err));
    while (tree->count > 0) {
        int64_t now;
        bool divisible;
        REMAT_TRY(divide(s, *proven, &now, err));
        weakest = remat_window_tree_weakest(tree);
        divisible = tree->parts[weakest].branch >= 0;
        if (now > *proven)
            *proven = now;
        remat_progress_prove(tree->problem->progress, tree->model->base_ns + *proven);
        if (remat_window_tree_is_over(tree) || tree->made + 2 > tree->problem->parts)
            return REMAT_OK;
        if (divisible && (now < *proven || !has_time_to_begin(s)))
            continue; /* fewer cuts did better: it is not for want of cuts */
        if (!has_time_to_begin(s))
            return REMAT_OK;
        if (s->gain_of_dividing < LITTLE * s->gain_of_cuts)
            permit_more_cuts(s);
        REMAT_TRY(refine(s, weakest, !divisible, &added, err));
        if (added)
            REMAT_TRY(begin(s, err));
        else if (!divisible && !permit_more_cuts(s))
            return REMAT_OK;
    }
    return REMAT_OK;
}

enum remat_status remat_window_bound(const struct remat_cut_model *model, const struct remat_window_problem *problem,
                                     int64_t *extra_ns, struct remat_error *err)
{
    struct search s = {.tree = {.model = model, .problem = problem}};
    enum remat_status status;
    *extra_ns = 0;
    status = search(&s, extra_ns, err);
    remat_window_tree_free(&s.tree);
    free(s.cuts);
    return status;
}
