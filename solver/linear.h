/* Small linear programs in integers, and bounds that hold exactly.
 *
 *   minimise cost x   subject to   rows x <= limit,  low <= x <= high
 *
 * The library behind it (CLP or lp_solve, where one is installed) works in floating point; what is proven does not: any
 * prices y >= 0 of the rows give the bound sum over columns of min over low <= x <= high of (cost + y rows) x, less y
 * limit, which is computed exactly (A. Neumaier, O. Shcherbina, "Safe bounds in linear and mixed-integer linear
 * programming", Mathematical Programming 99, 2004). */
#ifndef REMAT_SOLVER_LINEAR_H
#define REMAT_SOLVER_LINEAR_H

#include "core/base/memory.h"

#include <stdbool.h>

struct remat_linear_term {
    int32_t column;
    int64_t factor; /* |factor| < 2^53 */
};

struct remat_linear {
    int64_t *costs;     /* per column, from 0 to 2^53 */
    int8_t *low, *high; /* per column */
    int64_t *limits;    /* per row, |limit| < 2^53 */
    int32_t *begins;    /* per row: its first term; one more at the end */
    struct remat_linear_term *terms;
    int32_t columns_count, rows_count, terms_count;
    int32_t capacity[6];
};

void remat_linear_free(struct remat_linear *linear);
REMAT_MUST_CHECK enum remat_status remat_linear_column(struct remat_linear *linear, int64_t cost, int32_t *out,
                                                       struct remat_error *err);
/* Rows are written term by term, then closed. */
REMAT_MUST_CHECK enum remat_status remat_linear_term(struct remat_linear *linear, int32_t column, int64_t factor,
                                                     struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_linear_close_row(struct remat_linear *linear, int64_t limit,
                                                          struct remat_error *err);

/* What prices prove, rounded up to a whole number (for costs that are whole). Negative prices count as 0. */
REMAT_MUST_CHECK enum remat_status remat_linear_proven(const struct remat_linear *linear, const double *prices,
                                                       int64_t *out, struct remat_error *err);

/* What prices charge: costs less that, per column, and what they prove; in units of 2^-REMAT_PRICE_BITS. */
enum { REMAT_PRICE_BITS = 40 };
struct remat_linear_proof {
    __int128 *reduced, sum;
};
/* The caller frees out->reduced in any case. */
REMAT_MUST_CHECK enum remat_status remat_linear_prove(const struct remat_linear *linear, const double *prices,
                                                      struct remat_linear_proof *out, struct remat_error *err);

/* Rows scaled to about 1, in the order of the program's. */
struct remat_linear_rows {
    int32_t count;
    int32_t *begins;  /* per row: its first term, from 0 on; one more at the end */
    int32_t *columns; /* per term */
    double *factors;  /* per term */
    double *limits;
};

enum { REMAT_LINEAR_BASIC = 1 };

/* A library that solves linear programs: minimise costs x subject to rows x <= limits. */
struct remat_linear_library {
    const char *name;
    /* Without rows; costs scaled to about 1. The caller closes *out in any case. */
    enum remat_status (*open)(int32_t columns_count, double *costs, void **out, struct remat_error *err);
    enum remat_status (*add)(void *program, const struct remat_linear_rows *rows, struct remat_error *err);
    /* duals: what the cost changes by as a row's limit rises. At most about `steps` iterations, and about until
     * `deadline` by the clock (0 = for ever); *found is false if it gave up. *cost: what it costs, or, as far as known
     * then, at least. */
    enum remat_status (*solve)(void *program, const double *low, const double *high, int64_t steps, double deadline,
                               double *solution, double *duals, bool *found, double *cost, struct remat_error *err);
    void (*close)(void *program);
    /* Where the last solving ended, a byte for each column, then each row (of a slack row it is REMAT_LINEAR_BASIC);
     * and to start there. NULL: the library cannot. */
    void (*get_start)(void *program, unsigned char *status);
    void (*set_start)(void *program, const unsigned char *status);
};
/* Those this build has, the fastest first; ended by a null pointer. */
extern const struct remat_linear_library *const remat_linear_libraries[];

/* A program in a library's hands. At each solving `low` and `high` of the program are read anew, and rows that were
 * closed since the last one are added; columns are those of when it was opened. Columns that were fixed then must stay
 * so: the library is not given them, nor rows that no values of the others break. */
struct remat_linear_engine;
/* `library` NULL: the first one, or REMAT_UNAVAILABLE if there is none. `linear` is borrowed until the engine is
 * closed. With prices of its rows, the library is given those that cost nothing only when a solution breaks them: the
 * others are mostly enough. The caller closes *out in any case; NULL is fine. */
REMAT_MUST_CHECK enum remat_status remat_linear_open(const struct remat_linear *linear,
                                                     const struct remat_linear_library *library, const double *prices,
                                                     struct remat_linear_engine **out, struct remat_error *err);
void remat_linear_close(struct remat_linear_engine *engine);
/* From then on solvings give up at about this time by the clock; 0 = never. */
void remat_linear_set_deadline(struct remat_linear_engine *engine, double deadline);
/* Solution and row prices, as exact as floating point is; *found is false if the library gave up. At most about
 * `steps` iterations. */
REMAT_MUST_CHECK enum remat_status remat_linear_solve(struct remat_linear_engine *engine, int64_t steps,
                                                      double *solution, double *prices, bool *found,
                                                      struct remat_error *err);

/* Where a solving ended, to start another one there: bytes for the columns and rows that the library had, NULL: not
 * known. */
struct remat_linear_start {
    unsigned char *status;
    int32_t count;
};
/* The caller frees out->status in any case. */
REMAT_MUST_CHECK enum remat_status remat_linear_keep_start(const struct remat_linear_engine *engine,
                                                           struct remat_linear_start *out, struct remat_error *err);
/* `start` is of the same engine. */
REMAT_MUST_CHECK enum remat_status remat_linear_start_from(struct remat_linear_engine *engine,
                                                           const struct remat_linear_start *start,
                                                           struct remat_error *err);
/* How much more than at the last solving that found a solution the program costs with the `low` and `high` of now, as
 * far as a few steps from there show. */
REMAT_MUST_CHECK enum remat_status remat_linear_try(struct remat_linear_engine *engine,
                                                    const struct remat_linear_start *start, int64_t steps, double *gain,
                                                    struct remat_error *err);

#endif
