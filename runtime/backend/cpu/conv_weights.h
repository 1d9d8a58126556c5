/* The gradient of a convolution's weights: for each kernel position a matrix product dy' x over the output pixels
 * whose window has that position inside the image. Pixels go in blocks, small enough to stay in cache while all
 * positions pass over them. Threads divide dw, so the order of each sum depends on the shape only. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CONV_WEIGHTS_H
#define REMAT_RUNTIME_BACKEND_CPU_CONV_WEIGHTS_H

#include "runtime/backend/cpu/conv_shape.h"
#include "runtime/backend/cpu/device.h"

int64_t remat_conv_weights_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape);
/* dw[K,R,S,C] from x[N,H,W,C] and dy[N,P,Q,K]. */
void remat_conv_weights_run(const struct remat_device *device, const struct remat_conv_shape *shape, const float *x,
                            const float *dy, float *dw, void *scratch);

#endif
