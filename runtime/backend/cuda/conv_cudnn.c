/* Convolutions by cuDNN. */
#include "runtime/backend/cuda/cudnn_plan.h"

enum { NUMERICS = 1, X = 1, Y = 2, W = 3 };
static const int64_t SCRATCH_CAP_BYTES = 256 << 20;

static void fill(const struct remat_kernel_spec *spec, struct remat_cudnn_convolution *out)
{
    for (int k = 0; k < 2; k++) {
        out->stride[k] = spec->attr.stride[k];
        out->pad[k] = spec->attr.pad[k];
    }
}

static struct remat_cudnn_convolution forward_of(const struct remat_kernel_spec *spec)
{
    struct remat_cudnn_convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                         {{X, spec->inputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X},
                                          {Y, spec->outputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
                                          {W, spec->cells[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W}},
                                         {0},
                                         {0}};
    return of;
}

static struct remat_cudnn_convolution data_of(const struct remat_kernel_spec *spec)
{
    struct remat_cudnn_convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                         {{X, spec->outputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
                                          {Y, spec->inputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
                                          {W, spec->cells[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W}},
                                         {0},
                                         {0}};
    return of;
}

static struct remat_cudnn_convolution weights_of(const struct remat_kernel_spec *spec)
{
    struct remat_cudnn_convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                         {{X, spec->inputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X},
                                          {Y, spec->inputs[1], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
                                          {W, spec->outputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW}},
                                         {0},
                                         {0}};
    return of;
}

static struct remat_cudnn_convolution convolution_of(const struct remat_kernel_spec *spec)
{
    struct remat_cudnn_convolution of = spec->op == REMAT_OP_CONV2D            ? forward_of(spec)
                                        : spec->op == REMAT_OP_CONV2D_BWD_DATA ? data_of(spec)
                                                                               : weights_of(spec);
    fill(spec, &of);
    return of;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_cudnn_convolution of = convolution_of(spec);
    struct remat_cudnn_plan *plan;
    REMAT_TRY(remat_cudnn_plan_create(device, &of, SCRATCH_CAP_BYTES, &plan, scratch_bytes, err));
    *state = plan;
    return REMAT_OK;
}

/* Whether there is an engine: asked by making one. */
static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    void *state;
    int64_t scratch_bytes;
    struct remat_error ignored;
    if (!remat_cuda_supports_f32(device, spec) || create(device, spec, &state, &scratch_bytes, &ignored) != REMAT_OK)
        return false;
    remat_cudnn_plan_destroy(state);
    return true;
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const int64_t ids[REMAT_CUDNN_OPERANDS] = {X, Y, W};
    const void *first = args->inputs[0];
    void *const forward[] = {(void *)(uintptr_t)first, args->outputs[0], args->cells[0]};
    void *const data[] = {args->outputs[0], (void *)(uintptr_t)first, args->cells[0]};
    void *const weights[] = {(void *)(uintptr_t)first, (void *)(uintptr_t)args->inputs[1], args->outputs[0]};
    return remat_cudnn_plan_run(state, ids,
                                spec->op == REMAT_OP_CONV2D            ? forward
                                : spec->op == REMAT_OP_CONV2D_BWD_DATA ? data
                                                                       : weights,
                                args->scratch, err);
}

static void destroy(void *state)
{
    remat_cudnn_plan_destroy(state);
}

const struct remat_op_impl remat_cuda_conv2d = {REMAT_OP_CONV2D, "cudnn", NUMERICS, supports, create, run, destroy};
const struct remat_op_impl remat_cuda_conv2d_bwd_data = {
    REMAT_OP_CONV2D_BWD_DATA, "cudnn", NUMERICS, supports, create, run, destroy};
const struct remat_op_impl remat_cuda_conv2d_bwd_weights = {
    REMAT_OP_CONV2D_BWD_WEIGHTS, "cudnn", NUMERICS, supports, create, run, destroy};
