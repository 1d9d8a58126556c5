#include "tests/runtime/support_exec.h"

#include "core/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void support_ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s: %s", remat_status_text(status), err->message);
}

struct chain {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_task_graph *graph;
    struct remat_tensor batch;
    struct remat_error err;
};

static int32_t add_cell(struct chain *c, const struct remat_tensor *tensor, enum remat_cell_kind kind, const char *name)
{
    int32_t id;
    support_ok(remat_add_cell(c->graph, tensor, kind, -1, name, &id, &c->err), &c->err);
    return id;
}

static int32_t add_value(struct chain *c, const struct remat_tensor *tensor, enum remat_category category,
                         const char *name)
{
    int32_t id;
    support_ok(remat_add_value(c->graph, tensor, category, 0, &id, &c->err, "%s", name), &c->err);
    return id;
}

static void ask_options(struct chain *c, struct remat_task *task)
{
    struct remat_kernel_option found[REMAT_MAX_OPTIONS];
    struct remat_kernel_spec spec = remat_task_spec(c->graph, task);
    support_ok(c->backend->options(c->device, &spec, found, &task->options_count, &c->err), &c->err);
    support_ok(REMAT_POOL_ALLOC(&c->graph->pool, task->options, task->options_count, &c->err), &c->err);
    for (int32_t i = 0; i < task->options_count; i++)
        task->options[i] =
            (struct remat_option){found[i].name, remat_align_up(found[i].scratch_bytes), 1000, 0, found[i].numerics};
}

/* Operands are given as ids, -1 for none. Returns the output. */
static int32_t add_task(struct chain *c, enum remat_op op, int32_t a, int32_t b, const struct remat_tensor *output,
                        int32_t read_cell, int32_t written_cell)
{
    struct remat_task task = {.op = op, .block = 0, .section = REMAT_MICRO};
    int32_t out = -1, id;
    task.name = remat_op_text(op);
    task.phase = op == REMAT_OP_SGD ? REMAT_UPDATE : REMAT_FORWARD;
    task.attr.std[0] = task.attr.std[1] = task.attr.std[2] = task.attr.std[3] = op == REMAT_OP_FEED ? 1.0f : 0.0f;
    if (a >= 0)
        task.inputs[task.inputs_count++] = a;
    if (b >= 0)
        task.inputs[task.inputs_count++] = b;
    if (output) {
        out = add_value(c, output, REMAT_ACTIVATION, task.name);
        task.outputs[task.outputs_count++] = out;
    }
    if (read_cell >= 0)
        task.cells[task.cells_count++] = (struct remat_cell_use){read_cell, 0, false};
    if (written_cell >= 0)
        task.cells[task.cells_count++] = (struct remat_cell_use){written_cell, 0, true};
    support_ok(remat_add_task(c->graph, &task, false, &id, &c->err), &c->err);
    ask_options(c, &c->graph->tasks[id]);
    return out;
}

enum { MAX_DEPTH = 16 };

static void add_backward(struct chain *c, int32_t depth, int32_t gradient, const int32_t *before, const int32_t *hidden,
                         const int32_t *weights)
{
    for (int32_t k = depth; k >= 1; k--) {
        int32_t da = add_task(c, REMAT_OP_GELU_BWD, before[k], gradient, &c->batch, -1, -1), dw;
        if (k > 1)
            gradient = add_task(c, REMAT_OP_LINEAR_BWD_DATA, da, -1, &c->batch, weights[k], -1);
        dw = add_task(c, REMAT_OP_LINEAR_BWD_WEIGHTS, hidden[k - 1], da, &c->graph->cells[weights[k]].tensor, -1, -1);
        add_task(c, REMAT_OP_SGD, dw, -1, NULL, -1, weights[k]);
    }
}

void support_chain_graph(const struct remat_backend *backend, struct remat_device *device, int32_t depth, int64_t rows,
                         int64_t columns, struct remat_task_graph *graph)
{
    const int64_t batch_dims[2] = {rows, columns}, weight_dims[2] = {columns, columns}, four = 4;
    const int64_t image_dims[2] = {rows, 4}, first_dims[2] = {columns, 4};
    struct chain c = {backend, device, graph, remat_tensor_make(REMAT_F32, 2, batch_dims), {0}};
    struct remat_tensor image = remat_tensor_make(REMAT_U8, 2, image_dims);
    struct remat_tensor fed = remat_tensor_make(REMAT_F32, 2, image_dims);
    struct remat_tensor first = remat_tensor_make(REMAT_F32, 2, first_dims);
    struct remat_tensor label = remat_tensor_make(REMAT_I32, 1, &rows);
    struct remat_tensor weight = remat_tensor_make(REMAT_F32, 2, weight_dims);
    struct remat_tensor metric = remat_tensor_make(REMAT_F64, 1, &four);
    int32_t weights[MAX_DEPTH + 1], hidden[MAX_DEPTH + 1], before[MAX_DEPTH + 1], images, labels, metrics, y;
    static const char *const block_names[] = {"all"};
    remat_task_graph_init(graph);
    graph->name = "chain";
    support_ok(REMAT_POOL_ALLOC(&graph->pool, graph->block_names, 1, &c.err), &c.err);
    graph->block_names[0] = block_names[0];
    graph->blocks_count = 1;
    for (int32_t k = 1; k <= depth; k++) {
        char name[16] = "w00";
        name[1] = (char)('0' + k / 10);
        name[2] = (char)('0' + k % 10);
        weights[k] = add_cell(&c, k == 1 ? &first : &weight, REMAT_PARAMETER, name);
    }
    metrics = add_cell(&c, &metric, REMAT_METRICS, "metrics");
    images = add_cell(&c, &image, REMAT_STAGING_SLOT, "staging.images");
    labels = add_cell(&c, &label, REMAT_STAGING_SLOT, "staging.labels");
    hidden[0] = add_task(&c, REMAT_OP_FEED, -1, -1, &fed, images, -1);
    y = add_task(&c, REMAT_OP_FEED, -1, -1, &label, labels, -1);
    for (int32_t k = 1; k <= depth; k++) {
        before[k] = add_task(&c, REMAT_OP_LINEAR, hidden[k - 1], -1, &c.batch, weights[k], -1);
        hidden[k] = add_task(&c, REMAT_OP_GELU, before[k], -1, &c.batch, -1, -1);
    }
    y = add_task(&c, REMAT_OP_LOSS, hidden[depth], y, &c.batch, -1, metrics);
    add_backward(&c, depth, y, before, hidden, weights);
    support_ok(remat_task_graph_finish(graph, &c.err), &c.err);
}

