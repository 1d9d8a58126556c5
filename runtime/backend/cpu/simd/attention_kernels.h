/* Rows of the softmax in attention, forward and backward. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_ATTENTION_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_ATTENTION_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdint.h>

struct remat_attention_kernels {
    /* row[j] = e^(row[j] - lse) for j < valid, 0 for valid <= j < count; returns lse = log of the sum of e^row[j]. */
    float (*softmax)(float *row, int64_t valid, int64_t count);
    /* p[j] = e^(p[j] - lse) and dp[j] = p[j] (dp[j] - delta) scale for j < valid, 0 beyond. */
    void (*softmax_bwd)(float *p, float *dp, int64_t valid, int64_t count, float lse, float delta, float scale);
    float (*dot)(const float *a, const float *b, int64_t count);
};
REMAT_SIMD_DECLARE(struct remat_attention_kernels, remat_attention_kernels);

#endif
