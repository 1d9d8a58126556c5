#include "solver/window_tree.h"

#include "core/base/clock.h"
#include "solver/window_branch.h"
#include "solver/window_rows.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_A_PROGRAM = 20000 };
/* How often rows are added that a solution violates: at first, and to each part. */
enum { ROUNDS = 10, ROUNDS_A_PART = 2 };
/* Where more parts keep where their program ended, the others start where the last one did. */
enum { MOST_STARTS_BYTES = 1 << 26 };

bool remat_window_tree_is_over(const struct remat_window_tree *tree)
{
    const struct remat_window_problem *problem = tree->problem;
    if (remat_progress_is_enough(problem->progress) || remat_progress_proofs_stall(problem->progress))
        return true;
    if ((problem->work > 0 && tree->work >= problem->work) || (problem->stop && *problem->stop))
        return true;
    return problem->deadline > 0 && remat_clock_seconds() >= problem->deadline;
}

static int64_t whole_steps(const struct remat_window_tree *tree, int64_t extra_ns)
{
    int64_t step = tree->model->step_ns;
    return (extra_ns + step - 1) / step * step;
}

/* All times are multiples of step_ns. */
int64_t remat_window_tree_enough(const struct remat_window_tree *tree)
{
    int64_t best = atomic_load(&tree->problem->progress->best_ns);
    if (best == INT64_MAX)
        return INT64_MAX;
    if (tree->problem->progress->gap > 0)
        best = (int64_t)((double)best / (1 + tree->problem->progress->gap)) + 1;
    best -= tree->model->base_ns;
    return best > 0 ? whole_steps(tree, best) : 0;
}

/* ------------------------------------------------------------------------------------------------------ one program */

/* What the prices at hand prove, and what they fix: only what is faster than enough is of interest. */
static enum remat_status learn(struct remat_window_tree *tree, int64_t *proven, struct remat_error *err)
{
    int64_t enough = remat_window_tree_enough(tree), now;
    REMAT_TRY(remat_linear_proven(&tree->program.linear, tree->prices, &now, err));
    now = whole_steps(tree, now);
    *proven = now > *proven ? now : *proven;
    if (enough == INT64_MAX || *proven >= enough)
        return REMAT_OK;
    return remat_linear_fix_by_prices(&tree->fixer, tree->prices, enough - tree->model->step_ns + 1, err);
}

static enum remat_status solve_once(struct remat_window_tree *tree, bool *found, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(tree->prices, tree->prices_capacity, tree->program.linear.rows_count, err));
    tree->work += tree->program.linear.columns_count;
    return remat_linear_solve(tree->engine, STEPS_A_PROGRAM, tree->solution, tree->prices, found, err);
}

/* Solves the program, and again with the rows that the solution violates, some times. */
static enum remat_status solve(struct remat_window_tree *tree, int32_t rounds, struct remat_window_part *part,
                               bool *found, struct remat_error *err)
{
    int32_t rounded = 1, runs = 0;
    for (; rounded + runs > 0; rounds--) {
        REMAT_TRY(solve_once(tree, found, err));
        if (!*found)
            return REMAT_OK;
        REMAT_TRY(learn(tree, &part->proven, err));
        if (rounds == 0 || part->proven >= remat_window_tree_enough(tree) || remat_window_tree_is_over(tree))
            return REMAT_OK;
        REMAT_TRY(remat_window_memory(&tree->program, tree->solution, &tree->row, &rounded, err));
        REMAT_TRY(remat_window_runs(&tree->program, tree->solution, &tree->row, &runs, err));
    }
    return REMAT_OK;
}

/* ------------------------------------------------------------------------------------------------------------ parts */

/* The first part's columns are fixed for good. */
static void enter(struct remat_window_tree *tree, int32_t part)
{
    for (; part > 0; part = tree->parts[part].parent)
        remat_linear_refix(&tree->fixer, tree->parts[part].fixed, tree->parts[part].fixed_end);
}

