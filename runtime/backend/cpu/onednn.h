/* All that touches oneDNN. Version 2 and 3 differ in how primitives are described; onednn.c hides it. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_ONEDNN_H
#define REMAT_RUNTIME_BACKEND_CPU_ONEDNN_H

#include "runtime/backend/cpu/device.h"

#include <stddef.h>

struct remat_conv_shape;
struct remat_onednn_conv;

/* Fill in and release device->engine and device->stream. */
enum remat_status remat_onednn_open(struct remat_device *device, struct remat_error *err);
void remat_onednn_close(struct remat_device *device);
/* Writes e.g. "2.6.3". */
void remat_onednn_version(char *out, size_t capacity);

/* Convolution forward (x, w -> y) or backward data (dy, w -> dx) by a kernel that oneDNN generates for the shape;
 * images are [N,H,W,C], weights are put into its layout in scratch, and nothing else is allocated but what it needs to
 * start a primitive. `offered` is false where it would fall back to a method that packs into memory of its own. */
bool remat_onednn_conv_offered(const struct remat_device *device, const struct remat_conv_shape *shape, bool backward);
/* The caller owns *out (remat_onednn_conv_destroy). */
REMAT_MUST_CHECK enum remat_status remat_onednn_conv_create(struct remat_device *device,
                                                            const struct remat_conv_shape *shape, bool backward,
                                                            struct remat_onednn_conv **out, struct remat_error *err);
void remat_onednn_conv_destroy(struct remat_onednn_conv *conv);
int64_t remat_onednn_conv_scratch_bytes(const struct remat_onednn_conv *conv);
REMAT_MUST_CHECK enum remat_status remat_onednn_conv_run(const struct remat_onednn_conv *conv, const float *source,
                                                         const float *weights, float *target, void *scratch,
                                                         struct remat_error *err);

#endif
