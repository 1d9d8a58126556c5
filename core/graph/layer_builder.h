/* What the builder calls of layer_graph.h share: making a layer, its parameters, and keeping the first mistake.
 * Only core/graph/layer*.c include it. */
#ifndef REMAT_CORE_GRAPH_LAYER_BUILDER_H
#define REMAT_CORE_GRAPH_LAYER_BUILDER_H

#include "core/graph/layer_graph.h"

/* Keeps "NAME: message" if it is the first mistake; returns -1. */
int32_t remat_layer_mistake(struct remat_layer_graph *graph, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A new layer at graph->layers[graph->layers_count], not yet counted; NULL after a mistake. Borrowed until the next
 * layer is begun. Inputs of -1 at the end of the list are left out. */
struct remat_layer *remat_layer_begin(struct remat_layer_graph *graph, enum remat_layer_kind kind, const char *name,
                                      int32_t input0, int32_t input1);
/* Counts the layer in and returns its id; -1 if its output is no possible tensor or there was a mistake. */
int32_t remat_layer_end(struct remat_layer_graph *graph);

/* The output of the layer's input k. */
const struct remat_tensor *remat_layer_input(const struct remat_layer_graph *graph, const struct remat_layer *layer,
                                             int32_t k);

struct remat_parameter_kind {
    const char *suffix; /* "weight" */
    enum remat_init init;
    float scale;
    bool trained, decayed;
};
/* Adds parameter "prefix.suffix" to the layer. */
void remat_layer_parameter(struct remat_layer_graph *graph, struct remat_layer *layer, const char *prefix,
                           const struct remat_parameter_kind *kind, int32_t dims_count, const int64_t *dims);

#endif
