#include "solver/window_bound.h"

#include "core/base/clock.h"
#include "solver/window_gaps.h"
#include "solver/window_rows.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_A_PROGRAM = 20000 };
/* How often rows are added that a solution violates: at first, and to each part. */
enum { ROUNDS = 10, ROUNDS_A_PART = 2 };
/* Parts that are looked at before cuts are added; cuts that are added at a time; cuts beside the first at the start,
 * and in all until everything is divided. */
enum { PARTS_A_CHOICE = 10, CUTS_AT_A_TIME = 2, FIRST_CUTS = 3, MOST_CUTS_AT_FIRST = 8 };

/* An open part of the choices: one column fixed, and those of its parents. */
struct node {
    int32_t parent, column;
    int8_t fixed;
    int64_t proven;
    int32_t branch; /* the column to fix next, -1 = none */
    bool open;
};

struct search {
    const struct remat_cut_model *model;
    const struct remat_window_problem *problem;
    struct remat_window_cut *cuts;
    int32_t cuts_count, most_cuts; /* that are permitted so far */
    struct remat_window_program program;
    struct remat_linear_engine *engine;
    double *solution, *prices; /* per column, per row */
    struct remat_integer_row row;
    int32_t prices_capacity;
    struct node *nodes;
    int32_t count, capacity;
    int32_t parts_before; /* of former choices of cuts */
    int64_t work;         /* columns of the programs solved */
};

static bool suffices(const struct search *s, int64_t extra_ns)
{
    return remat_progress_suffices(s->problem->progress, s->model->base_ns + extra_ns);
}

static bool is_over(const struct search *s)
{
    if (remat_progress_is_enough(s->problem->progress))
        return true;
    if ((s->problem->work > 0 && s->work >= s->problem->work) || (s->problem->stop && *s->problem->stop))
        return true;
    return s->problem->deadline > 0 && remat_clock_seconds() >= s->problem->deadline;
}

/* Solves the program, and again with the rows that the solution violates, some times. *proven rises to what holds. */
static enum remat_status solve(struct search *s, int32_t rounds, int64_t *proven, bool *found, struct remat_error *err)
{
    int32_t rounded = 1, runs = 0;
    for (; rounded + runs > 0; rounds--) {
        int64_t now;
        REMAT_TRY(REMAT_GROW(s->prices, s->prices_capacity, s->program.linear.rows_count, err));
        REMAT_TRY(remat_linear_solve(s->engine, STEPS_A_PROGRAM, s->solution, s->prices, found, err));
        s->work += s->program.linear.columns_count;
        if (!*found)
            return REMAT_OK;
        REMAT_TRY(remat_linear_proven(&s->program.linear, s->prices, &now, err));
        *proven = now > *proven ? now : *proven;
        if (rounds == 0 || suffices(s, *proven) || is_over(s))
            return REMAT_OK;
        REMAT_TRY(remat_window_memory(&s->program, s->solution, &s->row, &rounded, err));
        REMAT_TRY(remat_window_runs(&s->program, s->solution, &s->row, &runs, err));
    }
    return REMAT_OK;
}

/* -------------------------------------------------------------------------------------------------------- branching */

static void fix(struct search *s, int32_t node, bool undo)
{
    for (; s->nodes[node].parent >= 0; node = s->nodes[node].parent) {
        s->program.linear.low[s->nodes[node].column] = undo ? 0 : s->nodes[node].fixed;
        s->program.linear.high[s->nodes[node].column] = undo ? 1 : s->nodes[node].fixed;
    }
}

static double bytes_undecided(const struct search *s, int32_t column, int64_t bytes)
{
    double value = s->solution[column];
    return value > 1e-6 && value < 1 - 1e-6 ? (value < 0.5 ? value : 1 - value) * (double)bytes : 0;
}

/* The survivor or run whose fraction is the most bytes. */
static int32_t choose_column(const struct search *s)
{
    const struct remat_window_program *p = &s->program;
    const int64_t ways = s->model->ways_count;
    double most = 0;
    int32_t chosen = -1, k, w;
    for (k = 0; k < p->survivors_count; k++) {
        double part = bytes_undecided(s, p->survivors[k].column, p->survivors[k].weight);
        if (part > most) {
            most = part;
            chosen = p->survivors[k].column;
        }
    }
    for (k = 0; k < s->cuts_count; k++)
        for (w = 0; w < ways; w++) {
            int32_t column = p->run[k * ways + w];
            double part = column >= 0 ? bytes_undecided(s, column, p->way_bytes[w]) : 0;
            if (part > most) {
                most = part;
                chosen = column;
            }
        }
    return chosen;
}

