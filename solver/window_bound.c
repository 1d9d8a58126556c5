#include "solver/window_bound.h"

#include "core/base/clock.h"
#include "solver/window_program.h"

#include <stdlib.h>
#include <string.h>

enum { STEPS_A_PROGRAM = 20000, COLUMNS_IN_ALL = 60000 }; /* the latter where no time is given */

/* An open part of the choices: one column fixed, and those of its parents. */
struct node {
    int32_t parent, column;
    int8_t fixed;
    int64_t proven;
    int32_t branch; /* the column to fix next, -1 = none */
    bool open;
};

struct search {
    struct remat_window_program program;
    struct remat_linear_engine *engine;
    struct node *nodes;
    int32_t count, capacity;
    double *solution, *prices;
};

static void fix(struct search *s, int32_t node, bool undo)
{
    for (; s->nodes[node].parent >= 0; node = s->nodes[node].parent) {
        s->program.linear.low[s->nodes[node].column] = undo ? 0 : s->nodes[node].fixed;
        s->program.linear.high[s->nodes[node].column] = undo ? 1 : s->nodes[node].fixed;
    }
}

/* The survivor whose fraction is the most bytes. */
static int32_t choose_column(const struct search *s)
{
    double most = 0;
    int32_t chosen = -1, k;
    for (k = 0; k < s->program.survivors_count; k++) {
        double value = s->solution[s->program.survivors[k].column];
        double part = (value < 0.5 ? value : 1 - value) * (double)s->program.survivors[k].weight;
        if (value > 1e-6 && value < 1 - 1e-6 && part > most) {
            most = part;
            chosen = s->program.survivors[k].column;
        }
    }
    return chosen;
}

static enum remat_status add_node(struct search *s, struct node node, struct remat_error *err)
{
    int64_t proven;
    bool found = false;
    enum remat_status status;
    REMAT_TRY(REMAT_GROW(s->nodes, s->capacity, s->count + 1, err));
    node.open = true;
    node.branch = -1;
    s->nodes[s->count] = node;
    fix(s, s->count, false);
    status = remat_linear_solve(s->engine, STEPS_A_PROGRAM, s->solution, s->prices, &found, err);
    if (status == REMAT_OK && found)
        status = remat_linear_proven(&s->program.linear, s->prices, &proven, err);
    fix(s, s->count, true);
    if (status == REMAT_OK && found) {
        if (proven > node.proven)
            s->nodes[s->count].proven = proven;
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

/* Programs that may be solved: fewer of large ones. */
static int32_t most_nodes(const struct search *s)
{
    const struct remat_window_problem *problem = s->program.problem;
    int32_t affordable = COLUMNS_IN_ALL / s->program.linear.columns_count + 1;
    return problem->deadline > 0 || problem->nodes < affordable ? problem->nodes : affordable;
}

static enum remat_status branch(struct search *s, int64_t *extra_ns, struct remat_error *err)
{
    const struct remat_window_problem *problem = s->program.problem;
    int32_t most = most_nodes(s);
    REMAT_TRY(add_node(s, (struct node){.parent = -1}, err));
    for (;;) {
        int32_t at = weakest_open(s);
        struct node node = s->nodes[at];
        *extra_ns = node.proven;
        if (node.branch < 0 || node.proven >= problem->enough_ns || s->count + 2 > most ||
            (problem->deadline > 0 && remat_clock_seconds() >= problem->deadline))
            return REMAT_OK;
        s->nodes[at].open = false;
        node.parent = at;
        node.column = node.branch;
        for (node.fixed = 0; node.fixed <= 1; node.fixed++)
            REMAT_TRY(add_node(s, node, err));
    }
}

enum remat_status remat_window_bound(const struct remat_cut_model *model, const struct remat_window_problem *problem,
                                     int64_t *extra_ns, struct remat_error *err)
{
    struct search s;
    enum remat_status status;
    memset(&s, 0, sizeof s);
    *extra_ns = 0;
    REMAT_TRY_GOTO(remat_window_program_make(model, problem, &s.program, err), done);
    if (s.program.linear.columns_count > problem->most_columns)
        goto done;
    REMAT_TRY_GOTO(remat_linear_open(&s.program.linear, NULL, &s.engine, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(s.solution, s.program.linear.columns_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(s.prices, s.program.linear.rows_count, err), done);
    status = branch(&s, extra_ns, err);
done:
    remat_linear_close(s.engine);
    free(s.solution);
    free(s.prices);
    free(s.nodes);
    remat_window_program_free(&s.program);
    return status;
}
