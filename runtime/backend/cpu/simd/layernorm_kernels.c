#include "runtime/backend/cpu/simd/layernorm_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"
#include "runtime/backend/pointwise.h"

#include <math.h>

/* STEP columns at a time, each vector of them with its own accumulator. */
enum { BLOCK_ROWS = 64, STEP = 4 * REMAT_LANES };

static float row_sum(const float *x, int64_t columns)
{
    remat_vec sum[4] = {{0}};
    float rest = 0;
    int64_t c = 0;
    for (; c + STEP <= columns; c += STEP) {
        REMAT_UNROLL
        for (int k = 0; k < 4; k++)
            sum[k] += remat_vec_load(x + c + k * REMAT_LANES);
    }
    for (; c < columns; c++)
        rest += x[c];
    return remat_vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

/* The sum of squared differences from the mean. */
static float row_squares(const float *x, int64_t columns, float mean)
{
    remat_vec sum[4] = {{0}};
    float rest = 0;
    int64_t c = 0;
    for (; c + STEP <= columns; c += STEP) {
        REMAT_UNROLL
        for (int k = 0; k < 4; k++) {
            remat_vec d = remat_vec_load(x + c + k * REMAT_LANES) - remat_vec_set(mean);
            sum[k] += d * d;
        }
    }
    for (; c < columns; c++)
        rest += (x[c] - mean) * (x[c] - mean);
    return remat_vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

static void apply_row(const struct remat_layernorm_rows *rows, int64_t row, float mean, float rstd)
{
    const float *x = rows->x + row * rows->columns, *gamma = rows->gamma, *beta = rows->beta;
    float *y = rows->out + row * rows->columns;
    REMAT_INDEPENDENT
    for (int64_t c = 0; c < rows->columns; c++)
        y[c] = remat_fma((x[c] - mean) * rstd, gamma[c], beta[c]);
}

/* The row stays in the first cache between its three readings. */
static void forward(const struct remat_layernorm_rows *rows)
{
    for (int64_t row = 0; row < rows->rows; row++) {
        const float *x = rows->x + row * rows->columns;
        float mean = row_sum(x, rows->columns) / (float)rows->columns;
        float variance = row_squares(x, rows->columns, mean) / (float)rows->columns;
        rows->mean[row] = mean;
        rows->rstd[row] = 1 / sqrtf(variance + rows->epsilon);
        apply_row(rows, row, mean, rows->rstd[row]);
    }
}

static void apply(const struct remat_layernorm_rows *rows)
{
    for (int64_t row = 0; row < rows->rows; row++)
        apply_row(rows, row, rows->saved_mean[row], rows->saved_rstd[row]);
}

struct row_moments {
    float sum, moment; /* of e and e xhat, e = gamma dy */
};

/* Also adds the row to the block's sums of dy xhat and dy. */
static struct row_moments gradient_moments(const float *x, const float *dy, const float *gamma, int64_t columns,
                                           float mean, float rstd, float *restrict dgamma, float *restrict dbeta)
{
    remat_vec sum[2] = {{0}}, moment[2] = {{0}};
    float rest = 0, rest_moment = 0;
    int64_t c = 0;
    for (; c + 2 * REMAT_LANES <= columns; c += 2 * REMAT_LANES) {
        REMAT_UNROLL
        for (int k = 0; k < 2; k++) {
            int64_t i = c + k * REMAT_LANES;
            remat_vec g = remat_vec_load(dy + i), e = g * remat_vec_load(gamma + i);
            remat_vec xhat = (remat_vec_load(x + i) - remat_vec_set(mean)) * remat_vec_set(rstd);
            sum[k] += e;
            moment[k] += e * xhat;
            remat_vec_store(dgamma + i, remat_vec_load(dgamma + i) + g * xhat);
            remat_vec_store(dbeta + i, remat_vec_load(dbeta + i) + g);
        }
    }
    for (; c < columns; c++) {
        float e = dy[c] * gamma[c], xhat = (x[c] - mean) * rstd;
        rest += e;
        rest_moment += e * xhat;
        dgamma[c] += dy[c] * xhat;
        dbeta[c] += dy[c];
    }
    return (struct row_moments){remat_vec_sum(sum[0] + sum[1]) + rest,
                                remat_vec_sum(moment[0] + moment[1]) + rest_moment};
}

/* dx = rstd (e - mean(e) - xhat mean(e xhat)) (+ g0) */
static void gradient_row(const struct remat_layernorm_rows *rows, int64_t row, struct row_moments m)
{
    int64_t at = row * rows->columns;
    const float *x = rows->x + at, *dy = rows->dy + at, *gamma = rows->gamma;
    float *dx = rows->out + at, mean = rows->saved_mean[row], rstd = rows->saved_rstd[row];
    float tilt = -rstd * rstd * (m.moment / (float)rows->columns), level = -rstd * (m.sum / (float)rows->columns);
    if (rows->g0) {
        const float *g0 = rows->g0 + at;
        REMAT_INDEPENDENT
        for (int64_t c = 0; c < rows->columns; c++)
            dx[c] = remat_fma(rstd, dy[c] * gamma[c], remat_fma(tilt, x[c] - mean, level)) + g0[c];
    } else {
        REMAT_INDEPENDENT
        for (int64_t c = 0; c < rows->columns; c++)
            dx[c] = remat_fma(rstd, dy[c] * gamma[c], remat_fma(tilt, x[c] - mean, level));
    }
}

static void add_block(const float *restrict block, int64_t columns, double *restrict sums)
{
    for (int64_t c = 0; c < columns; c++)
        sums[c] += (double)block[c];
}

static void backward(const struct remat_layernorm_rows *rows, float *block, double *sums)
{
    int64_t columns = rows->columns;
    for (int64_t first = 0; first < rows->rows; first += BLOCK_ROWS) {
        int64_t end = first + BLOCK_ROWS < rows->rows ? first + BLOCK_ROWS : rows->rows;
        memset(block, 0, (size_t)(2 * columns) * sizeof *block);
        for (int64_t row = first; row < end; row++) {
            int64_t at = row * columns;
            gradient_row(rows, row,
                         gradient_moments(rows->x + at, rows->dy + at, rows->gamma, columns, rows->saved_mean[row],
                                          rows->saved_rstd[row], block, block + columns));
        }
        add_block(block, 2 * columns, sums);
    }
}

const struct remat_layernorm_kernels REMAT_SIMD_NAME(remat_layernorm_kernels) = {
    .forward = forward,
    .apply = apply,
    .backward = backward,
};
