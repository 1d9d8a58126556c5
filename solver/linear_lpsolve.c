/* lp_solve 5.5 behind solver/linear.h. */
#include "solver/linear.h"

#include <math.h>
#include <stdlib.h>

#ifdef REMAT_HAVE_LPSOLVE
#include <lpsolve/lp_lib.h>

struct remat_linear_engine {
    const struct remat_linear *linear;
    lprec *lp;
    double *row_scales, cost_scale; /* a row and the costs are divided by these */
    int64_t steps;
};

bool remat_linear_available(void)
{
    return true;
}

static enum remat_status refuse(struct remat_error *err)
{
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "lp_solve: not enough memory for the linear program");
}

/* Bytes and ns are large numbers: rows and costs are brought to about 1. */
static void find_scales(struct remat_linear_engine *engine)
{
    const struct remat_linear *linear = engine->linear;
    double logarithms = 0;
    int32_t priced = 0, row, k;
    for (k = 0; k < linear->columns_count; k++)
        if (linear->costs[k] > 0) {
            logarithms += log((double)linear->costs[k]);
            priced++;
        }
    engine->cost_scale = priced > 0 ? exp(logarithms / priced) : 1;
    for (row = 0; row < linear->rows_count; row++) {
        engine->row_scales[row] = 1;
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
            if ((double)linear->terms[k].factor > engine->row_scales[row])
                engine->row_scales[row] = (double)linear->terms[k].factor;
    }
}

static bool add_rows(const struct remat_linear_engine *engine, double *values, int *columns)
{
    const struct remat_linear *linear = engine->linear;
    int32_t row, k;
    for (k = 0; k < linear->columns_count; k++) {
        columns[k] = k + 1;
        values[k] = (double)linear->costs[k] / engine->cost_scale;
    }
    if (!set_obj_fnex(engine->lp, linear->columns_count, values, columns))
        return false;
    set_add_rowmode(engine->lp, TRUE);
    for (row = 0; row < linear->rows_count; row++) {
        int32_t begin = linear->begins[row], count = linear->begins[row + 1] - begin;
        for (k = 0; k < count; k++) {
            columns[k] = linear->terms[begin + k].column + 1;
            values[k] = (double)linear->terms[begin + k].factor / engine->row_scales[row];
        }
        if (!add_constraintex(engine->lp, count, values, columns, LE,
                              (double)linear->limits[row] / engine->row_scales[row]))
            return false;
    }
    set_add_rowmode(engine->lp, FALSE);
    return true;
}

static int __WINAPI out_of_steps(lprec *lp, void *context)
{
    const struct remat_linear_engine *engine = context;
    return get_total_iter(lp) > engine->steps;
}

static enum remat_status fill_in(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    double *values = NULL;
    int *columns = NULL;
    enum remat_status status;
    REMAT_TRY_GOTO(REMAT_ALLOC(engine->row_scales, linear->rows_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(values, linear->columns_count + 1, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(columns, linear->columns_count + 1, err), done);
    engine->lp = make_lp(0, linear->columns_count);
    if (!engine->lp) {
        status = refuse(err);
        goto done;
    }
    set_verbose(engine->lp, NEUTRAL);
    find_scales(engine);
    if (!add_rows(engine, values, columns))
        status = refuse(err);
    set_presolve(engine->lp, PRESOLVE_SENSDUALS, 0);
    put_abortfunc(engine->lp, out_of_steps, engine);
done:
    free(values);
    free(columns);
    return status;
}

enum remat_status remat_linear_open(const struct remat_linear *linear, struct remat_linear_engine **out,
                                    struct remat_error *err)
{
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->linear = linear;
    return fill_in(*out, err);
}

void remat_linear_close(struct remat_linear_engine *engine)
{
    if (!engine)
        return;
    if (engine->lp)
        delete_lp(engine->lp);
    free(engine->row_scales);
    free(engine);
}

enum remat_status remat_linear_solve(struct remat_linear_engine *engine, int64_t steps, double *solution,
                                     double *prices, bool *found, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    REAL *duals, *values;
    int32_t k;
    for (k = 0; k < linear->columns_count; k++)
        if (!set_bounds(engine->lp, k + 1, linear->low[k], linear->high[k]))
            return refuse(err);
    engine->steps = get_total_iter(engine->lp) + steps;
    *found = solve(engine->lp) == OPTIMAL && get_ptr_variables(engine->lp, &values) &&
             get_ptr_dual_solution(engine->lp, &duals);
    if (!*found)
        return REMAT_OK;
    for (k = 0; k < linear->columns_count; k++)
        solution[k] = values[k];
    for (k = 0; k < linear->rows_count; k++) /* theirs: change of the cost as the limit rises */
        prices[k] = -duals[k + 1] * engine->cost_scale / engine->row_scales[k];
    return REMAT_OK;
}

#else

bool remat_linear_available(void)
{
    return false;
}

enum remat_status remat_linear_open(const struct remat_linear *linear, struct remat_linear_engine **out,
                                    struct remat_error *err)
{
    (void)linear;
    *out = NULL;
    return remat_fail(err, REMAT_UNAVAILABLE, "this build has no lp_solve; install liblpsolve55-dev and build again");
}

void remat_linear_close(struct remat_linear_engine *engine)
{
    (void)engine;
}

enum remat_status remat_linear_solve(struct remat_linear_engine *engine, int64_t steps, double *solution,
                                     double *prices, bool *found, struct remat_error *err)
{
    (void)engine, (void)steps, (void)solution, (void)prices;
    *found = false;
    return remat_fail(err, REMAT_UNAVAILABLE, "this build has no lp_solve");
}

#endif