static void leave(struct remat_window_tree *tree, int32_t part)
{
    for (; part > 0; part = tree->parts[part].parent)
        remat_linear_unfix(&tree->fixer, tree->parts[part].fixed, tree->parts[part].fixed_end);
}

static enum remat_status keep_start(struct remat_window_tree *tree, struct remat_window_part *part,
                                    struct remat_error *err)
{
    if (tree->starts_bytes >= MOST_STARTS_BYTES)
        return REMAT_OK;
    REMAT_TRY(remat_linear_keep_start(tree->engine, &part->start, err));
    tree->starts_bytes += part->start.status ? part->start.count : 0;
    return REMAT_OK;
}

static void drop_start(struct remat_window_tree *tree, struct remat_window_part *part)
{
    tree->starts_bytes -= part->start.status ? part->start.count : 0;
    free(part->start.status);
    part->start.status = NULL;
}

/* Fixes what follows, and bounds what is left; its parents' columns are fixed. */
static enum remat_status bound_part(struct remat_window_tree *tree, struct remat_window_part *part, int32_t rounds,
                                    struct remat_error *err)
{
    bool found = false, possible;
    REMAT_TRY(remat_linear_fix_by_rows(&tree->fixer, tree->count == 0 ? -1 : part->fixed, &possible, err));
    if (possible) {
        int32_t known = tree->fixer.fixed_count;
        REMAT_TRY(solve(tree, rounds, part, &found, err));
        if (found)
            REMAT_TRY(remat_linear_fix_by_rows(&tree->fixer, known, &possible, err));
    }
    if (!possible && part->proven < tree->program.linear.costs[tree->program.excess])
        part->proven = tree->program.linear.costs[tree->program.excess];
    if (found && part->proven < remat_window_tree_enough(tree)) {
        REMAT_TRY(keep_start(tree, part, err));
        REMAT_TRY(remat_window_choose(tree, part, err));
    }
    return REMAT_OK;
}

/* A column of -1: the undivided whole. */
static enum remat_status add_part(struct remat_window_tree *tree, int32_t parent, int32_t column, int8_t value,
                                  struct remat_error *err)
{
    struct remat_window_part part = {.parent = parent, .fixed = tree->fixer.fixed_count, .branch = -1, .open = true};
    REMAT_TRY(REMAT_GROW(tree->parts, tree->capacity, tree->count + 1, err));
    if (parent >= 0)
        part.proven = tree->parts[parent].proven;
    if (column >= 0)
        REMAT_TRY(remat_linear_fix(&tree->fixer, column, value, err));
    REMAT_TRY(bound_part(tree, &part, parent < 0 ? ROUNDS : ROUNDS_A_PART, err));
    part.fixed_end = tree->fixer.fixed_count;
    if (parent >= 0)
        remat_linear_unfix(&tree->fixer, part.fixed, part.fixed_end);
    tree->parts[tree->count++] = part;
    tree->made++;
    return REMAT_OK;
}

static enum remat_status divide(struct remat_window_tree *tree, int32_t number, struct remat_error *err)
{
    struct remat_window_part part = tree->parts[number];
    enum remat_status status = REMAT_OK;
    int8_t value;
    tree->parts[number].open = false;
    enter(tree, number);
    for (value = 0; value <= 1 && status == REMAT_OK; value++) {
        status = remat_linear_start_from(tree->engine, &part.start, err);
        if (status == REMAT_OK)
            status = add_part(tree, number, part.branch, value, err);
        if (status == REMAT_OK)
            remat_window_note_gain(tree, &part, value, tree->parts[tree->count - 1].proven);
    }
    leave(tree, number);
    drop_start(tree, &tree->parts[number]);
    return status;
}

