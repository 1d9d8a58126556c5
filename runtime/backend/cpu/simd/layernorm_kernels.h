/* Loops of layer normalisation over the rows of x[M,C]. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_LAYERNORM_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_LAYERNORM_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdint.h>

struct remat_layernorm_rows {
    int64_t rows, columns;
    float epsilon;
    const float *x, *gamma, *beta;
    const float *dy, *g0;                 /* backward; g0 may be NULL */
    const float *saved_mean, *saved_rstd; /* [rows]: apply and backward */
    float *mean, *rstd;                   /* [rows]: forward */
    float *out;                           /* y or dx */
};

struct remat_layernorm_kernels {
    void (*forward)(const struct remat_layernorm_rows *rows);
    void (*apply)(const struct remat_layernorm_rows *rows);
    /* sums[0..C) += dy xhat, sums[C..2C) += dy. block: 2 C floats of scratch. */
    void (*backward)(const struct remat_layernorm_rows *rows, float *block, double *sums);
};
REMAT_SIMD_DECLARE(struct remat_layernorm_kernels, remat_layernorm_kernels);

#endif
