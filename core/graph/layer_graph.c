/* A layer graph's life, blocks and parameters. The layers themselves: layers_*.c. */
#include "core/graph/layer_graph.h"

#include "core/graph/layer_builder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void remat_layer_graph_init(struct remat_layer_graph *graph, const char *name)
{
    memset(graph, 0, sizeof *graph);
    graph->name = "";
    if (remat_pool_printf(&graph->pool, &graph->name, &graph->error, "%s", name) != REMAT_OK)
        graph->name = "";
}

void remat_layer_graph_free(struct remat_layer_graph *graph)
{
    free(graph->layers);
    free(graph->parameters);
    free(graph->block_names);
    remat_pool_free(&graph->pool);
    memset(graph, 0, sizeof *graph);
    graph->name = "";
}

enum remat_status remat_layer_graph_check(const struct remat_layer_graph *graph, struct remat_error *err)
{
    if (graph->error.status != REMAT_OK)
        return remat_fail(err, graph->error.status, "%s", graph->error.message);
    if (graph->layers_count == 0)
        return remat_fail(err, REMAT_USAGE, "model \"%s\" has no layers", graph->name);
    return REMAT_OK;
}

int64_t remat_layer_graph_parameters(const struct remat_layer_graph *graph)
{
    int64_t total = 0;
    for (int32_t i = 0; i < graph->parameters_count; i++)
        if (graph->parameters[i].trained)
            total += remat_tensor_elements(&graph->parameters[i].tensor);
    return total;
}

int32_t remat_layer_mistake(struct remat_layer_graph *graph, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;
    if (graph->error.status != REMAT_OK)
        return -1;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    remat_fail(&graph->error, REMAT_USAGE, "model \"%s\", \"%.128s\": %s", graph->name, name, text);
    return -1;
}

void remat_begin_block(struct remat_layer_graph *graph, const char *name)
{
    struct remat_error *err = &graph->error;
    if (err->status != REMAT_OK ||
        REMAT_GROW(graph->block_names, graph->blocks_capacity, graph->blocks_count + 1, err) != REMAT_OK ||
        remat_pool_printf(&graph->pool, &graph->block_names[graph->blocks_count], err, "%s", name) != REMAT_OK)
        return;
    graph->blocks_count++;
}

struct remat_layer *remat_layer_begin(struct remat_layer_graph *graph, enum remat_layer_kind kind, const char *name,
                                      int32_t input0, int32_t input1)
{
    const int32_t inputs[REMAT_MAX_LAYER_INPUTS] = {input0, input1};
    struct remat_error *err = &graph->error;
    struct remat_layer *layer;
    if (err->status == REMAT_OK && graph->blocks_count == 0)
        remat_layer_mistake(graph, name, "a layer needs a block: call remat_begin_block() before");
    if (err->status != REMAT_OK ||
        REMAT_GROW(graph->layers, graph->layers_capacity, graph->layers_count + 1, err) != REMAT_OK)
        return NULL;
    layer = &graph->layers[graph->layers_count];
    *layer = (struct remat_layer){.kind = kind, .block = graph->blocks_count - 1};
    for (int32_t i = 0; i < REMAT_MAX_LAYER_INPUTS && inputs[i] != -1; i++) {
        if (inputs[i] < 0 || inputs[i] >= graph->layers_count) {
            remat_layer_mistake(graph, name, "input %d is layer %d, which does not exist", i, inputs[i]);
            return NULL;
        }
        layer->inputs[layer->inputs_count++] = inputs[i];
    }
    if (remat_pool_printf(&graph->pool, &layer->name, err, "%s", name) != REMAT_OK)
        return NULL;
    return layer;
}

int32_t remat_layer_end(struct remat_layer_graph *graph)
{
    struct remat_layer *layer = &graph->layers[graph->layers_count];
    struct remat_error err;
    if (graph->error.status != REMAT_OK)
        return -1;
    if (remat_tensor_check(&layer->output, "its output", &err) != REMAT_OK)
        return remat_layer_mistake(graph, layer->name, "%.400s", err.message);
    return graph->layers_count++;
}

const struct remat_tensor *remat_layer_input(const struct remat_layer_graph *graph, const struct remat_layer *layer,
                                             int32_t k)
{
    return &graph->layers[layer->inputs[k]].output;
}

static bool parameter_exists(const struct remat_layer_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->parameters_count; i++)
        if (strcmp(graph->parameters[i].name, name) == 0)
            return true;
    return false;
}

void remat_layer_parameter(struct remat_layer_graph *graph, struct remat_layer *layer, const char *prefix,
                           const struct remat_parameter_kind *kind, int32_t dims_count, const int64_t *dims)
{
    struct remat_parameter parameter = {.tensor = remat_tensor_make(REMAT_F32, dims_count, dims),
                                        .init = kind->init,
                                        .scale = kind->scale,
                                        .trained = kind->trained,
                                        .decayed = kind->decayed};
    struct remat_error *sticky = &graph->error, err;
    if (sticky->status != REMAT_OK)
        return;
    if (remat_tensor_check(&parameter.tensor, kind->suffix, &err) != REMAT_OK) {
        remat_layer_mistake(graph, layer->name, "%.400s", err.message);
        return;
    }
    if (remat_pool_printf(&graph->pool, &parameter.name, sticky, "%s.%s", prefix, kind->suffix) != REMAT_OK ||
        REMAT_GROW(graph->parameters, graph->parameters_capacity, graph->parameters_count + 1, sticky) != REMAT_OK)
        return;
    if (parameter_exists(graph, parameter.name)) {
        remat_layer_mistake(graph, layer->name, "there are two parameters of the name \"%.128s\"", parameter.name);
        return;
    }
    layer->parameters[layer->parameters_count++] = graph->parameters_count;
    graph->parameters[graph->parameters_count++] = parameter;
}
