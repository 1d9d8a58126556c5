#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include "runtime/backend/cpu/simd/vector.h"

#include <string.h>

/* Tile sizes that use the registers well: two vectors of B, one broadcast of A, the rest accumulators. */
#if defined(__AVX512F__)
enum { ROWS = 14 };
#else
enum { ROWS = 6 };
#endif
enum { COLUMNS = 2 * REMAT_LANES };

#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Heights with a function each; X is given a constant. */
#if defined(__AVX512F__)
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)
#else
#define EACH_HEIGHT(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

/* One row of the tile, when all its columns are valid. */
ALWAYS_INLINE void store_row(float *c, remat_vec low, remat_vec high, const float *bias, bool add)
{
    if (bias) {
        low += remat_vec_load(bias);
        high += remat_vec_load(bias + REMAT_LANES);
    }
    if (add) {
        low += remat_vec_load(c);
        high += remat_vec_load(c + REMAT_LANES);
    }
    remat_vec_store(c, low);
    remat_vec_store(c + REMAT_LANES, high);
}

/* Out of line: rare, and it would spoil the registers of the common case. */
static __attribute__((noinline)) void store_part(float *c, remat_vec low, remat_vec high, const float *bias, bool add,
                                                 int32_t columns)
{
    float row[COLUMNS];
    remat_vec_store(row, low);
    remat_vec_store(row + REMAT_LANES, high);
    for (int32_t j = 0; j < columns; j++) {
        float value = bias ? row[j] + bias[j] : row[j];
        c[j] = add ? value + c[j] : value;
    }
}

ALWAYS_INLINE void store_tile(const int32_t height, remat_vec sums[][2], const struct remat_tile_out *out)
{
    const float *bias = out->bias ? out->bias + out->column : NULL;
    remat_vec alpha = remat_vec_set(out->alpha);
    if (out->stream) {
        REMAT_UNROLL
        for (int32_t i = 0; i < height; i++) {
            remat_vec_stream(out->out[i] + out->column, sums[i][0]);
            remat_vec_stream(out->out[i] + out->column + REMAT_LANES, sums[i][1]);
        }
    } else if (out->columns == COLUMNS) {
        REMAT_UNROLL
        for (int32_t i = 0; i < height; i++)
            store_row(out->out[i] + out->column, alpha * sums[i][0], alpha * sums[i][1], bias, out->add);
    } else {
        REMAT_UNROLL
        for (int32_t i = 0; i < height; i++)
            store_part(out->out[i] + out->column, alpha * sums[i][0], alpha * sums[i][1], bias, out->add, out->columns);
    }
}

/* C is needed when the sums are done; it may be far away by then. */
ALWAYS_INLINE void prefetch_tile(const int32_t height, const struct remat_tile_out *out)
{
    if (out->stream)
        return;
    REMAT_UNROLL
    for (int32_t i = 0; i < height; i++)
        __builtin_prefetch(out->out[i] + out->column, 1);
}

ALWAYS_INLINE void tile_by_rows(const int32_t height, int64_t segments, int64_t length, const float *const *left,
                                const float *panel, int64_t panel_step, const struct remat_tile_out *out)
{
    remat_vec sums[ROWS][2];
    prefetch_tile(height, out);
    REMAT_UNROLL
    for (int32_t i = 0; i < height; i++)
        sums[i][0] = sums[i][1] = (remat_vec){0};
    for (int64_t s = 0; s < segments; s++, left += ROWS, panel += panel_step) {
        const float *rows[ROWS], *at = panel;
        REMAT_UNROLL
        for (int32_t i = 0; i < height; i++)
            rows[i] = left[i];
        for (int64_t p = 0; p < length; p++, at += COLUMNS) {
            remat_vec low = remat_vec_load(at), high = remat_vec_load(at + REMAT_LANES);
            REMAT_UNROLL
            for (int32_t i = 0; i < height; i++) {
                remat_vec a = remat_vec_set(rows[i][p]);
                sums[i][0] += a * low;
                sums[i][1] += a * high;
            }
        }
    }
    store_tile(height, sums, out);
}

ALWAYS_INLINE void tile_by_columns(const int32_t height, int64_t k, const float *left, int64_t left_step,
                                   const float *panel, int64_t panel_step, const struct remat_tile_out *out)
{
    remat_vec sums[ROWS][2];
    prefetch_tile(height, out);
    REMAT_UNROLL
    for (int32_t i = 0; i < height; i++)
        sums[i][0] = sums[i][1] = (remat_vec){0};
    for (int64_t p = 0; p < k; p++, left += left_step, panel += panel_step) {
        remat_vec low = remat_vec_load(panel), high = remat_vec_load(panel + REMAT_LANES);
        REMAT_UNROLL
        for (int32_t i = 0; i < height; i++) {
            remat_vec a = remat_vec_set(left[i]);
            sums[i][0] += a * low;
            sums[i][1] += a * high;
        }
    }
    store_tile(height, sums, out);
}

