/* Lowering of inputs, element-wise layers, linear layers and the losses. */
#include "runtime/lower/layers.h"

#include <string.h>

/* --- input, labels ---------------------------------------------------------------------------------------------- */

static void feed(struct lowering *l, int32_t layer)
{
    const struct remat_layer *source = remat_lowering_layer(l, layer);
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_FEED, REMAT_FORWARD);
    struct remat_tensor fed = source->output, staged = source->output;
    const char *name = NULL;
    int32_t cell = -1;
    if (fed.dtype != REMAT_I32) {
        fed.dtype = l->options->dtype;
        staged.dtype = REMAT_U8;
        memcpy(task.attr.mean, l->layers->feed_mean, sizeof task.attr.mean);
        memcpy(task.attr.std, l->layers->feed_std, sizeof task.attr.std);
        for (int32_t c = 0; c < 4; c++)
            if (task.attr.std[c] == 0)
                task.attr.std[c] = 1;
    }
    if (l->status == REMAT_OK)
        l->status = remat_pool_printf(&l->graph->pool, &name, l->err, "staging.%s", source->name);
    if (l->status == REMAT_OK)
        l->status = remat_add_cell(l->graph, &staged, REMAT_STAGING_SLOT, -1, name, &cell, l->err);
    remat_task_uses_cell(&task, cell, false);
    l->output[layer] = remat_task_makes(l, &task, fed, REMAT_BATCH, "", "");
    remat_lowering_emit(l, &task);
}

const struct layer_lowering remat_lower_feed = {feed, NULL, NULL};

/* --- relu, add, gelu, dropout ----------------------------------------------------------------------------------- */

/* One input, an output of the same shape. */
static void unary_forward(struct lowering *l, int32_t layer, struct remat_task *task)
{
    int32_t x = remat_lowering_input(l, layer, 0);
    remat_task_reads(task, x);
    l->output[layer] = remat_task_makes(l, task, remat_lowering_tensor(l, x), REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, task);
}

/* Reads `saved` (-1 = nothing) and the output's gradient, and makes the input's. */
static void unary_backward(struct lowering *l, int32_t layer, struct remat_task *task, int32_t saved)
{
    int32_t dy = l->gradient[layer], dx;
    if (saved >= 0)
        remat_task_reads(task, saved);
    remat_task_reads(task, dy);
    dx = remat_task_makes(l, task, remat_lowering_tensor(l, dy), REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_lowering_emit(l, task);
    remat_lowering_contribute(l, layer, 0, dx);
}

static void relu_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_RELU, REMAT_FORWARD);
    unary_forward(l, layer, &task);
}

static void relu_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_RELU_BWD, REMAT_BACKWARD);
    unary_backward(l, layer, &task, l->output[layer]);
}

static void gelu_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_GELU, REMAT_FORWARD);
    unary_forward(l, layer, &task);
}

static void gelu_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_GELU_BWD, REMAT_BACKWARD);
    unary_backward(l, layer, &task, remat_lowering_input(l, layer, 0));
}

static struct remat_task dropout_task(const struct lowering *l, int32_t layer, enum remat_op op, enum remat_phase phase)
{
    struct remat_task task = remat_lowering_task(l, layer, op, phase);
    task.attr.probability = remat_lowering_layer(l, layer)->probability;
    task.attr.layer = layer;
    return task;
}

static void dropout_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = dropout_task(l, layer, REMAT_OP_DROPOUT, REMAT_FORWARD);
    unary_forward(l, layer, &task);
}

static void dropout_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = dropout_task(l, layer, REMAT_OP_DROPOUT_BWD, REMAT_BACKWARD);
    unary_backward(l, layer, &task, -1);
}

/* Evaluation keeps every element. */
static void dropout_evaluate(struct lowering *l, int32_t layer)
{
    l->output[layer] = remat_lowering_input(l, layer, 0);
}

static void add_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task;
    if (l->output[layer] >= 0) /* the linear layer before it has added */
        return;
    task = remat_lowering_task(l, layer, REMAT_OP_ADD, REMAT_FORWARD);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    l->output[layer] = remat_task_makes(l, &task, remat_lowering_tensor(l, task.inputs[0]), REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, &task);
}

/* Both inputs have the output's gradient: the value is shared, no task runs. */
static void add_backward(struct lowering *l, int32_t layer)
{
    remat_lowering_contribute(l, layer, 0, l->gradient[layer]);
    remat_lowering_contribute(l, layer, 1, l->gradient[layer]);
}

const struct layer_lowering remat_lower_relu = {relu_forward, relu_backward, NULL};
const struct layer_lowering remat_lower_gelu = {gelu_forward, gelu_backward, NULL};
const struct layer_lowering remat_lower_dropout = {dropout_forward, dropout_backward, dropout_evaluate};
const struct layer_lowering remat_lower_add = {add_forward, add_backward, NULL};

