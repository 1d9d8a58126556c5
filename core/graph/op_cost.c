/* What an op costs at least: floating-point operations and bytes moved, the two axes of a roofline. */
#include "core/graph/op.h"

static int64_t elements(const struct remat_tensor *tensor)
{
    return remat_tensor_elements(tensor);
}

/* Saturates: sizes come from files too. */
static int64_t times(int64_t a, int64_t b)
{
    const int64_t limit = INT64_C(1) << 58;
    int64_t result;
    return __builtin_mul_overflow(a, b, &result) || result > limit ? limit : result;
}

/* Multiply-adds of a convolution or product per element of y, times two: every output sums R S C products. */
static int64_t product_flop(const struct remat_tensor *y, const struct remat_tensor *weight)
{
    int64_t outputs = weight->dims_count > 0 && weight->dims[0] > 0 ? weight->dims[0] : 1;
    return times(2, times(elements(y), elements(weight) / outputs));
}

/* One T x T x C product per batch; the causal half of it. */
static int64_t attention_product_flop(const struct remat_kernel_spec *spec)
{
    const int64_t *qkv = spec->inputs[0].dims;
    return times(times(qkv[0], qkv[1]), times(qkv[1], qkv[2] / 3));
}

/* Operations per element of the largest operand, for ops that are bound by memory anyway. */
static int64_t flop_per_element(enum remat_op op)
{
    switch (op) {
    case REMAT_OP_FEED:
    case REMAT_OP_BATCHNORM_APPLY:
    case REMAT_OP_BATCHNORM_EVAL:
    case REMAT_OP_LAYERNORM_APPLY:
    case REMAT_OP_SQUARE_NORM:
        return 3;
    case REMAT_OP_BATCHNORM:
    case REMAT_OP_LAYERNORM:
        return 7;
    case REMAT_OP_BATCHNORM_BWD:
    case REMAT_OP_LAYERNORM_BWD:
        return 10;
    case REMAT_OP_LOSS:
    case REMAT_OP_LOSS_EVAL:
        return 5;
    case REMAT_OP_GELU:
        return 12;
    case REMAT_OP_GELU_BWD:
        return 20;
    case REMAT_OP_DROPOUT:
    case REMAT_OP_DROPOUT_BWD:
        return 12;
    case REMAT_OP_SGD:
        return 5;
    case REMAT_OP_ADAMW:
        return 14;
    case REMAT_OP_OPAQUE:
    case REMAT_OP_RESET:
        return 0;
    default:
        return 1;
    }
}

static int64_t largest_operand(const struct remat_kernel_spec *spec)
{
    int64_t largest = 0;
    for (int32_t i = 0; i < spec->inputs_count; i++)
        largest = elements(&spec->inputs[i]) > largest ? elements(&spec->inputs[i]) : largest;
    for (int32_t i = 0; i < spec->outputs_count; i++)
        largest = elements(&spec->outputs[i]) > largest ? elements(&spec->outputs[i]) : largest;
    if (largest == 0 && spec->cells_count > 0)
        largest = elements(&spec->cells[0]);
    return largest;
}

int64_t remat_op_flop(const struct remat_kernel_spec *spec)
{
    switch (spec->op) {
    case REMAT_OP_CONV2D:
    case REMAT_OP_LINEAR:
    case REMAT_OP_LINEAR_ADD:
        return product_flop(&spec->outputs[0], remat_op_weight(spec));
    case REMAT_OP_CONV2D_BWD_DATA:
    case REMAT_OP_CONV2D_BWD_DATA_ADD:
    case REMAT_OP_LINEAR_BWD_DATA:
    case REMAT_OP_LINEAR_GELU_BWD:
        return product_flop(&spec->inputs[0], remat_op_weight(spec));
    case REMAT_OP_CONV2D_BWD_WEIGHTS:
    case REMAT_OP_LINEAR_BWD_WEIGHTS:
        return product_flop(&spec->inputs[1], &spec->outputs[0]);
    case REMAT_OP_ATTENTION: /* q k', p v */
        return times(2, attention_product_flop(spec));
    case REMAT_OP_ATTENTION_BWD: /* q k' again, do v', p' do, ds k, ds' q */
        return times(5, attention_product_flop(spec));
    case REMAT_OP_CLASSIFIER_LOSS: /* logits, dh, dw */
        return times(6, times(remat_tensor_rows(&spec->inputs[0]), elements(remat_op_weight(spec))));
    case REMAT_OP_CLASSIFIER_EVAL:
        return times(2, times(remat_tensor_rows(&spec->inputs[0]), elements(remat_op_weight(spec))));
    default:
        return times(flop_per_element(spec->op), largest_operand(spec));
    }
}

/* How many cells, from the first on, a task of this op writes (normalisation statistics and metrics are too small to
 * matter). */
static int32_t large_cells_written(const struct remat_kernel_spec *spec)
{
    switch (spec->op) {
    case REMAT_OP_SGD:
        return spec->attr.momentum != 0.0f ? 2 : 1;
    case REMAT_OP_ADAMW:
        return 3;
    case REMAT_OP_ACCUMULATE:
        return 1;
    default:
        return 0;
    }
}

int64_t remat_op_traffic_bytes(const struct remat_kernel_spec *spec)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < spec->inputs_count; i++)
        bytes += remat_tensor_bytes(&spec->inputs[i]);
    for (int32_t i = 0; i < spec->outputs_count; i++)
        bytes += remat_tensor_bytes(&spec->outputs[i]);
    if (spec->op == REMAT_OP_EMBEDDING) /* reads a token's and a position's row per output row, not the tables */
        return bytes + 2 * remat_tensor_bytes(&spec->outputs[0]);
    for (int32_t i = 0; i < spec->cells_count; i++)
        bytes += remat_tensor_bytes(&spec->cells[i]) * (i < large_cells_written(spec) ? 2 : 1);
    return bytes;
}
