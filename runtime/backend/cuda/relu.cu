/* y = max(0, x); dx = y > 0 ? dy : 0. Any shape. */
#include "runtime/backend/cuda/launch.h"

namespace
{
struct forward {
    __device__ float operator()(float x) const
    {
        return remat_relu(x);
    }
};
struct backward {
    __device__ float operator()(float y, float dy) const
    {
        return remat_relu_mask(y, dy);
    }
};
} // namespace

const struct remat_op_impl remat_cuda_relu = {
    REMAT_OP_RELU, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_MAP1(forward), NULL};
const struct remat_op_impl remat_cuda_relu_bwd = {
    REMAT_OP_RELU_BWD, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_MAP2(backward), NULL};
