/* Loops over flat arrays. `stream` writes past the caches (see split.h); results may lie over operands. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_ELEMENTWISE_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_ELEMENTWISE_KERNELS_H

#include "runtime/backend/backend.h"
#include "runtime/backend/cpu/simd/simd.h"

typedef void remat_map1(const float *a, float *out, int64_t n, bool stream);
typedef void remat_map2(const float *a, const float *b, float *out, int64_t n, bool stream);

struct remat_dropout_range {
    const struct remat_step_record *record;
    int32_t layer;
    float probability;
    int64_t first; /* element that x[0] is; a multiple of 4 */
};

struct remat_elementwise_kernels {
    remat_map1 *relu, *gelu;
    remat_map2 *relu_bwd, *gelu_bwd, *add;
    void (*dropout)(const struct remat_dropout_range *range, const float *x, float *y, int64_t n);
    double (*square_sum)(const float *x, int64_t n);
    /* out[i] = x[i] * scale[i % width] + shift[i % width] */
    void (*scale_bytes)(const uint8_t *x, const float *scale, const float *shift, int64_t width, float *out, int64_t n);
};
REMAT_SIMD_DECLARE(struct remat_elementwise_kernels, remat_elementwise_kernels);

#endif
