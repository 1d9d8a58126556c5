/* Softmax cross-entropy of rows of logits, for the loss op and for the chunks of the classifier. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LOSS_H
#define REMAT_RUNTIME_BACKEND_CUDA_LOSS_H

#include "runtime/backend/cuda/cuda.h"

struct remat_cuda_loss_rows {
    int64_t rows, classes;
    int64_t mean_over; /* rows of the whole batch: gradients are scaled by loss_scale / mean_over */
    float smoothing;
    const float *logits;   /* [rows, classes] */
    const int32_t *labels; /* [rows] */
    float *dlogits;        /* may be the logits; NULL: metrics alone */
    double *metrics;       /* [4], added to */
    const struct remat_step_record *record;
    void *scratch;
};

int64_t remat_cuda_loss_scratch_bytes(int64_t rows);
REMAT_MUST_CHECK enum remat_status remat_cuda_loss_run(const struct remat_device *device,
                                                       const struct remat_cuda_loss_rows *loss,
                                                       struct remat_error *err);

#endif
