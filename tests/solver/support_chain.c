#include "tests/solver/support_chain.h"

#include "core/base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LAYERS = 128 };

/* A linear layer (x, w, c) followed by a normalisation (c -> y), or alone (y = -1). */
struct layer {
    int32_t x, c, y, mean, invstd, residual; /* values; residual -1 = none */
    int32_t weight, scale;                   /* cells */
    int32_t block;
};

struct maker {
    struct remat_task_graph *graph;
    struct layer layers[MAX_LAYERS];
    int32_t layers_count, block, names, metrics, labels;
    int64_t rows;
    uint64_t seed;
    uint64_t draws;
};

static int64_t draw(struct maker *m, int64_t below)
{
    return (int64_t)(remat_rng(m->seed, REMAT_RNG_SYNTHETIC, 7, 0, m->draws++).word[0] % (uint64_t)below);
}

static int32_t value(struct maker *m, int64_t rows, int64_t columns, enum remat_category category)
{
    const int64_t dims[] = {rows, columns};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, rows > 0 ? 2 : 1, rows > 0 ? dims : &dims[1]);
    struct remat_error err = {0};
    int32_t id;
    CHECK_OK(remat_add_value(m->graph, &tensor, category, m->block, &id, &err, "v%d", m->graph->values_count), err);
    return id;
}

static int64_t columns(const struct maker *m, int32_t id)
{
    return m->graph->values[id].tensor.dims[1];
}

static int32_t cell(struct maker *m, int64_t elements, enum remat_cell_kind kind)
{
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, 1, &elements);
    struct remat_error err = {0};
    char name[32];
    int32_t id;
    snprintf(name, sizeof name, "c%d", m->graph->cells_count);
    CHECK_OK(remat_add_cell(m->graph, &tensor, kind, -1, name, &id, &err), err);
    return id;
}

static void task(struct maker *m, struct remat_task t, int64_t time_ns, int64_t scratch_bytes, bool alternate)
{
    struct remat_option option = {.name = "only", .scratch_bytes = scratch_bytes, .time_ns = time_ns};
    struct remat_error err = {0};
    char name[64];
    int32_t id;
    snprintf(name, sizeof name, "%s.%d", remat_op_text(t.op), m->names++);
    if (m->seed % 2 == 1)
        option.time_ns += draw(m, time_ns + 1);
    t.name = name;
    t.block = m->block;
    t.options = &option;
    t.options_count = 1;
    CHECK_OK(remat_add_task(m->graph, &t, alternate, &id, &err), err);
}

static int32_t feed(struct maker *m, int64_t rows, int64_t width)
{
    int32_t id = value(m, rows, width, REMAT_BATCH);
    int32_t staging = cell(m, rows > 0 ? rows * width : width, REMAT_STAGING_SLOT);
    task(
        m,
        (struct remat_task){
            .op = REMAT_OP_FEED, .outputs_count = 1, .outputs = {id}, .cells_count = 1, .cells = {{staging, 0, false}}},
        10, 0, false);
    return id;
}

static struct layer *linear(struct maker *m, int32_t x, int64_t width)
{
    struct layer *layer = &m->layers[m->layers_count++];
    assert_true(m->layers_count <= MAX_LAYERS);
    *layer = (struct layer){.x = x, .y = -1, .mean = -1, .invstd = -1, .residual = -1, .scale = -1, .block = m->block};
    layer->c = value(m, m->rows, width, REMAT_ACTIVATION);
    layer->weight = cell(m, width * columns(m, x), REMAT_PARAMETER);
    task(m,
         (struct remat_task){.op = REMAT_OP_LINEAR,
                             .inputs_count = 1,
                             .inputs = {x},
                             .outputs_count = 1,
                             .outputs = {layer->c},
                             .cells_count = 1,
                             .cells = {{layer->weight, 0, false}}},
         width * columns(m, x), 0, false);
    return layer;
}

