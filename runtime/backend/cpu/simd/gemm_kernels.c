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

typedef float quad __attribute__((vector_size(16)));
typedef float quad_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

/* to[p * width + j] = from[j][p] for j, p < 4. */
ALWAYS_INLINE void transpose_4x4(const float *const *from, int64_t p, quad out[4])
{
    quad a = *(const quad_unaligned *)(from[0] + p), b = *(const quad_unaligned *)(from[1] + p);
    quad c = *(const quad_unaligned *)(from[2] + p), d = *(const quad_unaligned *)(from[3] + p);
    quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    out[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    out[1] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    out[2] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    out[3] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

/* to[p * width + j] = from[j * step + p] for j < width. Whole quads are stored: where width is no multiple of four,
 * over the beginning of the next p, which is written later. */
ALWAYS_INLINE void pack_whole(const int32_t width, int64_t k, const float *from, int64_t step, float *to)
{
    enum { QUADS = (REMAT_TILE_MAX_COLUMNS + 3) / 4 };
    const float *rows[4 * QUADS];
    int64_t p = 0;
    for (int32_t j = 0; j < 4 * QUADS; j++)
        rows[j] = from + (j < width ? j : width - 1) * step;
    for (; p + 4 <= k; p += 4) {
        quad block[QUADS][4];
        REMAT_UNROLL
        for (int32_t q = 0; q < (width + 3) / 4; q++)
            transpose_4x4(rows + 4 * q, p, block[q]);
        REMAT_UNROLL
        for (int32_t i = 0; i < 4; i++)
            REMAT_UNROLL
        for (int32_t q = 0; q < (width + 3) / 4; q++)
            *(quad_unaligned *)(to + (p + i) * width + 4 * q) = block[q][i];
    }
    for (; p < k; p++)
        for (int32_t j = 0; j < width; j++)
            to[p * width + j] = rows[j][p];
}

ALWAYS_INLINE void pack_part(const int32_t width, int64_t k, int32_t valid, const float *from, int64_t step, float *to)
{
    for (int64_t p = 0; p < k; p++)
        for (int32_t j = 0; j < width; j++)
            to[p * width + j] = j < valid ? from[j * step + p] : 0;
}

static void pack_transposed(int64_t k, int32_t valid, const float *from, int64_t step, float *panel)
{
    if (valid == COLUMNS)
        pack_whole(COLUMNS, k, from, step, panel);
    else
        pack_part(COLUMNS, k, valid, from, step, panel);
}

static void pack_tile(int64_t k, int32_t valid, const float *from, int64_t step, float *tile)
{
    if (valid == ROWS)
        pack_whole(ROWS, k, from, step, tile);
    else
        pack_part(ROWS, k, valid, from, step, tile);
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
    .pack_tile = pack_tile,
};
