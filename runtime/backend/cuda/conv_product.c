/* Convolutions with 1x1 filters, stride 1 and no padding as products of matrices, by own tiles: linear layers over
 * pixels. In the order of the sums of conv_plain.cu's. */
#include "runtime/backend/cuda/gemm.h"

bool remat_cuda_conv2d_is_product(const struct remat_kernel_spec *spec)
{
    const struct remat_op_attr *a = &spec->attr;
    return a->kernel[0] == 1 && a->kernel[1] == 1 && a->stride[0] == 1 && a->stride[1] == 1 && a->pad[0] == 0 &&
           a->pad[1] == 0;
}

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_cuda_conv2d_is_product(spec) && remat_cuda_linear_plain_supports(device, spec);
}

#define PRODUCT(op_id)                                                                              \
    {                                                                                               \
        op_id, "product tiles", 0, supports, remat_cuda_linear_plain_create, remat_cuda_linear_run, \
            remat_cuda_linear_destroy                                                               \
    }
const struct remat_op_impl remat_cuda_conv2d_product_plain = PRODUCT(REMAT_OP_CONV2D);
const struct remat_op_impl remat_cuda_conv2d_bwd_data_product_plain = PRODUCT(REMAT_OP_CONV2D_BWD_DATA);
const struct remat_op_impl remat_cuda_conv2d_bwd_data_add_product_plain = PRODUCT(REMAT_OP_CONV2D_BWD_DATA_ADD);
const struct remat_op_impl remat_cuda_conv2d_bwd_weights_product_plain = PRODUCT(REMAT_OP_CONV2D_BWD_WEIGHTS);
