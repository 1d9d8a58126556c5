/* Linear layers and the classifier over cuBLASLt's products. */
#include "runtime/backend/cuda/gemm.h"
#include "runtime/backend/cuda/libraries.h"

enum { NUMERICS = 1 };

static bool supports_ranked(struct remat_device *device, const struct remat_kernel_spec *spec, int rank)
{
    void *state;
    int64_t scratch_bytes;
    struct remat_error refusal;
    if ((rank > 0 && !device->alternatives) || !remat_cuda_supports_floats(device, spec) ||
        !remat_cuda_granted(
            spec, remat_cuda_linear_create(&remat_cuda_gemm_lt, device, spec, rank, &state, &scratch_bytes, &refusal),
            &refusal))
        return false;
    remat_cuda_linear_destroy(state);
    return true;
}

bool remat_cuda_linear_lt_supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return supports_ranked(device, spec, 0);
}

enum remat_status remat_cuda_linear_lt_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                              void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_linear_create(&remat_cuda_gemm_lt, device, spec, 0, state, scratch_bytes, err);
}

static enum remat_status create_classifier(struct remat_device *device, const struct remat_kernel_spec *spec,
                                           void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_classifier_create(&remat_cuda_gemm_lt, device, spec, state, scratch_bytes, err);
}

/* Whether there are algorithms: asked by choosing them. */
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

/* The algorithm of a rank, for every op of a linear layer. Other algorithms give other bits. */
#define LINEAR(symbol, op_id, name, rank)                       \
    const struct remat_op_impl symbol = {op_id,                 \
                                         name,                  \
                                         NUMERICS + rank,       \
                                         supports_##rank,       \
                                         create_##rank,         \
                                         remat_cuda_linear_run, \
                                         remat_cuda_linear_destroy};
#define RANKED(suffix, name, rank)                                                                            \
    static bool supports_##rank(struct remat_device *device, const struct remat_kernel_spec *spec)            \
    {                                                                                                         \
        return supports_ranked(device, spec, rank);                                                           \
    }                                                                                                         \
    static enum remat_status create_##rank(struct remat_device *device, const struct remat_kernel_spec *spec, \
                                           void **state, int64_t *scratch_bytes, struct remat_error *err)     \
    {                                                                                                         \
        return remat_cuda_linear_create(&remat_cuda_gemm_lt, device, spec, rank, state, scratch_bytes, err);  \
    }                                                                                                         \
    LINEAR(remat_cuda_linear##suffix, REMAT_OP_LINEAR, name, rank)                                            \
    LINEAR(remat_cuda_linear_add##suffix, REMAT_OP_LINEAR_ADD, name, rank)                                    \
    LINEAR(remat_cuda_linear_bwd_data##suffix, REMAT_OP_LINEAR_BWD_DATA, name, rank)                          \
    LINEAR(remat_cuda_linear_gelu_bwd##suffix, REMAT_OP_LINEAR_GELU_BWD, name, rank)                          \
    LINEAR(remat_cuda_linear_bwd_weights##suffix, REMAT_OP_LINEAR_BWD_WEIGHTS, name, rank)

RANKED(, "cublaslt", 0)
RANKED(_second, "cublaslt second", 1)
RANKED(_third, "cublaslt third", 2)

#define CLASSIFIER(op_id)                                                                               \
    {                                                                                                   \
        op_id, "cublaslt", NUMERICS, supports_classifier, create_classifier, remat_cuda_classifier_run, \
            remat_cuda_classifier_destroy                                                               \
    }
const struct remat_op_impl remat_cuda_classifier_loss = CLASSIFIER(REMAT_OP_CLASSIFIER_LOSS);
const struct remat_op_impl remat_cuda_classifier_eval = CLASSIFIER(REMAT_OP_CLASSIFIER_EVAL);
