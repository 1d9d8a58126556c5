/* NVIDIA's bf16 type, as far as the cuda backend uses it. */
#ifndef REMAT_TESTS_CUDA_EMULATOR_CUDA_BF16_H
#define REMAT_TESTS_CUDA_EMULATOR_CUDA_BF16_H

#include "runtime/backend/bf16.h"

struct __nv_bfloat16 {
    uint16_t bits;
};

static inline float __bfloat162float(__nv_bfloat16 x)
{
    return remat_bf16_to_f32(x.bits);
}

static inline __nv_bfloat16 __float2bfloat16_rn(float x)
{
    return __nv_bfloat16{remat_bf16_from_f32(x)};
}

#endif
