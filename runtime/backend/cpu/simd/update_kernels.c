#include "runtime/backend/cpu/simd/update_kernels.h"

#include "runtime/backend/cpu/simd/loop.h"

static void sgd_plain(const struct remat_sgd_f32 *factors, const float *restrict gradient, float *restrict w, int64_t n)
{
    struct remat_sgd_f32 sgd = *factors;
    for (int64_t i = 0; i < n; i++)
        w[i] = remat_sgd_plain_f32(&sgd, gradient[i], w[i]);
}

static void sgd_momentum(const struct remat_sgd_f32 *factors, const float *restrict gradient, float *restrict w,
                         float *restrict buffer, int64_t n)
{
    struct remat_sgd_f32 sgd = *factors;
    for (int64_t i = 0; i < n; i++)
        w[i] = remat_sgd_momentum_f32(&sgd, gradient[i], w[i], &buffer[i]);
}

static void sgd(const struct remat_sgd_f32 *factors, const float *gradient, float *w, float *buffer, int64_t n)
{
    if (buffer)
        sgd_momentum(factors, gradient, w, buffer, n);
    else
        sgd_plain(factors, gradient, w, n);
}

static void adamw(const struct remat_adamw_f32 *factors, const float *restrict gradient, float *restrict w,
                  float *restrict m, float *restrict v, int64_t n)
{
    struct remat_adamw_f32 update = *factors;
    for (int64_t i = 0; i < n; i++)
        w[i] = remat_adamw_f32(&update, gradient[i], w[i], &m[i], &v[i]);
}

const struct remat_update_kernels REMAT_SIMD_NAME(remat_update_kernels) = {.sgd = sgd, .adamw = adamw};
