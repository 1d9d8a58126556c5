/* All that touches oneDNN. Version 2 and 3 differ in how primitives are described; onednn.c hides it. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_ONEDNN_H
#define REMAT_RUNTIME_BACKEND_CPU_ONEDNN_H

#include "runtime/backend/cpu/device.h"

#include <stddef.h>

/* Fill in and release device->engine and device->stream. */
enum remat_status remat_onednn_open(struct remat_device *device, struct remat_error *err);
void remat_onednn_close(struct remat_device *device);
/* Writes e.g. "2.6.3". */
void remat_onednn_version(char *out, size_t capacity);

#endif
