/* A model as a graph of layers, made by builder calls with shape inference. It knows nothing of devices, gradients or
 * memory; runtime/lower turns it into a task graph.
 *
 * Builder calls return the layer's id (its one output), or -1 after the first mistake; the mistake is kept in
 * `error` and later calls do nothing, so that a model is written without checks and remat_layer_graph_check()
 * is asked once at the end. Layers are in topological order: inputs have smaller ids. */
#ifndef REMAT_CORE_GRAPH_LAYER_GRAPH_H
#define REMAT_CORE_GRAPH_LAYER_GRAPH_H

#include "core/base/memory.h"
#include "core/graph/tensor.h"

/* name, text */
#define REMAT_LAYER_LIST(X)                                                                   \
    X(REMAT_LAYER_INPUT, "input")   /* images f32[N,H,W,C] fed from u8, or tokens i32[B,T] */ \
    X(REMAT_LAYER_LABELS, "labels") /* i32[N] or i32[B,T] */                                  \
    X(REMAT_LAYER_CONV2D, "conv2d")                                                           \
    X(REMAT_LAYER_BATCHNORM, "batchnorm") /* inputs: x and, with residual, z */               \
    X(REMAT_LAYER_RELU, "relu")                                                               \
    X(REMAT_LAYER_ADD, "add")                                                                 \
    X(REMAT_LAYER_MAXPOOL, "maxpool")                                                         \
    X(REMAT_LAYER_AVGPOOL, "avgpool")                                                         \
    X(REMAT_LAYER_LINEAR, "linear")                                                           \
    X(REMAT_LAYER_EMBEDDING, "embedding")                                                     \
    X(REMAT_LAYER_LAYERNORM, "layernorm")                                                     \
    X(REMAT_LAYER_GELU, "gelu")                                                               \
    X(REMAT_LAYER_DROPOUT, "dropout")                                                         \
    X(REMAT_LAYER_ATTENTION, "attention")                                                     \
    X(REMAT_LAYER_LOSS, "loss")             /* inputs: logits, labels */                      \
    X(REMAT_LAYER_CLASSIFIER, "classifier") /* inputs: hidden states, targets; weight tied to an embedding */

enum remat_layer_kind {
#define X(name, text) name,
    REMAT_LAYER_LIST(X)
#undef X
        REMAT_LAYER_COUNT
};

/* How a parameter's first values are drawn; all by the counter-based generator, keyed by the parameter's index. */
enum remat_init {
    REMAT_INIT_ZEROS,
    REMAT_INIT_ONES,
    REMAT_INIT_NORMAL,  /* standard deviation `scale` */
    REMAT_INIT_UNIFORM, /* in [-scale, scale) */
};

struct remat_parameter {
    const char *name; /* the reference implementation's, e.g. "layer1.0.conv1.weight" */
    struct remat_tensor tensor;
    enum remat_init init;
    float scale;
    bool trained; /* false: running statistics, which are state but no parameters */
    bool decayed; /* weight decay applies (matrices and filters, not biases and normalisations) */
};

enum { REMAT_MAX_LAYER_INPUTS = 2, REMAT_MAX_LAYER_PARAMETERS = 4 };

struct remat_layer {
    enum remat_layer_kind kind;
    const char *name;
    int32_t block; /* repeated unit it belongs to, ascending along the graph */
    int32_t inputs_count, inputs[REMAT_MAX_LAYER_INPUTS];
    int32_t parameters_count, parameters[REMAT_MAX_LAYER_PARAMETERS]; /* in the op's cell order */
    struct remat_tensor output;
    /* Attributes by kind; unused ones are zero. */
    int32_t kernel, stride, pad, heads;
    bool relu, bias;
    float epsilon, momentum, probability;
};

struct remat_layer_graph {
    const char *name;
    struct remat_pool pool; /* owns all strings */
    struct remat_layer *layers;
    struct remat_parameter *parameters;
    const char **block_names;
    int32_t layers_count, layers_capacity, parameters_count, parameters_capacity, blocks_count, blocks_capacity;
    float feed_mean[4], feed_std[4]; /* normalisation of image inputs, per channel; std 0 means 1 */
    struct remat_error error;        /* the first mistake, or REMAT_OK */
};

void remat_layer_graph_init(struct remat_layer_graph *graph, const char *name);
void remat_layer_graph_free(struct remat_layer_graph *graph);
/* REMAT_OK, or the first mistake made while building. */
REMAT_MUST_CHECK enum remat_status remat_layer_graph_check(const struct remat_layer_graph *graph,
                                                           struct remat_error *err);
/* Number of trained elements. */
int64_t remat_layer_graph_parameters(const struct remat_layer_graph *graph);

/* All layers made after this call belong to a new block of that name. The first block must be begun before a layer. */
void remat_begin_block(struct remat_layer_graph *graph, const char *name);

/* `name` names the layer and prefixes its parameters ("conv1" -> "conv1.weight"). Names are copied. */
int32_t remat_add_images(struct remat_layer_graph *graph, int64_t batch, int64_t height, int64_t width,
                         int64_t channels);
int32_t remat_add_tokens(struct remat_layer_graph *graph, int64_t batch, int64_t length);
int32_t remat_add_labels(struct remat_layer_graph *graph, int32_t dims_count, const int64_t *dims);
/* Square kernel, no bias, He initialisation over the fan-out (normal, sqrt(2 / (K R S))). */
int32_t remat_add_conv2d(struct remat_layer_graph *graph, const char *name, int32_t input, int64_t channels,
                         int32_t kernel, int32_t stride, int32_t pad);
/* residual = -1 for none. Parameters weight, bias, running_mean, running_var; epsilon 1e-5, momentum 0.1. */
int32_t remat_add_batchnorm(struct remat_layer_graph *graph, const char *name, int32_t input, int32_t residual,
                            bool relu);
int32_t remat_add_relu(struct remat_layer_graph *graph, const char *name, int32_t input);
int32_t remat_add_add(struct remat_layer_graph *graph, const char *name, int32_t a, int32_t b);
int32_t remat_add_maxpool(struct remat_layer_graph *graph, const char *name, int32_t input, int32_t kernel,
                          int32_t stride, int32_t pad);
int32_t remat_add_avgpool(struct remat_layer_graph *graph, const char *name, int32_t input);
/* Weight normal(0, scale) if scale > 0, else uniform(+-1/sqrt(inputs)) as the bias then is too. */
int32_t remat_add_linear(struct remat_layer_graph *graph, const char *name, int32_t input, int64_t outputs, bool bias,
                         float scale);
/* Names give the two parameters: "wte" -> "wte.weight". */
int32_t remat_add_embedding(struct remat_layer_graph *graph, const char *token_name, const char *position_name,
                            int32_t tokens, int64_t vocabulary, int64_t positions, int64_t channels, float scale);
int32_t remat_add_layernorm(struct remat_layer_graph *graph, const char *name, int32_t input);
int32_t remat_add_gelu(struct remat_layer_graph *graph, const char *name, int32_t input);
int32_t remat_add_dropout(struct remat_layer_graph *graph, const char *name, int32_t input, float probability);
int32_t remat_add_attention(struct remat_layer_graph *graph, const char *name, int32_t qkv, int32_t heads);
int32_t remat_add_loss(struct remat_layer_graph *graph, int32_t logits, int32_t labels);
/* Shares the token weight of `embedding`. */
int32_t remat_add_classifier(struct remat_layer_graph *graph, const char *name, int32_t hidden, int32_t targets,
                             int32_t embedding);

#endif
