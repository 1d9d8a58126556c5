/* lp_solve 5.5 behind solver/linear.h. */
#include "solver/linear.h"

#ifdef REMAT_HAVE_LPSOLVE
#include <lpsolve/lp_lib.h>

#include <stdlib.h>

struct program {
    lprec *lp;
    int32_t columns_count, rows_count;
    int64_t last_step;
};

static enum remat_status refuse(struct remat_error *err)
{
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "lp_solve: not enough memory for the linear program");
}

/* lp_solve counts columns from 1. */
static bool add_rows(lprec *lp, const struct remat_linear_scaled *scaled, int *columns)
{
    int32_t row, k;
    for (k = 0; k < scaled->columns_count; k++)
        columns[k] = k + 1;
    if (!set_obj_fnex(lp, scaled->columns_count, scaled->costs, columns))
        return false;
    set_add_rowmode(lp, TRUE);
    for (row = 0; row < scaled->rows_count; row++) {
        int32_t begin = scaled->begins[row], count = scaled->begins[row + 1] - begin;
        for (k = 0; k < count; k++)
            columns[k] = scaled->columns[begin + k] + 1;
        if (!add_constraintex(lp, count, &scaled->factors[begin], columns, LE, scaled->limits[row]))
            return false;
    }
    set_add_rowmode(lp, FALSE);
    return true;
}

static int __WINAPI out_of_steps(lprec *lp, void *context)
{
    const struct program *program = context;
    return get_total_iter(lp) > program->last_step;
}

static enum remat_status open_lpsolve(const struct remat_linear_scaled *scaled, void **out, struct remat_error *err)
{
    struct program *program;
    int *columns;
    bool added;
    REMAT_TRY(REMAT_ALLOC(program, 1, err));
    *out = program;
    program->columns_count = scaled->columns_count;
    program->rows_count = scaled->rows_count;
    program->lp = make_lp(0, scaled->columns_count);
    if (!program->lp)
        return refuse(err);
    set_verbose(program->lp, NEUTRAL);
    REMAT_TRY(REMAT_ALLOC(columns, scaled->columns_count, err));
    added = add_rows(program->lp, scaled, columns);
    free(columns);
    if (!added)
        return refuse(err);
    set_presolve(program->lp, PRESOLVE_SENSDUALS, 0);
    put_abortfunc(program->lp, out_of_steps, program);
    return REMAT_OK;
}

static enum remat_status solve_lpsolve(void *handle, const double *low, const double *high, int64_t steps,
                                       double *solution, double *duals, bool *found, struct remat_error *err)
{
    struct program *program = handle;
    REAL *values, *prices;
    int32_t k;
    for (k = 0; k < program->columns_count; k++)
        if (!set_bounds(program->lp, k + 1, low[k], high[k]))
            return refuse(err);
    program->last_step = get_total_iter(program->lp) + steps;
    *found = solve(program->lp) == OPTIMAL && get_ptr_variables(program->lp, &values) &&
             get_ptr_dual_solution(program->lp, &prices);
    for (k = 0; *found && k < program->columns_count; k++)
        solution[k] = values[k];
    for (k = 0; *found && k < program->rows_count; k++)
        duals[k] = prices[k + 1];
    return REMAT_OK;
}

static void close_lpsolve(void *handle)
{
    struct program *program = handle;
    if (program->lp)
        delete_lp(program->lp);
    free(program);
}

extern const struct remat_linear_library remat_linear_lpsolve;
const struct remat_linear_library remat_linear_lpsolve = {"lp_solve", open_lpsolve, solve_lpsolve, close_lpsolve};
#endif
