/* The cells of a training run: persistent memory, shared by the training and the evaluation graph, found by name. They
 * lie where the device's kernels work; who reads or writes them otherwise does so through a mirror. */
#ifndef REMAT_RUNTIME_EXEC_STATE_H
#define REMAT_RUNTIME_EXEC_STATE_H

#include "core/graph/layer_graph.h"
#include "core/graph/task_graph.h"
#include "runtime/backend/backend.h"

struct remat_state_cell {
    const char *name; /* borrows from the graph it was made from */
    struct remat_tensor tensor;
    enum remat_cell_kind kind;
    int32_t parameter; /* of the layer graph, or -1 */
    void *data;        /* in the device's memory */
};

struct remat_state {
    struct remat_memory memory; /* graph->persistent_bytes */
    struct remat_state_cell *cells;
    int32_t count;
    const struct remat_device_ops *ops; /* borrows; NULL: the memory is the host's */
    struct remat_device *device;        /* borrows */
};

/* All cells of `graph` but the staging slots, zeroed. `graph` and the device must outlive the state. */
REMAT_MUST_CHECK enum remat_status remat_state_create(const struct remat_backend *backend, struct remat_device *device,
                                                      const struct remat_task_graph *graph, struct remat_state *out,
                                                      struct remat_error *err);
void remat_state_free(struct remat_state *state);
/* NULL if there is none of that name. */
struct remat_state_cell *remat_state_find(const struct remat_state *state, const char *name);
/* The state in host memory: its cells, in the same order, with the contents that they have now. Of a state in host
 * memory the mirror's cells are the state's own. Frees as a state does, before the state; the caller frees *out in any
 * case. */
REMAT_MUST_CHECK enum remat_status remat_state_mirror(const struct remat_state *state, struct remat_state *out,
                                                      struct remat_error *err);
/* Gives the state what its mirror holds. */
REMAT_MUST_CHECK enum remat_status remat_state_restore(struct remat_state *state, const struct remat_state *mirror,
                                                       struct remat_error *err);
/* One cell's contents. */
REMAT_MUST_CHECK enum remat_status remat_state_read(const struct remat_state *state,
                                                    const struct remat_state_cell *cell, void *out,
                                                    struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_state_zero(struct remat_state *state, const struct remat_state_cell *cell,
                                                    struct remat_error *err);
/* Draws the first values of all parameters and running statistics (counter-based: the same on any machine). */
REMAT_MUST_CHECK enum remat_status remat_state_init_parameters(struct remat_state *state,
                                                               const struct remat_layer_graph *layers, uint64_t seed,
                                                               struct remat_error *err);
/* Hash over all cells: bitwise comparison of whole training states. */
REMAT_MUST_CHECK enum remat_status remat_state_hash(const struct remat_state *state, uint64_t *out,
                                                    struct remat_error *err);

#endif