static void remake(const struct remat_task_graph *graph, int32_t value, struct remat_schedule *schedule)
{
    const struct remat_task *task = &graph->tasks[graph->values[value].producer];
    struct remat_error err;
    if (task->op != REMAT_OP_FEED && task->op != REMAT_OP_LINEAR && task->op != REMAT_OP_GELU)
        return;
    for (int32_t k = 0; k < task->inputs_count; k++)
        remake(graph, task->inputs[k], schedule);
    support_ok(remat_schedule_push(schedule, graph->values[value].producer, 0, &err), &err);
}

void support_recompute_all(const struct remat_task_graph *graph, struct remat_schedule *schedule)
{
    struct remat_error err;
    for (int32_t i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        bool backward = task->op == REMAT_OP_GELU_BWD || task->op == REMAT_OP_LINEAR_BWD_WEIGHTS;
        for (int32_t k = 0; backward && k < task->inputs_count; k++)
            remake(graph, task->inputs[k], schedule);
        support_ok(remat_schedule_push(schedule, graph->order[i], 0, &err), &err);
    }
}

static void init_state(struct remat_state *state)
{
    for (int32_t i = 0; i < state->count; i++) {
        float *data = state->cells[i].data;
        if (state->cells[i].kind != REMAT_PARAMETER)
            continue;
        for (int64_t e = 0; e < remat_tensor_elements(&state->cells[i].tensor); e++)
            data[e] = remat_rng_uniform(remat_rng(7, REMAT_RNG_INIT, (uint32_t)i, 0, (uint64_t)e).word[0]) - 0.5f;
    }
}

void support_run_open(const struct remat_backend *backend, struct remat_device *device,
                      const struct remat_task_graph *graph, const struct remat_plan *plan,
                      const struct remat_exec_options *options, struct support_run *run)
{
    struct remat_state mirror;
    struct remat_error err;
    memset(run, 0, sizeof *run);
    support_ok(remat_state_create(backend, device, graph, &run->state, &err), &err);
    support_ok(remat_state_mirror(&run->state, &mirror, &err), &err);
    init_state(&mirror);
    support_ok(remat_state_restore(&run->state, &mirror, &err), &err);
    remat_state_free(&mirror);
    support_ok(backend->ops->memory_open(device, plan->arena_bytes, "the test's arena", &run->arena, &err), &err);
    support_ok(remat_exec_create(backend, device, graph, plan, &run->state, &run->arena, options, &run->exec, &err),
               &err);
}

void support_run_close(struct support_run *run)
{
    remat_exec_destroy(run->exec);
    remat_memory_close(&run->arena);
    remat_state_free(&run->state);
}

static void fill_staging(struct support_run *run, const struct remat_task_graph *graph, int32_t slot, int64_t step)
{
    for (int32_t i = 0; i < graph->cells_count; i++) {
        struct remat_tensor tensor;
        void *data;
        if (graph->cells[i].kind != REMAT_STAGING_SLOT)
            continue;
        data = remat_exec_staging(run->exec, slot, graph->cells[i].name, &tensor);
        assert_non_null(data);
        for (int64_t e = 0; e < remat_tensor_elements(&tensor); e++) {
            uint32_t word = remat_rng(1, REMAT_RNG_SYNTHETIC, (uint32_t)step, (uint32_t)i, (uint64_t)e).word[0];
            if (tensor.dtype == REMAT_U8)
                ((uint8_t *)data)[e] = (uint8_t)word;
            else
                ((int32_t *)data)[e] = (int32_t)(word % 8);
        }
    }
}

void support_run_step(struct support_run *run, const struct remat_task_graph *graph, int64_t step, int64_t *micro_steps)
{
    struct remat_step_record record = {.seed = 3, .step = step, .micro_count = graph->micro_count};
    struct remat_error err;
    record.learning_rate = 0.05f;
    record.loss_scale = 1.0f / (float)graph->micro_count;
    for (int32_t micro = 0; micro < graph->micro_count; micro++) {
        int64_t batch = step * graph->micro_count + micro;
        record.micro = micro;
        if (micro_steps)
            *micro_steps = batch;
        fill_staging(run, graph, (int32_t)(batch % 2), batch);
        support_ok(remat_exec_micro(run->exec, (int32_t)(batch % 2), &record, &err), &err);
    }
    support_ok(remat_exec_finish(run->exec, &record, &err), &err);
}
