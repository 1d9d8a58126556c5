#include "runtime/backend/cpu/simd/attention_kernels.h"

#include "runtime/backend/cpu/simd/vector.h"
#include "runtime/backend/pointwise.h"

#include <math.h>
#include <string.h>

/* Sums have one partial a lane, combined in order: the same bits for the same row. */
static float sum_lanes(const float *lanes)
{
    float sum = lanes[0];
    for (int j = 1; j < REMAT_LANES; j++)
        sum += lanes[j];
    return sum;
}

static float row_maximum(const float *row, int64_t count)
{
    float lanes[REMAT_LANES], maximum;
    int64_t i;
    for (int j = 0; j < REMAT_LANES; j++)
        lanes[j] = row[0];
    for (i = 0; i + REMAT_LANES <= count; i += REMAT_LANES)
        for (int j = 0; j < REMAT_LANES; j++)
            lanes[j] = row[i + j] > lanes[j] ? row[i + j] : lanes[j];
    maximum = lanes[0];
    for (int j = 1; j < REMAT_LANES; j++)
        maximum = lanes[j] > maximum ? lanes[j] : maximum;
    for (; i < count; i++)
        maximum = row[i] > maximum ? row[i] : maximum;
    return maximum;
}

static float row_sum(const float *row, int64_t count)
{
    remat_vec partial = {0};
    float lanes[REMAT_LANES], sum;
    int64_t i;
    for (i = 0; i + REMAT_LANES <= count; i += REMAT_LANES)
        partial += remat_vec_load(row + i);
    memcpy(lanes, &partial, sizeof lanes);
    sum = sum_lanes(lanes);
    for (; i < count; i++)
        sum += row[i];
    return sum;
}

static float softmax(float *row, int64_t valid, int64_t count)
{
    float maximum = row_maximum(row, valid), sum, inverse;
    for (int64_t j = 0; j < valid; j++)
        row[j] = remat_exp(row[j] - maximum);
    sum = row_sum(row, valid);
    inverse = 1.0f / sum;
    for (int64_t j = 0; j < valid; j++)
        row[j] *= inverse;
    memset(row + valid, 0, (size_t)(count - valid) * sizeof *row);
    return maximum + logf(sum);
}

static void softmax_bwd(float *p, float *dp, int64_t valid, int64_t count, float lse, float delta, float scale)
{
    for (int64_t j = 0; j < valid; j++) {
        float probability = remat_exp(p[j] - lse);
        p[j] = probability;
        dp[j] = probability * (dp[j] - delta) * scale;
    }
    memset(p + valid, 0, (size_t)(count - valid) * sizeof *p);
    memset(dp + valid, 0, (size_t)(count - valid) * sizeof *dp);
}

static float dot(const float *a, const float *b, int64_t count)
{
    remat_vec partial = {0};
    float lanes[REMAT_LANES], sum;
    int64_t i;
    for (i = 0; i + REMAT_LANES <= count; i += REMAT_LANES)
        partial += remat_vec_load(a + i) * remat_vec_load(b + i);
    memcpy(lanes, &partial, sizeof lanes);
    sum = sum_lanes(lanes);
    for (; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

const struct remat_attention_kernels REMAT_SIMD_NAME(remat_attention_kernels) = {softmax, softmax_bwd, dot};
