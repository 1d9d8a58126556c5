/* Attention in bf16 by cuDNN: its fused engines recognise the graphs below, in which scores and weights are virtual.
 *
 *   forward   s = scale q k' masked;  m = max s;  p = exp(s - m) / sum;  lse = m + log(sum);  o = p v
 *   backward  delta = sum do o;  p = exp(s - lse);  dv = p' do;  ds = scale p (do v' - delta);  dk = ds' q;  dq = ds k
 *
 * Weights and ds are rounded to bf16 before they are multiplied. dq is asked for in one product: the engines then keep
 * ds (in bf16, T x T a head) in scratch and add nothing atomically, which they would do otherwise. */
#include "runtime/backend/cuda/cudnn_plan.h"

#include <float.h>
#include <math.h>

enum { NUMERICS = 1, LARGEST_HEAD = 128, HEAD_MULTIPLE = 8, LENGTH_MULTIPLE = 64 };
enum { ALIGNMENT_BYTES = 16 };
static const int64_t SCRATCH_CAP_BYTES = INT64_C(2) << 30;
static const size_t INFINITY_SINCE = 91000; /* cuDNN: masks with the lowest number before */

/* Operands in memory; virtual tensors follow. */
enum id { Q = 1, K, V, O, LSE, SCALE, LOWEST, ONE, DELTA, OUT_GRADIENT, DQ, DK, DV, FIRST_VIRTUAL };
enum { OPERANDS = FIRST_VIRTUAL - 1 };

/* A graph in the making. */
struct graph {
    struct remat_cudnn_builder builder;
    int64_t batch, heads, length, size, next_id;
};

/* Where the elements of a tensor [batch, heads, i, j] lie. */
struct strides {
    int64_t of[4];
};

typedef cudnnBackendDescriptor_t tensor;

enum kind { IN_MEMORY, BY_VALUE, VIRTUAL };

static tensor describe(struct graph *g, int64_t id, cudnnDataType_t type, const int64_t dims[4], struct strides strides,
                       enum kind kind)
{
    struct remat_cudnn_builder *b = &g->builder;
    const int64_t alignment = ALIGNMENT_BYTES;
    const bool by_value = kind == BY_VALUE, is_virtual = kind == VIRTUAL;
    tensor made = remat_cudnn_make(b, CUDNN_BACKEND_TENSOR_DESCRIPTOR, "a tensor of attention");
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides.of);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    remat_cudnn_set(b, made, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    remat_cudnn_finish(b, made);
    return made;
}

/* One of q, k, v and their gradients: rows of `pitch` elements, a head's D beside each other; or o and its own. */
static tensor heads(struct graph *g, enum id id, int64_t pitch, bool turned)
{
    const int64_t straight[4] = {g->batch, g->heads, g->length, g->size};
    const int64_t transposed[4] = {g->batch, g->heads, g->size, g->length};
    struct strides strides = {{g->length * pitch, g->size, turned ? 1 : pitch, turned ? pitch : 1}};
    return describe(g, id, CUDNN_DATA_BFLOAT16, turned ? transposed : straight, strides, IN_MEMORY);
}

static tensor part(struct graph *g, enum id id, bool turned)
{
    return heads(g, id, 3 * g->heads * g->size, turned);
}

static tensor output_like(struct graph *g, enum id id)
{
    return heads(g, id, g->heads * g->size, false);
}

/* [batch, heads, T, 1] f32 in memory. */
static tensor row_values(struct graph *g, enum id id)
{
    const int64_t dims[4] = {g->batch, g->heads, g->length, 1};
    struct strides strides = {{g->heads * g->length, g->length, 1, 1}};
    return describe(g, id, CUDNN_DATA_FLOAT, dims, strides, IN_MEMORY);
}

static tensor constant(struct graph *g, enum id id)
{
    const int64_t ones[4] = {1, 1, 1, 1};
    struct strides strides = {{1, 1, 1, 1}};
    return describe(g, id, CUDNN_DATA_FLOAT, ones, strides, BY_VALUE);
}

static tensor virtual_rows(struct graph *g)
{
    const int64_t dims[4] = {g->batch, g->heads, g->length, 1};
    struct strides strides = {{g->heads * g->length, g->length, 1, 1}};
    return describe(g, g->next_id++, CUDNN_DATA_FLOAT, dims, strides, VIRTUAL);
}

static tensor virtual_scores(struct graph *g, cudnnDataType_t type)
{
    const int64_t t = g->length, dims[4] = {g->batch, g->heads, t, t};
    struct strides strides = {{g->heads * t * t, t * t, t, 1}};
    return describe(g, g->next_id++, type, dims, strides, VIRTUAL);
}

