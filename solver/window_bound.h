/* A lower bound from several cuts together: values that are needed in different parts of the order may have to be made
 * again in each.
 *
 * Between two of the chosen cuts, or after the last, lies an interval; a window is some consecutive intervals. A value
 * that is next read in a window and does not survive the cut where it begins is made again within it, and so is what
 * that needs, unless the order reads it there anyway or it survives that cut; what survives the next cut, too, survived
 * this one or is made again in between. Runs in different intervals are different runs, so their times add up. The
 * whole is a linear program, to which rows are added that its solutions violate (integer_row.h, window_rows.h) and
 * whose choices are branched on; what it proves is computed from its prices in integers (solver/linear.h).
 * docs/lower-bounds.md has the proof. */
#ifndef REMAT_SOLVER_WINDOW_BOUND_H
#define REMAT_SOLVER_WINDOW_BOUND_H

#include "solver/cut_model.h"
#include "solver/progress.h"

#include <signal.h>

struct remat_window_problem {
    int32_t position; /* the first cut; others are chosen where they seem to matter */
    int32_t most_cuts;
    int64_t budget_bytes;
    struct remat_progress *progress;   /* borrowed: told what is proven; nothing more is done once it is enough */
    int32_t most_columns;              /* larger programs are not solved */
    int32_t parts;                     /* most parts of the choices looked at, with a few programs each */
    int64_t work;                      /* columns of all programs together; 0 = no limit */
    double deadline;                   /* seconds of the monotonic clock; 0 = none */
    const volatile sig_atomic_t *stop; /* ends it once set; NULL = none */
};

/* *extra_ns: time that every schedule within the budget takes beyond the base time; 0 if nothing was found.
 * REMAT_UNAVAILABLE without an engine for linear programs. */
REMAT_MUST_CHECK enum remat_status remat_window_bound(const struct remat_cut_model *model,
                                                      const struct remat_window_problem *problem, int64_t *extra_ns,
                                                      struct remat_error *err);

#endif