/* --- filters: convolution and linear layers ---------------------------------------------------------------------- */

static struct remat_task forward_task(const struct lowering *l, int32_t layer, const struct filter_ops *ops,
                                      int32_t residual)
{
    enum remat_op op = residual >= 0 ? ops->forward_add : ops->forward;
    struct remat_task task = remat_lowering_task(l, layer, op, REMAT_FORWARD);
    ops->attributes(l, layer, &task.attr);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    if (residual >= 0)
        remat_task_reads(&task, residual);
    remat_lowering_use_weights(l, layer, &task, task.attr.bias ? 2 : 1);
    return task;
}

/* What the addition `add` adds to this layer's output, or -1 if it is not an addition that could be made here. */
static int32_t residual_of(const struct lowering *l, int32_t layer, int32_t add)
{
    const struct remat_layer *user;
    if (add < 0)
        return -1;
    user = remat_lowering_layer(l, add);
    if (user->kind != REMAT_LAYER_ADD)
        return -1;
    return l->output[user->inputs[0] == layer ? user->inputs[1] : user->inputs[0]];
}

static void filter_forward(struct lowering *l, int32_t layer, const struct filter_ops *ops)
{
    struct remat_tensor output = remat_lowering_layer(l, layer)->output;
    int32_t add = ops->forward_add != REMAT_OP_COUNT ? l->sole_user[layer] : -1, residual = residual_of(l, layer, add);
    struct remat_task task;
    output.dtype = l->options->dtype;
    remat_lowering_cast(l, layer, remat_lowering_layer(l, layer)->bias ? 2 : 1);
    task = forward_task(l, layer, ops, residual);
    if (residual >= 0 && !remat_lowering_offers(l, &task, output)) {
        residual = -1;
        task = forward_task(l, layer, ops, residual);
    }
    l->output[residual >= 0 ? add : layer] = remat_task_makes(l, &task, output, REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, &task);
}

static struct remat_tensor gradient_tensor(const struct lowering *l, int32_t layer, int32_t k, bool narrow)
{
    struct remat_tensor tensor = l->graph->cells[remat_lowering_cell(l, layer, k)].tensor;
    if (narrow)
        tensor.dtype = l->options->dtype;
    return tensor;
}

static void filter_weights(struct lowering *l, int32_t layer, const struct filter_ops *ops)
{
    struct remat_task task = remat_lowering_task(l, layer, ops->weights, REMAT_BACKWARD);
    int32_t count;
    ops->attributes(l, layer, &task.attr);
    count = task.attr.bias ? 2 : 1;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->gradient[layer]);
    for (int32_t k = 0; k < count && l->status == REMAT_OK; k++)
        remat_task_makes(l, &task, gradient_tensor(l, layer, k, ops->narrow), REMAT_PARAMETER_GRADIENT, "d ",
                         k ? ".bias" : ".weight");
    remat_lowering_emit(l, &task);
    for (int32_t k = 0; k < count && l->status == REMAT_OK; k++)
        remat_lowering_parameter_gradient(l, layer, k, task.outputs[k]);
}

/* The input's gradient; of a fusion, which reads one more value. */
static struct remat_task data_task(const struct lowering *l, int32_t layer, const struct filter_ops *ops,
                                   enum remat_op op, int32_t second)
{
    struct remat_task task = remat_lowering_task(l, layer, op, REMAT_BACKWARD);
    ops->attributes(l, layer, &task.attr);
    task.attr.bias = false;
    remat_task_reads(&task, l->gradient[layer]);
    if (second >= 0)
        remat_task_reads(&task, second);
    remat_lowering_use_weights(l, layer, &task, 1);
    return task;
}