/* --- operations --------------------------------------------------------------------------------------------------- */

static void multiply(struct graph *g, tensor a, tensor b, tensor c)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    struct remat_cudnn_builder *builder = &g->builder;
    cudnnBackendDescriptor_t how = remat_cudnn_make(builder, CUDNN_BACKEND_MATMUL_DESCRIPTOR, "a product"), made;
    remat_cudnn_set(builder, how, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    remat_cudnn_finish(builder, how);
    made = remat_cudnn_make(builder, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, "a product");
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_MATMUL_ADESC, a);
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_MATMUL_BDESC, b);
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_MATMUL_CDESC, c);
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_MATMUL_DESC, how);
    remat_cudnn_operation(builder, made);
}

static void reduce(struct graph *g, cudnnReduceTensorOp_t kind, tensor x, tensor y)
{
    const cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    struct remat_cudnn_builder *b = &g->builder;
    cudnnBackendDescriptor_t how = remat_cudnn_make(b, CUDNN_BACKEND_REDUCTION_DESCRIPTOR, "a reduction"), made;
    remat_cudnn_set(b, how, CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &kind);
    remat_cudnn_set(b, how, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    remat_cudnn_finish(b, how);
    made = remat_cudnn_make(b, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, "a reduction");
    remat_cudnn_set_descriptor(b, made, CUDNN_ATTR_OPERATION_REDUCTION_XDESC, x);
    remat_cudnn_set_descriptor(b, made, CUDNN_ATTR_OPERATION_REDUCTION_YDESC, y);
    remat_cudnn_set_descriptor(b, made, CUDNN_ATTR_OPERATION_REDUCTION_DESC, how);
    remat_cudnn_operation(b, made);
}

/* The same memory order with other dimensions. */
static void reshape(struct graph *g, tensor x, tensor y)
{
    struct remat_cudnn_builder *b = &g->builder;
    cudnnBackendDescriptor_t made = remat_cudnn_make(b, CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, "a transposition");
    remat_cudnn_set_descriptor(b, made, CUDNN_ATTR_OPERATION_RESHAPE_XDESC, x);
    remat_cudnn_set_descriptor(b, made, CUDNN_ATTR_OPERATION_RESHAPE_YDESC, y);
    remat_cudnn_operation(b, made);
}

struct pointwise {
    cudnnPointwiseMode_t mode;
    cudnnDataType_t compute;
    int64_t axis; /* of GEN_INDEX; else -1 */
};

/* y = f(x, b, t); b and t may be NULL. */
static void apply(struct graph *g, struct pointwise f, tensor x, tensor b, tensor t, tensor y)
{
    struct remat_cudnn_builder *builder = &g->builder;
    cudnnBackendDescriptor_t how = remat_cudnn_make(builder, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "a pointwise"), made;
    remat_cudnn_set(builder, how, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &f.mode);
    remat_cudnn_set(builder, how, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &f.compute);
    if (f.axis >= 0)
        remat_cudnn_set(builder, how, CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, 1, &f.axis);
    remat_cudnn_finish(builder, how);
    made = remat_cudnn_make(builder, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "a pointwise operation");
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    if (t)
        remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_POINTWISE_TDESC, t);
    remat_cudnn_set_descriptor(builder, made, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    remat_cudnn_operation(builder, made);
}

static void combine(struct graph *g, cudnnPointwiseMode_t mode, tensor a, tensor b, tensor y)
{
    apply(g, (struct pointwise){mode, CUDNN_DATA_FLOAT, -1}, a, b, NULL, y);
}

/* f of scores, and of scores and something that is broadcast to them. */
static tensor with(struct graph *g, cudnnPointwiseMode_t mode, tensor scores, tensor other)
{
    tensor y = virtual_scores(g, CUDNN_DATA_FLOAT);
    combine(g, mode, scores, other, y);
    return y;
}

/* Scores of later keys become the lowest number. */
static tensor mask(struct graph *g, tensor scores)
{
    const struct pointwise row = {CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_FLOAT, 2};
    const struct pointwise column = {CUDNN_POINTWISE_GEN_INDEX, CUDNN_DATA_FLOAT, 3};
    const struct pointwise compare = {CUDNN_POINTWISE_CMP_GE, CUDNN_DATA_BOOLEAN, -1};
    const struct pointwise select = {CUDNN_POINTWISE_BINARY_SELECT, CUDNN_DATA_FLOAT, -1};
    tensor i = virtual_scores(g, CUDNN_DATA_INT32), j = virtual_scores(g, CUDNN_DATA_INT32);
    tensor seen = virtual_scores(g, CUDNN_DATA_BOOLEAN), y = virtual_scores(g, CUDNN_DATA_FLOAT);
    apply(g, row, scores, NULL, NULL, i);
    apply(g, column, scores, NULL, NULL, j);
    apply(g, compare, i, j, NULL, seen);
    apply(g, select, scores, constant(g, LOWEST), seen, y);
    return y;
}

/* --- graphs ------------------------------------------------------------------------------------------------------- */

static void describe_forward(struct graph *g)
{
    tensor scores = virtual_scores(g, CUDNN_DATA_FLOAT), largest = virtual_rows(g), sum = virtual_rows(g),
           log_sum = virtual_rows(g), weights = virtual_scores(g, CUDNN_DATA_BFLOAT16);
    multiply(g, part(g, Q, false), part(g, K, true), scores);
    scores = mask(g, with(g, CUDNN_POINTWISE_MUL, scores, constant(g, SCALE)));
    reduce(g, CUDNN_REDUCE_TENSOR_MAX, scores, largest);
    scores = with(g, CUDNN_POINTWISE_SUB, scores, largest);
    scores = with(g, CUDNN_POINTWISE_EXP, scores, NULL);
    reduce(g, CUDNN_REDUCE_TENSOR_ADD, scores, sum);
    combine(g, CUDNN_POINTWISE_LOG, sum, NULL, log_sum);
    combine(g, CUDNN_POINTWISE_ADD, largest, log_sum, row_values(g, LSE));
    combine(g, CUDNN_POINTWISE_DIV, scores, sum, weights);
    multiply(g, weights, part(g, V, false), output_like(g, O));
}

/* The transpose of scores, in bf16. */
static tensor turned(struct graph *g, tensor scores)
{
    const int64_t t = g->length, dims[4] = {g->batch, g->heads, t, t};
    struct strides strides = {{g->heads * t * t, t * t, 1, t}};
    tensor y = describe(g, g->next_id++, CUDNN_DATA_BFLOAT16, dims, strides, VIRTUAL);
    reshape(g, scores, y);
    return y;
}

/* k, from its transpose. */
static tensor turned_back(struct graph *g, tensor k)
{
    const int64_t pitch = 3 * g->heads * g->size, dims[4] = {g->batch, g->heads, g->length, g->size};
    struct strides strides = {{g->length * pitch, g->size, pitch, 1}};
    tensor y = describe(g, g->next_id++, CUDNN_DATA_FLOAT, dims, strides, VIRTUAL);
    reshape(g, k, y);
    return y;
}

static void describe_delta(struct graph *g, tensor out_gradient, tensor delta)
{
    const int64_t size = g->heads * g->size, dims[4] = {g->batch, g->heads, g->length, g->size};
    struct strides strides = {{g->length * size, g->length * g->size, size, 1}};
    tensor products = describe(g, g->next_id++, CUDNN_DATA_FLOAT, dims, strides, VIRTUAL);
    tensor sum = virtual_rows(g);
    combine(g, CUDNN_POINTWISE_MUL, out_gradient, output_like(g, O), products);
    reduce(g, CUDNN_REDUCE_TENSOR_ADD, products, sum);
    combine(g, CUDNN_POINTWISE_MUL, sum, constant(g, ONE), delta);
}

static void describe_backward(struct graph *g)
{
    tensor q = part(g, Q, false), k = part(g, K, true), out_gradient = output_like(g, OUT_GRADIENT);
    tensor delta = row_values(g, DELTA), scale = constant(g, SCALE);
    tensor weights = virtual_scores(g, CUDNN_DATA_FLOAT), gradient;
    describe_delta(g, out_gradient, delta);
    multiply(g, q, k, weights);
    weights = with(g, CUDNN_POINTWISE_MUL, weights, scale);
    weights = with(g, CUDNN_POINTWISE_SUB, weights, row_values(g, LSE));
    weights = with(g, CUDNN_POINTWISE_EXP, mask(g, weights), NULL);
    multiply(g, turned(g, weights), out_gradient, part(g, DV, false));
    gradient = virtual_scores(g, CUDNN_DATA_FLOAT);
    multiply(g, out_gradient, part(g, V, true), gradient);
    gradient = with(g, CUDNN_POINTWISE_SUB, gradient, delta);
    gradient = with(g, CUDNN_POINTWISE_MUL, gradient, weights);
    gradient = with(g, CUDNN_POINTWISE_MUL, gradient, scale);
    multiply(g, turned(g, gradient), q, part(g, DK, false));
    multiply(g, gradient, turned_back(g, k), part(g, DQ, false));
}

/* --- the ops ------------------------------------------------------------------------------------------------------ */

/* Delta comes first in the backward scratch. */
static int64_t delta_bytes(const struct remat_kernel_spec *spec)
{
    return spec->op == REMAT_OP_ATTENTION ? 0 : remat_align_up(remat_tensor_bytes(&spec->inputs[2]));
}

static int64_t channels_of(const struct remat_kernel_spec *spec)
{
    return spec->inputs[0].dims[2] / 3;
}

static enum remat_status make_plan(struct remat_device *device, const struct remat_kernel_spec *spec,
                                   struct remat_cudnn_made *made, struct remat_error *err)
{
    const struct remat_cudnn_demand demand = {.scratch_cap_bytes = SCRATCH_CAP_BYTES};
    const struct remat_tensor *qkv = &spec->inputs[0];
    struct graph g = {.batch = qkv->dims[0], .heads = spec->attr.heads, .length = qkv->dims[1]};
    g.next_id = FIRST_VIRTUAL;
    g.size = channels_of(spec) / g.heads;
    REMAT_TRY(remat_cudnn_begin(device, &g.builder, err));
    (spec->op == REMAT_OP_ATTENTION ? describe_forward : describe_backward)(&g);
    REMAT_TRY(remat_cudnn_end(&g.builder, &demand, &made->plan, &made->scratch_bytes, err));
    made->scratch_bytes += delta_bytes(spec);
    return REMAT_OK;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cudnn_create(device, spec, 0, make_plan, state, scratch_bytes, err);
}

/* Whether there is an engine: asked by making one. */
static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *qkv = &spec->inputs[0];
    int64_t size = channels_of(spec) / spec->attr.heads, scratch_bytes;
    struct remat_error refusal;
    void *state;
    return qkv->dtype == REMAT_BF16 && remat_cuda_supports_floats(device, spec) && size % HEAD_MULTIPLE == 0 &&
           size <= LARGEST_HEAD && qkv->dims[1] % LENGTH_MULTIPLE == 0 &&
           remat_cuda_granted(spec, create(device, spec, &state, &scratch_bytes, &refusal), &refusal);
}

