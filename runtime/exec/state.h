/* The cells of a training run: persistent memory, shared by the training and the evaluation graph, found by name. */
#ifndef REMAT_RUNTIME_EXEC_STATE_H
#define REMAT_RUNTIME_EXEC_STATE_H

#include "core/graph/layer_graph.h"
#include "core/graph/task_graph.h"
#include "runtime/exec/memory.h"

struct remat_state_cell {
    const char *name; /* borrows from the graph it was made from */
    struct remat_tensor tensor;
    enum remat_cell_kind kind;
    int32_t parameter; /* of the layer graph, or -1 */
    void *data;
};

struct remat_state {
    struct remat_memory memory; /* graph->persistent_bytes */
    struct remat_state_cell *cells;
    int32_t count;
};

/* All cells of `graph` but the staging slots, zeroed. `graph` must outlive the state. */
REMAT_MUST_CHECK enum remat_status remat_state_create(const struct remat_task_graph *graph, struct remat_state *out,
                                                      struct remat_error *err);
void remat_state_free(struct remat_state *state);
/* NULL if there is none of that name. */
struct remat_state_cell *remat_state_find(const struct remat_state *state, const char *name);
/* Draws the first values of all parameters and running statistics (counter-based: the same on any machine). */
void remat_state_init_parameters(struct remat_state *state, const struct remat_layer_graph *layers, uint64_t seed);
/* Hash over all cells: bitwise comparison of whole training states. */
uint64_t remat_state_hash(const struct remat_state *state);

#endif
