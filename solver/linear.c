#include "solver/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void remat_linear_free(struct remat_linear *linear)
{
    free(linear->costs);
    free(linear->low);
    free(linear->high);
    free(linear->limits);
    free(linear->begins);
    free(linear->terms);
    memset(linear, 0, sizeof *linear);
}

enum remat_status remat_linear_column(struct remat_linear *linear, int64_t cost, int32_t *out, struct remat_error *err)
{
    int32_t needed = linear->columns_count + 1;
    REMAT_TRY(REMAT_GROW(linear->costs, linear->capacity[0], needed, err));
    REMAT_TRY(REMAT_GROW(linear->low, linear->capacity[1], needed, err));
    REMAT_TRY(REMAT_GROW(linear->high, linear->capacity[2], needed, err));
    *out = linear->columns_count++;
    linear->costs[*out] = cost;
    linear->low[*out] = 0;
    linear->high[*out] = 1;
    return REMAT_OK;
}

enum remat_status remat_linear_term(struct remat_linear *linear, int32_t column, int64_t factor,
                                    struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(linear->terms, linear->capacity[3], linear->terms_count + 1, err));
    linear->terms[linear->terms_count++] = (struct remat_linear_term){column, factor};
    return REMAT_OK;
}

enum remat_status remat_linear_close_row(struct remat_linear *linear, int64_t limit, struct remat_error *err)
{
    int32_t row = linear->rows_count;
    REMAT_TRY(REMAT_GROW(linear->limits, linear->capacity[4], row + 1, err));
    REMAT_TRY(REMAT_GROW(linear->begins, linear->capacity[5], row + 2, err));
    linear->limits[row] = limit;
    linear->begins[row + 1] = linear->terms_count;
    linear->rows_count++;
    return REMAT_OK;
}

/* Prices are rounded to multiples of 2^-REMAT_PRICE_BITS; products of one with a factor or a limit stay below
 * 2^MOST_BITS, so that no sum of them overflows. */
enum { MOST_BITS = 108 };

static __int128 fixed(const struct remat_linear *linear, int32_t row, double price)
{
    double scaled = price > 0 ? floor(ldexp(price, REMAT_PRICE_BITS)) : 0;
    double largest = fabs((double)linear->limits[row]) + 1;
    int32_t k;
    for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
        largest = fmax(largest, fabs((double)linear->terms[k].factor));
    return (__int128)fmin(scaled, ldexp(1, MOST_BITS) / largest);
}

enum remat_status remat_linear_prove(const struct remat_linear *linear, const double *prices,
                                     struct remat_linear_proof *out, struct remat_error *err)
{
    int32_t row, column, k;
    *out = (struct remat_linear_proof){0};
    REMAT_TRY(REMAT_ALLOC(out->reduced, linear->columns_count, err));
    for (column = 0; column < linear->columns_count; column++)
        out->reduced[column] = (__int128)linear->costs[column] << REMAT_PRICE_BITS;
    for (row = 0; row < linear->rows_count; row++) {
        __int128 price = fixed(linear, row, prices[row]);
        if (price == 0)
            continue;
        out->sum -= price * linear->limits[row];
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
            out->reduced[linear->terms[k].column] += price * linear->terms[k].factor;
    }
    for (column = 0; column < linear->columns_count; column++)
        out->sum += out->reduced[column] * (out->reduced[column] < 0 ? linear->high[column] : linear->low[column]);
    return REMAT_OK;
}

enum remat_status remat_linear_proven(const struct remat_linear *linear, const double *prices, int64_t *out,
                                      struct remat_error *err)
{
    const __int128 one = (__int128)1 << REMAT_PRICE_BITS;
    struct remat_linear_proof proof;
    enum remat_status status = remat_linear_prove(linear, prices, &proof, err);
    free(proof.reduced);
    *out = proof.sum > 0 ? (int64_t)((proof.sum + one - 1) / one) : 0;
    return status;
}
