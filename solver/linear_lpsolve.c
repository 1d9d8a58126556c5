/* lp_solve 5.5 behind solver/linear.h. */
#include "solver/linear.h"

#ifdef REMAT_HAVE_LPSOLVE
#include "core/base/clock.h"

#include <lpsolve/lp_lib.h>

#include <stdlib.h>

struct program {
    lprec *lp;
    int32_t columns_count, rows_count;
    int64_t last_step;
    double deadline; /* 0 = none */
};

static enum remat_status refuse(struct remat_error *err)
{
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "lp_solve: not enough memory for the linear program");
}

static int __WINAPI out_of_steps(lprec *lp, void *context)
{
    const struct program *program = context;
    return get_total_iter(lp) > program->last_step ||
           (program->deadline > 0 && remat_clock_seconds() >= program->deadline);
}

/* lp_solve counts columns from 1. */
static enum remat_status open_lpsolve(int32_t columns_count, double *costs, void **out, struct remat_error *err)
{
    struct program *program;
    int32_t k;
    REMAT_TRY(REMAT_ALLOC(program, 1, err));
    *out = program;
    program->columns_count = columns_count;
    program->lp = make_lp(0, columns_count);
    if (!program->lp)
        return refuse(err);
    set_verbose(program->lp, NEUTRAL);
    for (k = 0; k < columns_count; k++)
        if (!set_obj(program->lp, k + 1, costs[k]))
            return refuse(err);
    set_presolve(program->lp, PRESOLVE_SENSDUALS, 0);
    put_abortfunc(program->lp, out_of_steps, program);
    return REMAT_OK;
}

static enum remat_status add_lpsolve(void *handle, const struct remat_linear_rows *rows, struct remat_error *err)
{
    struct program *program = handle;
    int32_t row, k;
    if (program->rows_count == 0)
        set_add_rowmode(program->lp, TRUE); /* quicker; not permitted later */
    for (k = 0; k < rows->begins[rows->count]; k++)
        rows->columns[k]++;
    for (row = 0; row < rows->count; row++) {
        int32_t begin = rows->begins[row], count = rows->begins[row + 1] - begin;
        if (!add_constraintex(program->lp, count, &rows->factors[begin], &rows->columns[begin], LE, rows->limits[row]))
            return refuse(err);
    }
    set_add_rowmode(program->lp, FALSE);
    program->rows_count += rows->count;
    return REMAT_OK;
}

static enum remat_status solve_lpsolve(void *handle, const double *low, const double *high, int64_t steps,
                                       double deadline, double *solution, double *duals, bool *found, double *cost,
                                       struct remat_error *err)
{
    struct program *program = handle;
    REAL *values, *prices;
    int32_t k;
    for (k = 0; k < program->columns_count; k++)
        if (!set_bounds(program->lp, k + 1, low[k], high[k]))
            return refuse(err);
    program->last_step = get_total_iter(program->lp) + steps;
    program->deadline = deadline;
    *found = solve(program->lp) == OPTIMAL && get_ptr_variables(program->lp, &values) &&
             get_ptr_dual_solution(program->lp, &prices);
    *cost = get_working_objective(program->lp);
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
const struct remat_linear_library remat_linear_lpsolve = {"lp_solve",    open_lpsolve, add_lpsolve, solve_lpsolve,
                                                          close_lpsolve, NULL,         NULL};
#endif
