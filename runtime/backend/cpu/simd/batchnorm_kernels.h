/* Loops of batch normalisation. They see x[M,C] as a flat array of n elements in rows of `width`, a multiple of C, with
 * per-channel vectors repeated up to that width: rows of few channels then fill vectors. The last row may be short.
 *
 * Sums are taken in single precision over blocks of rows and added up in double. The statistics' blocks are shifted by
 * their own first row, so that a mean that is large beside the deviation costs no digits. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_BATCHNORM_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_BATCHNORM_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdbool.h>
#include <stdint.h>

struct remat_batchnorm_rows {
    int64_t n, width;
    bool relu, residual, stream;
    const float *x;
    const float *z;                    /* forward with residual */
    const float *y;                    /* backward with relu and residual: y > 0 is the mask */
    const float *dy;                   /* backward */
    float *out;                        /* forward y, backward dx */
    float *dz;                         /* backward with residual */
    const float *mean, *scale, *beta;  /* [width], see remat_normalise() */
    const float *slope, *tilt, *level; /* [width]: dx = slope g + tilt (x - mean) + level */
};

struct remat_batchnorm_kernels {
    /* sums[0..width) += x, sums[width..2 width) += x^2, by column. block: 2 width floats of scratch. */
    void (*statistics)(const struct remat_batchnorm_rows *rows, float *block, double *sums);
    /* out = f(normalised x + z) */
    void (*apply)(const struct remat_batchnorm_rows *rows);
    /* sums[0..width) += g, sums[width..2 width) += g (x - mean); with residual dz = g */
    void (*gradient_sums)(const struct remat_batchnorm_rows *rows, float *block, double *sums);
    /* dx, from dz with residual, else from dy; the last rows first, for the caches still hold them */
    void (*gradient)(const struct remat_batchnorm_rows *rows);
};
REMAT_SIMD_DECLARE(struct remat_batchnorm_kernels, remat_batchnorm_kernels);

#endif
