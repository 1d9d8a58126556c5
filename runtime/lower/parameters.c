/* Cells of parameters and of the optimizer, and the tasks that consume gradients. */
#include "runtime/lower/lowering.h"

#include <string.h>

static bool sums_gradients(const struct lowering *l)
{
    return l->options->micro_count > 1 || l->options->max_norm > 0;
}

static int32_t make_cell(struct lowering *l, const struct remat_tensor *tensor, enum remat_cell_kind kind,
                         int32_t parameter, const char *name, const char *suffix)
{
    const char *full = NULL;
    int32_t cell = -1;
    if (l->status == REMAT_OK)
        l->status = remat_pool_printf(&l->graph->pool, &full, l->err, "%s%s", name, suffix);
    if (l->status == REMAT_OK)
        l->status = remat_add_cell(l->graph, tensor, kind, parameter, full, &cell, l->err);
    return cell;
}

static void make_state_cells(struct lowering *l, int32_t p, const struct remat_tensor *tensor, const char *name)
{
    struct lowered_parameter *lowered = &l->parameters[p];
    if (l->options->optimizer == REMAT_ADAMW) {
        lowered->state[0] = make_cell(l, tensor, REMAT_OPTIMIZER_STATE, p, name, ".m");
        lowered->state[1] = make_cell(l, tensor, REMAT_OPTIMIZER_STATE, p, name, ".v");
    } else if (l->options->momentum != 0) {
        lowered->state[0] = make_cell(l, tensor, REMAT_OPTIMIZER_STATE, p, name, ".momentum");
    }
    if (sums_gradients(l))
        lowered->gradient_sum = make_cell(l, tensor, REMAT_GRADIENT_SUM, p, name, ".grad");
}

void remat_lowering_make_cells(struct lowering *l)
{
    struct remat_tensor metrics = remat_vector(REMAT_F64, 4), norm = remat_vector(REMAT_F64, 2);
    for (int32_t p = 0; p < l->layers->parameters_count; p++) {
        const struct remat_parameter *parameter = &l->layers->parameters[p];
        struct remat_tensor tensor = parameter->tensor;
        enum remat_cell_kind kind = parameter->trained ? REMAT_PARAMETER : REMAT_RUNNING_STATISTIC;
        tensor.dtype = remat_lowering_wide(l);
        l->parameters[p] = (struct lowered_parameter){-1, {-1, -1}, -1, 0, -1};
        l->parameters[p].cell = make_cell(l, &tensor, kind, p, parameter->name, "");
        if (parameter->trained && l->options->mode == REMAT_TRAIN)
            make_state_cells(l, p, &tensor, parameter->name);
    }
    l->metrics = make_cell(l, &metrics, REMAT_METRICS, -1, "metrics", "");
    if (sums_gradients(l) && l->options->mode == REMAT_TRAIN)
        l->norm = make_cell(l, &norm, REMAT_METRICS, -1, "norm", "");
    for (int32_t i = 0; i < l->layers->layers_count; i++) {
        const struct remat_layer *layer = &l->layers->layers[i];
        for (int32_t k = 0; k < layer->parameters_count; k++)
            l->parameters[layer->parameters[k]].uses++;
    }
}

static struct remat_task parameter_task(const struct lowering *l, int32_t p, enum remat_op op, int32_t block)
{
    struct remat_task task;
    memset(&task, 0, sizeof task);
    task.name = l->layers->parameters[p].name;
    task.op = op;
    task.phase = REMAT_UPDATE;
    task.section = REMAT_MICRO;
    task.block = block;
    return task;
}

static void add_optimizer(const struct lowering *l, struct remat_task *task, int32_t p)
{
    const struct remat_lower_options *options = l->options;
    const struct lowered_parameter *lowered = &l->parameters[p];
    task->attr.weight_decay = l->layers->parameters[p].decayed ? options->weight_decay : 0;
    if (options->optimizer == REMAT_ADAMW) {
        task->attr.beta1 = options->beta1;
        task->attr.beta2 = options->beta2;
        task->attr.epsilon = options->epsilon;
    } else {
        task->attr.momentum = options->momentum;
        task->attr.nesterov = options->nesterov;
    }
    remat_task_uses_cell(task, lowered->cell, true);
    for (int32_t k = 0; k < 2; k++)
        if (lowered->state[k] >= 0)
            remat_task_uses_cell(task, lowered->state[k], true);
}

static enum remat_op optimizer_op(const struct lowering *l)
{
    return l->options->optimizer == REMAT_ADAMW ? REMAT_OP_ADAMW : REMAT_OP_SGD;
}

static void emit_consumer(struct lowering *l, int32_t p)
{
    const struct lowered_parameter *lowered = &l->parameters[p];
    int32_t block = lowered->gradient >= 0 ? l->graph->values[lowered->gradient].block : 0;
    bool sum = lowered->gradient_sum >= 0;
    struct remat_task task = parameter_task(l, p, sum ? REMAT_OP_ACCUMULATE : optimizer_op(l), block);
    if (l->status != REMAT_OK)
        return;
    remat_task_reads(&task, lowered->gradient);
    if (sum)
        remat_task_uses_cell(&task, lowered->gradient_sum, true);
    else
        add_optimizer(l, &task, p);
    remat_lowering_emit(l, &task);
}

void remat_lowering_flush_updates(struct lowering *l)
{
    for (int32_t i = 0; i < l->pending_count; i++)
        emit_consumer(l, l->pending[i]);
    l->pending_count = 0;
}

static void emit_finish(struct lowering *l, struct remat_task *task)
{
    task->section = REMAT_FINISH;
    remat_lowering_emit(l, task);
}

static void emit_norm(struct lowering *l)
{
    struct remat_task reset = parameter_task(l, 0, REMAT_OP_RESET, 0);
    reset.name = "norm";
    remat_task_uses_cell(&reset, l->norm, true);
    emit_finish(l, &reset);
    for (int32_t p = 0; p < l->layers->parameters_count; p++) {
        struct remat_task square = parameter_task(l, p, REMAT_OP_SQUARE_NORM, 0);
        if (l->parameters[p].gradient_sum < 0)
            continue;
        remat_task_uses_cell(&square, l->parameters[p].gradient_sum, false);
        remat_task_uses_cell(&square, l->norm, true);
        emit_finish(l, &square);
    }
}

void remat_lowering_finish_section(struct lowering *l)
{
    if (!sums_gradients(l))
        return;
    if (l->options->max_norm > 0)
        emit_norm(l);
    for (int32_t p = 0; p < l->layers->parameters_count; p++) {
        struct remat_task task = parameter_task(l, p, optimizer_op(l), 0);
        if (l->parameters[p].gradient_sum < 0)
            continue;
        task.attr.grad_in_cell = true;
        task.attr.max_norm = l->options->max_norm;
        add_optimizer(l, &task, p);
        remat_task_uses_cell(&task, l->parameters[p].gradient_sum, false);
        remat_task_uses_cell(&task, l->norm, false);
        emit_finish(l, &task);
    }
}
