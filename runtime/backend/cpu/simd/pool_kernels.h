/* Loops of pooling over the channels of one pixel. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_POOL_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_POOL_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdbool.h>
#include <stdint.h>

enum { REMAT_MAX_WINDOW = 64 };

/* The pixels under a window (forward), or the windows over a pixel (backward), each with its position in the window. */
struct remat_pool_taps {
    int32_t count;
    int32_t position[REMAT_MAX_WINDOW];
    const float *values[REMAT_MAX_WINDOW];
    const uint8_t *places[REMAT_MAX_WINDOW]; /* backward */
};

struct remat_pool_kernels {
    /* y = the largest value, place = the position of the first tap that has it */
    void (*largest)(const struct remat_pool_taps *taps, int64_t channels, float *y, uint8_t *place);
    /* dx = the sum of the values of those taps whose place is their position; past the caches if `stream` */
    void (*gather)(const struct remat_pool_taps *taps, int64_t channels, bool stream, float *dx);
    /* after the last streamed pixel */
    void (*gather_end)(bool stream);
    /* y = factor * sum of x's `rows` rows */
    void (*mean)(const float *x, int64_t rows, int64_t channels, float factor, float *y);
    /* y = factor * x */
    void (*scale)(const float *x, int64_t channels, float factor, float *y);
};
REMAT_SIMD_DECLARE(struct remat_pool_kernels, remat_pool_kernels);

#endif
