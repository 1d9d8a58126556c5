/* The model families' builders, for the table in models.c. Options are resolved and checked. */
#ifndef REMAT_MODELS_FAMILIES_H
#define REMAT_MODELS_FAMILIES_H

#include "models/models.h"

void remat_build_resnet(const struct remat_model *model, const struct remat_model_options *options,
                        struct remat_layer_graph *graph);
void remat_build_gpt2(const struct remat_model *model, const struct remat_model_options *options,
                      struct remat_layer_graph *graph);

#endif
