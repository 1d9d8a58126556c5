/* Residual networks: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2015, in the form that is in
 * use (v1.5): a bottleneck block strides in its 3x3 convolution. Names and shapes are those of torchvision. */
#include "models/families.h"

#include <stdio.h>
#include <string.h>

struct depth {
    const char *name;
    bool bottleneck;
    int32_t blocks[4]; /* residual blocks a stage */
};

static const struct depth depths[] = {
    {"resnet18", false, {2, 2, 2, 2}},  {"resnet34", false, {3, 4, 6, 3}},  {"resnet50", true, {3, 4, 6, 3}},
    {"resnet101", true, {3, 4, 23, 3}}, {"resnet152", true, {3, 8, 36, 3}},
};

/* One residual block being built; `name` is e.g. "layer1.0". */
struct block {
    struct remat_layer_graph *graph;
    const char *name;
};

static int32_t conv(const struct block *block, const char *layer, int32_t x, int64_t channels, int32_t kernel,
                    int32_t stride)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", block->name, layer);
    return remat_add_conv2d(block->graph, name, x, channels, kernel, stride, kernel / 2);
}

static int32_t norm(const struct block *block, const char *layer, int32_t x, int32_t residual, bool relu)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", block->name, layer);
    return remat_add_batchnorm(block->graph, name, x, residual, relu);
}

static int32_t shortcut(const struct block *block, int32_t x, int64_t channels, int32_t stride)
{
    x = conv(block, "downsample.0", x, channels, 1, stride);
    return norm(block, "downsample.1", x, -1, false);
}

static int32_t basic_block(const struct block *block, int32_t x, int64_t width, int32_t stride, bool project)
{
    int32_t y = conv(block, "conv1", x, width, 3, stride);
    y = norm(block, "bn1", y, -1, true);
    y = conv(block, "conv2", y, width, 3, 1);
    if (project)
        x = shortcut(block, x, width, stride);
    return norm(block, "bn2", y, x, true);
}

static int32_t bottleneck_block(const struct block *block, int32_t x, int64_t width, int32_t stride, bool project)
{
    int32_t y = conv(block, "conv1", x, width, 1, 1);
    y = norm(block, "bn1", y, -1, true);
    y = conv(block, "conv2", y, width, 3, stride);
    y = norm(block, "bn2", y, -1, true);
    y = conv(block, "conv3", y, 4 * width, 1, 1);
    if (project)
        x = shortcut(block, x, 4 * width, stride);
    return norm(block, "bn3", y, x, true);
}

static int32_t stage(struct remat_layer_graph *graph, const struct depth *depth, int32_t index, int32_t x)
{
    const int64_t width = INT64_C(64) << index;
    for (int32_t i = 0; i < depth->blocks[index]; i++) {
        char name[32];
        const struct block block = {graph, name};
        int32_t stride = index > 0 && i == 0 ? 2 : 1;
        snprintf(name, sizeof name, "layer%d.%d", index + 1, i);
        remat_begin_block(graph, name);
        if (depth->bottleneck)
            x = bottleneck_block(&block, x, width, stride, i == 0);
        else
            x = basic_block(&block, x, width, stride, i == 0 && index > 0);
    }
    return x;
}

static int32_t stem(const struct remat_model_options *options, struct remat_layer_graph *graph)
{
    bool small = options->stem == REMAT_STEM_CIFAR;
    int32_t x;
    remat_begin_block(graph, "stem");
    x = remat_add_images(graph, options->batch, options->image, options->image, 3);
    x = remat_add_conv2d(graph, "conv1", x, 64, small ? 3 : 7, small ? 1 : 2, small ? 1 : 3);
    x = remat_add_batchnorm(graph, "bn1", x, -1, true);
    return small ? x : remat_add_maxpool(graph, "maxpool", x, 3, 2, 1);
}

void remat_build_resnet(const struct remat_model *model, const struct remat_model_options *options,
                        struct remat_layer_graph *graph)
{
    const struct depth *depth = depths;
    int32_t x, labels;
    while (strcmp(depth->name, model->name) != 0)
        depth++;
    x = stem(options, graph);
    for (int32_t i = 0; i < 4; i++)
        x = stage(graph, depth, i, x);
    remat_begin_block(graph, "head");
    x = remat_add_avgpool(graph, "avgpool", x);
    x = remat_add_linear(graph, "fc", x, options->classes, true, 0.0f);
    labels = remat_add_labels(graph, 1, &options->batch);
    remat_add_loss(graph, x, labels);
}
