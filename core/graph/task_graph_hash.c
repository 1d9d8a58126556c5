#include "core/base/hash.h"
#include "core/graph/task_graph.h"

static uint64_t add(uint64_t hash, int64_t word)
{
    return remat_hash(&word, sizeof word, hash);
}

static uint64_t add_ids(uint64_t hash, const int32_t *ids, int32_t count)
{
    hash = add(hash, count);
    return remat_hash(ids, (size_t)count * sizeof ids[0], hash);
}

static uint64_t add_value(uint64_t hash, const struct remat_value *value)
{
    hash = remat_tensor_hash(&value->tensor, hash);
    hash = add(hash, value->bytes);
    hash = add(hash, value->category);
    return add(hash, value->space);
}

static uint64_t add_cell(uint64_t hash, const struct remat_cell *cell)
{
    hash = remat_tensor_hash(&cell->tensor, hash);
    return add(hash, cell->kind);
}

static uint64_t add_task(uint64_t hash, const struct remat_task *task)
{
    hash = add(hash, (int64_t)task->signature);
    hash = add(hash, task->section);
    hash = add_ids(hash, task->inputs, task->inputs_count);
    hash = add_ids(hash, task->outputs, task->outputs_count);
    hash = add(hash, task->cells_count);
    for (int32_t i = 0; i < task->cells_count; i++)
        hash = add(add(hash, task->cells[i].cell), task->cells[i].write);
    hash = add(hash, task->options_count);
    for (int32_t i = 0; i < task->options_count; i++)
        hash = add(add(hash, task->options[i].scratch_bytes), task->options[i].numerics);
    return add(hash, task->position);
}

uint64_t remat_task_graph_hash(const struct remat_task_graph *graph)
{
    uint64_t hash = remat_hash_text(graph->device, 0);
    hash = add(hash, graph->micro_count);
    hash = add(hash, graph->values_count);
    for (int32_t i = 0; i < graph->values_count; i++)
        hash = add_value(hash, &graph->values[i]);
    hash = add(hash, graph->cells_count);
    for (int32_t i = 0; i < graph->cells_count; i++)
        hash = add_cell(hash, &graph->cells[i]);
    hash = add(hash, graph->tasks_count);
    for (int32_t i = 0; i < graph->tasks_count; i++)
        hash = add_task(hash, &graph->tasks[i]);
    return add_ids(hash, graph->order, graph->order_count);
}
