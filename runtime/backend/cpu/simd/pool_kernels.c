#include "runtime/backend/cpu/simd/pool_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"

typedef int32_t remat_vec_int __attribute__((vector_size(REMAT_LANES * 4)));
typedef int32_t remat_vec_int_unaligned __attribute__((vector_size(REMAT_LANES * 4), aligned(4), may_alias));

enum { CHANNELS = 64 };

/* Lanes of a where the mask is set, else of b. */
static inline remat_vec_int choose(remat_vec_int mask, remat_vec_int a, remat_vec_int b)
{
    return (mask & a) | (~mask & b);
}

static void largest_vector(const struct remat_pool_taps *taps, int64_t c, float *y, int32_t *place)
{
    remat_vec best = remat_vec_load(taps->values[0] + c);
    remat_vec_int at = (remat_vec_int){0} + taps->position[0];
    for (int32_t k = 1; k < taps->count; k++) {
        remat_vec value = remat_vec_load(taps->values[k] + c);
        remat_vec_int greater = value > best;
        best = (remat_vec)choose(greater, (remat_vec_int)value, (remat_vec_int)best);
        at = choose(greater, (remat_vec_int){0} + taps->position[k], at);
    }
    remat_vec_store(y + c, best);
    *(remat_vec_int_unaligned *)place = at;
}

static void largest_scalar(const struct remat_pool_taps *taps, int64_t c, float *y, uint8_t *place)
{
    int32_t best = 0;
    for (int32_t k = 1; k < taps->count; k++)
        best = taps->values[k][c] > taps->values[best][c] ? k : best;
    y[c] = taps->values[best][c];
    place[c] = (uint8_t)taps->position[best];
}

static void largest(const struct remat_pool_taps *taps, int64_t channels, float *y, uint8_t *place)
{
    int64_t c = 0;
    for (; c + CHANNELS <= channels; c += CHANNELS) {
        int32_t wide[CHANNELS];
        for (int i = 0; i < CHANNELS; i += REMAT_LANES)
            largest_vector(taps, c + i, y, wide + i);
        for (int i = 0; i < CHANNELS; i++)
            place[c + i] = (uint8_t)wide[i];
    }
    for (; c < channels; c++)
        largest_scalar(taps, c, y, place);
}

static void gather(const struct remat_pool_taps *taps, int64_t channels, float *dx)
{
    if (taps->count == 0)
        memset(dx, 0, (size_t)channels * sizeof *dx);
    for (int32_t k = 0; k < taps->count; k++) {
        const float *restrict dy = taps->values[k];
        const uint8_t *restrict place = taps->places[k];
        float *restrict out = dx;
        int32_t position = taps->position[k];
        if (k == 0) {
            for (int64_t c = 0; c < channels; c++)
                out[c] = place[c] == position ? dy[c] : 0.0f;
        } else {
            for (int64_t c = 0; c < channels; c++)
                out[c] += place[c] == position ? dy[c] : 0.0f;
        }
    }
}

static void scale(const float *x, int64_t channels, float factor, float *y)
{
    REMAT_INDEPENDENT
    for (int64_t c = 0; c < channels; c++)
        y[c] = x[c] * factor;
}

static void mean(const float *x, int64_t rows, int64_t channels, float factor, float *y)
{
    memcpy(y, x, (size_t)channels * sizeof *y);
    for (int64_t r = 1; r < rows; r++) {
        const float *restrict row = x + r * channels;
        float *restrict out = y;
        for (int64_t c = 0; c < channels; c++)
            out[c] += row[c];
    }
    scale(y, channels, factor, y);
}

const struct remat_pool_kernels REMAT_SIMD_NAME(remat_pool_kernels) = {
    .largest = largest,
    .gather = gather,
    .mean = mean,
    .scale = scale,
};
