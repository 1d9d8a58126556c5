#include "runtime/backend/cpu/simd/loss_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"
#include "runtime/backend/pointwise.h"

#include <math.h>

/* Columns at a time: as many lanes as hide the latency of additions, whatever the instruction set. */
enum { STEP = 32 };

static float largest(const float *x, int64_t n)
{
    float lane[STEP], best = x[0];
    int64_t i = 0;
    for (int k = 0; k < STEP; k++)
        lane[k] = best;
    for (; i + STEP <= n; i += STEP) {
        for (int k = 0; k < STEP; k++)
            lane[k] = x[i + k] > lane[k] ? x[i + k] : lane[k];
    }
    for (; i < n; i++)
        best = x[i] > best ? x[i] : best;
    for (int k = 0; k < STEP; k++)
        best = lane[k] > best ? lane[k] : best;
    return best;
}

/* At most REMAT_TILE elements. */
static float tile_sum(const float *x, int64_t n)
{
    remat_vec sum[4] = {{0}};
    float rest = 0;
    int64_t i = 0;
    for (; i + 4 * REMAT_LANES <= n; i += 4 * REMAT_LANES) {
        REMAT_UNROLL
        for (int k = 0; k < 4; k++)
            sum[k] += remat_vec_load(x + i + k * REMAT_LANES);
    }
    for (; i < n; i++)
        rest += x[i];
    return remat_vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
}

static double total(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i += REMAT_TILE)
        sum += (double)tile_sum(x + i, n - i < REMAT_TILE ? n - i : REMAT_TILE);
    return sum;
}

/* The sum of e^(x - shift); writes the terms to `terms` if it is not NULL. */
static double exponentials(const float *x, int64_t n, float shift, float *terms)
{
    float tile[REMAT_TILE];
    double sum = 0;
    for (int64_t i = 0; i < n; i += REMAT_TILE) {
        int64_t count = n - i < REMAT_TILE ? n - i : REMAT_TILE;
        float *to = terms ? terms + i : tile;
        REMAT_INDEPENDENT
        for (int64_t k = 0; k < count; k++)
            to[k] = remat_exp(x[i + k] - shift);
        sum += (double)tile_sum(to, count);
    }
    return sum;
}

/* Terms become (term / sum - (1 - s) [label] - s / V) * factor. */
static void finish_gradient(const struct remat_loss_rows *rows, float *terms, int32_t label, double sum)
{
    float scale = (float)((double)rows->factor / sum), smoothing = rows->smoothing;
    float level = -rows->factor * (smoothing / (float)rows->classes);
    for (int64_t v = 0; v < rows->classes; v++)
        terms[v] = remat_fma(terms[v], scale, level);
    terms[label] -= rows->factor * (1 - smoothing);
}

static bool is_first_largest(const float *x, int32_t label, float best)
{
    if (!(x[label] == best))
        return false;
    for (int32_t v = 0; v < label; v++) {
        if (x[v] == best)
            return false;
    }
    return true;
}

/* loss = (1 - s) (lse - logit[label]) + s (lse - mean of logits) = lse - (1 - s) logit[label] - s mean. */
static void loss_row(const struct remat_loss_rows *rows, int64_t row, double metrics[3])
{
    const float *x = rows->logits + row * rows->classes;
    float *dx = rows->dlogits ? rows->dlogits + row * rows->classes : NULL;
    int32_t label = rows->labels[row];
    float best = largest(x, rows->classes);
    double s = (double)rows->smoothing, target = (1 - s) * (double)x[label], sum;
    if (s != 0)
        target += s * (total(x, rows->classes) / (double)rows->classes);
    metrics[1] += 1;
    metrics[2] += is_first_largest(x, label, best);
    sum = exponentials(x, rows->classes, best, dx);
    metrics[0] += (double)best + log(sum) - target;
    if (dx)
        finish_gradient(rows, dx, label, sum);
}

static void loss_rows(const struct remat_loss_rows *rows, double metrics[3])
{
    for (int64_t row = 0; row < rows->rows; row++) {
        if (rows->labels[row] >= 0)
            loss_row(rows, row, metrics);
        else if (rows->dlogits)
            memset(rows->dlogits + row * rows->classes, 0, (size_t)rows->classes * sizeof *rows->dlogits);
    }
}

const struct remat_loss_kernels REMAT_SIMD_NAME(remat_loss_kernels) = {.rows = loss_rows};
