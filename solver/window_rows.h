/* Rows that a solution of the linear program violates, to be added to it: rounded forms (integer_row.h) of the memory
 * rows of its cuts, and rows for the memory of runs between two cuts.
 *
 * Of the latter kind: let a recipe of a way run in the window from cut k to cut l, between the first runs of cuts j and
 * j + 1. Live at that moment, beside the run's operands and scratch, are
 * - carried values: made by cut k, held at cut l, not made again in the window;
 * - ancestors: what the run comes from by ways whose results did not survive cut k, did not survive it either, is held
 *   at cut l and is made again in the window but once: before the run, so that it is held from then on;
 * - passing values: made after cut k by cut j, read at cut j + 1, not made again between them.
 *
 * Let w be weights beside the run, `fixed` what the run holds in any case, `least` the least sum of passing values over
 * the intervals j of the window, `most` what the memory of cuts k and l permits the others to take. Then
 *
 *   sum over carried of w (held at l - runs in the window)
 *     + sum over ancestors of w (held at l - (runs in the window - used in it) - survivors of k on the way from it)
 *     + used (fixed + least - (budget - most)) <= most + sum over j of w (runs in j of passing values)
 *
 * over any sets of values: each term is at most what is live of the value, whether there is such a run or not. */
#ifndef REMAT_SOLVER_WINDOW_ROWS_H
#define REMAT_SOLVER_WINDOW_ROWS_H

#include "solver/integer_row.h"
#include "solver/window_program.h"

/* Adds such rows, or rounded forms of them, that the solution (per column) violates, at most one a window; *added
 * counts them. `row` is room for them. */
REMAT_MUST_CHECK enum remat_status remat_window_runs(struct remat_window_program *program, const double *solution,
                                                     struct remat_integer_row *row, int32_t *added,
                                                     struct remat_error *err);
/* The same for rounded forms of the memory rows of cuts, at most one a cut. */
REMAT_MUST_CHECK enum remat_status remat_window_memory(struct remat_window_program *program, const double *solution,
                                                       struct remat_integer_row *row, int32_t *added,
                                                       struct remat_error *err);

#endif
