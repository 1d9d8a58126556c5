/* Lowering of batch normalisation and pooling. */
#include "runtime/lower/layers.h"

void remat_lowering_window(const struct lowering *l, int32_t layer, struct remat_op_attr *attr)
{
    const struct remat_layer *source = remat_lowering_layer(l, layer);
    for (int32_t k = 0; k < 2; k++) {
        attr->kernel[k] = source->kernel;
        attr->stride[k] = source->stride;
        attr->pad[k] = source->pad;
    }
}

/* --- batch normalisation ----------------------------------------------------------------------------------------- */

enum { GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR };
enum { MEAN, INVSTD };

static struct remat_task batchnorm_task(const struct lowering *l, int32_t layer, enum remat_op op,
                                        enum remat_phase phase)
{
    const struct remat_layer *source = remat_lowering_layer(l, layer);
    struct remat_task task = remat_lowering_task(l, layer, op, phase);
    task.attr.relu = source->relu;
    task.attr.residual = source->inputs_count > 1;
    return task;
}

static void use_parameters(const struct lowering *l, int32_t layer, struct remat_task *task, int32_t count,
                           bool write_statistics)
{
    for (int32_t k = 0; k < count; k++)
        remat_task_uses_cell(task, remat_lowering_cell(l, layer, k), k >= RUNNING_MEAN && write_statistics);
}

/* The recipe that recomputes the output from saved statistics: it updates nothing and gives the same bits. */
static void batchnorm_apply(struct lowering *l, int32_t layer)
{
    struct remat_task task = batchnorm_task(l, layer, REMAT_OP_BATCHNORM_APPLY, REMAT_FORWARD);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->saved[layer][MEAN]);
    remat_task_reads(&task, l->saved[layer][INVSTD]);
    if (task.attr.residual)
        remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    use_parameters(l, layer, &task, 2, false);
    remat_task_remakes(&task, l->output[layer]);
    remat_lowering_emit_alternate(l, &task);
}

static void batchnorm_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = batchnorm_task(l, layer, REMAT_OP_BATCHNORM, REMAT_FORWARD);
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_tensor statistic = remat_vector(remat_lowering_wide(l), remat_tensor_columns(&x));
    task.attr.epsilon = remat_lowering_layer(l, layer)->epsilon;
    task.attr.momentum = remat_lowering_layer(l, layer)->momentum;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    if (task.attr.residual)
        remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    use_parameters(l, layer, &task, 4, true);
    l->output[layer] = remat_task_makes(l, &task, x, REMAT_ACTIVATION, "", "");
    l->saved[layer][MEAN] = remat_task_makes(l, &task, statistic, REMAT_STATISTIC, "", ".mean");
    l->saved[layer][INVSTD] = remat_task_makes(l, &task, statistic, REMAT_STATISTIC, "", ".invstd");
    remat_lowering_emit(l, &task);
    batchnorm_apply(l, layer);
}

static void batchnorm_evaluate(struct lowering *l, int32_t layer)
{
    struct remat_task task = batchnorm_task(l, layer, REMAT_OP_BATCHNORM_EVAL, REMAT_FORWARD);
    task.attr.epsilon = remat_lowering_layer(l, layer)->epsilon;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    if (task.attr.residual)
        remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    use_parameters(l, layer, &task, 4, false);
    l->output[layer] = remat_task_makes(l, &task, remat_lowering_tensor(l, task.inputs[0]), REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, &task);
}

static void batchnorm_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = batchnorm_task(l, layer, REMAT_OP_BATCHNORM_BWD, REMAT_BACKWARD);
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_tensor statistic = remat_vector(remat_lowering_wide(l), remat_tensor_columns(&x));
    bool has_z_gradient = task.attr.residual;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->saved[layer][MEAN]);
    remat_task_reads(&task, l->saved[layer][INVSTD]);
    remat_task_reads(&task, l->gradient[layer]);
    if (task.attr.relu && task.attr.residual)
        remat_task_reads(&task, l->output[layer]);
    use_parameters(l, layer, &task, 2, false);
    remat_task_makes(l, &task, x, REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_task_makes(l, &task, statistic, REMAT_PARAMETER_GRADIENT, "d ", ".weight");
    remat_task_makes(l, &task, statistic, REMAT_PARAMETER_GRADIENT, "d ", ".bias");
    if (has_z_gradient)
        remat_task_makes(l, &task, x, REMAT_ACTIVATION_GRADIENT, "d residual ", "");
    remat_lowering_emit(l, &task);
    remat_lowering_parameter_gradient(l, layer, GAMMA, task.outputs[1]);
    remat_lowering_parameter_gradient(l, layer, BETA, task.outputs[2]);
    remat_lowering_contribute(l, layer, 0, task.outputs[0]);
    if (has_z_gradient)
        remat_lowering_contribute(l, layer, 1, task.outputs[3]);
}

const struct layer_lowering remat_lower_batchnorm = {batchnorm_forward, batchnorm_backward, batchnorm_evaluate};

/* --- pooling ----------------------------------------------------------------------------------------------------- */

static struct remat_tensor output_tensor(const struct lowering *l, int32_t layer)
{
    struct remat_tensor tensor = remat_lowering_layer(l, layer)->output;
    tensor.dtype = l->options->dtype;
    return tensor;
}

static void maxpool_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_MAXPOOL, REMAT_FORWARD);
    struct remat_tensor y = output_tensor(l, layer), place = y;
    place.dtype = REMAT_U8;
    remat_lowering_window(l, layer, &task.attr);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    l->output[layer] = remat_task_makes(l, &task, y, REMAT_ACTIVATION, "", "");
    l->saved[layer][0] = remat_task_makes(l, &task, place, REMAT_WORKSPACE, "", ".place");
    remat_lowering_emit(l, &task);
}

static void pool_backward(struct lowering *l, int32_t layer, struct remat_task *task)
{
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    int32_t dx = remat_task_makes(l, task, x, REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_lowering_emit(l, task);
    remat_lowering_contribute(l, layer, 0, dx);
}

static void maxpool_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_MAXPOOL_BWD, REMAT_BACKWARD);
    remat_lowering_window(l, layer, &task.attr);
    remat_task_reads(&task, l->gradient[layer]);
    remat_task_reads(&task, l->saved[layer][0]);
    pool_backward(l, layer, &task);
}

static void avgpool_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_AVGPOOL, REMAT_FORWARD);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    l->output[layer] = remat_task_makes(l, &task, output_tensor(l, layer), REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, &task);
}

static void avgpool_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_AVGPOOL_BWD, REMAT_BACKWARD);
    remat_task_reads(&task, l->gradient[layer]);
    pool_backward(l, layer, &task);
}

const struct layer_lowering remat_lower_maxpool = {maxpool_forward, maxpool_backward, NULL};
const struct layer_lowering remat_lower_avgpool = {avgpool_forward, avgpool_backward, NULL};
