/* Linear layers and the classifier over cuBLASLt's products. */
#include "runtime/backend/cuda/gemm.h"
#include "runtime/backend/cuda/libraries.h"

enum { NUMERICS = 1 };

static enum remat_status create_linear(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                       int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_linear_create(&remat_cuda_gemm_lt, device, spec, state, scratch_bytes, err);
}

static enum remat_status create_classifier(struct remat_device *device, const struct remat_kernel_spec *spec,
                                           void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_classifier_create(&remat_cuda_gemm_lt, device, spec, state, scratch_bytes, err);
}

/* Whether there is an algorithm: asked by choosing one. */
static bool supports_linear(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    void *state;
    int64_t scratch_bytes;
    struct remat_error refusal;
    if (!remat_cuda_supports_floats(device, spec) ||
        !remat_cuda_granted(spec, create_linear(device, spec, &state, &scratch_bytes, &refusal), &refusal))
        return false;
    remat_cuda_linear_destroy(state);
    return true;
}

static bool supports_classifier(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    void *state;
    int64_t scratch_bytes;
    struct remat_error refusal;
    if (!remat_cuda_supports_floats(device, spec) ||
        !remat_cuda_granted(spec, create_classifier(device, spec, &state, &scratch_bytes, &refusal), &refusal))
        return false;
    remat_cuda_classifier_destroy(state);
    return true;
}

#define LINEAR(op_id)                                                                                                 \
    {                                                                                                                 \
        op_id, "cublaslt", NUMERICS, supports_linear, create_linear, remat_cuda_linear_run, remat_cuda_linear_destroy \
    }
#define CLASSIFIER(op_id)                                                                               \
    {                                                                                                   \
        op_id, "cublaslt", NUMERICS, supports_classifier, create_classifier, remat_cuda_classifier_run, \
            remat_cuda_classifier_destroy                                                               \
    }
const struct remat_op_impl remat_cuda_linear = LINEAR(REMAT_OP_LINEAR);
const struct remat_op_impl remat_cuda_linear_bwd_data = LINEAR(REMAT_OP_LINEAR_BWD_DATA);
const struct remat_op_impl remat_cuda_linear_bwd_weights = LINEAR(REMAT_OP_LINEAR_BWD_WEIGHTS);
const struct remat_op_impl remat_cuda_classifier_loss = CLASSIFIER(REMAT_OP_CLASSIFIER_LOSS);
const struct remat_op_impl remat_cuda_classifier_eval = CLASSIFIER(REMAT_OP_CLASSIFIER_EVAL);
