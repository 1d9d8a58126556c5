/* Where a linear program of several cuts does not see that memory is short.
 *
 * Between two cuts the program bounds nothing. What its solution holds there is what it carries from cut to cut and
 * what first runs of the interval make or still read; where that and the run itself exceed the budget, a further cut
 * tells the program. Only a choice of cuts depends on this, no bound. */
#ifndef REMAT_SOLVER_WINDOW_GAPS_H
#define REMAT_SOLVER_WINDOW_GAPS_H

#include "solver/window_program.h"

struct remat_window_gap {
    struct remat_window_cut cut;
    double excess_bytes;
    int32_t values; /* that are read after the cut: so much larger it makes the program */
};

/* Most that are found between so many cuts. */
#define REMAT_MOST_GAPS(cuts) (2 * ((cuts) + 1))
/* Between any two cuts, before the first and after the last: the position where the solution (per column) exceeds the
 * budget most, by `least_bytes` at least (if negative: has less room than that), or the two around a run that does, or
 * that run itself where those are cuts. `gaps` has room for REMAT_MOST_GAPS(cuts_count). */
REMAT_MUST_CHECK enum remat_status remat_window_gaps(const struct remat_window_program *program, const double *solution,
                                                     double least_bytes, struct remat_window_gap *gaps, int32_t *count,
                                                     struct remat_error *err);

#endif
