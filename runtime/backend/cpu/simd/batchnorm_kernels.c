#include "runtime/backend/cpu/simd/batchnorm_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"
#include "runtime/backend/pointwise.h"

/* Rows of a block: sums in single precision stay short, and adding them up in double stays cheap. */
enum { BLOCK_ROWS = 64 };

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* s += x - shift, s2 += (x - shift)^2 */
static void add_row(const float *restrict x, const float *restrict shift, int64_t width, float *restrict s,
                    float *restrict s2)
{
    for (int64_t c = 0; c < width; c++) {
        float a = x[c] - shift[c];
        s[c] += a;
        s2[c] += a * a;
    }
}

/* sum x = s + n k and sum x^2 = s2 + k (2 s + n k) for x = k + difference; in double no digit that matters is lost. */
static void add_shifted(const float *restrict shift, const float *restrict block, int64_t width, int64_t rows,
                        double *restrict sums)
{
    double n = (double)rows;
    for (int64_t c = 0; c < width; c++) {
        double k = (double)shift[c], s = (double)block[c];
        sums[c] += s + n * k;
        sums[width + c] += (double)block[width + c] + k * (2 * s + n * k);
    }
}

static void add_short_row(const float *restrict x, int64_t count, int64_t width, double *restrict sums)
{
    for (int64_t c = 0; c < count; c++) {
        double v = (double)x[c];
        sums[c] += v;
        sums[width + c] += v * v;
    }
}

static void statistics(const struct remat_batchnorm_rows *rows, float *block, double *sums)
{
    int64_t width = rows->width, whole = rows->n / width;
    for (int64_t first = 0; first < whole; first += BLOCK_ROWS) {
        const float *shift = rows->x + first * width;
        int64_t count = smaller(BLOCK_ROWS, whole - first);
        memset(block, 0, (size_t)(2 * width) * sizeof *block);
        for (int64_t r = 0; r < count; r++)
            add_row(shift + r * width, shift, width, block, block + width);
        add_shifted(shift, block, width, count, sums);
    }
    add_short_row(rows->x + whole * width, rows->n % width, width, sums);
}

/* `count` elements from `at`, all of one row, into `to`. */
static inline __attribute__((always_inline)) void apply_piece(const struct remat_batchnorm_rows *rows, int64_t at,
                                                              int64_t column, int64_t count, float *to, bool relu,
                                                              bool residual)
{
    const float *x = rows->x + at, *z = residual ? rows->z + at : x;
    const float *mean = rows->mean + column, *scale = rows->scale + column, *beta = rows->beta + column;
    REMAT_INDEPENDENT
    for (int64_t i = 0; i < count; i++) {
        float y = remat_normalise(x[i], mean[i], scale[i], beta[i]);
        if (residual)
            y += z[i];
        to[i] = relu ? remat_relu(y) : y;
    }
}

static void apply_any(const struct remat_batchnorm_rows *rows, int64_t at, int64_t column, int64_t count, float *to)
{
    if (rows->relu && rows->residual)
        apply_piece(rows, at, column, count, to, true, true);
    else if (rows->relu)
        apply_piece(rows, at, column, count, to, true, false);
    else if (rows->residual)
        apply_piece(rows, at, column, count, to, false, true);
    else
        apply_piece(rows, at, column, count, to, false, false);
}

typedef void remat_piece(const struct remat_batchnorm_rows *rows, int64_t at, int64_t column, int64_t count, float *to);

/* Makes out[at .. at + count), one row or a part of it, piece by piece. */
static inline __attribute__((always_inline)) void make_row(const struct remat_batchnorm_rows *rows, int64_t at,
                                                           int64_t count, remat_piece *piece)
{
    float tile[REMAT_TILE];
    for (int64_t column = 0; column < count; column += REMAT_TILE) {
        int64_t length = smaller(REMAT_TILE, count - column);
        float *to = rows->out + at + column;
        piece(rows, at + column, column, length, rows->stream ? tile : to);
        if (rows->stream)
            remat_stream(to, tile, length);
    }
}

/* All rows, the last block of them first: a pass over x went before, and the caches still hold its end. */
static inline __attribute__((always_inline)) void make_backwards(const struct remat_batchnorm_rows *rows,
                                                                 remat_piece *piece)
{
    int64_t block = BLOCK_ROWS * rows->width;
    for (int64_t first = (rows->n - 1) / block * block; first >= 0; first -= block) {
        int64_t end = smaller(rows->n, first + block);
        for (int64_t at = first; at < end; at += rows->width)
            make_row(rows, at, smaller(rows->width, end - at), piece);
    }
    remat_stream_end(rows->stream);
}

