/* Data to run on while nothing but the time counts. */
#ifndef REMAT_PROFILER_SYNTHETIC_H
#define REMAT_PROFILER_SYNTHETIC_H

#include "core/graph/layer_graph.h"

/* Floating point: uniform in [0.25, 1), safe as variance, deviation or logits; i32: in [0, bound); u8: anything below
 * 256 if bound is 256 or more, else below bound. */
void remat_fill_synthetic(const struct remat_tensor *tensor, void *data, int64_t bound, uint32_t stream);
/* The smallest vocabulary or number of classes of a model: every token and label below it is valid. */
int64_t remat_label_bound(const struct remat_layer_graph *layers);

#endif
