#include "tests/core/support_random_graph.h"

#include "core/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 64 };

struct layer {
    enum remat_op op;
    int32_t x, z, y, mean, invstd; /* values; z = -1: none */
    int32_t weight, sum;           /* cells: parameter, gradient sum */
    bool relu;
};

struct maker {
    struct remat_task_graph *graph;
    struct random_stream stream;
    struct layer layers[MAX_LAYERS];
    int32_t layers_count;
    int32_t grad[8 * MAX_LAYERS]; /* per forward value: its gradient so far, or -1 */
    int32_t tokens, metrics;
    bool accumulate;
    int32_t names;
};

int32_t random_below(struct random_stream *stream, int32_t below)
{
    return (int32_t)(remat_rng(stream->seed, REMAT_RNG_SYNTHETIC, 0, 0, stream->count++).word[0] % (uint32_t)below);
}

static int32_t value_of(struct maker *maker, int32_t dims_count, int64_t rows, int64_t columns,
                        enum remat_category category)
{
    const int64_t dims[] = {rows, columns};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, dims_count, dims_count == 1 ? &dims[1] : dims);
    struct remat_error err = {0};
    int32_t id;
    if (remat_add_value(maker->graph, &tensor, category, 0, &id, &err, "v%d", maker->graph->values_count) != REMAT_OK)
        fail_msg("%s", err.message);
    return id;
}

static int32_t like(struct maker *maker, int32_t value, enum remat_category category)
{
    struct remat_tensor tensor = maker->graph->values[value].tensor;
    return value_of(maker, 2, tensor.dims[0], tensor.dims[1], category);
}

static int32_t cell_of(struct maker *maker, int64_t elements, enum remat_cell_kind kind)
{
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, 1, &elements);
    struct remat_error err = {0};
    char name[32];
    int32_t id;
    snprintf(name, sizeof name, "c%d", maker->graph->cells_count);
    if (remat_add_cell(maker->graph, &tensor, kind, -1, name, &id, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    return id;
}

static void emit(struct maker *maker, struct remat_task task, bool alternate)
{
    struct remat_option options[3] = {0};
    struct remat_error err = {0};
    char name[64];
    int32_t id, k;
    snprintf(name, sizeof name, "%s.%d", remat_op_text(task.op), maker->names++);
    task.name = name;
    task.options = options;
    task.options_count = 1 + random_below(&maker->stream, 3);
    for (k = 0; k < task.options_count; k++) {
        options[k].name = k == 0 ? "a" : k == 1 ? "b" : "c";
        options[k].scratch_bytes = 64 * (random_below(&maker->stream, 2) ? random_below(&maker->stream, 40) : 0);
        options[k].time_ns = 1 + random_below(&maker->stream, 1000);
        options[k].numerics = k == 2 && random_below(&maker->stream, 2);
    }
    if (remat_add_task(maker->graph, &task, alternate, &id, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static int32_t columns_of(const struct maker *maker, int32_t value)
{
    return (int32_t)maker->graph->values[value].tensor.dims[1];
}

/* An earlier activation of the same shape as x, or -1. */
static int32_t pick_skip(struct maker *maker, int32_t x)
{
    int32_t i, found = -1, seen = 0;
    for (i = 0; i < maker->layers_count; i++) {
        int32_t y = maker->layers[i].y;
        if (y != x && columns_of(maker, y) == columns_of(maker, x) && random_below(&maker->stream, ++seen) == 0)
            found = y;
    }
    return found;
}

static void forward_linear(struct maker *maker, struct layer *layer)
{
    int32_t columns = 4 << random_below(&maker->stream, 3);
    int64_t rows = maker->graph->values[layer->x].tensor.dims[0];
    layer->y = value_of(maker, 2, rows, columns, REMAT_ACTIVATION);
    layer->weight = cell_of(maker, (int64_t)columns * columns_of(maker, layer->x), REMAT_PARAMETER);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_LINEAR,
                             .inputs_count = 1,
                             .inputs = {layer->x},
                             .outputs_count = 1,
                             .outputs = {layer->y},
                             .cells_count = 1,
                             .cells = {{layer->weight, 0, false}}},
         false);
}

static void forward_norm(struct maker *maker, struct layer *layer)
{
    int32_t columns = columns_of(maker, layer->x), mean, variance, count = layer->z >= 0 ? 2 : 1;
    struct remat_task task = {.op = REMAT_OP_BATCHNORM, .outputs_count = 3, .cells_count = 3};
    layer->y = like(maker, layer->x, REMAT_ACTIVATION);
    layer->mean = value_of(maker, 1, 0, columns, REMAT_STATISTIC);
    layer->invstd = value_of(maker, 1, 0, columns, REMAT_STATISTIC);
    layer->weight = cell_of(maker, columns, REMAT_PARAMETER);
    mean = cell_of(maker, columns, REMAT_RUNNING_STATISTIC);
    variance = cell_of(maker, columns, REMAT_RUNNING_STATISTIC);
    task.attr.relu = layer->relu;
    task.attr.residual = layer->z >= 0;
    task.inputs_count = count;
    task.inputs[0] = layer->x;
    task.inputs[1] = layer->z >= 0 ? layer->z : 0;
    task.outputs[0] = layer->y, task.outputs[1] = layer->mean, task.outputs[2] = layer->invstd;
    task.cells[0] = (struct remat_cell_use){layer->weight, 0, false};
    task.cells[1] = (struct remat_cell_use){mean, 0, true};
    task.cells[2] = (struct remat_cell_use){variance, 0, true};
    emit(maker, task, false);
    task.op = REMAT_OP_BATCHNORM_APPLY;
    task.inputs_count = count + 2;
    task.inputs[1] = layer->mean, task.inputs[2] = layer->invstd, task.inputs[3] = layer->z >= 0 ? layer->z : 0;
    task.outputs_count = task.cells_count = 1;
    emit(maker, task, true);
}

static void forward_simple(struct maker *maker, struct layer *layer)
{
    layer->y = like(maker, layer->x, REMAT_ACTIVATION);
    emit(maker,
         (struct remat_task){.op = layer->op,
                             .inputs_count = layer->z >= 0 ? 2 : 1,
                             .inputs = {layer->x, layer->z >= 0 ? layer->z : 0},
                             .outputs_count = 1,
                             .outputs = {layer->y}},
         false);
}

static void forward(struct maker *maker, int32_t x)
{
    static const enum remat_op ops[] = {REMAT_OP_LINEAR, REMAT_OP_BATCHNORM, REMAT_OP_RELU, REMAT_OP_GELU,
                                        REMAT_OP_ADD};
    struct layer *layer = &maker->layers[maker->layers_count];
    *layer = (struct layer){.op = ops[random_below(&maker->stream, 5)], .x = x, .z = -1, .weight = -1, .sum = -1};
    layer->relu = random_below(&maker->stream, 2);
    if (layer->op == REMAT_OP_ADD || (layer->op == REMAT_OP_BATCHNORM && layer->relu))
        layer->z = pick_skip(maker, x);
    if (layer->op == REMAT_OP_ADD && layer->z < 0)
        layer->op = REMAT_OP_GELU;
    if (layer->op == REMAT_OP_LINEAR)
        forward_linear(maker, layer);
    else if (layer->op == REMAT_OP_BATCHNORM)
        forward_norm(maker, layer);
    else
        forward_simple(maker, layer);
    maker->layers_count++;
}

/* Adds a gradient to what has come so far: g1 = g0 + dx. */
static void contribute(struct maker *maker, int32_t value, int32_t dx)
{
    int32_t sum;
    if (maker->grad[value] < 0) {
        maker->grad[value] = dx;
        return;
    }
    sum = like(maker, value, REMAT_ACTIVATION_GRADIENT);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_ADD,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 2,
                             .inputs = {maker->grad[value], dx},
                             .outputs_count = 1,
                             .outputs = {sum}},
         false);
    maker->grad[value] = sum;
}

