/* The passes of lowering: cells, forward, backward in reverse with updates, the finish section. */
#include "runtime/lower/lower.h"

#include "runtime/lower/layers.h"

#include <stdlib.h>
#include <string.h>

struct remat_lower_options remat_lower_defaults(enum remat_mode mode, enum remat_optimizer optimizer)
{
    struct remat_lower_options options = {.mode = mode, .dtype = REMAT_F32, .optimizer = optimizer, .micro_count = 1};
    if (optimizer == REMAT_ADAMW) {
        options.beta1 = 0.9f;
        options.beta2 = 0.999f;
        options.epsilon = 1e-8f;
    } else {
        options.momentum = 0.9f;
    }
    return options;
}

struct layer_lowering remat_lowering_of(enum remat_layer_kind kind)
{
    switch (kind) {
    case REMAT_LAYER_INPUT:
    case REMAT_LAYER_LABELS:
        return remat_lower_feed;
    case REMAT_LAYER_CONV2D:
        return remat_lower_conv2d;
    case REMAT_LAYER_BATCHNORM:
        return remat_lower_batchnorm;
    case REMAT_LAYER_RELU:
        return remat_lower_relu;
    case REMAT_LAYER_ADD:
        return remat_lower_add;
    case REMAT_LAYER_MAXPOOL:
        return remat_lower_maxpool;
    case REMAT_LAYER_AVGPOOL:
        return remat_lower_avgpool;
    case REMAT_LAYER_LINEAR:
        return remat_lower_linear;
    case REMAT_LAYER_EMBEDDING:
        return remat_lower_embedding;
    case REMAT_LAYER_LAYERNORM:
        return remat_lower_layernorm;
    case REMAT_LAYER_GELU:
        return remat_lower_gelu;
    case REMAT_LAYER_DROPOUT:
        return remat_lower_dropout;
    case REMAT_LAYER_ATTENTION:
        return remat_lower_attention;
    case REMAT_LAYER_LOSS:
        return remat_lower_loss;
    case REMAT_LAYER_CLASSIFIER:
        return remat_lower_classifier;
    case REMAT_LAYER_COUNT:
        break;
    }
    return (struct layer_lowering){NULL, NULL, NULL};
}

/* A layer's output has a gradient if the layer has a trained parameter or an input that needs one. */
static void find_needs(struct lowering *l)
{
    for (int32_t i = 0; i < l->layers->layers_count; i++) {
        const struct remat_layer *layer = &l->layers->layers[i];
        for (int32_t k = 0; k < layer->inputs_count; k++)
            l->needs_gradient[i] |= l->needs_gradient[layer->inputs[k]];
        for (int32_t k = 0; k < layer->parameters_count; k++)
            l->needs_gradient[i] |= l->layers->parameters[layer->parameters[k]].trained;
    }
}

static void find_sole_users(struct lowering *l)
{
    const int32_t several = -2;
    for (int32_t i = 0; i < l->layers->layers_count; i++) {
        const struct remat_layer *layer = &l->layers->layers[i];
        for (int32_t k = 0; k < layer->inputs_count; k++) {
            int32_t *user = &l->sole_user[layer->inputs[k]];
            *user = *user == -1 ? i : several;
        }
    }
    for (int32_t i = 0; i < l->layers->layers_count; i++)
        l->sole_user[i] = l->sole_user[i] == several ? -1 : l->sole_user[i];
}

static void lower_forward(struct lowering *l)
{
    for (int32_t i = 0; i < l->layers->layers_count && l->status == REMAT_OK; i++) {
        struct layer_lowering lowering = remat_lowering_of(l->layers->layers[i].kind);
        if (l->options->mode == REMAT_EVAL && lowering.evaluate)
            lowering.evaluate(l, i);
        else
            lowering.forward(l, i);
    }
}

static void lower_backward(struct lowering *l)
{
    for (int32_t i = l->layers->layers_count - 1; i >= 0 && l->status == REMAT_OK; i--) {
        struct layer_lowering lowering = remat_lowering_of(l->layers->layers[i].kind);
        if (lowering.backward && l->gradient[i] >= 0)
            lowering.backward(l, i);
        remat_lowering_flush_updates(l);
    }
}