static int32_t norm(struct maker *m, struct layer *layer, int32_t residual)
{
    int64_t width = columns(m, layer->c);
    struct remat_task t = {.op = REMAT_OP_BATCHNORM, .outputs_count = 3, .cells_count = 3};
    int32_t count = residual >= 0 ? 2 : 1;
    layer->residual = residual;
    layer->y = value(m, m->rows, width, REMAT_ACTIVATION);
    layer->mean = value(m, 0, width, REMAT_STATISTIC);
    layer->invstd = value(m, 0, width, REMAT_STATISTIC);
    layer->scale = cell(m, width, REMAT_PARAMETER);
    t.attr.relu = true;
    t.attr.residual = residual >= 0;
    t.inputs_count = count;
    t.inputs[0] = layer->c, t.inputs[1] = residual >= 0 ? residual : 0;
    t.outputs[0] = layer->y, t.outputs[1] = layer->mean, t.outputs[2] = layer->invstd;
    t.cells[0] = (struct remat_cell_use){layer->scale, 0, false};
    t.cells[1] = (struct remat_cell_use){cell(m, width, REMAT_RUNNING_STATISTIC), 0, true};
    t.cells[2] = (struct remat_cell_use){cell(m, width, REMAT_RUNNING_STATISTIC), 0, true};
    task(m, t, 6 * width, 0, false);
    t.op = REMAT_OP_BATCHNORM_APPLY;
    t.inputs_count = count + 2;
    t.inputs[1] = layer->mean, t.inputs[2] = layer->invstd, t.inputs[3] = residual >= 0 ? residual : 0;
    t.outputs_count = t.cells_count = 1;
    task(m, t, 3 * width, 0, true);
    return layer->y;
}

static void update(struct maker *m, int32_t gradient, int32_t parameter)
{
    task(m,
         (struct remat_task){.op = REMAT_OP_SGD,
                             .phase = REMAT_UPDATE,
                             .inputs_count = 1,
                             .inputs = {gradient},
                             .cells_count = 1,
                             .cells = {{parameter, 0, true}}},
         5, 0, false);
}

static int32_t add(struct maker *m, int32_t a, int32_t b, enum remat_phase phase)
{
    int32_t sum = value(m, m->rows, columns(m, a), REMAT_ACTIVATION);
    task(m,
         (struct remat_task){.op = REMAT_OP_ADD,
                             .phase = phase,
                             .inputs_count = 2,
                             .inputs = {a, b},
                             .outputs_count = 1,
                             .outputs = {sum}},
         3 * columns(m, a), 0, false);
    return sum;
}

/* Backward of a normalisation; *residual receives the gradient of what was added. */
static int32_t norm_backward(struct maker *m, const struct layer *layer, int32_t dy, int32_t *residual)
{
    int64_t width = columns(m, layer->c);
    int32_t dx = value(m, m->rows, width, REMAT_ACTIVATION_GRADIENT);
    int32_t dgamma = value(m, 0, width, REMAT_PARAMETER_GRADIENT), dbeta = value(m, 0, width, REMAT_PARAMETER_GRADIENT);
    struct remat_task t = {.op = REMAT_OP_BATCHNORM_BWD,
                           .phase = REMAT_BACKWARD,
                           .inputs_count = 4,
                           .inputs = {layer->c, layer->mean, layer->invstd, dy, layer->y},
                           .outputs_count = 3,
                           .outputs = {dx, dgamma, dbeta},
                           .cells_count = 1,
                           .cells = {{layer->scale, 0, false}}};
    t.attr.relu = true;
    if (layer->residual >= 0) {
        t.attr.residual = true;
        *residual = t.outputs[3] = value(m, m->rows, width, REMAT_ACTIVATION_GRADIENT);
        t.inputs_count = 5;
        t.outputs_count = 4;
    }
    task(m, t, 9 * width, 0, false);
    update(m, dgamma, layer->scale);
    return dx;
}

