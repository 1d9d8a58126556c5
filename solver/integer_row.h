/* A row of a linear program over columns that are 0 or 1, in work, and its rounded forms.
 *
 * From sum of a x <= b follows, for any set of columns that are replaced by 1 - x and any divisor s > 0, with r = b mod
 * s after the replacement, sum of (floor(a / s) (s - r) + max(0, a mod s - r)) y <= floor(b / s) (s - r) (mixed-integer
 * rounding: G. L. Nemhauser, L. A. Wolsey, "A recursive procedure to generate all cuts for 0-1 mixed integer programs",
 * Mathematical Programming 46, 1990). All of it in integers, so that rows hold exactly. */
#ifndef REMAT_SOLVER_INTEGER_ROW_H
#define REMAT_SOLVER_INTEGER_ROW_H

#include "solver/linear.h"

struct remat_integer_row {
    int64_t *factors; /* per column; 0 but for those touched */
    bool *is_touched; /* per column */
    int32_t *touched; /* columns */
    int32_t touched_count;
    int64_t limit;
};

/* Which rounded form: columns whose value is above the threshold are replaced; divisor 0: none, the row as it is. */
struct remat_rounding {
    double threshold;
    int64_t divisor;
    double violation; /* how far the solution is beyond it, over the length of its factors */
};

/* Empty. The caller frees it in any case. */
REMAT_MUST_CHECK enum remat_status remat_integer_row_make(struct remat_integer_row *out, int32_t columns,
                                                          struct remat_error *err);
void remat_integer_row_free(struct remat_integer_row *row);
void remat_integer_row_clear(struct remat_integer_row *row);
void remat_integer_row_add(struct remat_integer_row *row, int32_t column, int64_t factor);

/* The form that a solution (per column) violates most; violation 0: none. */
struct remat_rounding remat_integer_row_round(const struct remat_integer_row *row, const double *solution);
/* Adds that form to a program; the column `excess` makes it feasible in any case. */
REMAT_MUST_CHECK enum remat_status remat_integer_row_write(const struct remat_integer_row *row, const double *solution,
                                                           const struct remat_rounding *rounding, int32_t excess,
                                                           struct remat_linear *linear, struct remat_error *err);

#endif
