/* y = gelu(x), dx = gelu'(x) dy; formulas in pointwise.h. Any shape. */
#include "runtime/backend/cuda/launch.h"

namespace
{
struct forward {
    __device__ float operator()(float x) const
    {
        return remat_gelu(x);
    }
};
struct backward {
    __device__ float operator()(float x, float dy) const
    {
        return remat_gelu_slope(x) * dy;
    }
};
} // namespace

const struct remat_op_impl remat_cuda_gelu = {
    REMAT_OP_GELU, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_MAP1(forward), NULL};
const struct remat_op_impl remat_cuda_gelu_bwd = {
    REMAT_OP_GELU_BWD, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_MAP2(backward), NULL};