int32_t remat_window_tree_weakest(const struct remat_window_tree *tree)
{
    int32_t weakest = -1, k;
    for (k = 0; k < tree->count; k++)
        if (tree->parts[k].open && (weakest < 0 || tree->parts[k].proven < tree->parts[weakest].proven))
            weakest = k;
    return weakest;
}

int64_t remat_window_tree_proven(const struct remat_window_tree *tree)
{
    int32_t weakest = remat_window_tree_weakest(tree);
    int64_t enough = remat_window_tree_enough(tree);
    return weakest < 0 || tree->parts[weakest].proven > enough ? enough : tree->parts[weakest].proven;
}

enum remat_status remat_window_tree_solve(struct remat_window_tree *tree, int32_t part, bool *found,
                                          struct remat_error *err)
{
    enum remat_status status;
    enter(tree, part);
    status = remat_linear_start_from(tree->engine, &tree->parts[part].start, err);
    if (status == REMAT_OK)
        status = solve_once(tree, found, err);
    leave(tree, part);
    return status;
}

/* ------------------------------------------------------------------------------------------------------------ whole */

static void clear(struct remat_window_tree *tree)
{
    int32_t k;
    for (k = 0; k < tree->count; k++)
        free(tree->parts[k].start.status);
    tree->count = 0;
    tree->starts_bytes = 0;
    remat_linear_close(tree->engine);
    tree->engine = NULL;
    remat_linear_fixer_free(&tree->fixer);
    remat_window_program_free(&tree->program);
    remat_integer_row_free(&tree->row);
    free(tree->solution);
    free(tree->gains);
    tree->solution = NULL;
    tree->gains = NULL;
}

void remat_window_tree_free(struct remat_window_tree *tree)
{
    clear(tree);
    free(tree->parts);
    free(tree->prices);
}

static enum remat_status open_engine(struct remat_window_tree *tree, const double *prices, struct remat_error *err)
{
    REMAT_TRY(remat_linear_open(&tree->program.linear, NULL, prices, &tree->engine, err));
    remat_linear_set_deadline(tree->engine, tree->problem->deadline);
    return REMAT_OK;
}

/* Gives the library what is left of the program to divide. */
static enum remat_status shrink(struct remat_window_tree *tree, struct remat_error *err)
{
    if (tree->parts[0].branch < 0)
        return REMAT_OK;
    drop_start(tree, &tree->parts[0]);
    remat_linear_close(tree->engine);
    tree->engine = NULL;
    return open_engine(tree, tree->prices, err);
}

enum remat_status remat_window_tree_begin(struct remat_window_tree *tree, const struct remat_window_cut *cuts,
                                          int32_t cuts_count, struct remat_error *err)
{
    struct remat_linear *linear = &tree->program.linear;
    clear(tree);
    REMAT_TRY(remat_window_program_make(tree->model, cuts, cuts_count, tree->problem->budget_bytes,
                                        tree->problem->most_columns, &tree->program, err));
    if (linear->columns_count > tree->problem->most_columns)
        return REMAT_OK;
    tree->fixer.linear = linear;
    tree->fixer.excess = tree->program.excess;
    REMAT_TRY(REMAT_ALLOC(tree->solution, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(tree->gains, linear->columns_count, err));
    REMAT_TRY(remat_integer_row_make(&tree->row, linear->columns_count, err));
    REMAT_TRY(open_engine(tree, NULL, err));
    REMAT_TRY(add_part(tree, -1, -1, 0, err));
    return shrink(tree, err);
}

enum remat_status remat_window_tree_divide(struct remat_window_tree *tree, int32_t most, struct remat_error *err)
{
    for (;;) {
        int32_t weakest = remat_window_tree_weakest(tree);
        if (tree->parts[weakest].branch < 0 || tree->parts[weakest].proven >= remat_window_tree_enough(tree) ||
            tree->made + 2 > most || remat_window_tree_is_over(tree))
            return REMAT_OK;
        REMAT_TRY(divide(tree, weakest, err));
    }
}
