/* The three convolution ops for 3x3 filters with stride 1, by tiles of 4x4 outputs (simd/winograd_kernels.h): 36
 * products where the definition has 144. The price is rounding: the transforms' coefficients up to 8 amplify it.
 *
 * Forward and backward data: threads take blocks of tiles and carry them through all steps in their own scratch.
 * Backward weights: all threads transform a block of tiles, then each takes points, whose products add up over the
 * blocks. The order of each sum depends on the shape only. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_WINOGRAD_H
#define REMAT_RUNTIME_BACKEND_CPU_WINOGRAD_H

#include "runtime/backend/cpu/conv_shape.h"
#include "runtime/backend/cpu/device.h"

/* Whether the method applies to the shape and is estimated to be clearly faster than the definition. */
bool remat_winograd_pays(const struct remat_conv_shape *shape);

/* Forward (x, w -> y), or backward data (dy, w -> dx). */
int64_t remat_winograd_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape,
                                     bool backward);
void remat_winograd_run(const struct remat_device *device, const struct remat_conv_shape *shape, bool backward,
                        const float *source, const float *weights, float *target, void *scratch);

int64_t remat_winograd_weights_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape);
void remat_winograd_weights_run(const struct remat_device *device, const struct remat_conv_shape *shape, const float *x,
                                const float *dy, float *dw, void *scratch);

#endif
