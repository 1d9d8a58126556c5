#include "solver/integer_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Violations by less are not worth a row. */
static const double LEAST_VIOLATION = 1e-3;
static const double THRESHOLDS[] = {0.5, 0.999, 0.001};
static const double WHOLE = 1e-6;
enum { MOST_DIVISORS = 12 };

enum remat_status remat_integer_row_make(struct remat_integer_row *out, int32_t columns, struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_ALLOC(out->factors, columns, err));
    REMAT_TRY(REMAT_ALLOC(out->is_touched, columns, err));
    return REMAT_ALLOC(out->touched, columns, err);
}

void remat_integer_row_free(struct remat_integer_row *row)
{
    free(row->factors);
    free(row->is_touched);
    free(row->touched);
    memset(row, 0, sizeof *row);
}

void remat_integer_row_clear(struct remat_integer_row *row)
{
    int32_t k;
    for (k = 0; k < row->touched_count; k++) {
        row->factors[row->touched[k]] = 0;
        row->is_touched[row->touched[k]] = false;
    }
    row->touched_count = 0;
    row->limit = 0;
}

void remat_integer_row_add(struct remat_integer_row *row, int32_t column, int64_t factor)
{
    if (!row->is_touched[column])
        row->touched[row->touched_count++] = column;
    row->is_touched[column] = true;
    row->factors[column] += factor;
}

static int64_t floor_division(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* A form of a row: limits are those after the replacement. */
struct form {
    double threshold;
    int64_t divisor, limit, whole, rest;
};

static struct form make_form(const struct remat_integer_row *row, const double *solution, double threshold,
                             int64_t divisor)
{
    struct form form = {.threshold = threshold, .divisor = divisor, .limit = row->limit};
    int32_t k;
    for (k = 0; k < row->touched_count && divisor > 0; k++)
        if (solution[row->touched[k]] > threshold)
            form.limit -= row->factors[row->touched[k]];
    if (divisor > 0) {
        form.whole = floor_division(form.limit, divisor);
        form.rest = form.limit - form.whole * divisor;
    }
    return form;
}

static int64_t form_limit(const struct form *form)
{
    return form->divisor > 0 ? form->whole * (form->divisor - form->rest) : form->limit;
}

/* Of the column or, where it is replaced, of 1 - x. */
static int64_t form_factor(const struct form *form, int64_t factor, bool replaced)
{
    int64_t whole, beyond;
    if (form->divisor == 0)
        return factor;
    factor = replaced ? -factor : factor;
    whole = floor_division(factor, form->divisor);
    beyond = factor - whole * form->divisor - form->rest;
    return whole * (form->divisor - form->rest) + (beyond > 0 ? beyond : 0);
}

static double violation(const struct remat_integer_row *row, const double *solution, const struct form *form)
{
    double sum = -(double)form_limit(form), length = 0;
    int32_t k;
    for (k = 0; k < row->touched_count; k++) {
        double value = solution[row->touched[k]];
        bool replaced = form->divisor > 0 && value > form->threshold;
        double factor = (double)form_factor(form, row->factors[row->touched[k]], replaced);
        sum += factor * (replaced ? 1 - value : value);
        length += factor * factor;
    }
    return length > 0 ? sum / sqrt(length) : 0;
}

/* The factors of fractional columns, and a number that is larger than all; none if the row has more room than any
 * fraction takes: no form cuts off much then. */
static int32_t list_divisors(const struct remat_integer_row *row, const double *solution, int64_t *out)
{
    int64_t largest = llabs(row->limit), most = 0;
    double room = (double)row->limit;
    int32_t count = 0, k, d;
    for (k = 0; k < row->touched_count; k++) {
        double value = solution[row->touched[k]];
        int64_t factor = llabs(row->factors[row->touched[k]]);
        largest += factor;
        room -= (double)row->factors[row->touched[k]] * value;
        if (value > WHOLE && value < 1 - WHOLE && factor > most)
            most = factor;
        for (d = 0; d < count && out[d] != factor; d++)
            continue;
        if (value > WHOLE && value < 1 - WHOLE && d == count && count < MOST_DIVISORS && factor > 0)
            out[count++] = factor;
    }
    if (count == 0 || room > (double)most)
        return 0;
    out[count++] = largest + 1;
    return count;
}

struct remat_rounding remat_integer_row_round(const struct remat_integer_row *row, const double *solution)
{
    struct remat_rounding best = {.violation = 0};
    struct form form = make_form(row, solution, 0, 0);
    int64_t divisors[MOST_DIVISORS + 1];
    double value = violation(row, solution, &form);
    int32_t count = list_divisors(row, solution, divisors), d;
    size_t t;
    if (value > LEAST_VIOLATION)
        best.violation = value;
    for (t = 0; t < sizeof THRESHOLDS / sizeof *THRESHOLDS; t++)
        for (d = 0; d < count; d++) {
            form = make_form(row, solution, THRESHOLDS[t], divisors[d]);
            value = form.rest > 0 ? violation(row, solution, &form) : 0;
            if (value > LEAST_VIOLATION && value > best.violation)
                best = (struct remat_rounding){THRESHOLDS[t], divisors[d], value};
        }
    return best;
}

enum remat_status remat_integer_row_write(const struct remat_integer_row *row, const double *solution,
                                          const struct remat_rounding *rounding, int32_t excess,
                                          struct remat_linear *linear, struct remat_error *err)
{
    struct form form = make_form(row, solution, rounding->threshold, rounding->divisor);
    int64_t limit = form_limit(&form), most = 0;
    int32_t k;
    for (k = 0; k < row->touched_count; k++) {
        int32_t column = row->touched[k];
        bool replaced = form.divisor > 0 && solution[column] > form.threshold;
        int64_t factor = form_factor(&form, row->factors[column], replaced);
        if (replaced) {
            limit -= factor;
            factor = -factor;
        }
        most += factor > 0 ? factor : 0;
        if (factor != 0)
            REMAT_TRY(remat_linear_term(linear, column, factor, err));
    }
    if (most > limit)
        REMAT_TRY(remat_linear_term(linear, excess, limit - most, err));
    return remat_linear_close_row(linear, limit, err);
}