static void by_rows(int32_t height, int64_t segments, int64_t length, const float *const *left, const float *panel,
                    int64_t panel_step, const struct remat_tile_out *out)
{
    switch (height) {
#define X(n)                                                             \
    case n:                                                              \
        tile_by_rows(n, segments, length, left, panel, panel_step, out); \
        return;
        EACH_HEIGHT(X)
#undef X
    }
}

static void by_columns(int32_t height, int64_t k, const float *left, int64_t left_step, const float *panel,
                       int64_t panel_step, const struct remat_tile_out *out)
{
    switch (height) {
#define X(n)                                                            \
    case n:                                                             \
        tile_by_columns(n, k, left, left_step, panel, panel_step, out); \
        return;
        EACH_HEIGHT(X)
#undef X
    }
}

static void copy_rows(int64_t k, int64_t length, const float *from, int64_t step, float *to, int64_t to_step)
{
    for (int64_t p = 0; p < k; p++, from += step, to += to_step) {
        int64_t i = 0;
        for (; i + REMAT_LANES <= length; i += REMAT_LANES)
            remat_vec_store(to + i, remat_vec_load(from + i));
        if (i < length && length >= REMAT_LANES) /* the last vector overlaps the one before */
            remat_vec_store(to + length - REMAT_LANES, remat_vec_load(from + length - REMAT_LANES));
        else
            for (; i < length; i++)
                to[i] = from[i];
    }
}

/* Whole vectors are stored, overlapping into the next k, which is written later. */
static void pack_columns(int64_t k, int64_t tiles, const float *from, int64_t step, int64_t available, float *to,
                         int64_t tile_step)
{
    enum { SPAN = (ROWS + REMAT_LANES - 1) / REMAT_LANES * REMAT_LANES };
    int64_t whole = available >= SPAN ? (available - SPAN) / ROWS + 1 : 0;
    if (whole > tiles)
        whole = tiles;
    for (int64_t p = 0; p < k; p++, from += step, to += ROWS) {
        for (int64_t t = 0; t < whole; t++)
            REMAT_UNROLL
        for (int32_t i = 0; i < SPAN; i += REMAT_LANES)
            remat_vec_store(to + t * tile_step + i, remat_vec_load(from + t * ROWS + i));
        for (int64_t t = whole; t < tiles; t++) {
            int64_t rest = available - t * ROWS;
            for (int64_t i = 0; i < ROWS && i < rest; i++)
                to[t * tile_step + i] = from[t * ROWS + i];
        }
    }
}

static void pack_rows(int64_t k, int32_t valid, const float *from, int64_t step, float *panel)
{
    for (int64_t p = 0; p < k; p++, from += step, panel += COLUMNS) {
        if (valid == COLUMNS) {
            remat_vec_store(panel, remat_vec_load(from));
            remat_vec_store(panel + REMAT_LANES, remat_vec_load(from + REMAT_LANES));
        } else {
            memset(panel, 0, COLUMNS * sizeof *panel);
            memcpy(panel, from, (size_t)valid * sizeof *panel);
        }
    }
}

/* Blocks of 16 k keep the reads to whole cache lines. */
static void pack_transposed(int64_t k, int32_t valid, const float *from, int64_t step, float *panel)
{
    enum { BLOCK = 16 };
    if (valid < COLUMNS)
        memset(panel, 0, (size_t)k * COLUMNS * sizeof *panel);
    for (int64_t p0 = 0; p0 < k; p0 += BLOCK) {
        int64_t end = p0 + BLOCK < k ? p0 + BLOCK : k;
        for (int32_t j = 0; j < valid; j++)
            for (int64_t p = p0; p < end; p++)
                panel[p * COLUMNS + j] = from[j * step + p];
    }
}

const struct remat_gemm_kernels REMAT_SIMD_NAME(remat_gemm_kernels) = {
    .rows = ROWS,
    .columns = COLUMNS,
    .by_rows = by_rows,
    .by_columns = by_columns,
    .finish_stream = remat_vec_fence,
    .copy_rows = copy_rows,
    .pack_columns = pack_columns,
    .pack_rows = pack_rows,
    .pack_transposed = pack_transposed,
};
