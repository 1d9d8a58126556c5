/* A part of a sequence as a problem of the exact method (solver/exact.h): from one stage to another some chosen data
 * are made again in another way, while all other data live as they do.
 *
 * A repetition that makes chosen data from chosen data alone (or small ones, which may be read whenever) is free: it
 * goes, and the answer says what runs instead. All other runs that touch a chosen datum are the problem's order, and
 * what is live beside the chosen data at each of them takes its bytes from the budget. Of the runs in between only the
 * most that is live at one of them counts. */
#ifndef REMAT_SOLVER_SUBPROBLEM_H
#define REMAT_SOLVER_SUBPROBLEM_H

#include "solver/exact.h"
#include "solver/sequence.h"

struct remat_subproblem_item {
    int32_t run;    /* of the order; -1: those that touch nothing, from `before` on */
    int32_t before; /* the run before which repetitions come that precede the item */
};

struct remat_subproblem {
    struct remat_sequence *sequence; /* borrowed; within the budget */
    double budget_bytes;
    int32_t first, end;                           /* stages: `end` is the first behind it; the caller's */
    int8_t *local;                                /* per datum: value of the problem, -1 = not chosen */
    int32_t data[REMAT_EXACT_MOST_VALUES], count; /* per value: datum */
    struct remat_exact_problem problem;           /* and what it is made of: */
    struct remat_subproblem_item *items;          /* its order */
    int32_t items_capacity;
    int32_t *freed, freed_count, freed_capacity; /* the free repetitions */
    int32_t *offsets, offsets_capacity;          /* per stage from `first` on: runs of those before */
    double *chosen_bytes, *made_bytes;           /* per run from there on: of chosen data live at it; made by it */
    int32_t runs_capacity, made_capacity;
    struct remat_exact_task *tasks;
    struct remat_exact_option *options; /* one a task */
    int32_t *nodes;                     /* per task, -1 = none */
    int64_t *beside;
    int32_t tasks_capacity, options_capacity, nodes_capacity, beside_capacity;
};

REMAT_MUST_CHECK enum remat_status remat_subproblem_init(struct remat_subproblem *out, struct remat_sequence *sequence,
                                                         double budget_bytes, struct remat_error *err);
void remat_subproblem_free(struct remat_subproblem *sub);

/* Not worth a value of the problem. */
bool remat_subproblem_is_small(const struct remat_subproblem *sub, int32_t datum);
/* Nothing is chosen after `forget` with 0, or only what was chosen first; `choose` is false if there is no room. */
void remat_subproblem_forget(struct remat_subproblem *sub, int32_t count);
bool remat_subproblem_choose(struct remat_subproblem *sub, int32_t datum);
/* Whether a node reads chosen or small data only. */
bool remat_subproblem_can_run(const struct remat_subproblem *sub, int32_t node);

/* Changes the sequence if that makes it faster within the budget; *improved stays as it is otherwise. States: see
 * solver/exact.h. */
REMAT_MUST_CHECK enum remat_status remat_subproblem_solve(struct remat_subproblem *sub, int32_t states, bool *improved,
                                                          struct remat_error *err);

#endif