static int32_t linear_backward(struct maker *m, const struct layer *layer, int32_t dc, bool data)
{
    int64_t in = columns(m, layer->x), out = columns(m, layer->c);
    int32_t dw = value(m, out, in, REMAT_PARAMETER_GRADIENT), dx = -1;
    task(m,
         (struct remat_task){.op = REMAT_OP_LINEAR_BWD_WEIGHTS,
                             .phase = REMAT_BACKWARD,
                             .inputs_count = 2,
                             .inputs = {layer->x, dc},
                             .outputs_count = 1,
                             .outputs = {dw}},
         in * out, 256, false);
    if (data) {
        dx = value(m, m->rows, in, REMAT_ACTIVATION_GRADIENT);
        task(m,
             (struct remat_task){.op = REMAT_OP_LINEAR_BWD_DATA,
                                 .phase = REMAT_BACKWARD,
                                 .inputs_count = 1,
                                 .inputs = {dc},
                                 .outputs_count = 1,
                                 .outputs = {dx},
                                 .cells_count = 1,
                                 .cells = {{layer->weight, 0, false}}},
             in * out, 128, false);
    }
    update(m, dw, layer->weight);
    return dx;
}

static int32_t loss(struct maker *m, int32_t logits)
{
    int32_t gradient = value(m, m->rows, columns(m, logits), REMAT_ACTIVATION_GRADIENT);
    task(m,
         (struct remat_task){.op = REMAT_OP_LOSS,
                             .inputs_count = 2,
                             .inputs = {logits, m->labels},
                             .outputs_count = 1,
                             .outputs = {gradient},
                             .cells_count = 1,
                             .cells = {{m->metrics, 0, true}}},
         8 * columns(m, logits), 0, false);
    return gradient;
}

static int32_t begin(struct maker *m, struct remat_task_graph *graph, int64_t rows, int64_t width, uint64_t seed)
{
    *m = (struct maker){.graph = graph, .rows = rows, .seed = seed};
    remat_task_graph_init(graph);
    graph->name = "synthetic chain";
    graph->blocks_count = MAX_LAYERS;
    graph->micro_count = 1;
    m->metrics = cell(m, 4, REMAT_METRICS);
    m->labels = feed(m, 0, rows);
    return feed(m, rows, width);
}

static void name_blocks(struct maker *m, int32_t count)
{
    struct remat_error err = {0};
    int32_t b;
    m->graph->blocks_count = count;
    CHECK_OK(REMAT_POOL_ALLOC(&m->graph->pool, m->graph->block_names, count, &err), err);
    for (b = 0; b < count; b++)
        CHECK_OK(remat_pool_printf(&m->graph->pool, &m->graph->block_names[b], &err, "block %d", b), err);
    CHECK_OK(remat_task_graph_finish(m->graph, &err), err);
}

void chain_graph(struct remat_task_graph *graph, int32_t blocks, int64_t rows, uint64_t seed)
{
    struct maker m;
    int32_t x = begin(&m, graph, rows, 32, seed), b, gradient;
    for (b = 0; b < blocks; b++) {
        struct layer *first, *second;
        int32_t residual = x;
        m.block = b;
        first = linear(&m, x, seed % 2 == 1 ? 8 + 8 * draw(&m, 4) : 16);
        x = norm(&m, first, -1);
        second = linear(&m, x, 32);
        x = norm(&m, second, residual);
    }
    gradient = loss(&m, x);
    for (b = blocks - 1; b >= 0; b--) {
        int32_t residual = -1, dx;
        m.block = b;
        dx = norm_backward(&m, &m.layers[2 * b + 1], gradient, &residual);
        dx = linear_backward(&m, &m.layers[2 * b + 1], dx, true);
        dx = norm_backward(&m, &m.layers[2 * b], dx, NULL);
        dx = linear_backward(&m, &m.layers[2 * b], dx, b > 0);
        gradient = b > 0 ? add(&m, residual, dx, REMAT_BACKWARD) : -1;
    }
    name_blocks(&m, blocks);
}

void linear_graph(struct remat_task_graph *graph, int32_t layers, int64_t rows, uint64_t seed)
{
    struct maker m;
    int32_t x = begin(&m, graph, rows, 16, seed), b, gradient;
    for (b = 0; b < layers; b++) {
        m.block = b;
        x = linear(&m, x, seed % 2 == 1 ? 8 * (1 + draw(&m, 6)) : 16)->c;
    }
    gradient = loss(&m, x);
    for (b = layers - 1; b >= 0; b--) {
        m.block = b;
        gradient = linear_backward(&m, &m.layers[b], gradient, b > 0);
    }
    name_blocks(&m, layers);
}

