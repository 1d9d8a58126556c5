/* Micro-kernels of matrix products: a tile of at most rows x columns elements of C is held in registers while k runs.
 *
 * The right operand comes as a panel [k][columns], packed (step = columns, zeros beyond the matrix) or read in place.
 * A tile's bits depend on the order of k only: not on its height, its neighbours or how its operands are stored. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_GEMM_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_GEMM_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdbool.h>
#include <stdint.h>

enum { REMAT_TILE_MAX_ROWS = 14, REMAT_TILE_MAX_COLUMNS = 32 };

/* Where a tile goes: out[i][column + j] = alpha * sum + bias[column + j] (+ what is there, with `add`). */
struct remat_tile_out {
    float *const *out; /* [rows] */
    int64_t column;
    int32_t columns; /* valid ones; the rest of the panel is not stored */
    bool add;
    bool stream; /* past the caches: for large results, 64-byte aligned tiles, without add and bias */
    float alpha;
    const float *bias; /* or NULL */
};

struct remat_gemm_kernels {
    int32_t rows, columns; /* of a full tile */
    /* After the last tile with `stream`: makes what was stored visible to other threads. */
    void (*finish_stream)(void);
    /* Left operand as pointers to the tile's rows, `segments` times `length` consecutive elements each:
     * left[s * rows + i] is where segment s of row i starts; its panel starts at panel + s * panel_step. */
    void (*by_rows)(int32_t height, int64_t segments, int64_t length, const float *const *left, const float *panel,
                    int64_t panel_step, const struct remat_tile_out *out);
    /* Left operand with the tile's `height` elements of each k side by side: left[p * left_step + i]. */
    void (*by_columns)(int32_t height, int64_t k, const float *left, int64_t left_step, const float *panel,
                       int64_t panel_step, const struct remat_tile_out *out);
    /* to[p * to_step + i] = from[p * step + i] for i < length: short rows, in whole vectors where they fit. */
    void (*copy_rows)(int64_t k, int64_t length, const float *from, int64_t step, float *to, int64_t to_step);
    /* Tiles of a left operand for by_columns: to[t * tile_step + p * rows + i] = from[p * step + t * rows + i] for
     * t < tiles, i < rows; `available` elements follow from + p * step, the last tile may have fewer than rows.
     * Each tile needs room for REMAT_TILE_MAX_COLUMNS elements after its last. */
    void (*pack_columns)(int64_t k, int64_t tiles, const float *from, int64_t step, int64_t available, float *to,
                         int64_t tile_step);
    /* panel[p * columns + j] = from[p * step + j] for j < valid, 0 beyond. */
    void (*pack_rows)(int64_t k, int32_t valid, const float *from, int64_t step, float *panel);
    /* panel[p * columns + j] = from[j * step + p] for j < valid, 0 beyond: a panel out of rows. */
    void (*pack_transposed)(int64_t k, int32_t valid, const float *from, int64_t step, float *panel);
    /* A tile of a left operand for by_columns, out of rows: tile[p * rows + i] = from[i * step + p] for i < valid.
     * Needs room for REMAT_TILE_MAX_COLUMNS elements after its last. */
    void (*pack_tile)(int64_t k, int32_t valid, const float *from, int64_t step, float *tile);
};

REMAT_SIMD_DECLARE(struct remat_gemm_kernels, remat_gemm_kernels);

#endif