static enum remat_status name_graph(struct lowering *l)
{
    struct remat_task_graph *graph = l->graph;
    struct remat_device_info info;
    l->backend->describe(l->device, &info);
    REMAT_TRY(remat_pool_printf(&graph->pool, &graph->name, l->err, "%s", l->layers->name));
    REMAT_TRY(remat_pool_printf(&graph->pool, &graph->device, l->err, "%s", info.fingerprint));
    REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, graph->block_names, l->layers->blocks_count, l->err));
    for (int32_t b = 0; b < l->layers->blocks_count; b++)
        REMAT_TRY(remat_pool_printf(&graph->pool, &graph->block_names[b], l->err, "%s", l->layers->block_names[b]));
    graph->blocks_count = l->layers->blocks_count;
    graph->micro_count = l->options->mode == REMAT_TRAIN ? l->options->micro_count : 1;
    return REMAT_OK;
}

static enum remat_status allocate(struct lowering *l)
{
    int32_t count = l->layers->layers_count;
    REMAT_TRY(REMAT_ALLOC(l->output, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->saved, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->cast, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->gradient, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->needs_gradient, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->sole_user, count, l->err));
    REMAT_TRY(REMAT_ALLOC(l->parameters, l->layers->parameters_count, l->err));
    for (int32_t i = 0; i < count; i++)
        l->output[i] = l->gradient[i] = l->saved[i][0] = l->saved[i][1] = l->cast[i][0] = l->cast[i][1] =
            l->sole_user[i] = -1;
    return REMAT_OK;
}

static void release(struct lowering *l)
{
    free(l->output);
    free(l->saved);
    free(l->cast);
    free(l->gradient);
    free(l->needs_gradient);
    free(l->sole_user);
    free(l->parameters);
}

static void keep_preferred(struct remat_task_graph *graph, uint64_t signature)
{
    for (int32_t t = 0; t < graph->tasks_count; t++)
        if (graph->tasks[t].signature == signature)
            remat_task_keep_class(&graph->tasks[t], graph->tasks[t].options[0].numerics);
}

/* Recipes of one value give the same bits by the preferred options; of others nobody knows. */
static void settle_recipes(struct remat_task_graph *graph)
{
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        const struct remat_task *task = &graph->tasks[t];
        if (task->position >= 0)
            continue;
        keep_preferred(graph, task->signature);
        for (int32_t k = 0; k < task->outputs_count; k++)
            keep_preferred(graph, graph->tasks[graph->values[task->outputs[k]].producer].signature);
    }
}

static enum remat_status run_passes(struct lowering *l)
{
    REMAT_TRY(name_graph(l));
    REMAT_TRY(allocate(l));
    find_needs(l);
    find_sole_users(l);
    remat_lowering_make_cells(l);
    lower_forward(l);
    if (l->options->mode == REMAT_TRAIN) {
        /* The classifier gives its parameter's gradient in the forward pass; it waits for the embedding's. */
        lower_backward(l);
        remat_lowering_finish_section(l);
    }
    REMAT_TRY(l->status);
    REMAT_TRY(remat_task_graph_finish(l->graph, l->err));
    if (l->options->any_options)
        settle_recipes(l->graph);
    return REMAT_OK;
}

/* A backend has a precision if it can cast parameters to it. */
static enum remat_status check_precision(const struct remat_backend *backend, struct remat_device *device,
                                         enum remat_dtype dtype, struct remat_error *err)
{
    const int64_t one = 1;
    struct remat_kernel_spec cast;
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    int32_t count;
    if (dtype != REMAT_BF16)
        return REMAT_OK;
    memset(&cast, 0, sizeof cast);
    cast.op = REMAT_OP_CAST;
    cast.outputs_count = cast.cells_count = 1;
    cast.outputs[0] = remat_tensor_make(REMAT_BF16, 1, &one);
    cast.cells[0] = remat_tensor_make(REMAT_F32, 1, &one);
    if (backend->options(device, &cast, options, &count, err) == REMAT_OK)
        return REMAT_OK;
    return remat_fail(err, REMAT_UNAVAILABLE,
                      "the device %s does not compute in bf16; use --precision f32, or --device cuda or ref",
                      backend->name);
}

enum remat_status remat_lower(const struct remat_layer_graph *layers, const struct remat_backend *backend,
                              struct remat_device *device, const struct remat_lower_options *options,
                              struct remat_task_graph *out, struct remat_error *err)
{
    struct lowering l = {.layers = layers,
                         .backend = backend,
                         .device = device,
                         .options = options,
                         .graph = out,
                         .err = err,
                         .metrics = -1,
                         .norm = -1};
    enum remat_status status;
    remat_task_graph_init(out);
    REMAT_TRY(remat_layer_graph_check(layers, err));
    if (options->micro_count < 1)
        return remat_fail(err, REMAT_USAGE, "gradient accumulation: expected at least 1 micro step, found %d",
                          options->micro_count);
    REMAT_TRY(check_precision(backend, device, options->dtype, err));
    status = run_passes(&l);
    release(&l);
    return status;
}