static void apply(const struct remat_batchnorm_rows *rows)
{
    make_backwards(rows, apply_any);
}

/* g = dy masked, for element i of a row. */
static inline __attribute__((always_inline)) float masked(const struct remat_batchnorm_rows *rows, int64_t at,
                                                          int64_t c, bool relu, bool residual)
{
    float dy = rows->dy[at + c];
    if (!relu)
        return dy;
    if (residual)
        return remat_relu_mask(rows->y[at + c], dy);
    return remat_relu_mask(remat_normalise(rows->x[at + c], rows->mean[c], rows->scale[c], rows->beta[c]), dy);
}

/* Adds a row, or the part of it that is there, to the block's sums. */
static inline __attribute__((always_inline)) void sum_row(const struct remat_batchnorm_rows *rows, int64_t at,
                                                          int64_t count, float *s, float *moment, bool relu,
                                                          bool residual)
{
    const float *x = rows->x + at, *mean = rows->mean;
    float *dz = residual ? rows->dz + at : NULL;
    REMAT_INDEPENDENT
    for (int64_t c = 0; c < count; c++) {
        float g = masked(rows, at, c, relu, residual);
        s[c] += g;
        moment[c] = remat_fma(g, x[c] - mean[c], moment[c]);
        if (residual)
            dz[c] = g;
    }
}

static void add_block(const float *restrict block, int64_t columns, double *restrict sums)
{
    for (int64_t c = 0; c < columns; c++)
        sums[c] += (double)block[c];
}

static inline __attribute__((always_inline)) void sum_all(const struct remat_batchnorm_rows *rows, float *block,
                                                          double *sums, bool relu, bool residual)
{
    struct remat_batchnorm_rows local = *rows;
    int64_t width = local.width, block_size = BLOCK_ROWS * width;
    for (int64_t first = 0; first < local.n; first += block_size) {
        int64_t end = smaller(local.n, first + block_size);
        memset(block, 0, (size_t)(2 * width) * sizeof *block);
        for (int64_t at = first; at < end; at += width)
            sum_row(&local, at, smaller(width, end - at), block, block + width, relu, residual);
        add_block(block, 2 * width, sums);
    }
}

static void gradient_sums(const struct remat_batchnorm_rows *rows, float *block, double *sums)
{
    if (rows->relu && rows->residual)
        sum_all(rows, block, sums, true, true);
    else if (rows->relu)
        sum_all(rows, block, sums, true, false);
    else if (rows->residual)
        sum_all(rows, block, sums, false, true);
    else
        sum_all(rows, block, sums, false, false);
}

static inline __attribute__((always_inline)) void gradient_piece(const struct remat_batchnorm_rows *rows, int64_t at,
                                                                 int64_t column, int64_t count, float *to, bool relu)
{
    const float *x = rows->x + at, *from = (rows->residual ? rows->dz : rows->dy) + at;
    const float *mean = rows->mean + column, *scale = rows->scale + column, *beta = rows->beta + column;
    const float *slope = rows->slope + column, *tilt = rows->tilt + column, *level = rows->level + column;
    REMAT_INDEPENDENT
    for (int64_t i = 0; i < count; i++) {
        float g = relu ? remat_relu_mask(remat_normalise(x[i], mean[i], scale[i], beta[i]), from[i]) : from[i];
        to[i] = remat_fma(slope[i], g, remat_fma(tilt[i], x[i] - mean[i], level[i]));
    }
}

static void gradient_any(const struct remat_batchnorm_rows *rows, int64_t at, int64_t column, int64_t count, float *to)
{
    if (rows->relu && !rows->residual)
        gradient_piece(rows, at, column, count, to, true);
    else
        gradient_piece(rows, at, column, count, to, false);
}

static void gradient(const struct remat_batchnorm_rows *rows)
{
    make_backwards(rows, gradient_any);
}

const struct remat_batchnorm_kernels REMAT_SIMD_NAME(remat_batchnorm_kernels) = {
    .statistics = statistics,
    .apply = apply,
    .gradient_sums = gradient_sums,
    .gradient = gradient,
};
