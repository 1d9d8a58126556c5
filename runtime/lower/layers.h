/* The lowering of every layer kind; each stands in the file of its family. Internal to runtime/lower. */
#ifndef REMAT_RUNTIME_LOWER_LAYERS_H
#define REMAT_RUNTIME_LOWER_LAYERS_H

#include "runtime/lower/lowering.h"

/* layers_common.c */
extern const struct layer_lowering remat_lower_feed, remat_lower_relu, remat_lower_gelu, remat_lower_dropout,
    remat_lower_add, remat_lower_linear, remat_lower_conv2d, remat_lower_loss;
/* layers_image.c */
extern const struct layer_lowering remat_lower_batchnorm, remat_lower_maxpool, remat_lower_avgpool;
/* layers_text.c */
extern const struct layer_lowering remat_lower_embedding, remat_lower_layernorm, remat_lower_attention,
    remat_lower_classifier;

/* Layers with a weight (and bias): forward, gradient of the input, gradient of the weight. */
struct filter_ops {
    enum remat_op forward, data, weights;
    void (*attributes)(const struct lowering *l, int32_t layer, struct remat_op_attr *attr);
    bool narrow; /* the weight's gradient has the activations' type: of wider ones libraries are not sure to have any */
    /* Fusions that are tried (REMAT_OP_COUNT: none): the forward task with the addition behind it; that of the input's
     * gradient with the addition to what there is; with the gradient of the GELU before it. */
    enum remat_op forward_add, data_add, data_gelu;
};

/* Kernel, stride and padding of a convolution or pool. */
void remat_lowering_window(const struct lowering *l, int32_t layer, struct remat_op_attr *attr);

#endif
