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
    struct remat_linear_scaled scaled;
    double *row_scales, cost_scale; /* a row and the costs are divided by these */
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
static void scale(struct remat_linear_engine *engine)
{
    const struct remat_linear *linear = engine->linear;
    struct remat_linear_scaled *scaled = &engine->scaled;
    int32_t row, k;
    engine->cost_scale = mean_cost(linear);
    for (k = 0; k < linear->columns_count; k++)
        scaled->costs[k] = (double)linear->costs[k] / engine->cost_scale;
    for (row = 0; row < linear->rows_count; row++) {
        double largest = 1;
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
            largest = fmax(largest, (double)linear->terms[k].factor);
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++) {
            scaled->columns[k] = linear->terms[k].column;
            scaled->factors[k] = (double)linear->terms[k].factor / largest;
        }
        scaled->limits[row] = (double)linear->limits[row] / largest;
        engine->row_scales[row] = largest;
    }
}

static enum remat_status fill_in(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    struct remat_linear_scaled *scaled = &engine->scaled;
    scaled->columns_count = linear->columns_count;
    scaled->rows_count = linear->rows_count;
    scaled->begins = linear->begins;
    REMAT_TRY(REMAT_ALLOC(scaled->columns, linear->terms_count, err));
    REMAT_TRY(REMAT_ALLOC(scaled->factors, linear->terms_count, err));
    REMAT_TRY(REMAT_ALLOC(scaled->limits, linear->rows_count, err));
    REMAT_TRY(REMAT_ALLOC(scaled->costs, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->row_scales, linear->rows_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->low, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->high, linear->columns_count, err));
    scale(engine);
    return engine->library->open(scaled, &engine->program, err);
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
    return fill_in(*out, err);
}

void remat_linear_close(struct remat_linear_engine *engine)
{
    if (!engine)
        return;
    if (engine->program)
        engine->library->close(engine->program);
    free(engine->scaled.columns);
    free(engine->scaled.factors);
    free(engine->scaled.limits);
    free(engine->scaled.costs);
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
    for (k = 0; k < linear->columns_count; k++) {
        engine->low[k] = linear->low[k];
        engine->high[k] = linear->high[k];
    }
    REMAT_TRY(engine->library->solve(engine->program, engine->low, engine->high, steps, solution, prices, found, err));
    for (k = 0; *found && k < linear->rows_count; k++)
        prices[k] *= -engine->cost_scale / engine->row_scales[k];
    return REMAT_OK;
}
