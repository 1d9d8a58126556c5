/* COIN-OR CLP behind solver/linear.h. */
#include "solver/linear.h"

#ifdef REMAT_HAVE_CLP
#include "core/base/clock.h"

#include <Clp_C_Interface.h>

#include <float.h>
#include <stdlib.h>

enum { STEPS_A_SLICE = 2000 };
enum { OPTIMAL = 0, OUT_OF_STEPS = 3 }; /* CLP's */

static enum remat_status open_clp(int32_t columns_count, double *costs, void **out, struct remat_error *err)
{
    Clp_Simplex *model = *out = Clp_newModel();
    if (!model)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "CLP: not enough memory for the linear program");
    Clp_setLogLevel(model, 0);
    Clp_scaling(model, 0); /* rows come scaled; on these programs its own scaling costs several times the steps */
    Clp_setPerturbation(model, 50);
    Clp_resize(model, 0, columns_count);
    Clp_chgObjCoefficients(model, costs);
    return REMAT_OK;
}

static enum remat_status add_clp(void *program, const struct remat_linear_rows *rows, struct remat_error *err)
{
    double *least;
    int32_t row;
    REMAT_TRY(REMAT_ALLOC(least, rows->count, err));
    for (row = 0; row < rows->count; row++)
        least[row] = -DBL_MAX;
    Clp_addRows(program, rows->count, least, rows->limits, rows->begins, rows->columns, rows->factors);
    free(least);
    return REMAT_OK;
}

/* CLP's own limit of time counts the processor time of all threads, so the clock is looked at every now and then. */
static bool reach_optimum(Clp_Simplex *model, int64_t steps, double deadline)
{
    int64_t slice = deadline > 0 && steps > STEPS_A_SLICE ? STEPS_A_SLICE : steps;
    int status = OUT_OF_STEPS;
    for (; status == OUT_OF_STEPS && steps > 0; steps -= slice) {
        Clp_setMaximumIterations(model, (int)slice);
        status = Clp_dual(model, 0);
        Clp_setPerturbation(model, 100); /* later solvings start near their end: only if they take long */
        if (deadline > 0 && remat_clock_seconds() >= deadline)
            break;
    }
    return status == OPTIMAL;
}

static enum remat_status solve_clp(void *program, const double *low, const double *high, int64_t steps, double deadline,
                                   double *solution, double *duals, bool *found, double *cost, struct remat_error *err)
{
    const double *values, *prices;
    int32_t k;
    (void)err;
    Clp_chgColumnLower(program, low);
    Clp_chgColumnUpper(program, high);
    *found = reach_optimum(program, steps, deadline);
    *cost = Clp_objectiveValue(program);
    values = Clp_primalColumnSolution(program);
    prices = Clp_dualRowSolution(program);
    for (k = 0; *found && k < Clp_numberColumns(program); k++)
        solution[k] = values[k];
    for (k = 0; *found && k < Clp_numberRows(program); k++)
        duals[k] = prices[k];
    return REMAT_OK;
}

static void close_clp(void *program)
{
    Clp_deleteModel(program);
}

static void get_start(void *program, unsigned char *status)
{
    const unsigned char *known = Clp_statusArray(program);
    int32_t count = Clp_numberColumns(program) + Clp_numberRows(program), k;
    for (k = 0; k < count; k++)
        status[k] = known[k] & 7; /* the rest is CLP's own */
}

static void set_start(void *program, const unsigned char *status)
{
    Clp_copyinStatus(program, status);
}

extern const struct remat_linear_library remat_linear_clp;
const struct remat_linear_library remat_linear_clp = {"clp",     open_clp,  add_clp,  solve_clp,
                                                      close_clp, get_start, set_start};
#endif
