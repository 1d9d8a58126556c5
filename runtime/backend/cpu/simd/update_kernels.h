/* One sweep over parameters and their state; formulas in runtime/backend/optimizer.h. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_UPDATE_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_UPDATE_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"
#include "runtime/backend/optimizer.h"

struct remat_update_kernels {
    /* buffer is NULL without momentum */
    void (*sgd)(const struct remat_sgd_f32 *factors, const float *gradient, float *w, float *buffer, int64_t n);
    void (*adamw)(const struct remat_adamw_f32 *factors, const float *gradient, float *w, float *m, float *v,
                  int64_t n);
};
REMAT_SIMD_DECLARE(struct remat_update_kernels, remat_update_kernels);

#endif
