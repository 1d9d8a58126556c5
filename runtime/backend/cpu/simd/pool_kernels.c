#include "runtime/backend/cpu/simd/pool_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"

typedef int32_t remat_vec_int __attribute__((vector_size(REMAT_LANES * 4)));
typedef int32_t remat_vec_int_unaligned __attribute__((vector_size(REMAT_LANES * 4), aligned(4), may_alias));

enum { CHANNELS = 64, VECTORS = 4 };

/* Lanes of a where the mask is set, else of b. */
static inline remat_vec_int choose(remat_vec_int mask, remat_vec_int a, remat_vec_int b)
{
#if defined(__AVX2__) && !defined(__AVX512F__)
    return (remat_vec_int)_mm256_blendv_epi8((__m256i)b, (__m256i)a, (__m256i)mask);
#else
    return (mask & a) | (~mask & b);
#endif
}

/* VECTORS vectors of channels at once, in registers over all taps. */
static void largest_vectors(const struct remat_pool_taps *taps, int64_t c, float *y, int32_t *place)
{
    remat_vec best[VECTORS];
    remat_vec_int at[VECTORS];
    REMAT_UNROLL
    for (int i = 0; i < VECTORS; i++) {
        best[i] = remat_vec_load(taps->values[0] + c + i * REMAT_LANES);
        at[i] = (remat_vec_int){0} + taps->position[0];
    }
    for (int32_t k = 1; k < taps->count; k++) {
        const float *values = taps->values[k] + c;
        remat_vec_int position = (remat_vec_int){0} + taps->position[k];
        REMAT_UNROLL
        for (int i = 0; i < VECTORS; i++) {
            remat_vec value = remat_vec_load(values + i * REMAT_LANES);
            remat_vec_int greater = value > best[i];
            best[i] = (remat_vec)choose(greater, (remat_vec_int)value, (remat_vec_int)best[i]);
            at[i] = choose(greater, position, at[i]);
        }
    }
    REMAT_UNROLL
    for (int i = 0; i < VECTORS; i++) {
        remat_vec_store(y + c + i * REMAT_LANES, best[i]);
        *(remat_vec_int_unaligned *)(place + i * REMAT_LANES) = at[i];
    }
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
        for (int i = 0; i < CHANNELS; i += VECTORS * REMAT_LANES)
            largest_vectors(taps, c + i, y, wide + i);
        for (int i = 0; i < CHANNELS; i++)
            place[c + i] = (uint8_t)wide[i];
    }
    for (; c < channels; c++)
        largest_scalar(taps, c, y, place);
}

/* REMAT_LANES bytes as integers. */
static inline remat_vec_int widen(const uint8_t *bytes)
{
#if defined(__AVX512F__)
    return (remat_vec_int)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
#elif defined(__AVX2__)
    return (remat_vec_int)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)bytes));
#else
    remat_vec_int wide;
    for (int i = 0; i < REMAT_LANES; i++)
        wide[i] = bytes[i];
    return wide;
#endif
}

/* Lanes of dy where the place is the position, else 0. */
static inline remat_vec matching(const float *dy, const uint8_t *place, int32_t position)
{
    remat_vec_int mask = widen(place) == (remat_vec_int){0} + position;
    return (remat_vec)(mask & (remat_vec_int)remat_vec_load(dy));
}

static void gather_vectors(const struct remat_pool_taps *taps, int64_t c, float *to)
{
    remat_vec sum[VECTORS] = {{0}};
    for (int32_t k = 0; k < taps->count; k++) {
        const float *dy = taps->values[k] + c;
        const uint8_t *place = taps->places[k] + c;
        REMAT_UNROLL
        for (int i = 0; i < VECTORS; i++)
            sum[i] += matching(dy + i * REMAT_LANES, place + i * REMAT_LANES, taps->position[k]);
    }
    REMAT_UNROLL
    for (int i = 0; i < VECTORS; i++)
        remat_vec_store(to + i * REMAT_LANES, sum[i]);
}

static float gather_scalar(const struct remat_pool_taps *taps, int64_t c)
{
    float sum = 0;
    for (int32_t k = 0; k < taps->count; k++)
        sum += taps->places[k][c] == taps->position[k] ? taps->values[k][c] : 0.0f;
    return sum;
}

static void gather(const struct remat_pool_taps *taps, int64_t channels, bool stream, float *dx)
{
    float tile[REMAT_TILE];
    for (int64_t start = 0; start < channels; start += REMAT_TILE) {
        int64_t count = channels - start < REMAT_TILE ? channels - start : REMAT_TILE, c = 0;
        float *to = stream ? tile : dx + start;
        for (; c + VECTORS * REMAT_LANES <= count; c += VECTORS * REMAT_LANES)
            gather_vectors(taps, start + c, to + c);
        for (; c < count; c++)
            to[c] = gather_scalar(taps, start + c);
        if (stream)
            remat_stream(dx + start, tile, count);
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
    .gather_end = remat_stream_end,
    .mean = mean,
    .scale = scale,
};
