/* What a process holds on the card, told by the driver's management library (NVML, libnvidia-ml.so.1), which is loaded
 * when a device is opened and may be missing: nothing but this knowledge depends on it. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_NVML_H
#define REMAT_RUNTIME_BACKEND_CUDA_NVML_H

#include "runtime/backend/cuda/cuda.h"

/* Sets device->nvml, or device->nvml_missing to the reason. */
void remat_cuda_nvml_open(struct remat_device *device);
void remat_cuda_nvml_close(struct remat_device *device);
/* "580.159.04", or "?". */
void remat_cuda_driver_version(const struct remat_device *device, char *text, int capacity);

#endif