static int32_t emit_data(struct lowering *l, struct remat_task *task, struct remat_tensor x)
{
    int32_t dx = remat_task_makes(l, task, x, REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_lowering_emit(l, task);
    return dx;
}

/* Whether the gradient was added, in the same task, to what the input has so far. */
static bool filter_accumulates(struct lowering *l, int32_t layer, const struct filter_ops *ops, struct remat_tensor x)
{
    int32_t input = remat_lowering_layer(l, layer)->inputs[0], earlier = l->gradient[input];
    struct remat_task task;
    if (ops->data_add == REMAT_OP_COUNT || earlier < 0)
        return false;
    task = data_task(l, layer, ops, ops->data_add, earlier);
    if (!remat_lowering_offers(l, &task, x))
        return false;
    l->gradient[input] = emit_data(l, &task, x);
    return true;
}

/* Whether the input is a GELU's output and the task went on to the gradient of that one's input. */
static bool filter_passes_gelu(struct lowering *l, int32_t layer, const struct filter_ops *ops, struct remat_tensor x)
{
    int32_t input = remat_lowering_layer(l, layer)->inputs[0];
    struct remat_task task;
    if (ops->data_gelu == REMAT_OP_COUNT || remat_lowering_layer(l, input)->kind != REMAT_LAYER_GELU ||
        l->sole_user[input] != layer)
        return false;
    task = data_task(l, layer, ops, ops->data_gelu, remat_lowering_input(l, input, 0));
    if (!remat_lowering_offers(l, &task, x))
        return false;
    remat_lowering_contribute(l, input, 0, emit_data(l, &task, x));
    return true;
}

static void filter_data(struct lowering *l, int32_t layer, const struct filter_ops *ops)
{
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_task task;
    if (!remat_input_needs_gradient(l, layer, 0) || filter_accumulates(l, layer, ops, x) ||
        filter_passes_gelu(l, layer, ops, x))
        return;
    task = data_task(l, layer, ops, ops->data, -1);
    remat_lowering_contribute(l, layer, 0, emit_data(l, &task, x));
}

/* The weight gradient comes first where it is the smaller of what either order keeps alive beside the other task: then
 * the input dies before the input's gradient begins. */
static void filter_backward(struct lowering *l, int32_t layer, const struct filter_ops *ops)
{
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_tensor w = l->graph->cells[remat_lowering_cell(l, layer, 0)].tensor;
    bool weights_first = remat_tensor_bytes(&w) <= remat_tensor_bytes(&x);
    if (weights_first)
        filter_weights(l, layer, ops);
    filter_data(l, layer, ops);
    if (!weights_first)
        filter_weights(l, layer, ops);
}

static void linear_attributes(const struct lowering *l, int32_t layer, struct remat_op_attr *attr)
{
    attr->bias = remat_lowering_layer(l, layer)->bias;
}

static void conv_attributes(const struct lowering *l, int32_t layer, struct remat_op_attr *attr)
{
    remat_lowering_window(l, layer, attr);
}

static const struct filter_ops linear_ops = {.forward = REMAT_OP_LINEAR,
                                             .data = REMAT_OP_LINEAR_BWD_DATA,
                                             .weights = REMAT_OP_LINEAR_BWD_WEIGHTS,
                                             .attributes = linear_attributes,
                                             .forward_add = REMAT_OP_LINEAR_ADD,
                                             .data_add = REMAT_OP_COUNT,
                                             .data_gelu = REMAT_OP_LINEAR_GELU_BWD};
static const struct filter_ops conv_ops = {.forward = REMAT_OP_CONV2D,
                                           .data = REMAT_OP_CONV2D_BWD_DATA,
                                           .weights = REMAT_OP_CONV2D_BWD_WEIGHTS,
                                           .attributes = conv_attributes,
                                           .narrow = true,
                                           .forward_add = REMAT_OP_COUNT,
                                           .data_add = REMAT_OP_CONV2D_BWD_DATA_ADD,
                                           .data_gelu = REMAT_OP_COUNT};

static void linear_forward(struct lowering *l, int32_t layer)
{
    filter_forward(l, layer, &linear_ops);
}

static void linear_backward(struct lowering *l, int32_t layer)
{
    filter_backward(l, layer, &linear_ops);
}

static void conv_forward(struct lowering *l, int32_t layer)
{
    filter_forward(l, layer, &conv_ops);
}

static void conv_backward(struct lowering *l, int32_t layer)
{
    filter_backward(l, layer, &conv_ops);
}

const struct layer_lowering remat_lower_linear = {linear_forward, linear_backward, NULL};
const struct layer_lowering remat_lower_conv2d = {conv_forward, conv_backward, NULL};

/* --- losses ------------------------------------------------------------------------------------------------------ */

/* Forward of the loss makes the gradient of its input at once: nothing of it is kept. */
static void loss_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_LOSS, REMAT_BACKWARD);
    int32_t logits = remat_lowering_input(l, layer, 0);
    task.attr.smoothing = l->options->smoothing;
    remat_task_reads(&task, logits);
    remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    remat_task_uses_cell(&task, l->metrics, true);
    l->gradient[remat_lowering_layer(l, layer)->inputs[0]] =
        remat_task_makes(l, &task, remat_lowering_tensor(l, logits), REMAT_ACTIVATION_GRADIENT, "d logits ", "");
    remat_lowering_emit(l, &task);
}

static void loss_evaluate(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_LOSS_EVAL, REMAT_FORWARD);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    remat_task_uses_cell(&task, l->metrics, true);
    remat_lowering_emit(l, &task);
}

const struct layer_lowering remat_lower_loss = {loss_forward, NULL, loss_evaluate};
