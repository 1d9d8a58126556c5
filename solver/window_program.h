/* The linear program of solver/window_bound.h. Columns, all between 0 and 1:
 *   run      [interval][way]: a way is used in an interval; costs its time
 *   again    [interval][way]: it is used there more than once; costs its time once more
 *   used     [window][way]: it is used in a window; of one interval: the same column as run
 *   survives [cut][value]
 * and one that makes every program feasible at a price beyond all bounds. */
#ifndef REMAT_SOLVER_WINDOW_PROGRAM_H
#define REMAT_SOLVER_WINDOW_PROGRAM_H

#include "solver/cut_model.h"
#include "solver/linear.h"

struct remat_survivor {
    int32_t column;
    int64_t weight;
};

/* A cut: the first run of the task of a position of the order; or, with a way, a moment between that run and the next
 * cut: the first time that the way is used there, or right after the position's run if it is not used. Of the latter
 * kind there is at most one after each of the former. */
struct remat_window_cut {
    int32_t position;
    int32_t way; /* -1: a first run */
};

/* At a cut: sum of weight x over survivors [first, first + count), and run_factor times `run` (-1: none) <= capacity.
 */
struct remat_memory_row {
    int32_t first, count, run;
    int64_t capacity, run_factor;
};

struct remat_window_program {
    const struct remat_cut_model *model;
    const struct remat_window_cut *cuts; /* ascending; borrowed */
    int32_t cuts_count, most_columns;
    int64_t budget_bytes;
    struct remat_linear linear;
    int32_t *run, *again, *used, *survives; /* columns, -1 = none */
    int64_t negligible_bytes;               /* values of at most so many are always there and weigh nothing */
    int64_t *weights;                       /* per value, at the cut in work */
    int32_t *way_value;                     /* per way: a value that it makes */
    int64_t *way_bytes;                     /* per way: what its first recipe holds when it runs */
    int32_t *pending;                       /* windows' ways whose needs are not written yet: (end, way) pairs */
    int32_t pending_count, pending_capacity;
    struct remat_survivor *survivors; /* all `survives` columns */
    int32_t survivors_count, survivors_capacity;
    struct remat_memory_row *memory; /* per cut */
    int32_t excess;                  /* the column that makes it feasible */
};

/* Stops, with too many columns, beyond most_columns. `model` and `cuts` are borrowed until it is freed. */
REMAT_MUST_CHECK enum remat_status remat_window_program_make(const struct remat_cut_model *model,
                                                             const struct remat_window_cut *cuts, int32_t cuts_count,
                                                             int64_t budget_bytes, int32_t most_columns,
                                                             struct remat_window_program *out, struct remat_error *err);
static inline bool remat_window_is_negligible(const struct remat_window_program *program, int32_t value)
{
    return program->model->values[value].bytes <= program->negligible_bytes;
}
/* What the runs of a way hold at least: the least over its recipes, as remat_cut_memory_at says; weights per value. */
void remat_window_run_memory(const struct remat_window_program *program, int32_t way, int64_t *fixed_bytes,
                             int64_t *weights);
/* The next cut that is a first run; cuts_count: none. */
int32_t remat_window_next_first_run(const struct remat_window_program *program, int32_t cut);
void remat_window_program_free(struct remat_window_program *program);

#endif
