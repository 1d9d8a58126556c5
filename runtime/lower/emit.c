/* The vocabulary of lowering.h: making tasks and values, and following gradients. */
#include "runtime/lower/lowering.h"

#include <assert.h>
#include <string.h>

const struct remat_layer *remat_lowering_layer(const struct lowering *l, int32_t layer)
{
    return &l->layers->layers[layer];
}

int32_t remat_lowering_input(const struct lowering *l, int32_t layer, int32_t k)
{
    return l->output[remat_lowering_layer(l, layer)->inputs[k]];
}

struct remat_tensor remat_lowering_tensor(const struct lowering *l, int32_t value)
{
    if (value < 0) /* after a failure */
        return (struct remat_tensor){.dtype = REMAT_F32};
    return l->graph->values[value].tensor;
}

struct remat_tensor remat_vector(enum remat_dtype dtype, int64_t elements)
{
    return remat_tensor_make(dtype, 1, &elements);
}

int32_t remat_lowering_cell(const struct lowering *l, int32_t layer, int32_t k)
{
    return l->parameters[remat_lowering_layer(l, layer)->parameters[k]].cell;
}

enum remat_dtype remat_lowering_wide(const struct lowering *l)
{
    return l->options->dtype == REMAT_BF16 ? REMAT_F32 : l->options->dtype;
}

void remat_lowering_cast(struct lowering *l, int32_t layer, int32_t count)
{
    for (int32_t k = 0; k < count && l->options->dtype != remat_lowering_wide(l) && l->status == REMAT_OK; k++) {
        int32_t cell = remat_lowering_cell(l, layer, k);
        struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_CAST, REMAT_FORWARD);
        struct remat_tensor copy = l->graph->cells[cell].tensor;
        copy.dtype = l->options->dtype;
        remat_task_uses_cell(&task, cell, false);
        l->cast[layer][k] = remat_task_makes(l, &task, copy, REMAT_WORKSPACE, "", k ? ".bias cast" : ".weight cast");
        remat_lowering_emit(l, &task);
    }
}

void remat_lowering_use_weights(const struct lowering *l, int32_t layer, struct remat_task *task, int32_t count)
{
    for (int32_t k = 0; k < count; k++) {
        if (l->cast[layer][k] >= 0)
            remat_task_reads(task, l->cast[layer][k]);
        else
            remat_task_uses_cell(task, remat_lowering_cell(l, layer, k), false);
    }
}

struct remat_task remat_lowering_task(const struct lowering *l, int32_t layer, enum remat_op op, enum remat_phase phase)
{
    const struct remat_layer *source = remat_lowering_layer(l, layer);
    struct remat_task task;
    memset(&task, 0, sizeof task);
    task.name = source->name;
    task.op = op;
    task.phase = phase;
    task.section = REMAT_MICRO;
    task.block = source->block;
    return task;
}

void remat_task_reads(struct remat_task *task, int32_t value)
{
    assert(task->inputs_count < REMAT_MAX_INPUTS);
    task->inputs[task->inputs_count++] = value;
}

void remat_task_uses_cell(struct remat_task *task, int32_t cell, bool write)
{
    assert(task->cells_count < REMAT_MAX_CELLS);
    task->cells[task->cells_count].cell = cell;
    task->cells[task->cells_count++].write = write;
}

int32_t remat_task_makes(struct lowering *l, struct remat_task *task, struct remat_tensor tensor,
                         enum remat_category category, const char *prefix, const char *suffix)
{
    int32_t value = -1;
    assert(task->outputs_count < REMAT_MAX_OUTPUTS);
    if (l->status == REMAT_OK)
        l->status = remat_add_value(l->graph, &tensor, category, task->block, &value, l->err, "%s%s%s", prefix,
                                    task->name, suffix);
    task->outputs[task->outputs_count++] = value;
    return value;
}

void remat_task_remakes(struct remat_task *task, int32_t value)
{
    assert(task->outputs_count < REMAT_MAX_OUTPUTS);
    task->outputs[task->outputs_count++] = value;
}

/* The options of an equal kernel that was asked for before, so that each is made once. */
static const struct remat_task *find_equal(const struct lowering *l, const struct remat_task *task)
{
    for (int32_t i = 0; i < l->graph->tasks_count; i++) {
        const struct remat_task *other = &l->graph->tasks[i];
        if (other != task && other->signature == task->signature && other->options_count > 0)
            return other;
    }
    return NULL;
}

/* A first estimate, before the profiler: a roofline with round figures. */
static int64_t rough_time_ns(const struct remat_kernel_spec *spec)
{
    const double flop_per_ns = 50.0, bytes_per_ns = 10.0;
    double compute = (double)remat_op_flop(spec) / flop_per_ns;
    double traffic = (double)remat_op_traffic_bytes(spec) / bytes_per_ns;
    return 1000 + (int64_t)(compute > traffic ? compute : traffic);
}

