/* Linear programs, scaled, in the hands of a library. */
#include "solver/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

/* Of a row, scaled. */
static const double TOLERANCE = 1e-7;

/* Columns and rows that the library has are numbered anew. */
struct remat_linear_engine {
    const struct remat_linear *linear;
    const struct remat_linear_library *library;
    void *program;
    int32_t *columns, *places;       /* per column of the library: the program's; and back, -1 = it was fixed */
    int32_t *rows;                   /* per row of the library: the program's */
    int32_t *waiting, waiting_count; /* rows that the library is given when a solution breaks them */
    int32_t columns_count, rows_count, rows_capacity; /* of the library */
    int32_t rows_seen, solved_rows;                   /* of the program; of the library, at the last solving */
    double *row_scales, cost_scale;                   /* a row and the costs are divided by these */
    double cost;                                      /* of the last solution found, scaled */
    double deadline;
    int32_t scales_capacity, duals_capacity;
    double *low, *high, *solution, *duals;
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

/* Whether some values of its columns break a row. */
static bool matters(const struct remat_linear *linear, int32_t row)
{
    double most = 0;
    int32_t k;
    for (k = linear->begins[row]; k < linear->begins[row + 1]; k++) {
        const struct remat_linear_term *term = &linear->terms[k];
        most += (double)term->factor * (term->factor > 0 ? linear->high[term->column] : linear->low[term->column]);
    }
    return most > (double)linear->limits[row];
}

static enum remat_status take_row(struct remat_linear_engine *engine, int32_t row, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(engine->rows, engine->rows_capacity, engine->rows_count + 1, err));
    REMAT_TRY(REMAT_GROW(engine->row_scales, engine->scales_capacity, engine->rows_count + 1, err));
    REMAT_TRY(REMAT_GROW(engine->duals, engine->duals_capacity, engine->rows_count + 1, err));
    engine->row_scales[engine->rows_count] = scale_of(engine->linear, row);
    engine->rows[engine->rows_count++] = row;
    return REMAT_OK;
}

static enum remat_status take_new_rows(struct remat_linear_engine *engine, struct remat_error *err)
{
    for (; engine->rows_seen < engine->linear->rows_count; engine->rows_seen++)
        if (matters(engine->linear, engine->rows_seen))
            REMAT_TRY(take_row(engine, engine->rows_seen, err));
    return REMAT_OK;
}

static void fill_row(const struct remat_linear_engine *engine, int32_t row, struct remat_linear_rows *out)
{
    const struct remat_linear *linear = engine->linear;
    double scale = engine->row_scales[row], limit = (double)linear->limits[engine->rows[row]];
    int32_t at = out->begins[out->count], k;
    for (k = linear->begins[engine->rows[row]]; k < linear->begins[engine->rows[row] + 1]; k++) {
        const struct remat_linear_term *term = &linear->terms[k];
        int32_t place = engine->places[term->column];
        if (place < 0) {
            limit -= (double)term->factor * linear->low[term->column];
            continue;
        }
        out->columns[at] = place;
        out->factors[at++] = (double)term->factor / scale;
    }
    out->limits[out->count++] = limit / scale;
    out->begins[out->count] = at;
}

/* Gives the library the rows taken from `first` on. */
static enum remat_status send_rows(struct remat_linear_engine *engine, int32_t first, struct remat_error *err)
{
    const int32_t *begins = engine->linear->begins;
    struct remat_linear_rows rows = {0};
    enum remat_status status = REMAT_OK;
    int32_t terms = 0, k;
    if (engine->rows_count == first)
        return REMAT_OK;
    for (k = first; k < engine->rows_count; k++)
        terms += begins[engine->rows[k] + 1] - begins[engine->rows[k]];
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.begins, engine->rows_count - first + 1, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.columns, terms, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.factors, terms, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rows.limits, engine->rows_count - first, err), done);
    for (k = first; k < engine->rows_count; k++)
        fill_row(engine, k, &rows);
    status = engine->library->add(engine->program, &rows, err);
done:
    free(rows.begins);
    free(rows.columns);
    free(rows.factors);
    free(rows.limits);
    return status;
}

