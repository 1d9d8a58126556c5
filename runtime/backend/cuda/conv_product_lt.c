/* Convolutions with 1x1 filters, stride 1 and no padding by cuBLASLt's products. A data gradient that is added to what
 * there is is one product, too.
 *
 * For f32 without tensor cores they come before cuDNN's engines, which turn images [N,H,W,C] around in scratch. Else
 * they are one more option. */
#include "runtime/backend/cuda/gemm.h"

enum { NUMERICS = 4 }; /* after those of cuDNN's engines */

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_cuda_conv2d_is_product(spec) && remat_cuda_linear_lt_supports(device, spec);
}

static bool is_first(const struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return spec->inputs[0].dtype == REMAT_F32 && !device->tf32;
}

static bool supports_first(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return is_first(device, spec) && supports(device, spec);
}

static bool supports_later(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return !is_first(device, spec) && supports(device, spec);
}

#define PRODUCT(op_id, supports)                                                                   \
    {                                                                                              \
        op_id, "cublaslt", NUMERICS, supports, remat_cuda_linear_lt_create, remat_cuda_linear_run, \
            remat_cuda_linear_destroy                                                              \
    }
const struct remat_op_impl remat_cuda_conv2d_product = PRODUCT(REMAT_OP_CONV2D, supports_first);
const struct remat_op_impl remat_cuda_conv2d_bwd_data_product = PRODUCT(REMAT_OP_CONV2D_BWD_DATA, supports_first);
const struct remat_op_impl remat_cuda_conv2d_bwd_data_add = PRODUCT(REMAT_OP_CONV2D_BWD_DATA_ADD, supports);
const struct remat_op_impl remat_cuda_conv2d_bwd_weights_product = PRODUCT(REMAT_OP_CONV2D_BWD_WEIGHTS, supports_first);
const struct remat_op_impl remat_cuda_conv2d_product_later = PRODUCT(REMAT_OP_CONV2D, supports_later);
const struct remat_op_impl remat_cuda_conv2d_bwd_data_product_later = PRODUCT(REMAT_OP_CONV2D_BWD_DATA, supports_later);
const struct remat_op_impl remat_cuda_conv2d_bwd_weights_product_later =
    PRODUCT(REMAT_OP_CONV2D_BWD_WEIGHTS, supports_later);
