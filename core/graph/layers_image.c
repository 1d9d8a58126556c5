/* Builder calls of image layers. */
#include "core/graph/layer_builder.h"

#include <math.h>

int32_t remat_add_images(struct remat_layer_graph *graph, int64_t batch, int64_t height, int64_t width,
                         int64_t channels)
{
    const int64_t dims[] = {batch, height, width, channels};
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_INPUT, "input", -1, -1);
    if (!layer)
        return -1;
    if (channels > 4)
        return remat_layer_mistake(graph, "input", "%lld channels; images have at most 4", (long long)channels);
    layer->output = remat_tensor_make(REMAT_F32, 4, dims);
    return remat_layer_end(graph);
}

/* A layer over the images that its one input gives. */
static struct remat_layer *begin_on_images(struct remat_layer_graph *graph, enum remat_layer_kind kind,
                                           const char *name, int32_t input)
{
    struct remat_layer *layer = remat_layer_begin(graph, kind, name, input, -1);
    const struct remat_tensor *x;
    if (!layer)
        return NULL;
    x = layer->inputs_count > 0 ? remat_layer_input(graph, layer, 0) : NULL;
    if (!x || x->dims_count != 4 || x->dtype != REMAT_F32) {
        remat_layer_mistake(graph, name, "its input needs the shape [N,H,W,C]");
        return NULL;
    }
    layer->output = *x;
    return layer;
}

/* Slides a window over rows and columns of layer->output: P = (H + 2 pad - kernel) / stride + 1. */
static bool slide_window(struct remat_layer_graph *graph, struct remat_layer *layer, int32_t kernel, int32_t stride,
                         int32_t pad)
{
    if (kernel < 1 || stride < 1 || pad < 0 || pad >= kernel) {
        remat_layer_mistake(graph, layer->name, "kernel %d, stride %d, padding %d are impossible", kernel, stride, pad);
        return false;
    }
    layer->kernel = kernel;
    layer->stride = stride;
    layer->pad = pad;
    for (int i = 1; i <= 2; i++) {
        int64_t padded = layer->output.dims[i] + 2 * (int64_t)pad;
        if (padded < kernel) {
            remat_layer_mistake(graph, layer->name, "its input has %lld rows or columns, too few for a kernel of %d",
                                (long long)layer->output.dims[i], kernel);
            return false;
        }
        layer->output.dims[i] = (padded - kernel) / stride + 1;
    }
    return true;
}

int32_t remat_add_conv2d(struct remat_layer_graph *graph, const char *name, int32_t input, int64_t channels,
                         int32_t kernel, int32_t stride, int32_t pad)
{
    struct remat_layer *layer = begin_on_images(graph, REMAT_LAYER_CONV2D, name, input);
    struct remat_parameter_kind weight = {"weight", REMAT_INIT_NORMAL, 0.0f, true, true};
    int64_t dims[4];
    if (!layer)
        return -1;
    dims[0] = channels;
    dims[1] = dims[2] = kernel;
    dims[3] = layer->output.dims[3];
    /* He et al., "Delving Deep into Rectifiers", 2015, over the fan-out */
    weight.scale = sqrtf(2.0f / ((float)channels * (float)kernel * (float)kernel));
    if (!slide_window(graph, layer, kernel, stride, pad))
        return -1;
    layer->output.dims[3] = channels;
    remat_layer_parameter(graph, layer, name, &weight, 4, dims);
    return remat_layer_end(graph);
}

int32_t remat_add_maxpool(struct remat_layer_graph *graph, const char *name, int32_t input, int32_t kernel,
                          int32_t stride, int32_t pad)
{
    struct remat_layer *layer = begin_on_images(graph, REMAT_LAYER_MAXPOOL, name, input);
    if (!layer)
        return -1;
    if (kernel > 15) /* a place in the window is one byte */
        return remat_layer_mistake(graph, name, "kernel %d is too large; at most 15", kernel);
    return slide_window(graph, layer, kernel, stride, pad) ? remat_layer_end(graph) : -1;
}

int32_t remat_add_avgpool(struct remat_layer_graph *graph, const char *name, int32_t input)
{
    struct remat_layer *layer = begin_on_images(graph, REMAT_LAYER_AVGPOOL, name, input);
    int64_t dims[2];
    if (!layer)
        return -1;
    dims[0] = layer->output.dims[0];
    dims[1] = layer->output.dims[3];
    layer->output = remat_tensor_make(REMAT_F32, 2, dims);
    return remat_layer_end(graph);
}

static bool batchnorm_inputs_fit(struct remat_layer_graph *graph, const struct remat_layer *layer)
{
    const struct remat_tensor *x = layer->inputs_count > 0 ? remat_layer_input(graph, layer, 0) : NULL;
    if (!x || x->dtype != REMAT_F32 || x->dims_count < 2) {
        remat_layer_mistake(graph, layer->name, "its input needs rows and channels");
        return false;
    }
    if (remat_tensor_rows(x) < 2) {
        remat_layer_mistake(graph, layer->name,
                            "one value a channel has no variance: use a larger batch or larger images");
        return false;
    }
    if (layer->inputs_count == 2 && !remat_tensor_equal(x, remat_layer_input(graph, layer, 1))) {
        remat_layer_mistake(graph, layer->name, "its residual input has another shape");
        return false;
    }
    return true;
}

int32_t remat_add_batchnorm(struct remat_layer_graph *graph, const char *name, int32_t input, int32_t residual,
                            bool relu)
{
    static const struct remat_parameter_kind kinds[] = {
        {"weight", REMAT_INIT_ONES, 0.0f, true, false},
        {"bias", REMAT_INIT_ZEROS, 0.0f, true, false},
        {"running_mean", REMAT_INIT_ZEROS, 0.0f, false, false},
        {"running_var", REMAT_INIT_ONES, 0.0f, false, false},
    };
    struct remat_layer *layer = remat_layer_begin(graph, REMAT_LAYER_BATCHNORM, name, input, residual);
    int64_t channels;
    if (!layer || !batchnorm_inputs_fit(graph, layer))
        return -1;
    layer->output = *remat_layer_input(graph, layer, 0);
    layer->relu = relu;
    layer->epsilon = 1e-5f;
    layer->momentum = 0.1f;
    channels = remat_tensor_columns(&layer->output);
    for (int k = 0; k < 4; k++)
        remat_layer_parameter(graph, layer, name, &kinds[k], 1, &channels);
    return remat_layer_end(graph);
}
