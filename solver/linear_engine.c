/* Linear programs, scaled, in the hands of a library. */
#include "solver/linear.h"

#include <math.h>
#include <stdlib.h>

#ifdef REMAT_HAVE_CLP
extern const struct remat_linear_library remat_linear_clp;
#endif
#ifdef REMAT_HAVE_LPSOLVE
extern const struct remat_linear_library remat_linear_lpsolve;
#endif

const struct remat_linear_library *const remat_linear_libraries[] = {
#ifdef REMAT_HAVE_CLP
    &remat_linear_clp,
#endif
#ifdef REMAT_HAVE_LPSOLVE
    &remat_linear_lpsolve,
#endif
    NULL};

struct remat_linear_engine {
    const struct remat_linear *linear;
    const struct remat_linear_library *library;
    void *program;
    int32_t columns_count, rows_count, rows_capacity; /* those that the library has */
    double *row_scales, cost_scale;                   /* a row and the costs are divided by these */
    double *low, *high;
};

/* The geometric mean of the costs that are not 0. */
static double mean_cost(const struct remat_linear *linear)
{
    double logarithms = 0;
    int32_t priced = 0, k;
    for (k = 0; k < linear->columns_count; k++)
        if (linear->costs[k] > 0) {
            logarithms += log((double)linear->costs[k]);
            priced++;
        }
    return priced > 0 ? exp(logarithms / priced) : 1;
}

/* Bytes and ns are large numbers: rows and costs are brought to about 1. */
static double scale_of(const struct remat_linear *linear, int32_t row)
{
    double largest = 1;
    int32_t k;
    for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
        largest = fmax(largest, fabs((double)linear->terms[k].factor));
    return largest;
}

static void fill_rows(struct remat_linear_engine *engine, struct remat_linear_rows *out)
{
    const struct remat_linear *linear = engine->linear;
    int32_t first = linear->begins[engine->rows_count], i, k;
    for (i = 0; i < out->count; i++) {
        int32_t row = engine->rows_count + i;
        double scale = engine->row_scales[row] = scale_of(linear, row);
        out->begins[i] = linear->begins[row] - first;
        out->limits[i] = (double)linear->limits[row] / scale;
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++) {
            out->columns[k - first] = linear->terms[k].column;
            out->factors[k - first] = (double)linear->terms[k].factor / scale;
        }
    }
    out->begins[out->count] = linear->begins[linear->rows_count] - first;
}

/* Gives the library the rows that were closed since. */
static enum remat_status add_rows(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    struct remat_linear_rows rows = {.count = linear->rows_count - engine->rows_count};
    enum remat_status status = REMAT_OK;
    int32_t terms;
    if (rows.count == 0)
        return REMAT_OK;
    terms = linear->begins[linear->rows_count] - linear->begins[engine->rows_count];
    REMAT_TRY_GOTO(REMAT_GROW(engine->row_scales, engine->rows_capacity, linear->rows_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.begins, rows.count + 1, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.columns, terms, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.factors, terms, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.limits, rows.count, err), done);
    fill_rows(engine, &rows);
    status = engine->library->add(engine->program, &rows, err);
    engine->rows_count = linear->rows_count;
done:
    free(rows.begins);
    free(rows.columns);
    free(rows.factors);
    free(rows.limits);
    return status;
}

static enum remat_status open_program(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    double *costs;
    enum remat_status status;
    int32_t k;
    engine->columns_count = linear->columns_count;
    engine->cost_scale = mean_cost(linear);
    REMAT_TRY(REMAT_ALLOC(engine->low, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->high, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(costs, linear->columns_count, err));
    for (k = 0; k < linear->columns_count; k++)
        costs[k] = (double)linear->costs[k] / engine->cost_scale;
    status = engine->library->open(linear->columns_count, costs, &engine->program, err);
    free(costs);
    return status;
}

enum remat_status remat_linear_open(const struct remat_linear *linear, const struct remat_linear_library *library,
                                    struct remat_linear_engine **out, struct remat_error *err)
{
    *out = NULL;
    library = library ? library : remat_linear_libraries[0];
    if (!library)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "this build solves no linear programs; install coinor-libclp-dev and build again");
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->linear = linear;
    (*out)->library = library;
    return open_program(*out, err);
}

void remat_linear_close(struct remat_linear_engine *engine)
{
    if (!engine)
        return;
    if (engine->program)
        engine->library->close(engine->program);
    free(engine->row_scales);
    free(engine->low);
    free(engine->high);
    free(engine);
}

enum remat_status remat_linear_solve(struct remat_linear_engine *engine, int64_t steps, double *solution,
                                     double *prices, bool *found, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    int32_t k;
    REMAT_TRY(add_rows(engine, err));
    for (k = 0; k < engine->columns_count; k++) {
        engine->low[k] = linear->low[k];
        engine->high[k] = linear->high[k];
    }
    REMAT_TRY(engine->library->solve(engine->program, engine->low, engine->high, steps, solution, prices, found, err));
    for (k = 0; *found && k < linear->rows_count; k++)
        prices[k] *= -engine->cost_scale / engine->row_scales[k];
    return REMAT_OK;
}
