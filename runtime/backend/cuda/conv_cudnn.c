/* Convolutions by cuDNN. */
#include "runtime/backend/cuda/cudnn_plan.h"

enum { NUMERICS = 1, X = 1, Y = 2, W = 3, OPERANDS = 3 };
static const int64_t LEAST_CAP_BYTES = 256 << 20; /* of scratch */

/* Images [N,H,W,C] and filters [K,R,S,C] both become cuDNN's dimensions (n, c, h, w) with channels innermost. */
struct operand {
    int64_t id;
    struct remat_tensor tensor;
    cudnnBackendAttributeName_t role; /* of the operation */
};

struct convolution {
    cudnnBackendDescriptorType_t kind; /* forward, backward data, backward filter */
    cudnnBackendAttributeName_t alpha, beta, description;
    struct operand operands[OPERANDS];
    int32_t stride[2], pad[2];
};

static cudnnBackendDescriptor_t make_tensor(struct remat_cudnn_builder *b, const struct operand *of)
{
    const int64_t *d = of->tensor.dims;
    const int64_t dims[4] = {d[0], d[3], d[1], d[2]};
    const int64_t strides[4] = {d[1] * d[2] * d[3], 1, d[2] * d[3], d[3]};
    const int64_t alignment = REMAT_ALIGNMENT;
    const cudnnDataType_t type = of->tensor.dtype == REMAT_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t made = remat_cudnn_make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor");
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &of->id);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    remat_cudnn_finish(b, made);
    return made;
}

static cudnnBackendDescriptor_t make_description(struct remat_cudnn_builder *b, const struct convolution *of)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    const int64_t spatial = 2, ones[2] = {1, 1}, strides[2] = {of->stride[0], of->stride[1]};
    const int64_t pads[2] = {of->pad[0], of->pad[1]};
    cudnnBackendDescriptor_t made = remat_cudnn_make(b, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "a convolution");
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, ones);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    remat_cudnn_set(b, made, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, pads);
    remat_cudnn_finish(b, made);
    return made;
}

