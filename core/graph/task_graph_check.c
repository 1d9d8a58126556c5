/* The invariants of a task graph. Shares no code with task_graph_finish.c, whose work it checks. */
#include "core/graph/task_graph.h"

#include <stdlib.h>

static const int64_t MAX_SUM = INT64_C(1) << 53; /* exact in double, far from overflow */

static enum remat_status bad(struct remat_error *err, const struct remat_task *task, const char *what)
{
    return remat_fail(err, REMAT_BAD_DATA, "task \"%s\" %s", task->name, what);
}

static bool contains(const int32_t *list, int32_t count, int32_t item)
{
    for (int32_t i = 0; i < count; i++)
        if (list[i] == item)
            return true;
    return false;
}

/* A graph without named blocks is one block. */
static bool block_exists(const struct remat_task_graph *graph, int32_t block)
{
    return block >= 0 && block < (graph->blocks_count > 0 ? graph->blocks_count : 1);
}

static enum remat_status check_value(const struct remat_task_graph *graph, int32_t v, struct remat_error *err)
{
    const struct remat_value *value = &graph->values[v];
    const struct remat_task *producer;
    int64_t exact, expected;
    REMAT_TRY(remat_tensor_check(&value->tensor, value->name, err));
    if (!block_exists(graph, value->block) || (unsigned)value->category >= REMAT_CATEGORY_COUNT ||
        (unsigned)value->space >= REMAT_SPACE_COUNT)
        return remat_fail(err, REMAT_BAD_DATA, "value \"%s\": block %d of %d, category %d or space %d is out of range",
                          value->name, value->block, graph->blocks_count, (int)value->category, (int)value->space);
    if (value->producer < 0 || value->producer >= graph->tasks_count)
        return remat_fail(err, REMAT_BAD_DATA, "value \"%s\" has no producer", value->name);
    producer = &graph->tasks[value->producer];
    if (producer->position < 0 || !contains(producer->outputs, producer->outputs_count, v))
        return remat_fail(err, REMAT_BAD_DATA, "value \"%s\": \"%s\" is not a task of the order that makes it",
                          value->name, producer->name);
    exact = remat_tensor_bytes(&value->tensor);
    expected = producer->op == REMAT_OP_OPAQUE ? value->bytes : remat_align_up(exact);
    if (value->bytes != expected || value->bytes < 0)
        return remat_fail(err, REMAT_BAD_DATA, "value \"%s\": expected %lld bytes for its tensor, found %lld",
                          value->name, (long long)expected, (long long)value->bytes);
    return REMAT_OK;
}

static enum remat_status check_values(const struct remat_task_graph *graph, struct remat_error *err)
{
    int64_t total = 0;
    for (int32_t v = 0; v < graph->values_count; v++) {
        REMAT_TRY(check_value(graph, v, err));
        total += graph->values[v].bytes;
        if (total >= MAX_SUM)
            return remat_fail(err, REMAT_BAD_DATA, "the values take more than 2^53 bytes together");
    }
    return REMAT_OK;
}

static enum remat_status check_cells(const struct remat_task_graph *graph, struct remat_error *err)
{
    int64_t staging = 0, persistent = 0;
    for (int32_t c = 0; c < graph->cells_count; c++) {
        const struct remat_cell *cell = &graph->cells[c];
        REMAT_TRY(remat_tensor_check(&cell->tensor, cell->name, err));
        if ((unsigned)cell->kind >= REMAT_CELL_KIND_COUNT || cell->parameter < -1 ||
            cell->bytes != remat_align_up(remat_tensor_bytes(&cell->tensor)))
            return remat_fail(err, REMAT_BAD_DATA, "cell \"%s\": kind, parameter or bytes (%lld) is wrong", cell->name,
                              (long long)cell->bytes);
        if (cell->kind == REMAT_STAGING_SLOT)
            staging += 2 * cell->bytes;
        else
            persistent += cell->bytes;
        if (staging >= MAX_SUM || persistent >= MAX_SUM)
            return remat_fail(err, REMAT_BAD_DATA, "the cells take more than 2^53 bytes together");
    }
    if (staging != graph->staging_bytes || persistent != graph->persistent_bytes)
        return remat_fail(err, REMAT_BAD_DATA,
                          "the cells take %lld staging and %lld persistent bytes, but the graph says %lld and %lld",
                          (long long)staging, (long long)persistent, (long long)graph->staging_bytes,
                          (long long)graph->persistent_bytes);
    return REMAT_OK;
}