static void *part_of(const void *base, int64_t channels, int index)
{
    return (char *)(uintptr_t)base + index * channels * remat_dtype_bytes(REMAT_BF16);
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_cudnn_made *made = state;
    const int64_t channels = channels_of(spec);
    /* Read while the call below lasts. */
    float scale = (float)(1 / sqrt((double)(channels / spec->attr.heads))), one = 1;
    float lowest = remat_cudnn_version(made->plan) >= INFINITY_SINCE ? -INFINITY : -FLT_MAX;
    bool forward = spec->op == REMAT_OP_ATTENTION;
    const enum id forward_ids[] = {Q, K, V, SCALE, LOWEST, O, LSE};
    const enum id backward_ids[] = {Q, K, V, SCALE, LOWEST, O, LSE, ONE, DELTA, OUT_GRADIENT, DQ, DK, DV};
    int64_t count = forward ? 7 : OPERANDS, ids[OPERANDS];
    void *addresses[OPERANDS] = {part_of(args->inputs[0], channels, 0),
                                 part_of(args->inputs[0], channels, 1),
                                 part_of(args->inputs[0], channels, 2),
                                 &scale,
                                 &lowest,
                                 forward ? args->outputs[0] : (void *)(uintptr_t)args->inputs[1],
                                 forward ? args->outputs[1] : (void *)(uintptr_t)args->inputs[2]};
    for (int64_t i = 0; i < count; i++)
        ids[i] = forward ? forward_ids[i] : backward_ids[i];
    if (!forward) {
        addresses[7] = &one;
        addresses[8] = args->scratch;
        addresses[9] = (void *)(uintptr_t)args->inputs[3];
        for (int k = 0; k < 3; k++)
            addresses[10 + k] = part_of(args->outputs[0], channels, k);
    }
    return remat_cudnn_plan_run(made->plan, count, ids, addresses, (char *)args->scratch + delta_bytes(spec), err);
}

const struct remat_op_impl remat_cuda_attention_fused = {
    REMAT_OP_ATTENTION, "cudnn", NUMERICS, supports, create, run, NULL};
const struct remat_op_impl remat_cuda_attention_bwd_fused = {
    REMAT_OP_ATTENTION_BWD, "cudnn", NUMERICS, supports, create, run, NULL};