static int32_t gelu(struct maker *m, int32_t x, int32_t dy)
{
    int32_t out = value(m, m->rows, columns(m, x), REMAT_ACTIVATION);
    bool backward = dy >= 0;
    task(m,
         (struct remat_task){.op = backward ? REMAT_OP_GELU_BWD : REMAT_OP_GELU,
                             .phase = backward ? REMAT_BACKWARD : REMAT_FORWARD,
                             .inputs_count = backward ? 2 : 1,
                             .inputs = {x, backward ? dy : 0},
                             .outputs_count = 1,
                             .outputs = {out}},
         12 * columns(m, x), 0, false);
    return out;
}

void gelu_graph(struct remat_task_graph *graph, int32_t blocks, int64_t rows, uint64_t seed)
{
    struct maker m;
    int32_t x = begin(&m, graph, rows, 16, seed), b, gradient;
    for (b = 0; b < blocks; b++) {
        m.block = b;
        x = add(&m, gelu(&m, linear(&m, x, 16)->c, -1), x, REMAT_FORWARD);
    }
    gradient = loss(&m, x);
    for (b = blocks - 1; b >= 0; b--) {
        int32_t dx;
        m.block = b;
        dx = linear_backward(&m, &m.layers[b], gelu(&m, m.layers[b].c, gradient), b > 0);
        gradient = b > 0 ? add(&m, gradient, dx, REMAT_BACKWARD) : -1;
    }
    name_blocks(&m, blocks);
}

void unit_chain(struct remat_task_graph *graph, int32_t layers)
{
    json_t *nodes = json_array(), *edges = json_array(), *json;
    struct remat_error err = {0};
    int32_t count = 2 * layers + 1, i;
    char name[16];
    for (i = 0; i < count; i++) {
        snprintf(name, sizeof name, "v%d", i);
        json_array_append_new(nodes, json_pack("{s:s, s:i, s:i}", "name", name, "time_ns", 1, "bytes", 1));
        if (i > 0)
            json_array_append_new(edges, json_pack("[i, i]", i - 1, i));
        if (i > layers)
            json_array_append_new(edges, json_pack("[i, i]", 2 * layers - i, i));
    }
    json = json_pack("{s:s, s:i, s:s, s:o, s:o}", "format", "remat-graph", "version", 1, "name", "unit chain", "nodes",
                     nodes, "edges", edges);
    CHECK_OK(remat_task_graph_import(json, "unit chain", graph, &err), err);
    json_decref(json);
}

struct remat_chain uniform_chain(int32_t count, int64_t input, int64_t whole, double forward)
{
    struct remat_chain chain = {.count = count};
    int32_t b;
    chain.blocks = calloc((size_t)count, sizeof *chain.blocks);
    assert_non_null(chain.blocks);
    for (b = 0; b < count; b++) {
        struct remat_chain_block *block = &chain.blocks[b];
        block->input_bytes = input;
        block->output_bytes = b + 1 < count ? input : 0;
        block->again_ns = forward;
        block->choices_count = block->lasts_count = 1;
        block->choices = calloc(1, sizeof *block->choices);
        block->lasts = calloc(1, sizeof *block->lasts);
        assert_non_null(block->choices);
        assert_non_null(block->lasts);
        block->choices[0].kept_bytes = block->choices[0].forward_peak_bytes = block->choices[0].backward_peak_bytes =
            whole;
        block->choices[0].soft_ns = 1e18; /* outputs are never made again from what is kept */
        block->choices[0].nested = true;
        block->lasts[0].backward_peak_bytes = whole;
        block->lasts[0].cost_ns = forward;
    }
    return chain;
}

void free_chain(struct remat_chain *chain)
{
    int32_t b;
    for (b = 0; b < chain->count; b++) {
        free(chain->blocks[b].choices);
        free(chain->blocks[b].lights);
        free(chain->blocks[b].lasts);
    }
    free(chain->blocks);
}
