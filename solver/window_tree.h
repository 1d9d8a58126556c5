/* The choices that the program of some cuts leaves open, divided: branch and bound.
 *
 * A part of the choices is a column fixed to 0 or 1, beside those of the part that it is of, and what follows from that
 * (linear_fix.h). Each part's program is solved, with rows that its solution violates added to all, and the part that
 * proves least is divided next. Parts that prove as much as is worth proving, which is what the best schedule known
 * takes, are done with. */
#ifndef REMAT_SOLVER_WINDOW_TREE_H
#define REMAT_SOLVER_WINDOW_TREE_H

#include "solver/integer_row.h"
#include "solver/linear_fix.h"
#include "solver/window_bound.h"
#include "solver/window_program.h"

struct remat_window_part {
    int32_t parent, fixed, fixed_end; /* what is fixed in it beyond its parent: a range of the fixer's list */
    int64_t proven;
    int32_t branch; /* the column to fix next, -1 = none */
    double value;   /* that it has in the solution */
    bool open;
    struct remat_linear_start start; /* of its last program */
};

/* What fixing a column to 0 and 1 raised bounds by, a unit of its change, and how often that was seen. */
struct remat_window_gain {
    double sum[2];
    int32_t count[2];
};

/* Zero-initialise; free with remat_window_tree_free(). */
struct remat_window_tree {
    const struct remat_cut_model *model;        /* borrowed */
    const struct remat_window_problem *problem; /* borrowed */
    struct remat_window_program program;
    struct remat_linear_engine *engine;
    struct remat_linear_fixer fixer;
    struct remat_integer_row row;
    double *solution, *prices;       /* per column, per row: of the last program solved */
    struct remat_window_gain *gains; /* per column */
    int32_t prices_capacity;
    struct remat_window_part *parts;
    int32_t count, capacity;
    int32_t made;         /* parts, also of trees before */
    int64_t starts_bytes; /* that the parts keep */
    int64_t work;         /* columns of the programs solved, also of trees before */
};

void remat_window_tree_free(struct remat_window_tree *tree);
/* The time beyond the base time that is worth proving: it makes the best schedule known good enough. INT64_MAX: none is
 * known. */
int64_t remat_window_tree_enough(const struct remat_window_tree *tree);
/* Whether there is no time or no need for more. */
bool remat_window_tree_is_over(const struct remat_window_tree *tree);
/* Forgets what it has and begins anew, with the program of these cuts, undivided. It stays without parts if the program
 * has too many columns. */
REMAT_MUST_CHECK enum remat_status remat_window_tree_begin(struct remat_window_tree *tree,
                                                           const struct remat_window_cut *cuts, int32_t cuts_count,
                                                           struct remat_error *err);
/* Divides until so many parts were made, in all, or no part that can be divided is worth it. */
REMAT_MUST_CHECK enum remat_status remat_window_tree_divide(struct remat_window_tree *tree, int32_t most,
                                                            struct remat_error *err);
/* The open part that proves least; -1: none is left. */
int32_t remat_window_tree_weakest(const struct remat_window_tree *tree);
/* What all parts together prove. */
int64_t remat_window_tree_proven(const struct remat_window_tree *tree);
/* Solves a part's program once more; *found: `solution` is its. */
REMAT_MUST_CHECK enum remat_status remat_window_tree_solve(struct remat_window_tree *tree, int32_t part, bool *found,
                                                           struct remat_error *err);

#endif
