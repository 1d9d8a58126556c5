/* The state of one lowering and the small vocabulary in which layers emit their tasks. Internal to runtime/lower.
 *
 * After the first failure (`status`) all calls do nothing, so that emitters read like the formulas they stand for. */
#ifndef REMAT_RUNTIME_LOWER_LOWERING_H
#define REMAT_RUNTIME_LOWER_LOWERING_H

#include "runtime/lower/lower.h"

/* What lowering knows of one parameter of the layer graph. */
struct lowered_parameter {
    int32_t cell;
    int32_t state[2];     /* momentum; m and v; -1 = none */
    int32_t gradient_sum; /* cell, -1 = the gradient is consumed within the step */
    int32_t uses;         /* layers whose gradient contributions are still to come */
    int32_t gradient;     /* value holding the contributions so far, -1 = none */
};

enum { LOWERING_MAX_PENDING = 8 };

struct lowering {
    const struct remat_layer_graph *layers;
    const struct remat_backend *backend;
    struct remat_device *device;
    const struct remat_lower_options *options;
    struct remat_task_graph *graph;
    struct remat_error *err;
    enum remat_status status;
    int32_t *output;      /* per layer: the value of its output */
    int32_t (*saved)[2];  /* per layer: statistics or places kept for backward */
    int32_t (*cast)[2];   /* per layer: copies of its parameters in the type of activations, -1 = none */
    int32_t *gradient;    /* per layer: value of the gradient of its output so far, -1 = none */
    bool *needs_gradient; /* per layer: a trained parameter feeds it */
    int32_t *sole_user;   /* per layer: the layer that reads its output, -1 = none or several */
    struct lowered_parameter *parameters;
    int32_t metrics, norm;                                /* cells */
    int32_t pending[LOWERING_MAX_PENDING], pending_count; /* parameters to update when the current layer is done */
};

/* How a layer becomes tasks. `backward` is called only if the gradient of the output exists; `evaluate` NULL = forward.
 */
struct layer_lowering {
    void (*forward)(struct lowering *l, int32_t layer);
    void (*backward)(struct lowering *l, int32_t layer);
    void (*evaluate)(struct lowering *l, int32_t layer);
};
/* By layer kind; layers_image.c, layers_text.c, layers_common.c. */
struct layer_lowering remat_lowering_of(enum remat_layer_kind kind);

/* --- tasks ------------------------------------------------------------------------------------------------------ */
struct remat_task remat_lowering_task(const struct lowering *l, int32_t layer, enum remat_op op,
                                      enum remat_phase phase);
void remat_task_reads(struct remat_task *task, int32_t value);
void remat_task_uses_cell(struct remat_task *task, int32_t cell, bool write);
/* Adds a new value as the next output of the task and returns its id. */
int32_t remat_task_makes(struct lowering *l, struct remat_task *task, struct remat_tensor tensor,
                         enum remat_category category, const char *prefix, const char *suffix);
/* Adds an existing value as an output (alternates). */
void remat_task_remakes(struct remat_task *task, int32_t value);
/* Adds the task to the graph: next in order, or an alternate. */
void remat_lowering_emit(struct lowering *l, const struct remat_task *task);
void remat_lowering_emit_alternate(struct lowering *l, const struct remat_task *task);

/* Whether the device has a kernel for the task with that output, which it is not to have yet: asked for fusions. */
bool remat_lowering_offers(struct lowering *l, const struct remat_task *task, struct remat_tensor output);

/* --- layers and gradients --------------------------------------------------------------------------------------- */
const struct remat_layer *remat_lowering_layer(const struct lowering *l, int32_t layer);
int32_t remat_lowering_input(const struct lowering *l, int32_t layer, int32_t k); /* value */
struct remat_tensor remat_lowering_tensor(const struct lowering *l, int32_t value);
struct remat_tensor remat_vector(enum remat_dtype dtype, int64_t elements);
/* The type of all that is neither an activation nor the gradient of one. */
enum remat_dtype remat_lowering_wide(const struct lowering *l);
/* The cell of parameter k of a layer. */
int32_t remat_lowering_cell(const struct lowering *l, int32_t layer, int32_t k);
/* Casts the first `count` parameters of a layer where activations are of another type; its tasks read the copies. */
void remat_lowering_cast(struct lowering *l, int32_t layer, int32_t count);
/* The task reads the first `count` parameters: the copies, which then must come after all other inputs, or the cells.
 */
void remat_lowering_use_weights(const struct lowering *l, int32_t layer, struct remat_task *task, int32_t count);
/* Adds `value` to the gradient of input k of a layer (dropped if the input needs none). */
void remat_lowering_contribute(struct lowering *l, int32_t layer, int32_t k, int32_t value);
bool remat_input_needs_gradient(const struct lowering *l, int32_t layer, int32_t k);
/* Declares `value` the gradient of parameter k of the layer, complete or not (shared parameters). */
void remat_lowering_parameter_gradient(struct lowering *l, int32_t layer, int32_t k, int32_t value);

/* --- parameters (parameters.c) ---------------------------------------------------------------------------------- */
void remat_lowering_make_cells(struct lowering *l);
/* Emits what the complete gradients of the current layer are for: updates, or sums. */
void remat_lowering_flush_updates(struct lowering *l);
void remat_lowering_finish_section(struct lowering *l);

#endif
