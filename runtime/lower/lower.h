/* Lowering: layer graph + device + optimizer -> task graph. It makes the backward pass, places every gradient's
 * consumer as early as legal, chooses layouts, asks the backend for options and scratch, and gives each task a first
 * estimate of its time (roofline), which the profiler replaces. */
#ifndef REMAT_RUNTIME_LOWER_LOWER_H
#define REMAT_RUNTIME_LOWER_LOWER_H

#include "core/graph/layer_graph.h"
#include "runtime/backend/backend.h"

enum remat_mode { REMAT_TRAIN, REMAT_EVAL };
enum remat_optimizer { REMAT_SGD, REMAT_ADAMW };

struct remat_lower_options {
    enum remat_mode mode;
    /* Of activations and their gradients: REMAT_F32; REMAT_BF16, everything else then being f32 (op.h); REMAT_F64 on
     * ref for gradient checks. */
    enum remat_dtype dtype;
    enum remat_optimizer optimizer;
    float momentum, weight_decay, beta1, beta2, epsilon;
    bool nesterov;
    float max_norm;      /* clip the global gradient norm; 0 = off */
    float smoothing;     /* label smoothing */
    int32_t micro_count; /* gradient accumulation; 1 = none */
    int32_t chunk_rows;  /* of the tied classifier; 0 = chosen */
    /* Tasks get all implementations there are, of any numerics class; the caller leaves one class to each
     * (remat_task_graph_keep_fastest). Else those that give the bits of the preferred one. */
    bool any_options;
};

/* SGD 0.9 momentum; AdamW betas .9/.999, epsilon 1e-8; f32, no accumulation. */
struct remat_lower_options remat_lower_defaults(enum remat_mode mode, enum remat_optimizer optimizer);

/* In bf16 each layer's weights are cast just before its forward task; the copies are values like others, which plans
 * may drop and make again. REMAT_UNAVAILABLE if the backend has no bf16.
 *
 * With micro_count > 1 or max_norm > 0 gradients are summed in persistent cells and the updates form the finish
 * section; else each update runs as soon as its gradient is complete and nothing later reads the old parameter.
 * Evaluation: forward only, batch normalisation from running statistics, metrics. The cells' names are the
 * parameters' names (plus ".momentum", ".m", ".v", ".grad"; "metrics", "norm", "staging.<input>"), equal in both modes.
 * The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_lower(const struct remat_layer_graph *layers,
                                               const struct remat_backend *backend, struct remat_device *device,
                                               const struct remat_lower_options *options, struct remat_task_graph *out,
                                               struct remat_error *err);

#endif