static void add_operation(struct remat_cudnn_builder *b, const struct convolution *of)
{
    const float one = 1, zero = 0;
    cudnnBackendDescriptor_t description = make_description(b, of), tensors[OPERANDS], made;
    for (int i = 0; i < OPERANDS; i++)
        tensors[i] = make_tensor(b, &of->operands[i]);
    made = remat_cudnn_make(b, of->kind, "an operation");
    remat_cudnn_set(b, made, of->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    remat_cudnn_set(b, made, of->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    remat_cudnn_set_descriptor(b, made, of->description, description);
    for (int i = 0; i < OPERANDS; i++)
        remat_cudnn_set_descriptor(b, made, of->operands[i].role, tensors[i]);
    remat_cudnn_operation(b, made);
}

static void fill(const struct remat_kernel_spec *spec, struct convolution *out)
{
    for (int k = 0; k < 2; k++) {
        out->stride[k] = spec->attr.stride[k];
        out->pad[k] = spec->attr.pad[k];
    }
}

static struct convolution forward_of(const struct remat_kernel_spec *spec)
{
    struct convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                             {{X, spec->inputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X},
                              {Y, spec->outputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
                              {W, *remat_op_weight(spec), CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W}},
                             {0},
                             {0}};
    return of;
}

static struct convolution data_of(const struct remat_kernel_spec *spec)
{
    struct convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
                             CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                             {{X, spec->outputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX},
                              {Y, spec->inputs[0], CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
                              {W, *remat_op_weight(spec), CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W}},
                             {0},
                             {0}};
    return of;
}

static struct convolution weights_of(const struct remat_kernel_spec *spec)
{
    struct convolution of = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
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

static struct convolution convolution_of(const struct remat_kernel_spec *spec)
{
    struct convolution of = spec->op == REMAT_OP_CONV2D            ? forward_of(spec)
                            : spec->op == REMAT_OP_CONV2D_BWD_DATA ? data_of(spec)
                                                                   : weights_of(spec);
    fill(spec, &of);
    return of;
}

/* As much scratch as the largest operand takes, or some: engines for tensor cores pad an image's three channels to
 * eight in it, and those that do without are many times slower. Gradients may take as much as all operands and an
 * eighth: f32's engines turn images around in it, but for the last that is proposed. */
static int64_t scratch_cap(const struct convolution *of)
{
    int64_t largest_bytes = 0, sum_bytes = 0, cap_bytes;
    for (int i = 0; i < OPERANDS; i++) {
        int64_t bytes = remat_tensor_bytes(&of->operands[i].tensor);
        largest_bytes = bytes > largest_bytes ? bytes : largest_bytes;
        sum_bytes += bytes;
    }
    cap_bytes =
        of->kind == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR ? largest_bytes : sum_bytes + sum_bytes / 8;
    return cap_bytes > LEAST_CAP_BYTES ? cap_bytes : LEAST_CAP_BYTES;
}

static enum remat_status make_plan(struct remat_device *device, const struct remat_kernel_spec *spec,
                                   struct remat_cudnn_made *made, struct remat_error *err)
{
    struct convolution of = convolution_of(spec);
    const struct remat_cudnn_demand demand = {spec->inputs[0].dtype == REMAT_F32, scratch_cap(&of), made->rank};
    struct remat_cudnn_builder b;
    REMAT_TRY(remat_cudnn_begin(device, &b, err));
    add_operation(&b, &of);
    return remat_cudnn_end(&b, &demand, &made->plan, &made->scratch_bytes, err);
}

static enum remat_status create_ranked(struct remat_device *device, const struct remat_kernel_spec *spec, int rank,
                                       void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cudnn_create(device, spec, rank, make_plan, state, scratch_bytes, err);
}

/* Whether there is an engine: asked by making one. Beyond the preferred one, only if they are wanted. */
static bool supports_ranked(struct remat_device *device, const struct remat_kernel_spec *spec, int rank)
{
    void *state;
    int64_t scratch_bytes;
    struct remat_error refusal;
    return (rank == 0 || device->alternatives) && remat_cuda_supports_floats(device, spec) &&
           remat_cuda_granted(spec, create_ranked(device, spec, rank, &state, &scratch_bytes, &refusal), &refusal);
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const int64_t ids[OPERANDS] = {X, Y, W};
    const void *first = args->inputs[0];
    void *weight = (void *)(uintptr_t)(spec->op == REMAT_OP_CONV2D_BWD_WEIGHTS ? NULL : remat_cuda_weight(spec, args));
    void *const forward[] = {(void *)(uintptr_t)first, args->outputs[0], weight};
    void *const data[] = {args->outputs[0], (void *)(uintptr_t)first, weight};
    void *const weights[] = {(void *)(uintptr_t)first, (void *)(uintptr_t)args->inputs[1], args->outputs[0]};
    return remat_cudnn_plan_run(((const struct remat_cudnn_made *)state)->plan, OPERANDS, ids,
                                spec->op == REMAT_OP_CONV2D            ? forward
                                : spec->op == REMAT_OP_CONV2D_BWD_DATA ? data
                                                                       : weights,
                                args->scratch, err);
}

/* The engine of a rank, for forward, data and weights. Other engines give other bits. */
#define RANKED(suffix, name, rank)                                                                             \
    static enum remat_status create##suffix(struct remat_device *device, const struct remat_kernel_spec *spec, \
                                            void **state, int64_t *scratch_bytes, struct remat_error *err)     \
    {                                                                                                          \
        return create_ranked(device, spec, rank, state, scratch_bytes, err);                                   \
    }                                                                                                          \
    static bool supports##suffix(struct remat_device *device, const struct remat_kernel_spec *spec)            \
    {                                                                                                          \
        return supports_ranked(device, spec, rank);                                                            \
    }                                                                                                          \
    const struct remat_op_impl remat_cuda_conv2d##suffix = {                                                   \
        REMAT_OP_CONV2D, name, NUMERICS + rank, supports##suffix, create##suffix, run, NULL};                  \
    const struct remat_op_impl remat_cuda_conv2d_bwd_data##suffix = {                                          \
        REMAT_OP_CONV2D_BWD_DATA, name, NUMERICS + rank, supports##suffix, create##suffix, run, NULL};         \
    const struct remat_op_impl remat_cuda_conv2d_bwd_weights##suffix = {                                       \
        REMAT_OP_CONV2D_BWD_WEIGHTS, name, NUMERICS + rank, supports##suffix, create##suffix, run, NULL};

RANKED(, "cudnn", 0)
RANKED(_second, "cudnn second", 1)
RANKED(_third, "cudnn third", 2)