static void consume_gradient(struct maker *maker, struct layer *layer, int32_t dw)
{
    struct remat_task task = {
        .op = REMAT_OP_SGD, .phase = REMAT_UPDATE, .inputs_count = 1, .inputs = {dw}, .cells_count = 1};
    task.cells[0] = (struct remat_cell_use){layer->weight, 0, true};
    if (maker->accumulate) {
        layer->sum = cell_of(maker, maker->graph->cells[layer->weight].tensor.dims[0], REMAT_GRADIENT_SUM);
        task.op = REMAT_OP_ACCUMULATE;
        task.cells[0].cell = layer->sum;
    }
    emit(maker, task, false);
}

static void backward_linear(struct maker *maker, struct layer *layer)
{
    int32_t dy = maker->grad[layer->y];
    int32_t dw = value_of(maker, 2, columns_of(maker, layer->y), columns_of(maker, layer->x), REMAT_PARAMETER_GRADIENT);
    int32_t dx = like(maker, layer->x, REMAT_ACTIVATION_GRADIENT);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_LINEAR_BWD_WEIGHTS,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 2,
                             .inputs = {layer->x, dy},
                             .outputs_count = 1,
                             .outputs = {dw}},
         false);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_LINEAR_BWD_DATA,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 1,
                             .inputs = {dy},
                             .outputs_count = 1,
                             .outputs = {dx},
                             .cells_count = 1,
                             .cells = {{layer->weight, 0, false}}},
         false);
    consume_gradient(maker, layer, dw);
    contribute(maker, layer->x, dx);
}

