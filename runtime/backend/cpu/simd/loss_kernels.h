/* Softmax cross-entropy of whole rows of logits[M,V]. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_LOSS_KERNELS_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_LOSS_KERNELS_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdint.h>

struct remat_loss_rows {
    int64_t rows, classes;
    const float *logits;
    const int32_t *labels; /* below `classes`; negative ones leave the row out */
    float *dlogits;        /* NULL for evaluation; may lie over the logits */
    float smoothing;
    float factor; /* dlogits = (softmax - target) * factor */
};

struct remat_loss_kernels {
    /* metrics += {sum of losses, rows counted, rows whose first largest logit is the label's} */
    void (*rows)(const struct remat_loss_rows *rows, double metrics[3]);
};
REMAT_SIMD_DECLARE(struct remat_loss_kernels, remat_loss_kernels);

#endif
