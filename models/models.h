/* The models that can be trained: layer-graph builder calls, a family a file. */
#ifndef REMAT_MODELS_MODELS_H
#define REMAT_MODELS_MODELS_H

#include "core/graph/layer_graph.h"

enum remat_stem { REMAT_STEM_IMAGENET, REMAT_STEM_CIFAR };
enum remat_model_kind { REMAT_IMAGE_MODEL, REMAT_TEXT_MODEL };

/* 0 or negative means the model's own default. */
struct remat_model_options {
    int64_t batch;
    int64_t image, classes; /* image models */
    enum remat_stem stem;
    int64_t length, vocabulary, positions; /* text models; positions: size of the position table (default 1024) */
    int64_t layers, width, heads;
    float dropout;
};

struct remat_model {
    const char *name, *summary;
    enum remat_model_kind kind;
    struct remat_model_options defaults;
    void (*build)(const struct remat_model *model, const struct remat_model_options *options,
                  struct remat_layer_graph *graph);
};

/* All models, ended by a null name: resnet18, resnet34, resnet50, resnet101, resnet152, gpt2-small, gpt2-medium,
 * gpt2-large, gpt2-xl, gpt2 (any size). */
extern const struct remat_model remat_models[];

/* Fills unset options from the model's defaults, checks them, builds. REMAT_USAGE for an unknown name or a bad size.
 * The caller frees *out (remat_layer_graph_free) in any case. */
REMAT_MUST_CHECK enum remat_status remat_model_build(const char *name, const struct remat_model_options *options,
                                                     struct remat_layer_graph *out, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_model_find(const char *name, const struct remat_model **out,
                                                    struct remat_error *err);
/* The options that a build with these would use. */
struct remat_model_options remat_model_resolve(const struct remat_model *model,
                                               const struct remat_model_options *options);

#endif
