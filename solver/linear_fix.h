/* Columns of 0 and 1 that have but one value left.
 *
 * By rows: where a row is broken by one value of a column however the others are chosen, the column has the other one.
 * By prices: where those prove that all solutions with one value of a column cost enough, only the other one is of
 * interest (reduced cost fixing: G. L. Nemhauser, L. A. Wolsey, "Integer and Combinatorial Optimization", 1988,
 * II.5.2). All of it in integers. */
#ifndef REMAT_SOLVER_LINEAR_FIX_H
#define REMAT_SOLVER_LINEAR_FIX_H

#include "solver/linear.h"

struct remat_linear_fixed {
    int32_t column;
    int8_t value;
};

/* Zero-initialise `linear` and `excess` aside; free with remat_linear_fixer_free(). */
struct remat_linear_fixer {
    struct remat_linear *linear; /* borrowed; its low and high change */
    int32_t excess;              /* the column that makes programs feasible: 0 in all solutions, never fixed */
    struct remat_linear_fixed *fixed;
    int32_t fixed_count, fixed_capacity;
    /* Per column: the rows it is in, as of when there were rows_count; rows to look at. */
    int32_t *begins, *rows, rows_count;
    int32_t *waiting, waiting_count;
    bool *waits; /* per row */
};

void remat_linear_fixer_free(struct remat_linear_fixer *fixer);
/* Fixes a free column, and lists it. */
REMAT_MUST_CHECK enum remat_status remat_linear_fix(struct remat_linear_fixer *fixer, int32_t column, int8_t value,
                                                    struct remat_error *err);
/* Fixes what the rows leave no choice of, given what was fixed from `first` on; -1: whatever was. *possible: false if
 * no solution is left. */
REMAT_MUST_CHECK enum remat_status remat_linear_fix_by_rows(struct remat_linear_fixer *fixer, int32_t first,
                                                            bool *possible, struct remat_error *err);
/* Fixes columns whose other value costs `enough`, at least, by these prices. */
REMAT_MUST_CHECK enum remat_status remat_linear_fix_by_prices(struct remat_linear_fixer *fixer, const double *prices,
                                                              int64_t enough, struct remat_error *err);
/* Frees those again that were fixed in [begin, end) of the list, or fixes them once more. */
void remat_linear_unfix(struct remat_linear_fixer *fixer, int32_t begin, int32_t end);
void remat_linear_refix(struct remat_linear_fixer *fixer, int32_t begin, int32_t end);

#endif
