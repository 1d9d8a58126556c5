/* Builder calls of text layers. */
#include "core/graph/layer_builder.h"

int32_t remat_add_tokens(struct remat_layer_graph *graph, int64_t batch, int64_t length)
{
    const int64_t dims[] = {batch, length};
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_INPUT, "input", -1, -1);
    if (!layer)
        return -1;
    layer->output = remat_tensor_make(REMAT_I32, 2, dims);
    return remat_layer_end(graph);
}

int32_t remat_add_embedding(struct remat_layer_graph *graph, const char *token_name, const char *position_name,
                            int32_t tokens, int64_t vocabulary, int64_t positions, int64_t channels, float scale)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_EMBEDDING, token_name, tokens, -1);
    const struct remat_parameter_kind table = {"weight", REMAT_INIT_NORMAL, scale, true, true};
    const int64_t token_dims[] = {vocabulary, channels}, position_dims[] = {positions, channels};
    const struct remat_tensor *ids;
    if (!layer)
        return -1;
    ids = layer->inputs_count > 0 ? remat_layer_input(graph, layer, 0) : NULL;
    if (!ids || ids->dims_count != 2 || ids->dtype != REMAT_I32)
        return remat_layer_mistake(graph, token_name, "its input needs to be tokens [B,T]");
    if (ids->dims[1] > positions)
        return remat_layer_mistake(graph, position_name, "a length of %lld needs as many positions; there are %lld",
                                   (long long)ids->dims[1], (long long)positions);
    layer->output = remat_tensor_make(REMAT_F32, 3, (const int64_t[]){ids->dims[0], ids->dims[1], channels});
    remat_layer_parameter(graph, layer, token_name, &table, 2, token_dims);
    remat_layer_parameter(graph, layer, position_name, &table, 2, position_dims);
    return remat_layer_end(graph);
}

int32_t remat_add_layernorm(struct remat_layer_graph *graph, const char *name, int32_t input)
{
    static const struct remat_parameter_kind kinds[] = {{"weight", REMAT_INIT_ONES, 0.0f, true, false},
                                                        {"bias", REMAT_INIT_ZEROS, 0.0f, true, false}};
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_LAYERNORM, name, input, -1);
    int64_t channels;
    if (!layer)
        return -1;
    if (layer->inputs_count == 0 || remat_layer_input(graph, layer, 0)->dims_count < 2 ||
        remat_layer_input(graph, layer, 0)->dtype != REMAT_F32)
        return remat_layer_mistake(graph, name, "its input needs rows and channels");
    layer->output = *remat_layer_input(graph, layer, 0);
    layer->epsilon = 1e-5f;
    channels = remat_tensor_columns(&layer->output);
    for (int k = 0; k < 2; k++)
        remat_layer_parameter(graph, layer, name, &kinds[k], 1, &channels);
    return remat_layer_end(graph);
}

int32_t remat_add_attention(struct remat_layer_graph *graph, const char *name, int32_t qkv, int32_t heads)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_ATTENTION, name, qkv, -1);
    const struct remat_tensor *x;
    if (!layer)
        return -1;
    x = layer->inputs_count > 0 ? remat_layer_input(graph, layer, 0) : NULL;
    if (!x || x->dims_count != 3 || x->dtype != REMAT_F32 || x->dims[2] % 3 != 0)
        return remat_layer_mistake(graph, name, "its input needs the shape [B,T,3C]");
    if (heads < 1 || x->dims[2] / 3 % heads != 0)
        return remat_layer_mistake(graph, name, "%lld channels do not divide into %d heads",
                                   (long long)(x->dims[2] / 3), heads);
    layer->heads = heads;
    layer->output = *x;
    layer->output.dims[2] /= 3;
    return remat_layer_end(graph);
}

/* Its weight is the embedding's: one parameter, used twice. */
int32_t remat_add_classifier(struct remat_layer_graph *graph, const char *name, int32_t hidden, int32_t targets,
                             int32_t embedding)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_CLASSIFIER, name, hidden, targets);
    const struct remat_tensor *h, *ids;
    const struct remat_layer *table;
    const int64_t one = 1;
    if (!layer)
        return -1;
    if (layer->inputs_count != 2 || embedding < 0 || embedding >= graph->layers_count ||
        graph->layers[embedding].kind != REMAT_LAYER_EMBEDDING)
        return remat_layer_mistake(graph, name, "it needs hidden states, targets and an embedding layer");
    h = remat_layer_input(graph, layer, 0);
    ids = remat_layer_input(graph, layer, 1);
    table = &graph->layers[embedding];
    if (h->dtype != REMAT_F32 || h->dims_count < 2 || ids->dtype != REMAT_I32 ||
        remat_tensor_elements(ids) != remat_tensor_rows(h) ||
        remat_tensor_columns(h) != remat_tensor_columns(&table->output))
        return remat_layer_mistake(graph, name,
                                   "it needs hidden states [...,C] of the embedding's width and a target a row");
    layer->parameters[layer->parameters_count++] = table->parameters[0];
    layer->output = remat_tensor_make(REMAT_F32, 1, &one);
    return remat_layer_end(graph);
}
