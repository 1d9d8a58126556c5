#include "tests/report/support_graph.h"

#include "core/base/json.h"
#include "tests/report/support_folder.h"

#include <string.h>

enum { MAX_LAYERS = 32, SCRATCH_BYTES = 64 * 1024 };

static int32_t add_value(struct remat_task_graph *graph, enum remat_category category)
{
    const int64_t dims[] = {LAYER_KIB, 256};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, 2, dims);
    struct remat_error err;
    int32_t id;
    if (remat_add_value(graph, &tensor, category, 0, &id, &err, "v%d", graph->values_count) != REMAT_OK)
        fail_msg("%s", err.message);
    return id;
}

static int32_t add_task(struct remat_task_graph *graph, enum remat_op op, enum remat_phase phase, const int32_t *inputs,
                        int32_t inputs_count, int32_t output)
{
    struct remat_option option = {.name = "only", .time_ns = 2000000, .scratch_bytes = SCRATCH_BYTES};
    struct remat_task task = {.name = "task", .op = op, .phase = phase, .options_count = 1, .options = &option};
    struct remat_error err;
    int32_t id;
    task.inputs_count = inputs_count;
    if (inputs_count > 0)
        memcpy(task.inputs, inputs, (size_t)inputs_count * sizeof *inputs);
    task.outputs_count = 1;
    task.outputs[0] = output;
    if (op == REMAT_OP_FEED)
        task.cells_count = 1; /* cell 0, read */
    if (remat_add_task(graph, &task, false, &id, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    return id;
}

static void add_staging(struct remat_task_graph *graph)
{
    const int64_t dims[] = {LAYER_KIB, 256};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, 2, dims);
    struct remat_error err;
    int32_t id;
    assert_int_equal(remat_add_cell(graph, &tensor, REMAT_STAGING_SLOT, -1, "slot", &id, &err), REMAT_OK);
}

void layered_graph(struct remat_task_graph *graph, int32_t layers)
{
    struct remat_error err;
    int32_t x[MAX_LAYERS + 1], gradient;
    remat_task_graph_init(graph);
    assert_int_equal(remat_pool_printf(&graph->pool, &graph->name, &err, "layers"), REMAT_OK);
    add_staging(graph);
    x[0] = add_value(graph, REMAT_BATCH);
    add_task(graph, REMAT_OP_FEED, REMAT_FORWARD, NULL, 0, x[0]);
    for (int32_t i = 0; i < layers; i++) {
        x[i + 1] = add_value(graph, REMAT_ACTIVATION);
        add_task(graph, REMAT_OP_GELU, REMAT_FORWARD, &x[i], 1, x[i + 1]);
    }
    gradient = add_value(graph, REMAT_ACTIVATION_GRADIENT);
    add_task(graph, REMAT_OP_ADD, REMAT_BACKWARD, &x[layers - 1], 2, gradient);
    for (int32_t i = layers - 1; i >= 0; i--) {
        const int32_t inputs[] = {x[i], gradient};
        gradient = add_value(graph, REMAT_ACTIVATION_GRADIENT);
        add_task(graph, REMAT_OP_GELU_BWD, REMAT_BACKWARD, inputs, 2, gradient);
    }
    if (remat_task_graph_finish(graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

/* Before the backward task of layer i, the forward task of layer i - 1 makes its input again, for odd i. */
static void fill_schedule(const struct remat_task_graph *graph, bool recompute, struct remat_schedule *schedule)
{
    int32_t layers = (graph->order_count - 2) / 2;
    struct remat_error err;
    for (int32_t t = 0; t < graph->order_count; t++) {
        int32_t layer = graph->order_count - 1 - t;
        if (recompute && t > layers + 1 && layer % 2 == 1)
            assert_int_equal(remat_schedule_push(schedule, layer, 0, &err), REMAT_OK);
        assert_int_equal(remat_schedule_push(schedule, t, 0, &err), REMAT_OK);
    }
}

void layered_plan(const struct remat_task_graph *graph, bool recompute, struct remat_plan *plan)
{
    struct remat_schedule schedule = {0};
    struct remat_error err;
    fill_schedule(graph, recompute, &schedule);
    if (remat_plan_place(graph, &schedule, REMAT_PLACE_EFFORT, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    remat_schedule_free(&schedule);
}

void write_plan(const char *folder, const char *name, const struct remat_task_graph *graph,
                const struct remat_plan *plan)
{
    json_t *json = remat_plan_to_json(plan);
    assert_non_null(json);
    json_object_set_new(json, "graph", remat_task_graph_to_json(graph));
    folder_write_json(folder, name, json);
}
