/* Builder calls of the layers that image and text models share. */
#include "core/graph/layer_builder.h"

#include <math.h>

int32_t remat_add_labels(struct remat_layer_graph *graph, int32_t dims_count, const int64_t *dims)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_LABELS, "labels", -1, -1);
    if (!layer)
        return -1;
    layer->output = remat_tensor_make(REMAT_I32, dims_count, dims);
    return remat_layer_end(graph);
}

/* A layer whose output looks like its one input. */
static struct remat_layer *begin_like_input(struct remat_layer_graph *graph, enum remat_layer_kind kind,
                                            const char *name, int32_t input)
{
    struct remat_layer *layer = remat_layer_begin(graph, kind, name, input, -1);
    if (!layer)
        return NULL;
    if (layer->inputs_count == 0 || remat_layer_input(graph, layer, 0)->dtype != REMAT_F32) {
        remat_layer_mistake(graph, name, "it needs one floating-point input");
        return NULL;
    }
    layer->output = *remat_layer_input(graph, layer, 0);
    return layer;
}

int32_t remat_add_relu(struct remat_layer_graph *graph, const char *name, int32_t input)
{
    return begin_like_input(graph, REMAT_LAYER_RELU, name, input) ? remat_layer_end(graph) : -1;
}

int32_t remat_add_gelu(struct remat_layer_graph *graph, const char *name, int32_t input)
{
    return begin_like_input(graph, REMAT_LAYER_GELU, name, input) ? remat_layer_end(graph) : -1;
}

int32_t remat_add_dropout(struct remat_layer_graph *graph, const char *name, int32_t input, float probability)
{
    struct remat_layer *layer = begin_like_input(graph, REMAT_LAYER_DROPOUT, name, input);
    if (!layer)
        return -1;
    if (!(probability >= 0.0f && probability < 1.0f))
        return remat_layer_mistake(graph, name, "dropout probability %g is not in [0, 1)", (double)probability);
    layer->probability = probability;
    return remat_layer_end(graph);
}

int32_t remat_add_add(struct remat_layer_graph *graph, const char *name, int32_t a, int32_t b)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_ADD, name, a, b);
    if (!layer)
        return -1;
    if (layer->inputs_count != 2 || remat_layer_input(graph, layer, 0)->dtype != REMAT_F32 ||
        !remat_tensor_equal(remat_layer_input(graph, layer, 0), remat_layer_input(graph, layer, 1)))
        return remat_layer_mistake(graph, name, "it adds two floating-point inputs of equal shape");
    layer->output = *remat_layer_input(graph, layer, 0);
    return remat_layer_end(graph);
}

int32_t remat_add_linear(struct remat_layer_graph *graph, const char *name, int32_t input, int64_t outputs, bool bias,
                         float scale)
{
    struct remat_layer *layer = begin_like_input(graph, REMAT_LAYER_LINEAR, name, input);
    struct remat_parameter_kind weight = {"weight", REMAT_INIT_NORMAL, scale, true, true};
    struct remat_parameter_kind shift = {"bias", REMAT_INIT_ZEROS, 0.0f, true, false};
    int64_t dims[2];
    if (!layer)
        return -1;
    if (layer->output.dims_count < 2)
        return remat_layer_mistake(graph, name, "its input needs rows and columns");
    dims[0] = outputs;
    dims[1] = remat_tensor_columns(&layer->output);
    if (!(scale > 0.0f)) {
        weight.init = shift.init = REMAT_INIT_UNIFORM;
        weight.scale = shift.scale = 1.0f / sqrtf((float)dims[1]);
    }
    layer->bias = bias;
    layer->output.dims[layer->output.dims_count - 1] = outputs;
    remat_layer_parameter(graph, layer, name, &weight, 2, dims);
    if (bias)
        remat_layer_parameter(graph, layer, name, &shift, 1, dims);
    return remat_layer_end(graph);
}

int32_t remat_add_loss(struct remat_layer_graph *graph, int32_t logits, int32_t labels)
{
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_LOSS, "loss", logits, labels);
    const int64_t one = 1;
    const struct remat_tensor *x, *target;
    if (!layer)
        return -1;
    x = layer->inputs_count == 2 ? remat_layer_input(graph, layer, 0) : NULL;
    target = layer->inputs_count == 2 ? remat_layer_input(graph, layer, 1) : NULL;
    if (!x || x->dtype != REMAT_F32 || x->dims_count < 2 || target->dtype != REMAT_I32 ||
        remat_tensor_elements(target) != remat_tensor_rows(x))
        return remat_layer_mistake(graph, "loss", "it needs logits [M,V] and M integer labels");
    layer->output = remat_tensor_make(REMAT_F32, 1, &one);
    return remat_layer_end(graph);
}