bool remat_lowering_offers(struct lowering *l, const struct remat_task *task, struct remat_tensor output)
{
    struct remat_kernel_option found[REMAT_MAX_OPTIONS];
    struct remat_kernel_spec spec;
    struct remat_error refusal;
    enum remat_status status;
    int32_t count = 0;
    if (l->status != REMAT_OK)
        return false;
    spec = remat_task_spec(l->graph, task);
    spec.outputs[spec.outputs_count++] = output;
    status = l->backend->options(l->device, &spec, found, &count, &refusal);
    if (status != REMAT_OK && status != REMAT_UNAVAILABLE) {
        *l->err = refusal;
        l->status = status;
    }
    return status == REMAT_OK;
}

/* Keeps the options that give the same bits as the preferred one, unless all are wanted: a plan must never change the
 * result. */
static enum remat_status ask_options(struct lowering *l, struct remat_task *task)
{
    struct remat_kernel_spec spec = remat_task_spec(l->graph, task);
    struct remat_kernel_option found[REMAT_MAX_OPTIONS];
    const struct remat_task *equal = find_equal(l, task);
    int32_t count = 0;
    if (equal) {
        task->options_count = equal->options_count;
        REMAT_TRY(REMAT_POOL_ALLOC(&l->graph->pool, task->options, equal->options_count, l->err));
        memcpy(task->options, equal->options, (size_t)equal->options_count * sizeof *task->options);
        return REMAT_OK;
    }
    if (l->backend->options(l->device, &spec, found, &count, l->err) != REMAT_OK)
        return remat_error_prefix(l->err, "layer %s", task->name);
    REMAT_TRY(REMAT_POOL_ALLOC(&l->graph->pool, task->options, count, l->err));
    for (int32_t i = 0; i < count; i++) {
        struct remat_option *option = &task->options[task->options_count];
        if (found[i].numerics != found[0].numerics && !l->options->any_options)
            continue;
        option->scratch_bytes = remat_align_up(found[i].scratch_bytes);
        option->time_ns = rough_time_ns(&spec);
        option->numerics = found[i].numerics;
        REMAT_TRY(remat_pool_printf(&l->graph->pool, &option->name, l->err, "%s", found[i].name));
        task->options_count++;
    }
    return REMAT_OK;
}

static void emit(struct lowering *l, const struct remat_task *task, bool alternate)
{
    struct remat_task named = *task;
    int32_t id = -1;
    if (l->status != REMAT_OK)
        return;
    l->status = remat_pool_printf(&l->graph->pool, &named.name, l->err, "%s.%s", task->name, remat_op_text(task->op));
    if (l->status == REMAT_OK)
        l->status = remat_add_task(l->graph, &named, alternate, &id, l->err);
    if (l->status == REMAT_OK)
        l->status = ask_options(l, &l->graph->tasks[id]);
}

void remat_lowering_emit(struct lowering *l, const struct remat_task *task)
{
    emit(l, task, false);
}

void remat_lowering_emit_alternate(struct lowering *l, const struct remat_task *task)
{
    emit(l, task, true);
}

bool remat_input_needs_gradient(const struct lowering *l, int32_t layer, int32_t k)
{
    return l->needs_gradient[remat_lowering_layer(l, layer)->inputs[k]];
}

void remat_lowering_contribute(struct lowering *l, int32_t layer, int32_t k, int32_t value)
{
    int32_t input = remat_lowering_layer(l, layer)->inputs[k];
    struct remat_task task;
    if (!l->needs_gradient[input] || l->status != REMAT_OK)
        return;
    if (l->gradient[input] < 0) {
        l->gradient[input] = value;
        return;
    }
    task = remat_lowering_task(l, input, REMAT_OP_ADD, REMAT_BACKWARD);
    task.block = remat_lowering_layer(l, layer)->block;
    remat_task_reads(&task, l->gradient[input]);
    remat_task_reads(&task, value);
    l->gradient[input] =
        remat_task_makes(l, &task, remat_lowering_tensor(l, value), REMAT_ACTIVATION_GRADIENT, "d ", " sum");
    remat_lowering_emit(l, &task);
}

void remat_lowering_parameter_gradient(struct lowering *l, int32_t layer, int32_t k, int32_t value)
{
    int32_t parameter = remat_lowering_layer(l, layer)->parameters[k];
    struct lowered_parameter *lowered = &l->parameters[parameter];
    lowered->gradient = value;
    if (--lowered->uses > 0)
        return;
    assert(l->pending_count < LOWERING_MAX_PENDING);
    l->pending[l->pending_count++] = parameter;
}
