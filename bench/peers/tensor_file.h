/* Named copies of tensors, gathered while a program runs and written as one safetensors file. Filters are written as
 * [K,C,R,S], as in checkpoints. */
#ifndef REMAT_BENCH_PEERS_TENSOR_FILE_H
#define REMAT_BENCH_PEERS_TENSOR_FILE_H

#include "runtime/exec/state.h"

#include <jansson.h>

struct remat_tensor_file {
    struct remat_pool pool;         /* owns names and data */
    struct remat_state_cell *cells; /* what the checkpoint's writer takes; each one a copy */
    int32_t count, capacity;
};

/* Copies `data` under the name "group/name"; `kind` tells filters from other tensors of four dimensions. */
REMAT_MUST_CHECK enum remat_status remat_tensor_file_add(struct remat_tensor_file *file, const char *group,
                                                         const char *name, const struct remat_tensor *tensor,
                                                         enum remat_cell_kind kind, const void *data,
                                                         struct remat_error *err);
/* Replaces what is at `path`. Borrows `metadata`, an object of strings. */
REMAT_MUST_CHECK enum remat_status remat_tensor_file_write(const struct remat_tensor_file *file, const char *path,
                                                           const json_t *metadata, struct remat_error *err);
void remat_tensor_file_free(struct remat_tensor_file *file);

#endif
