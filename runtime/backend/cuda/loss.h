/* Softmax cross-entropy of rows of logits, for the loss op and for the chunks of the classifier. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LOSS_H
#define REMAT_RUNTIME_BACKEND_CUDA_LOSS_H

#include "runtime/backend/cuda/cuda.h"

struct remat_cuda_loss_rows {
    int64_t rows, classes, pitch; /* elements from row to row of logits and of dlogits */
    int64_t mean_over;            /* rows of the whole batch: gradients are scaled by loss_scale / mean_over */
    float smoothing;
    enum remat_dtype type, gradient_type; /* of logits and of dlogits: f32, bf16, or from f32 to bf16 */
    const void *logits;                   /* [rows, classes] */
    const int32_t *labels;                /* [rows] */
    void *dlogits;                        /* may be the logits if of one type; NULL: metrics alone */
    double *metrics;                      /* [4], added to */
    const struct remat_step_record *record;
    void *scratch;
};

int64_t remat_cuda_loss_scratch_bytes(int64_t rows);
REMAT_MUST_CHECK enum remat_status remat_cuda_loss_run(const struct remat_device *device,
                                                       const struct remat_cuda_loss_rows *loss,
                                                       struct remat_error *err);

#endif