static void backward_norm(struct maker *maker, struct layer *layer)
{
    int32_t dx = like(maker, layer->x, REMAT_ACTIVATION_GRADIENT), dz = -1;
    int32_t dgamma = value_of(maker, 1, 0, columns_of(maker, layer->x), REMAT_PARAMETER_GRADIENT);
    struct remat_task task = {.op = REMAT_OP_BATCHNORM_BWD,
                              .phase = REMAT_BACKWARD,
                              .inputs_count = 4,
                              .inputs = {layer->x, layer->mean, layer->invstd, maker->grad[layer->y], layer->y},
                              .outputs_count = 3,
                              .outputs = {dx, dgamma},
                              .cells_count = 1,
                              .cells = {{layer->weight, 0, false}}};
    task.outputs[2] = value_of(maker, 1, 0, columns_of(maker, layer->x), REMAT_PARAMETER_GRADIENT);
    task.attr.relu = layer->relu;
    task.attr.residual = layer->z >= 0;
    if (layer->z >= 0) {
        dz = like(maker, layer->z, REMAT_ACTIVATION_GRADIENT);
        task.inputs_count = 5;
        task.outputs_count = 4;
        task.outputs[3] = dz;
    }
    emit(maker, task, false);
    consume_gradient(maker, layer, dgamma);
    contribute(maker, layer->x, dx);
    if (dz >= 0)
        contribute(maker, layer->z, dz);
}

static void backward_simple(struct maker *maker, struct layer *layer)
{
    int32_t dy = maker->grad[layer->y], dx;
    if (layer->op == REMAT_OP_ADD) {
        contribute(maker, layer->x, dy);
        contribute(maker, layer->z, dy);
        return;
    }
    dx = like(maker, layer->x, REMAT_ACTIVATION_GRADIENT);
    emit(maker,
         (struct remat_task){.op = layer->op == REMAT_OP_RELU ? REMAT_OP_RELU_BWD : REMAT_OP_GELU_BWD,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 2,
                             .inputs = {layer->op == REMAT_OP_RELU ? layer->y : layer->x, dy},
                             .outputs_count = 1,
                             .outputs = {dx}},
         false);
    contribute(maker, layer->x, dx);
}

static void loss(struct maker *maker)
{
    int32_t y = maker->layers[maker->layers_count - 1].y;
    maker->grad[y] = like(maker, y, REMAT_ACTIVATION_GRADIENT);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_LOSS,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 2,
                             .inputs = {y, maker->tokens},
                             .outputs_count = 1,
                             .outputs = {maker->grad[y]},
                             .cells_count = 1,
                             .cells = {{maker->metrics, 0, true}}},
         false);
}

static void backward(struct maker *maker)
{
    int32_t i;
    for (i = maker->layers_count - 1; i >= 0; i--) {
        struct layer *layer = &maker->layers[i];
        if (maker->grad[layer->y] < 0)
            continue;
        if (layer->op == REMAT_OP_LINEAR)
            backward_linear(maker, layer);
        else if (layer->op == REMAT_OP_BATCHNORM)
            backward_norm(maker, layer);
        else
            backward_simple(maker, layer);
    }
}

static void finish(struct maker *maker)
{
    int32_t i;
    for (i = 0; i < maker->layers_count; i++)
        if (maker->layers[i].sum >= 0)
            emit(maker,
                 (struct remat_task){.op = REMAT_OP_SGD,
                                     .phase = REMAT_UPDATE,
                                     .section = REMAT_FINISH,
                                     .cells_count = 2,
                                     .cells = {{maker->layers[i].weight, 0, true}, {maker->layers[i].sum, 0, false}}},
                 false);
}

static int32_t feed(struct maker *maker, int32_t dims_count, int64_t rows, int64_t columns)
{
    int32_t value = value_of(maker, dims_count, rows, columns, REMAT_BATCH);
    int32_t staging = cell_of(maker, dims_count == 1 ? columns : rows * columns, REMAT_STAGING_SLOT);
    emit(maker,
         (struct remat_task){.op = REMAT_OP_FEED,
                             .outputs_count = 1,
                             .outputs = {value},
                             .cells_count = 1,
                             .cells = {{staging, 0, false}}},
         false);
    return value;
}

void random_graph(struct remat_task_graph *graph, uint64_t seed, int32_t layers)
{
    struct maker maker = {.graph = graph, .stream = {.seed = seed}, .accumulate = seed % 2 == 1};
    struct remat_error err = {0};
    int64_t rows = 16 << random_below(&maker.stream, 3);
    int32_t i, x;
    assert_true(layers > 0 && layers <= MAX_LAYERS);
    memset(maker.grad, 0xff, sizeof maker.grad);
    remat_task_graph_init(graph);
    graph->micro_count = maker.accumulate ? 2 : 1;
    x = feed(&maker, 2, rows, 4 << random_below(&maker.stream, 3));
    maker.tokens = feed(&maker, 1, 0, rows);
    maker.metrics = cell_of(&maker, 4, REMAT_METRICS);
    for (i = 0; i < layers; i++) {
        forward(&maker, x);
        x = maker.layers[i].y;
    }
    loss(&maker);
    backward(&maker);
    finish(&maker);
    if (remat_task_graph_finish(graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}
