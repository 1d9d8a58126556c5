/* The linear program of solver/window_bound.h. Columns, all between 0 and 1:
 *   run      [interval][way]: a way is used in an interval; costs its time
 *   used     [window][way]: it is used in a window
 *   survives [cut][value]
 * and one that makes every program feasible at a price beyond all bounds. */
#ifndef REMAT_SOLVER_WINDOW_PROGRAM_H
#define REMAT_SOLVER_WINDOW_PROGRAM_H

#include "solver/linear.h"
#include "solver/window_bound.h"

struct remat_survivor {
    int32_t column;
    int64_t weight;
};

struct remat_window_program {
    const struct remat_cut_model *model;
    const struct remat_window_problem *problem;
    struct remat_linear linear;
    int32_t *run, *used, *survives; /* columns, -1 = none */
    int64_t *weights;               /* per value, at the cut in work */
    int32_t *pending;               /* windows' ways whose needs are not written yet: (end, way) pairs */
    int32_t pending_count, pending_capacity;
    struct remat_survivor *survivors; /* all `survives` columns */
    int32_t survivors_count, survivors_capacity;
    int32_t excess; /* the column that makes it feasible */
};

/* Stops, with too many columns, at problem->most_columns. */
REMAT_MUST_CHECK enum remat_status remat_window_program_make(const struct remat_cut_model *model,
                                                             const struct remat_window_problem *problem,
                                                             struct remat_window_program *out, struct remat_error *err);
void remat_window_program_free(struct remat_window_program *program);

#endif
