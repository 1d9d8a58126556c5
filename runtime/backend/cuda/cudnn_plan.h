/* One operation of cuDNN's graph interface, prepared to be run: tensors with ids, an operation, and the first engine of
 * the heuristics that is deterministic, fits the scratch cap and keeps the precision asked for. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_CUDNN_PLAN_H
#define REMAT_RUNTIME_BACKEND_CUDA_CUDNN_PLAN_H

#include "runtime/backend/cuda/libraries.h"

enum { REMAT_CUDNN_OPERANDS = 3 };

/* Images [N,H,W,C] and filters [K,R,S,C] both become cuDNN's dimensions (n, c, h, w) with channels innermost. */
struct remat_cudnn_tensor {
    int64_t id;
    struct remat_tensor tensor;
    cudnnBackendAttributeName_t role; /* of the operation */
};

struct remat_cudnn_convolution {
    cudnnBackendDescriptorType_t kind; /* forward, backward data, backward filter */
    cudnnBackendAttributeName_t alpha, beta, description;
    struct remat_cudnn_tensor operands[REMAT_CUDNN_OPERANDS];
    int32_t stride[2], pad[2];
};

struct remat_cudnn_plan;

REMAT_MUST_CHECK enum remat_status remat_cudnn_plan_create(const struct remat_device *device,
                                                           const struct remat_cudnn_convolution *convolution,
                                                           int64_t scratch_cap_bytes, struct remat_cudnn_plan **out,
                                                           int64_t *scratch_bytes, struct remat_error *err);
void remat_cudnn_plan_destroy(struct remat_cudnn_plan *plan);
/* addresses[i] is the operand with id ids[i]. */
REMAT_MUST_CHECK enum remat_status remat_cudnn_plan_run(const struct remat_cudnn_plan *plan, const int64_t *ids,
                                                        void *const *addresses, void *scratch, struct remat_error *err);

#endif
