/* Convolution forward and backward data as matrix products that read the image in place.
 *
 * A target pixel (of y, or of dx) is the sum over live kernel positions of a source pixel's channels (of x, or of dy)
 * times a matrix of weights. With channels innermost, all positions of one kernel row are consecutive in memory, so a
 * tile of target pixels is multiplied through pointers to source rows: no image is copied and no padding multiplied.
 * Weights are packed, a block of target channels at a time. The order of each sum depends on the shape only. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CONV_GATHER_H
#define REMAT_RUNTIME_BACKEND_CPU_CONV_GATHER_H

#include "runtime/backend/cpu/conv_shape.h"
#include "runtime/backend/cpu/conv_spans.h"
#include "runtime/backend/cpu/device.h"

struct remat_gather {
    const struct remat_device *device; /* borrows */
    struct remat_conv_shape shape;
    bool backward;
    int64_t source_channels, target_channels;
    const int64_t *source_size, *target_size; /* in shape */
    struct remat_spans axes[2];
    struct remat_pool pool; /* owns the spans */
};

/* The caller frees *out (remat_gather_free) in any case. *out must not move afterwards. */
REMAT_MUST_CHECK enum remat_status remat_gather_init(struct remat_gather *out, const struct remat_device *device,
                                                     const struct remat_conv_shape *shape, bool backward,
                                                     struct remat_error *err);
void remat_gather_free(struct remat_gather *gather);
int64_t remat_gather_scratch_bytes(const struct remat_gather *gather);
void remat_gather_run(const struct remat_gather *gather, const float *source, const float *weights, float *target,
                      void *scratch);

#endif