static enum remat_status add_node(struct search *s, struct node node, struct remat_error *err)
{
    bool found = false;
    enum remat_status status;
    REMAT_TRY(REMAT_GROW(s->nodes, s->capacity, s->count + 1, err));
    node.open = true;
    node.branch = -1;
    s->nodes[s->count] = node;
    fix(s, s->count, false);
    status = solve(s, s->count == 0 ? ROUNDS : ROUNDS_A_PART, &node.proven, &found, err);
    fix(s, s->count, true);
    if (status == REMAT_OK && found) {
        s->nodes[s->count].proven = node.proven;
        s->nodes[s->count].branch = choose_column(s);
    }
    s->count++;
    return status;
}

static int32_t weakest_open(const struct search *s)
{
    int32_t weakest = -1, k;
    for (k = 0; k < s->count; k++)
        if (s->nodes[k].open && (weakest < 0 || s->nodes[k].proven < s->nodes[weakest].proven))
            weakest = k;
    return weakest;
}

/* Until `most` parts are known or the weakest cannot be divided; its number. */
static enum remat_status branch(struct search *s, int32_t most, int32_t *weakest, struct remat_error *err)
{
    for (;;) {
        struct node node;
        *weakest = weakest_open(s);
        node = s->nodes[*weakest];
        if (node.branch < 0 || suffices(s, node.proven) || s->count + 2 > most || is_over(s))
            return REMAT_OK;
        s->nodes[*weakest].open = false;
        node.parent = *weakest;
        node.column = node.branch;
        for (node.fixed = 0; node.fixed <= 1; node.fixed++)
            REMAT_TRY(add_node(s, node, err));
    }
}

/* --------------------------------------------------------------------------------------------------- choice of cuts */

static enum remat_status make_program(struct search *s, struct remat_error *err)
{
    remat_linear_close(s->engine);
    s->engine = NULL;
    remat_window_program_free(&s->program);
    free(s->solution);
    s->solution = NULL;
    s->parts_before += s->count;
    s->count = 0;
    REMAT_TRY(remat_window_program_make(s->model, s->cuts, s->cuts_count, s->problem->budget_bytes,
                                        s->problem->most_columns, &s->program, err));
    REMAT_TRY(REMAT_ALLOC(s->solution, s->program.linear.columns_count, err));
    remat_integer_row_free(&s->row);
    REMAT_TRY(remat_integer_row_make(&s->row, s->program.linear.columns_count, err));
    return remat_linear_open(&s->program.linear, NULL, &s->engine, err);
}

static int ascending(const void *a, const void *b)
{
    const struct remat_window_cut *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->way > y->way) - (x->way < y->way);
}

static int by_excess(const void *a, const void *b)
{
    const struct remat_window_gap *x = a, *y = b;
    if (x->excess_bytes != y->excess_bytes)
        return x->excess_bytes < y->excess_bytes ? 1 : -1;
    return ascending(&x->cut, &y->cut);
}

/* Adds cuts where the solution exceeds the budget most, as far as there may be more. */
static enum remat_status add_cuts(struct search *s, bool *added, struct remat_error *err)
{
    struct remat_window_gap *gaps;
    int32_t count, k, room = s->most_cuts - s->cuts_count;
    enum remat_status status;
    *added = false;
    REMAT_TRY(REMAT_ALLOC(gaps, REMAT_MOST_GAPS(s->cuts_count), err));
    REMAT_TRY_GOTO(remat_window_gaps(&s->program, s->solution, gaps, &count, err), done);
    qsort(gaps, (size_t)count, sizeof *gaps, by_excess);
    for (k = 0; k < count && k < room && k < CUTS_AT_A_TIME; k++)
        s->cuts[s->cuts_count++] = gaps[k].cut;
    qsort(s->cuts, (size_t)s->cuts_count, sizeof *s->cuts, ascending);
    *added = count > 0;
done:
    free(gaps);
    return status;
}

