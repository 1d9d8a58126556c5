#include "solver/linear_fix.h"

#include <stdlib.h>
#include <string.h>

void remat_linear_fixer_free(struct remat_linear_fixer *fixer)
{
    free(fixer->fixed);
    free(fixer->begins);
    free(fixer->rows);
    free(fixer->waiting);
    free(fixer->waits);
    memset(fixer, 0, sizeof *fixer);
}

enum remat_status remat_linear_fix(struct remat_linear_fixer *fixer, int32_t column, int8_t value,
                                   struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(fixer->fixed, fixer->fixed_capacity, fixer->fixed_count + 1, err));
    fixer->fixed[fixer->fixed_count++] = (struct remat_linear_fixed){column, value};
    fixer->linear->low[column] = fixer->linear->high[column] = value;
    return REMAT_OK;
}

void remat_linear_unfix(struct remat_linear_fixer *fixer, int32_t begin, int32_t end)
{
    int32_t k;
    for (k = begin; k < end; k++) {
        fixer->linear->low[fixer->fixed[k].column] = 0;
        fixer->linear->high[fixer->fixed[k].column] = 1;
    }
}

void remat_linear_refix(struct remat_linear_fixer *fixer, int32_t begin, int32_t end)
{
    int32_t k;
    for (k = begin; k < end; k++)
        fixer->linear->low[fixer->fixed[k].column] = fixer->linear->high[fixer->fixed[k].column] =
            fixer->fixed[k].value;
}

/* ---------------------------------------------------------------------------------------------------------- by rows */

/* Which rows a column is in; rows may have been added. */
static enum remat_status list_rows(struct remat_linear_fixer *fixer, struct remat_error *err)
{
    const struct remat_linear *linear = fixer->linear;
    int32_t row, k;
    if (fixer->begins && fixer->rows_count == linear->rows_count)
        return REMAT_OK;
    free(fixer->begins);
    free(fixer->rows);
    free(fixer->waiting);
    free(fixer->waits);
    fixer->begins = fixer->rows = fixer->waiting = NULL;
    fixer->waits = NULL;
    REMAT_TRY(REMAT_ALLOC(fixer->begins, linear->columns_count + 2, err));
    REMAT_TRY(REMAT_ALLOC(fixer->rows, linear->terms_count, err));
    REMAT_TRY(REMAT_ALLOC(fixer->waiting, linear->rows_count, err));
    REMAT_TRY(REMAT_ALLOC(fixer->waits, linear->rows_count, err));
    for (k = 0; k < linear->terms_count; k++)
        fixer->begins[linear->terms[k].column + 2]++;
    for (k = 2; k <= linear->columns_count + 1; k++)
        fixer->begins[k] += fixer->begins[k - 1];
    for (row = 0; row < linear->rows_count; row++)
        for (k = linear->begins[row]; k < linear->begins[row + 1]; k++)
            fixer->rows[fixer->begins[linear->terms[k].column + 1]++] = row;
    fixer->rows_count = linear->rows_count;
    return REMAT_OK;
}

static void wait_for(struct remat_linear_fixer *fixer, int32_t row)
{
    if (!fixer->waits[row])
        fixer->waiting[fixer->waiting_count++] = row;
    fixer->waits[row] = true;
}

static void wait_for_rows(struct remat_linear_fixer *fixer, int32_t column)
{
    int32_t k;
    for (k = fixer->begins[column]; k < fixer->begins[column + 1]; k++)
        wait_for(fixer, fixer->rows[k]);
}

/* The limit less the least that the row's sum can be. */
static __int128 room_of(const struct remat_linear_fixer *fixer, int32_t row)
{
    const struct remat_linear *linear = fixer->linear;
    __int128 room = linear->limits[row];
    int32_t k;
    for (k = linear->begins[row]; k < linear->begins[row + 1]; k++) {
        const struct remat_linear_term *term = &linear->terms[k];
        if (term->column != fixer->excess)
            room -=
                (__int128)term->factor * (term->factor > 0 ? linear->low[term->column] : linear->high[term->column]);
    }
    return room;
}

static enum remat_status look_at(struct remat_linear_fixer *fixer, int32_t row, bool *possible, struct remat_error *err)
{
    const struct remat_linear *linear = fixer->linear;
    __int128 room = room_of(fixer, row);
    int32_t k;
    *possible = room >= 0;
    for (k = linear->begins[row]; k < linear->begins[row + 1] && *possible; k++) {
        const struct remat_linear_term *term = &linear->terms[k];
        if (term->column == fixer->excess || linear->low[term->column] == linear->high[term->column] ||
            llabs(term->factor) <= room)
            continue;
        REMAT_TRY(remat_linear_fix(fixer, term->column, term->factor < 0, err));
        wait_for_rows(fixer, term->column);
    }
    return REMAT_OK;
}

enum remat_status remat_linear_fix_by_rows(struct remat_linear_fixer *fixer, int32_t first, bool *possible,
                                           struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    int32_t k;
    REMAT_TRY(list_rows(fixer, err));
    *possible = true;
    for (k = 0; first < 0 && k < fixer->rows_count; k++)
        wait_for(fixer, k);
    for (k = first; first >= 0 && k < fixer->fixed_count; k++)
        wait_for_rows(fixer, fixer->fixed[k].column);
    while (fixer->waiting_count > 0) {
        int32_t row = fixer->waiting[--fixer->waiting_count];
        fixer->waits[row] = false;
        if (*possible && status == REMAT_OK)
            status = look_at(fixer, row, possible, err);
    }
    return status;
}

/* -------------------------------------------------------------------------------------------------------- by prices */

enum remat_status remat_linear_fix_by_prices(struct remat_linear_fixer *fixer, const double *prices, int64_t enough,
                                             struct remat_error *err)
{
    const struct remat_linear *linear = fixer->linear;
    struct remat_linear_proof proof;
    enum remat_status status = remat_linear_prove(linear, prices, &proof, err);
    const __int128 one = (__int128)1 << REMAT_PRICE_BITS;
    __int128 room = (enough - 1) * one - proof.sum; /* what is above is enough, rounded up */
    int32_t k;
    for (k = 0; k < linear->columns_count && status == REMAT_OK; k++) {
        __int128 reduced = proof.reduced[k];
        if (k == fixer->excess || linear->low[k] == linear->high[k])
            continue;
        if (reduced > room)
            status = remat_linear_fix(fixer, k, 0, err);
        else if (-reduced > room)
            status = remat_linear_fix(fixer, k, 1, err);
    }
    free(proof.reduced);
    return status;
}
