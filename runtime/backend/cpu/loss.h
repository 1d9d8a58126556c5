/* Softmax cross-entropy over rows of logits, for the loss ops and for chunks of the tied classifier. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_LOSS_H
#define REMAT_RUNTIME_BACKEND_CPU_LOSS_H

#include "runtime/backend/cpu/device.h"
#include "runtime/backend/cpu/simd/loss_kernels.h"

/* Scratch of remat_cpu_loss_rows(). */
int64_t remat_cpu_loss_scratch_bytes(const struct remat_device *device);
/* metrics[0 .. 2] += as remat_loss_kernels says, partial sums of threads in their order. */
void remat_cpu_loss_rows(const struct remat_device *device, const struct remat_loss_rows *rows, double *metrics,
                         void *scratch);
/* Every label must be below `classes`. */
enum remat_status remat_cpu_check_labels(const int32_t *labels, int64_t rows, int64_t classes, struct remat_error *err);

#endif