/* Those that were closed since. */
static enum remat_status add_rows(struct remat_linear_engine *engine, struct remat_error *err)
{
    int32_t first = engine->rows_count;
    REMAT_TRY(take_new_rows(engine, err));
    return send_rows(engine, first, err);
}

/* -------------------------------------------------------------------------------------------------- rows that wait */

/* How far a row is beyond its limit, over its scale. */
static double violation(const struct remat_linear *linear, int32_t row, const double *solution)
{
    double sum = -(double)linear->limits[row];
    int32_t k;
    for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
        sum += (double)linear->terms[k].factor * solution[linear->terms[k].column];
    return sum / scale_of(linear, row);
}

/* At the beginning: rows that cost nothing wait until a solution breaks them. */
static enum remat_status let_rows_wait(struct remat_linear_engine *engine, const double *prices,
                                       struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    REMAT_TRY(REMAT_ALLOC(engine->waiting, linear->rows_count, err));
    for (; engine->rows_seen < linear->rows_count; engine->rows_seen++) {
        int32_t row = engine->rows_seen;
        if (!matters(linear, row))
            continue;
        if (prices[row] <= 0)
            engine->waiting[engine->waiting_count++] = row;
        else
            REMAT_TRY(take_row(engine, row, err));
    }
    return REMAT_OK;
}

/* *woken: how many no longer do. */
static enum remat_status wake_rows(struct remat_linear_engine *engine, const double *solution, int32_t *woken,
                                   struct remat_error *err)
{
    int32_t first = engine->rows_count, kept = 0, k;
    for (k = 0; k < engine->waiting_count; k++) {
        int32_t row = engine->waiting[k];
        if (violation(engine->linear, row, solution) > TOLERANCE)
            REMAT_TRY(take_row(engine, row, err));
        else
            engine->waiting[kept++] = row;
    }
    engine->waiting_count = kept;
    *woken = engine->rows_count - first;
    return send_rows(engine, first, err);
}

/* Those that are not fixed. */
static enum remat_status list_columns(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    int32_t k;
    REMAT_TRY(REMAT_ALLOC(engine->columns, linear->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->places, linear->columns_count, err));
    for (k = 0; k < linear->columns_count; k++) {
        engine->places[k] = linear->low[k] < linear->high[k] ? engine->columns_count : -1;
        if (engine->places[k] >= 0)
            engine->columns[engine->columns_count++] = k;
    }
    return REMAT_OK;
}

static enum remat_status open_program(struct remat_linear_engine *engine, struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    double *costs;
    enum remat_status status;
    int32_t k;
    engine->cost_scale = mean_cost(linear);
    REMAT_TRY(list_columns(engine, err));
    REMAT_TRY(REMAT_ALLOC(engine->low, engine->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->high, engine->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(engine->solution, engine->columns_count, err));
    REMAT_TRY(REMAT_ALLOC(costs, engine->columns_count, err));
    for (k = 0; k < engine->columns_count; k++)
        costs[k] = (double)linear->costs[engine->columns[k]] / engine->cost_scale;
    status = engine->library->open(engine->columns_count, costs, &engine->program, err);
    free(costs);
    return status;
}

enum remat_status remat_linear_open(const struct remat_linear *linear, const struct remat_linear_library *library,
                                    const double *prices, struct remat_linear_engine **out, struct remat_error *err)
{
    *out = NULL;
    library = library ? library : remat_linear_libraries[0];
    if (!library)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "this build solves no linear programs; install coinor-libclp-dev and build again");
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->linear = linear;
    (*out)->library = library;
    REMAT_TRY(open_program(*out, err));
    if (!prices)
        return REMAT_OK;
    REMAT_TRY(let_rows_wait(*out, prices, err));
    return send_rows(*out, 0, err);
}

void remat_linear_set_deadline(struct remat_linear_engine *engine, double deadline)
{
    engine->deadline = deadline;
}