static enum remat_status check_options(const struct remat_task *task, int64_t *slowest, struct remat_error *err)
{
    *slowest = 0;
    if (task->options_count < 1)
        return bad(err, task, "has no option: no way to run it");
    for (int32_t i = 0; i < task->options_count; i++) {
        const struct remat_option *option = &task->options[i];
        if (option->scratch_bytes < 0 || option->scratch_bytes >= MAX_SUM ||
            option->scratch_bytes != remat_align_up(option->scratch_bytes))
            return bad(err, task, "has an option whose scratch is negative, huge or not aligned");
        if (option->time_ns < 0 || option->time_ns >= MAX_SUM || option->spread_ns < 0 || option->spread_ns >= MAX_SUM)
            return bad(err, task, "has an option whose time is negative or huge");
        if (option->time_ns > *slowest)
            *slowest = option->time_ns;
    }
    return REMAT_OK;
}

static enum remat_status check_operands(const struct remat_task_graph *graph, const struct remat_task *task,
                                        struct remat_error *err)
{
    if (task->inputs_count < 0 || task->inputs_count > REMAT_MAX_INPUTS || task->outputs_count < 0 ||
        task->outputs_count > REMAT_MAX_OUTPUTS || task->cells_count < 0 || task->cells_count > REMAT_MAX_CELLS)
        return bad(err, task, "has more operands than possible");
    for (int32_t i = 0; i < task->inputs_count; i++)
        if (task->inputs[i] < 0 || task->inputs[i] >= graph->values_count)
            return bad(err, task, "reads a value that does not exist");
    for (int32_t i = 0; i < task->outputs_count; i++)
        if (task->outputs[i] < 0 || task->outputs[i] >= graph->values_count ||
            contains(task->outputs, i, task->outputs[i]) ||
            contains(task->inputs, task->inputs_count, task->outputs[i]))
            return bad(err, task, "makes a value that does not exist, twice, or one that it reads");
    for (int32_t i = 0; i < task->cells_count; i++) {
        if (task->cells[i].cell < 0 || task->cells[i].cell >= graph->cells_count)
            return bad(err, task, "uses a cell that does not exist");
        for (int32_t k = 0; k < i; k++)
            if (task->cells[k].cell == task->cells[i].cell && (task->cells[k].write || task->cells[i].write))
                return bad(err, task, "writes a cell that it uses twice");
    }
    return REMAT_OK;
}

static enum remat_status check_in_place(const struct remat_task_graph *graph, const struct remat_task *task,
                                        struct remat_error *err)
{
    struct remat_kernel_spec spec = remat_task_spec(graph, task);
    struct remat_in_place expected[4];
    int32_t count = remat_op_in_place(&spec, expected);
    bool equal = count == task->in_place_count;
    for (int32_t i = 0; equal && i < count; i++)
        equal = expected[i].output == task->in_place[i].output && expected[i].input == task->in_place[i].input;
    if (!equal)
        return bad(err, task, "has other in-place pairs than its operation permits");
    if (task->signature != remat_kernel_signature(&spec))
        return bad(err, task, "has a signature that is not that of its operation and operands");
    return REMAT_OK;
}

/* An alternate may only read what exists when its outputs are first made, so that recomputation always ends. */
static enum remat_status check_alternate(const struct remat_task_graph *graph, const struct remat_task *task,
                                         struct remat_error *err)
{
    if (!remat_task_repeatable(task))
        return bad(err, task, "is an alternate and writes a cell");
    if (task->outputs_count == 0)
        return bad(err, task, "is an alternate without outputs");
    for (int32_t o = 0; o < task->outputs_count; o++) {
        int32_t made = graph->tasks[graph->values[task->outputs[o]].producer].position;
        for (int32_t i = 0; i < task->inputs_count; i++)
            if (graph->tasks[graph->values[task->inputs[i]].producer].position > made)
                return bad(err, task, "is an alternate that reads a value made after its outputs");
    }
    return REMAT_OK;
}

static enum remat_status check_task(const struct remat_task_graph *graph, int32_t t, struct remat_error *err)
{
    const struct remat_task *task = &graph->tasks[t];
    if ((unsigned)task->op >= REMAT_OP_COUNT || (unsigned)task->phase > REMAT_UPDATE ||
        (unsigned)task->section > REMAT_FINISH || !block_exists(graph, task->block))
        return bad(err, task, "has an operation, phase, section or block out of range");
    REMAT_TRY(check_operands(graph, task, err));
    REMAT_TRY(check_in_place(graph, task, err));
    if (task->position < -1 || task->position >= graph->order_count ||
        (task->position >= 0 && graph->order[task->position] != t))
        return bad(err, task, "is not at its position of the order");
    return REMAT_OK;
}

