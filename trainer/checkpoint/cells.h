/* Cells as tensors of a file. In memory filters are [K,R,S,C]; in files they are [K,C,R,S]. All else is as it is. */
#ifndef REMAT_TRAINER_CHECKPOINT_CELLS_H
#define REMAT_TRAINER_CHECKPOINT_CELLS_H

#include "runtime/exec/state.h"
#include "trainer/checkpoint/safetensors.h"

/* Which file a cell belongs to; gradient sums belong to none, since a step begins by overwriting them. */
enum remat_cell_file { REMAT_MODEL_FILE, REMAT_STATE_FILE, REMAT_NO_FILE };
enum remat_cell_file remat_cell_file(const struct remat_state_cell *cell);

/* The tensor without offsets; its name borrows from the cell. */
REMAT_MUST_CHECK enum remat_status remat_cell_tensor(const struct remat_state_cell *cell, struct remat_safetensor *out,
                                                     struct remat_error *err);
/* One row of the first dimension, converted; `row_bytes` are the bytes of a row in both forms. */
int64_t remat_cell_rows(const struct remat_state_cell *cell);
int64_t remat_cell_row_bytes(const struct remat_state_cell *cell);
void remat_cell_get_row(const struct remat_state_cell *cell, int64_t row, void *out);
void remat_cell_set_row(const struct remat_state_cell *cell, int64_t row, const void *in);
/* Index of the first element that is not finite, or -1; cells of other types than f32 and f64 have none. */
int64_t remat_cell_not_finite(const struct remat_state_cell *cell);

#endif
