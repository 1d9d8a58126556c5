/* Single-precision matrix products with caller-given scratch: C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C + bias.
 *
 * Matrices are row-major: op(A)[i,j] is a[i * lda + j], or a[j * lda + i] with trans_a; B alike. The sum over k has one
 * fixed order for given sizes, whatever the number of threads. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_GEMM_H
#define REMAT_RUNTIME_BACKEND_CPU_GEMM_H

#include "runtime/backend/cpu/device.h"

struct remat_gemm {
    int64_t m, n, k;
    int64_t lda, ldb, ldc;
    bool trans_a, trans_b;
    float alpha;
    float beta;        /* 0 (C need not be initialised) or 1 */
    const float *bias; /* [n], added to every row, or NULL */
};

/* Scratch of remat_gemm_run for these sizes and thread count; does not depend on the addresses. */
int64_t remat_gemm_scratch_bytes(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads);

/* With threads = 1 it starts no parallel region and may be called inside one, each caller with its own scratch
 * (aligned to REMAT_ALIGNMENT). */
void remat_gemm_run(const struct remat_device *device, const struct remat_gemm *gemm, const float *a, const float *b,
                    float *c, void *scratch, int32_t threads);

#endif
