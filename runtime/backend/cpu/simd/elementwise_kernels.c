#include "runtime/backend/cpu/simd/elementwise_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"
#include "runtime/backend/dropout.h"
#include "runtime/backend/pointwise.h"

/* out[i] = the expression, through a tile if the result is streamed. */
#define DEFINE_MAP(name, parameters, expression)                             \
    static void name parameters                                              \
    {                                                                        \
        float tile[REMAT_TILE];                                              \
        for (int64_t start = 0; start < n; start += REMAT_TILE) {            \
            int64_t count = n - start < REMAT_TILE ? n - start : REMAT_TILE; \
            float *to = stream ? tile : out + start;                         \
            REMAT_INDEPENDENT                                                \
            for (int64_t i = 0; i < count; i++)                              \
                to[i] = expression;                                          \
            if (stream)                                                      \
                remat_stream(out + start, tile, count);                      \
        }                                                                    \
        remat_stream_end(stream);                                            \
    }
#define MAP1 (const float *a, float *out, int64_t n, bool stream)
#define MAP2 (const float *a, const float *b, float *out, int64_t n, bool stream)

DEFINE_MAP(relu, MAP1, remat_relu(a[start + i]))
DEFINE_MAP(gelu, MAP1, remat_gelu(a[start + i]))
DEFINE_MAP(relu_bwd, MAP2, remat_relu_mask(a[start + i], b[start + i]))
DEFINE_MAP(gelu_bwd, MAP2, remat_gelu_slope(a[start + i]) * b[start + i])
DEFINE_MAP(add, MAP2, a[start + i] + b[start + i])

enum { DROPOUT_GROUPS = 16 };

static void dropout(const struct remat_dropout_range *range, const float *x, float *y, int64_t n)
{
    float scale = 1 / (1 - range->probability);
    for (int64_t start = 0; start < n; start += DROPOUT_GROUPS * 4) {
        int64_t count = n - start < DROPOUT_GROUPS * 4 ? n - start : DROPOUT_GROUPS * 4;
        float factor[DROPOUT_GROUPS * 4];
        for (int64_t group = 0; group < DROPOUT_GROUPS; group++) {
            struct remat_rng_block block =
                remat_dropout_block(range->record, range->layer, (range->first + start) / 4 + group);
            for (int k = 0; k < 4; k++)
                factor[4 * group + k] = remat_dropout_keeps(block.word[k], range->probability) ? scale : 0.0f;
        }
        REMAT_INDEPENDENT
        for (int64_t i = 0; i < count; i++)
            y[start + i] = x[start + i] * factor[i];
    }
}

/* Squares are added in single precision within blocks, blocks in double. */
static double square_sum(const float *x, int64_t n)
{
    double total = 0;
    int64_t i = 0;
    for (; i + REMAT_TILE <= n; i += REMAT_TILE) {
        remat_vec sum[4] = {{0}};
        for (int j = 0; j < REMAT_TILE; j += 4 * REMAT_LANES) {
            REMAT_UNROLL
            for (int k = 0; k < 4; k++) {
                remat_vec v = remat_vec_load(x + i + j + k * REMAT_LANES);
                sum[k] += v * v;
            }
        }
        total += (double)remat_vec_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    return total;
}

static void scale_bytes(const uint8_t *x, const float *scale, const float *shift, int64_t width, float *out, int64_t n)
{
    for (int64_t start = 0; start < n; start += width) {
        int64_t count = n - start < width ? n - start : width;
        REMAT_INDEPENDENT
        for (int64_t i = 0; i < count; i++)
            out[start + i] = remat_fma((float)x[start + i], scale[i], shift[i]);
    }
}

const struct remat_elementwise_kernels REMAT_SIMD_NAME(remat_elementwise_kernels) = {
    .relu = relu,
    .gelu = gelu,
    .relu_bwd = relu_bwd,
    .gelu_bwd = gelu_bwd,
    .add = add,
    .dropout = dropout,
    .square_sum = square_sum,
    .scale_bytes = scale_bytes,
};
