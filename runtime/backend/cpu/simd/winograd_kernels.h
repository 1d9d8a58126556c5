/* Tile transforms of fast convolution with 3 x 3 filters: F(4x4, 3x3) of Winograd's family with the points
 * 0, 1, -1, 2, -2, infinity (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).
 *
 * With y = A' [(G g G') * (B' d B)] A, a 6x6 tile d of the source and a filter g give a 4x4 tile of the target from 36
 * products a channel instead of 144. The gradient of the filter is the same correlation with the roles changed: a 4x4
 * tile of dy takes the filter's place and 3x3 numbers come out. All transforms work on `channels` at once, a multiple
 * of 16; point t of a tile is at to[t * point_step], tiles are given as pointers to their pixels, row by row. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_WINOGRAD_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_WINOGRAD_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdint.h>

enum { REMAT_WINOGRAD_TARGET = 4, REMAT_WINOGRAD_FILTER = 3, REMAT_WINOGRAD_SOURCE = 6, REMAT_WINOGRAD_POINTS = 36 };

struct remat_winograd_kernels {
    /* B' d B of 6x6 pixels. */
    void (*source)(const float *const *pixels, int64_t channels, float *to, int64_t point_step);
    /* G g G' of 4x4 pixels. */
    void (*gradient)(const float *const *pixels, int64_t channels, float *to, int64_t point_step);
    /* G g G' of 3x3 positions. */
    void (*filter)(const float *const *positions, int64_t channels, float *to, int64_t point_step);
    /* A' m A to 4x4 pixels. */
    void (*target)(const float *from, int64_t point_step, int64_t channels, float *const *pixels);
    /* A' m A to 3x3 positions. */
    void (*filter_gradient)(const float *from, int64_t point_step, int64_t channels, float *const *positions);
};

REMAT_SIMD_DECLARE(struct remat_winograd_kernels, remat_winograd_kernels);

#endif
