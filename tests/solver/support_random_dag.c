#include "tests/solver/support_random_dag.h"

#include "tests/solver/support_chain.h"

#include "tests/core/support_random_graph.h"

#include <string.h>

struct maker {
    struct remat_task_graph *graph;
    struct random_stream stream;
    int32_t sizes, most_values; /* few sizes make many in-place pairs */
    int32_t recent;             /* how far back tasks read */
    bool scratch;
};

/* An operation with its numbers of operands; pairs follow from the operation and the sizes. */
static const struct {
    enum remat_op op;
    int32_t inputs, outputs;
} kinds[] = {
    {REMAT_OP_OPAQUE, 1, 1},
    {REMAT_OP_OPAQUE, 2, 1},
    {REMAT_OP_OPAQUE, 0, 1},
    {REMAT_OP_ADD, 2, 1},
    {REMAT_OP_ADD, 2, 1},
    {REMAT_OP_GELU, 1, 1},
    {REMAT_OP_GELU_BWD, 2, 1},
    {REMAT_OP_LAYERNORM, 1, 3},
    {REMAT_OP_MAXPOOL, 1, 2},
    {REMAT_OP_BATCHNORM_BWD, 5, 4},
    {REMAT_OP_BATCHNORM_APPLY, 4, 1},
    {REMAT_OP_LAYERNORM_BWD, 5, 2},
    {REMAT_OP_RELU_BWD, 2, 1},
    {REMAT_OP_OPAQUE, 3, 2},
};

static int32_t below(struct maker *m, int32_t limit)
{
    return random_below(&m->stream, limit);
}

static int32_t new_value(struct maker *m)
{
    const int64_t bytes = 64 * (1 + below(m, m->sizes));
    struct remat_tensor tensor = remat_tensor_make(REMAT_U8, 1, &bytes);
    struct remat_error err = {0};
    int32_t id;
    CHECK_OK(remat_add_value(m->graph, &tensor, REMAT_ACTIVATION, 0, &id, &err, "v%d", m->graph->values_count), err);
    return id;
}

static void add(struct maker *m, struct remat_task task, bool alternate)
{
    struct remat_option options[3] = {0};
    struct remat_error err = {0};
    int32_t id, k;
    char name[32];
    snprintf(name, sizeof name, "t%d", m->graph->tasks_count);
    task.name = name;
    task.options = options;
    task.options_count = 1 + (m->scratch ? below(m, 3) : 0);
    for (k = 0; k < task.options_count; k++) {
        options[k].name = k == 0 ? "a" : k == 1 ? "b" : "c";
        options[k].scratch_bytes = m->scratch && below(m, 2) ? 64 * below(m, 4) : 0;
        options[k].time_ns = below(m, 8) ? 1 + below(m, 20) : 0;
        options[k].numerics = k == 2 && below(m, 2);
    }
    CHECK_OK(remat_add_task(m->graph, &task, alternate, &id, &err), err);
}

/* Reads earlier values, mostly recent ones, perhaps one twice; fewer where there are none. */
static void pick_inputs(struct maker *m, struct remat_task *task, int32_t count, int32_t limit)
{
    int32_t k;
    task->inputs_count = limit > 0 ? count : 0;
    for (k = 0; k < task->inputs_count; k++)
        task->inputs[k] = limit > m->recent && below(m, 3) > 0 ? limit - 1 - below(m, m->recent) : below(m, limit);
}

static void use_cells(struct maker *m, struct remat_task *task)
{
    if (m->graph->cells_count == 0 || below(m, 3) > 0)
        return;
    task->cells_count = 1;
    task->cells[0] = (struct remat_cell_use){below(m, m->graph->cells_count), 0, below(m, 3) == 0};
}

/* Another recipe of one or two values, from what was made before any of them. */
static void add_alternate(struct maker *m, int32_t made_before, int32_t value)
{
    struct remat_task task = {.op = REMAT_OP_OPAQUE, .outputs_count = 1, .outputs = {value}};
    pick_inputs(m, &task, 1 + below(m, 2), made_before);
    if (value + 1 < m->graph->values_count && below(m, 2))
        task.outputs[task.outputs_count++] = value + 1;
    if (m->graph->cells_count > 0 && below(m, 4) == 0) {
        task.cells_count = 1;
        task.cells[0].cell = below(m, m->graph->cells_count);
    }
    add(m, task, true);
}

static void add_step(struct maker *m, bool finish)
{
    struct remat_task task = {0};
    int32_t kind = below(m, (int32_t)(sizeof kinds / sizeof *kinds)), before = m->graph->values_count, k;
    task.op = kinds[kind].op;
    task.section = finish ? REMAT_FINISH : REMAT_MICRO;
    pick_inputs(m, &task, kinds[kind].inputs, before);
    task.outputs_count = kinds[kind].outputs;
    if (before + task.outputs_count > m->most_values)
        task.outputs_count = 0;
    for (k = 0; k < task.outputs_count; k++)
        task.outputs[k] = new_value(m);
    use_cells(m, &task);
    add(m, task, false);
    if (task.outputs_count > 0 && before > 0 && !finish && below(m, 4) == 0)
        add_alternate(m, before, before + below(m, task.outputs_count));
}

void random_dag(struct remat_task_graph *graph, uint64_t seed, int32_t tasks, int32_t most_values)
{
    struct maker m = {.graph = graph, .stream = {.seed = seed}, .most_values = most_values};
    struct remat_error err = {0};
    const int64_t bytes = 64;
    struct remat_tensor tensor = remat_tensor_make(REMAT_U8, 1, &bytes);
    int32_t cells = below(&m, 3), finish = below(&m, 3) == 0 ? tasks - 1 - below(&m, 2) : tasks, k, id;
    m.sizes = 1 + below(&m, 4);
    m.recent = 1 + below(&m, 4);
    m.scratch = below(&m, 2);
    remat_task_graph_init(graph);
    graph->micro_count = finish < tasks ? 1 + below(&m, 3) : 1;
    for (k = 0; k < cells; k++)
        CHECK_OK(remat_add_cell(graph, &tensor, k == 1 ? REMAT_STAGING_SLOT : REMAT_PARAMETER, -1,
                                k == 0   ? "c0"
                                : k == 1 ? "c1"
                                         : "c2",
                                &id, &err),
                 err);
    for (k = 0; k < tasks; k++)
        add_step(&m, k >= finish);
    if (graph->values_count == 0)
        add(&m,
            (struct remat_task){.op = REMAT_OP_OPAQUE,
                                .section = finish < tasks ? REMAT_FINISH : REMAT_MICRO,
                                .outputs_count = 1,
                                .outputs = {new_value(&m)}},
            false);
    CHECK_OK(remat_task_graph_finish(graph, &err), err);
}