void remat_linear_close(struct remat_linear_engine *engine)
{
    if (!engine)
        return;
    if (engine->program)
        engine->library->close(engine->program);
    free(engine->columns);
    free(engine->places);
    free(engine->rows);
    free(engine->waiting);
    free(engine->row_scales);
    free(engine->low);
    free(engine->high);
    free(engine->solution);
    free(engine->duals);
    free(engine);
}

/* The answer in terms of the program: fixed columns have their value, rows that the library lacks cost nothing. */
static void translate(const struct remat_linear_engine *engine, double *solution, double *prices)
{
    const struct remat_linear *linear = engine->linear;
    int32_t k;
    for (k = 0; k < linear->columns_count; k++)
        solution[k] = engine->places[k] >= 0 ? engine->solution[engine->places[k]] : linear->low[k];
    for (k = 0; k < linear->rows_count; k++)
        prices[k] = 0;
    for (k = 0; k < engine->rows_count; k++)
        prices[engine->rows[k]] = -engine->duals[k] * engine->cost_scale / engine->row_scales[k];
}

static enum remat_status solve(struct remat_linear_engine *engine, int64_t steps, bool *found, double *cost,
                               struct remat_error *err)
{
    const struct remat_linear *linear = engine->linear;
    int32_t k;
    REMAT_TRY(add_rows(engine, err));
    for (k = 0; k < engine->columns_count; k++) {
        engine->low[k] = linear->low[engine->columns[k]];
        engine->high[k] = linear->high[engine->columns[k]];
    }
    engine->solved_rows = engine->rows_count;
    *found = engine->rows_count == 0;
    *cost = 0;
    if (!*found)
        return engine->library->solve(engine->program, engine->low, engine->high, steps, engine->deadline,
                                      engine->solution, engine->duals, found, cost, err);
    memcpy(engine->solution, engine->low, (size_t)engine->columns_count * sizeof *engine->low); /* CLP fails here */
    return REMAT_OK;
}

enum remat_status remat_linear_solve(struct remat_linear_engine *engine, int64_t steps, double *solution,
                                     double *prices, bool *found, struct remat_error *err)
{
    int32_t woken = 1;
    while (woken > 0) {
        double cost;
        REMAT_TRY(solve(engine, steps, found, &cost, err));
        if (!*found)
            return REMAT_OK;
        engine->cost = cost;
        translate(engine, solution, prices);
        REMAT_TRY(wake_rows(engine, solution, &woken, err));
    }
    return REMAT_OK;
}

/* ----------------------------------------------------------------------------------------------------------- starts */

enum remat_status remat_linear_keep_start(const struct remat_linear_engine *engine, struct remat_linear_start *out,
                                          struct remat_error *err)
{
    *out = (struct remat_linear_start){0};
    if (!engine->library->get_start || engine->solved_rows == 0)
        return REMAT_OK;
    out->count = engine->columns_count + engine->solved_rows;
    REMAT_TRY(REMAT_ALLOC(out->status, out->count, err));
    engine->library->get_start(engine->program, out->status);
    return REMAT_OK;
}

/* Rows that are newer are slack. */
enum remat_status remat_linear_start_from(struct remat_linear_engine *engine, const struct remat_linear_start *start,
                                          struct remat_error *err)
{
    unsigned char *status;
    int32_t count, k;
    if (!start->status)
        return REMAT_OK;
    REMAT_TRY(add_rows(engine, err));
    count = engine->columns_count + engine->rows_count;
    REMAT_TRY(REMAT_ALLOC(status, count, err));
    for (k = 0; k < count; k++)
        status[k] = k < start->count ? start->status[k] : REMAT_LINEAR_BASIC;
    engine->library->set_start(engine->program, status);
    free(status);
    return REMAT_OK;
}

enum remat_status remat_linear_try(struct remat_linear_engine *engine, const struct remat_linear_start *start,
                                   int64_t steps, double *gain, struct remat_error *err)
{
    double cost;
    bool found;
    REMAT_TRY(remat_linear_start_from(engine, start, err));
    REMAT_TRY(solve(engine, steps, &found, &cost, err));
    *gain = cost > engine->cost ? (cost - engine->cost) * engine->cost_scale : 0;
    return REMAT_OK;
}