static enum remat_status check_tasks(const struct remat_task_graph *graph, struct remat_error *err)
{
    int64_t total = 0, slowest;
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        REMAT_TRY(check_task(graph, t, err));
        REMAT_TRY(check_options(&graph->tasks[t], &slowest, err));
        total += slowest;
        if (total >= MAX_SUM)
            return remat_fail(err, REMAT_BAD_DATA, "the tasks take more than 2^53 ns together");
    }
    return REMAT_OK;
}

/* Inputs precede; micro precedes finish; a cell use names the version that the order gives it. */
static enum remat_status check_step(const struct remat_task_graph *graph, int32_t position, int32_t *version,
                                    struct remat_error *err)
{
    const struct remat_task *task = &graph->tasks[graph->order[position]];
    if (position > 0 && task->section == REMAT_MICRO &&
        graph->tasks[graph->order[position - 1]].section == REMAT_FINISH)
        return bad(err, task, "is of the micro section but stands after the finish section");
    for (int32_t i = 0; i < task->inputs_count; i++)
        if (graph->tasks[graph->values[task->inputs[i]].producer].position >= position)
            return remat_fail(err, REMAT_BAD_DATA, "task \"%s\" reads \"%s\", which is made later", task->name,
                              graph->values[task->inputs[i]].name);
    for (int32_t i = 0; i < task->outputs_count; i++)
        if (graph->values[task->outputs[i]].producer != graph->order[position])
            return remat_fail(err, REMAT_BAD_DATA, "value \"%s\" is made twice in the order: by \"%s\" too",
                              graph->values[task->outputs[i]].name, task->name);
    for (int32_t i = 0; i < task->cells_count; i++)
        if (task->cells[i].version != version[task->cells[i].cell])
            return remat_fail(err, REMAT_BAD_DATA, "task \"%s\" names version %d of cell \"%s\", which is at %d",
                              task->name, task->cells[i].version, graph->cells[task->cells[i].cell].name,
                              version[task->cells[i].cell]);
    for (int32_t i = 0; i < task->cells_count; i++)
        version[task->cells[i].cell] += task->cells[i].write;
    return REMAT_OK;
}

static enum remat_status check_order(const struct remat_task_graph *graph, struct remat_error *err)
{
    enum remat_status status;
    int32_t *version;
    for (int32_t i = 0; i < graph->order_count; i++)
        if (graph->order[i] < 0 || graph->order[i] >= graph->tasks_count || graph->tasks[graph->order[i]].position != i)
            return remat_fail(err, REMAT_BAD_DATA, "order[%d] is %d, which is no task of that position", i,
                              graph->order[i]);
    status = REMAT_ALLOC(version, graph->cells_count, err);
    for (int32_t i = 0; status == REMAT_OK && i < graph->order_count; i++)
        status = check_step(graph, i, version, err);
    free(version);
    return status;
}

static bool is_rate(int64_t bytes_per_s)
{
    return bytes_per_s == 0 || (bytes_per_s >= REMAT_LEAST_COPY_RATE && bytes_per_s < MAX_SUM);
}

enum remat_status remat_task_graph_check(const struct remat_task_graph *graph, struct remat_error *err)
{
    if (graph->order_count < 1 || graph->micro_count < 1 || graph->blocks_count < 0)
        return remat_fail(err, REMAT_BAD_DATA,
                          "a task graph has at least one task in its order and one micro step; found %d and %d",
                          graph->order_count, graph->micro_count);
    if (!is_rate(graph->to_host_bytes_per_s) || !is_rate(graph->to_device_bytes_per_s) ||
        !is_rate(graph->move_bytes_per_s))
        return remat_fail(
            err, REMAT_BAD_DATA,
            "rates of copies are 0 (unknown) or at least %d bytes a second; found %lld to the host, %lld back and %lld "
            "within the device",
            REMAT_LEAST_COPY_RATE, (long long)graph->to_host_bytes_per_s, (long long)graph->to_device_bytes_per_s,
            (long long)graph->move_bytes_per_s);
    REMAT_TRY(check_tasks(graph, err));
    REMAT_TRY(check_values(graph, err));
    REMAT_TRY(check_cells(graph, err));
    for (int32_t t = 0; t < graph->tasks_count; t++)
        if (graph->tasks[t].position < 0)
            REMAT_TRY(check_alternate(graph, &graph->tasks[t], err));
    return check_order(graph, err);
}