/* Adds cuts where the solution of a part exceeds the budget in between. */
static enum remat_status refine(struct search *s, int32_t node, bool *added, struct remat_error *err)
{
    int64_t proven = 0;
    bool found = false;
    *added = false;
    if (s->cuts_count >= s->most_cuts)
        return REMAT_OK;
    fix(s, node, false);
    REMAT_TRY(solve(s, 0, &proven, &found, err));
    fix(s, node, true);
    return found ? add_cuts(s, added, err) : REMAT_OK;
}

/* The program of the cuts at hand, undivided; *most: parts that it may have, 0 if it is too large. */
static enum remat_status begin(struct search *s, int32_t *most, struct remat_error *err)
{
    REMAT_TRY(make_program(s, err));
    *most = s->problem->parts - s->parts_before;
    if (*most <= 0 || s->program.linear.columns_count > s->problem->most_columns) {
        *most = 0;
        return REMAT_OK;
    }
    return add_node(s, (struct node){.parent = -1}, err);
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
    int32_t begin = s->problem->position + 1, rest = s->model->graph->order_count - begin, part, p;
    int32_t parts = s->problem->most_cuts - 1 < FIRST_CUTS ? s->problem->most_cuts - 1 : FIRST_CUTS;
    s->cuts[s->cuts_count++] = (struct remat_window_cut){s->problem->position, -1};
    for (part = 1; part <= parts && parts <= rest; part++) {
        int32_t end = s->problem->position + 1 + (int32_t)((int64_t)rest * part / parts), best = begin;
        for (p = begin; p < end; p++)
            if (run_bytes(s->model, p) > run_bytes(s->model, best))
                best = p;
        s->cuts[s->cuts_count++] = (struct remat_window_cut){best, -1};
        begin = end;
    }
}

/* Dividing goes far with few cuts and takes long with many: more are permitted once all is divided. */
static bool permit_more_cuts(struct search *s)
{
    int32_t before = s->most_cuts, most = s->problem->most_cuts;
    if (s->cuts_count == before)
        s->most_cuts = before + before / 2 < most ? before + before / 2 : most;
    return s->most_cuts > before;
}

/* From few cuts on: divides some parts, then adds cuts where the weakest one's answer shows that they are missing. */
static enum remat_status search(struct search *s, int64_t *proven, struct remat_error *err)
{
    int32_t most, weakest;
    bool added;
    s->most_cuts = s->problem->most_cuts < MOST_CUTS_AT_FIRST ? s->problem->most_cuts : MOST_CUTS_AT_FIRST;
    REMAT_TRY(REMAT_ALLOC(s->cuts, s->problem->most_cuts + 1, err));
    first_cuts(s);
    REMAT_TRY(begin(s, &most, err));
    while (most > 0) {
        int32_t some = s->count + PARTS_A_CHOICE;
        bool divisible;
        REMAT_TRY(branch(s, some < most ? some : most, &weakest, err));
        divisible = s->nodes[weakest].branch >= 0 && s->count + 2 <= most;
        if (s->nodes[weakest].proven > *proven)
            *proven = s->nodes[weakest].proven;
        remat_progress_prove(s->problem->progress, s->model->base_ns + *proven);
        if (is_over(s))
            return REMAT_OK;
        if (divisible && s->nodes[weakest].proven < *proven)
            continue; /* fewer cuts did better: it is not for want of cuts */
        REMAT_TRY(refine(s, weakest, &added, err));
        if (added)
            REMAT_TRY(begin(s, &most, err));
        else if (!divisible && !permit_more_cuts(s))
            return REMAT_OK;
    }
    return REMAT_OK;
}

enum remat_status remat_window_bound(const struct remat_cut_model *model, const struct remat_window_problem *problem,
                                     int64_t *extra_ns, struct remat_error *err)
{
    struct search s = {.model = model, .problem = problem};
    enum remat_status status;
    *extra_ns = 0;
    status = search(&s, extra_ns, err);
    remat_linear_close(s.engine);
    remat_window_program_free(&s.program);
    remat_integer_row_free(&s.row);
    free(s.solution);
    free(s.prices);
    free(s.nodes);
    free(s.cuts);
    return status;
}
