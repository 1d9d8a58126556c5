/* Building a task graph, and what is read off it directly. */
#include "core/graph/task_graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void remat_task_graph_init(struct remat_task_graph *graph)
{
    memset(graph, 0, sizeof *graph);
    graph->name = graph->device = "";
    graph->micro_count = 1;
}

void remat_task_graph_free(struct remat_task_graph *graph)
{
    free(graph->values);
    free(graph->cells);
    free(graph->tasks);
    free(graph->order);
    remat_pool_free(&graph->pool);
    remat_task_graph_init(graph);
}

enum remat_status remat_add_value(struct remat_task_graph *graph, const struct remat_tensor *tensor,
                                  enum remat_category category, int32_t block, int32_t *out, struct remat_error *err,
                                  const char *name_format, ...)
{
    struct remat_value *value;
    char name[256];
    va_list args;
    va_start(args, name_format);
    vsnprintf(name, sizeof name, name_format, args);
    va_end(args);
    REMAT_TRY(remat_tensor_check(tensor, name, err));
    REMAT_TRY(REMAT_GROW(graph->values, graph->values_capacity, graph->values_count + 1, err));
    value = &graph->values[graph->values_count];
    *value = (struct remat_value){.tensor = *tensor,
                                  .bytes = remat_align_up(remat_tensor_bytes(tensor)),
                                  .category = category,
                                  .space = REMAT_DEVICE,
                                  .block = block,
                                  .producer = -1};
    REMAT_TRY(remat_pool_printf(&graph->pool, &value->name, err, "%s", name));
    *out = graph->values_count++;
    return REMAT_OK;
}

enum remat_status remat_add_cell(struct remat_task_graph *graph, const struct remat_tensor *tensor,
                                 enum remat_cell_kind kind, int32_t parameter, const char *name, int32_t *out,
                                 struct remat_error *err)
{
    struct remat_cell *cell;
    REMAT_TRY(remat_tensor_check(tensor, name, err));
    REMAT_TRY(REMAT_GROW(graph->cells, graph->cells_capacity, graph->cells_count + 1, err));
    cell = &graph->cells[graph->cells_count];
    *cell = (struct remat_cell){
        .tensor = *tensor, .bytes = remat_align_up(remat_tensor_bytes(tensor)), .kind = kind, .parameter = parameter};
    REMAT_TRY(remat_pool_printf(&graph->pool, &cell->name, err, "%s", name));
    *out = graph->cells_count++;
    return REMAT_OK;
}

static enum remat_status check_ids(const struct remat_task *task, const char *what, const int32_t *ids, int32_t count,
                                   int32_t room, int32_t limit, struct remat_error *err)
{
    if (count < 0 || count > room)
        return remat_fail(err, REMAT_BAD_DATA, "task \"%s\" has %d %s; 0 to %d are possible", task->name, count, what,
                          room);
    for (int32_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= limit)
            return remat_fail(err, REMAT_BAD_DATA, "task \"%s\": %s[%d] is %d; there are %d", task->name, what, i,
                              ids[i], limit);
    return REMAT_OK;
}

static enum remat_status check_operands(const struct remat_task_graph *graph, const struct remat_task *task,
                                        struct remat_error *err)
{
    int32_t cells[REMAT_MAX_CELLS];
    for (int32_t i = 0; i < task->cells_count && i < REMAT_MAX_CELLS; i++)
        cells[i] = task->cells[i].cell;
    REMAT_TRY(check_ids(task, "inputs", task->inputs, task->inputs_count, REMAT_MAX_INPUTS, graph->values_count, err));
    REMAT_TRY(
        check_ids(task, "outputs", task->outputs, task->outputs_count, REMAT_MAX_OUTPUTS, graph->values_count, err));
    return check_ids(task, "cells", cells, task->cells_count, REMAT_MAX_CELLS, graph->cells_count, err);
}

static enum remat_status copy_options(struct remat_task_graph *graph, struct remat_task *task, struct remat_error *err)
{
    const struct remat_option *from = task->options;
    int32_t count = task->options_count;
    task->options = NULL;
    REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, task->options, count, err));
    for (int32_t i = 0; i < count; i++) {
        task->options[i] = from[i];
        REMAT_TRY(remat_pool_printf(&graph->pool, &task->options[i].name, err, "%s", from[i].name ? from[i].name : ""));
    }
    return REMAT_OK;
}

enum remat_status remat_add_task(struct remat_task_graph *graph, const struct remat_task *task, bool alternate,
                                 int32_t *out, struct remat_error *err)
{
    struct remat_task *copy;
    struct remat_kernel_spec spec;
    REMAT_TRY(check_operands(graph, task, err));
    REMAT_TRY(REMAT_GROW(graph->tasks, graph->tasks_capacity, graph->tasks_count + 1, err));
    REMAT_TRY(REMAT_GROW(graph->order, graph->order_capacity, graph->order_count + 1, err));
    copy = &graph->tasks[graph->tasks_count];
    *copy = *task;
    REMAT_TRY(remat_pool_printf(&graph->pool, &copy->name, err, "%s", task->name));
    REMAT_TRY(copy_options(graph, copy, err));
    spec = remat_task_spec(graph, copy);
    copy->in_place_count = remat_op_in_place(&spec, copy->in_place);
    copy->signature = remat_kernel_signature(&spec);
    copy->position = alternate ? -1 : graph->order_count;
    if (!alternate)
        graph->order[graph->order_count++] = graph->tasks_count;
    *out = graph->tasks_count++;
    return REMAT_OK;
}

struct remat_kernel_spec remat_task_spec(const struct remat_task_graph *graph, const struct remat_task *task)
{
    struct remat_kernel_spec spec;
    memset(&spec, 0, sizeof spec);
    spec.op = task->op;
    spec.attr = task->attr;
    spec.inputs_count = task->inputs_count;
    spec.outputs_count = task->outputs_count;
    spec.cells_count = task->cells_count;
    for (int32_t i = 0; i < task->inputs_count; i++)
        spec.inputs[i] = graph->values[task->inputs[i]].tensor;
    for (int32_t i = 0; i < task->outputs_count; i++)
        spec.outputs[i] = graph->values[task->outputs[i]].tensor;
    for (int32_t i = 0; i < task->cells_count; i++)
        spec.cells[i] = graph->cells[task->cells[i].cell].tensor;
    return spec;
}

bool remat_task_repeatable(const struct remat_task *task)
{
    for (int32_t i = 0; i < task->cells_count; i++)
        if (task->cells[i].write)
            return false;
    return true;
}

int64_t remat_task_graph_base_time_ns(const struct remat_task_graph *graph)
{
    int64_t total = 0;
    for (int32_t i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        int64_t fastest = task->options_count > 0 ? task->options[0].time_ns : 0;
        for (int32_t k = 1; k < task->options_count; k++)
            if (task->options[k].time_ns < fastest)
                fastest = task->options[k].time_ns;
        total += fastest * (task->section == REMAT_MICRO ? graph->micro_count : 1);
    }
    return total;
}
