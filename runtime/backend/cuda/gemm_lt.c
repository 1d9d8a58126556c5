/* Matrix products by cuBLASLt. It counts in columns, so D[rows, columns] = A B is computed as D' = B' A'. The algorithm
 * is the heuristic's first (or next) that fits the scratch cap and adds no partial sums atomically. What comes behind
 * the product is part of it: C by its factor beta, a bias and the slope of GELU (in the same tanh form) by its
 * epilogues. */
#include "runtime/backend/cuda/gemm.h"

#include "core/base/memory.h"
#include "runtime/backend/cuda/libraries.h"

#include <stdlib.h>

enum { SCRATCH_CAP_BYTES = 32 << 20, ALIGNMENT_BYTES = 16, MOST_RANKS = 4 };

struct prepared {
    const struct remat_device *device;
    bool add;
    cublasLtEpilogue_t epilogue;
    uint32_t alignment; /* of operands, promised to cuBLASLt */
    cublasLtMatmulDesc_t descriptor;
    cublasLtMatrixLayout_t first, second, result; /* B, A, D */
    cublasLtMatmulAlgo_t algorithm;
    size_t scratch_bytes;
};

static enum remat_status check(cublasStatus_t status, const char *what, struct remat_error *err)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return REMAT_OK;
    return remat_fail(err, REMAT_FAILED, "cuBLASLt: %s: status %d", what, (int)status);
}

static const struct remat_cublaslt *library_of(const struct prepared *p)
{
    return &p->device->libraries->cublaslt;
}

static void destroy(void *state)
{
    struct prepared *p = state;
    const struct remat_cublaslt *lt = library_of(p);
    if (p->first)
        (void)lt->cublasLtMatrixLayoutDestroy(p->first);
    if (p->second)
        (void)lt->cublasLtMatrixLayoutDestroy(p->second);
    if (p->result)
        (void)lt->cublasLtMatrixLayoutDestroy(p->result);
    if (p->descriptor)
        (void)lt->cublasLtMatmulDescDestroy(p->descriptor);
    free(p);
}

static enum remat_status set(const struct prepared *p, cublasLtMatmulDescAttributes_t attribute, const void *value,
                             size_t bytes, struct remat_error *err)
{
    return check(library_of(p)->cublasLtMatmulDescSetAttribute(p->descriptor, attribute, value, bytes),
                 "describing a product", err);
}

/* A matrix of `rows` rows of `columns` elements each, one row `pitch` elements (0: `columns`) after the other. */
static enum remat_status layout(struct prepared *p, cublasLtMatrixLayout_t *out, enum remat_dtype dtype, int64_t rows,
                                int64_t columns, int64_t pitch, struct remat_error *err)
{
    cudaDataType_t type = dtype == REMAT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    return check(library_of(p)->cublasLtMatrixLayoutCreate(out, type, (uint64_t)columns, (uint64_t)rows,
                                                           pitch > 0 ? pitch : columns),
                 "describing a matrix", err);
}

/* Addresses that epilogues read are part of the description, so that each run names its own. */
static enum remat_status name_operands(const struct prepared *p, const void *bias, const void *e,
                                       struct remat_error *err)
{
    if (p->epilogue == CUBLASLT_EPILOGUE_BIAS)
        return set(p, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias, err);
    if (p->epilogue == CUBLASLT_EPILOGUE_DGELU)
        return set(p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &e, sizeof e, err);
    return REMAT_OK;
}

static enum remat_status describe_epilogue(struct prepared *p, const struct remat_cuda_product *of,
                                           struct remat_error *err)
{
    const void *some =
        (const void *)(uintptr_t)REMAT_ALIGNMENT; /* heuristics ask whether it is there, and how aligned */
    int64_t pitch = of->columns;
    p->epilogue = of->bias         ? CUBLASLT_EPILOGUE_BIAS
                  : of->gelu_slope ? CUBLASLT_EPILOGUE_DGELU
                                   : CUBLASLT_EPILOGUE_DEFAULT;
    REMAT_TRY(set(p, CUBLASLT_MATMUL_DESC_EPILOGUE, &p->epilogue, sizeof p->epilogue, err));
    if (of->gelu_slope)
        REMAT_TRY(set(p, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &pitch, sizeof pitch, err));
    return name_operands(p, some, some, err);
}

static enum remat_status describe(struct prepared *p, const struct remat_cuda_product *of, struct remat_error *err)
{
    bool fast = p->device->tf32 && of->from == REMAT_F32;
    cublasComputeType_t compute = fast ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasOperation_t first = of->b_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    cublasOperation_t second = of->a_turned ? CUBLAS_OP_T : CUBLAS_OP_N;
    REMAT_TRY(check(library_of(p)->cublasLtMatmulDescCreate(&p->descriptor, compute, CUDA_R_32F),
                    "describing a product", err));
    REMAT_TRY(set(p, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first, err));
    REMAT_TRY(set(p, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second, err));
    REMAT_TRY(describe_epilogue(p, of, err));
    REMAT_TRY(layout(p, &p->first, of->from, of->b_turned ? of->columns : of->inner,
                     of->b_turned ? of->inner : of->columns, 0, err));
    REMAT_TRY(layout(p, &p->second, of->from, of->a_turned ? of->inner : of->rows, of->a_turned ? of->rows : of->inner,
                     of->a_pitch, err));
    return layout(p, &p->result, of->to, of->rows, of->columns, of->d_pitch, err);
}

static cublasStatus_t prefer(const struct remat_cublaslt *lt, cublasLtMatmulPreference_t preference, uint32_t alignment)
{
    static const cublasLtMatmulPreferenceAttributes_t alignments[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    uint64_t cap = SCRATCH_CAP_BYTES;
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasStatus_t status = lt->cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &cap, sizeof cap);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = lt->cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
                                                          &schemes, sizeof schemes);
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0] && status == CUBLAS_STATUS_SUCCESS; i++)
        status = lt->cublasLtMatmulPreferenceSetAttribute(preference, alignments[i], &alignment, sizeof alignment);
    return status;
}

static enum remat_status choose(struct prepared *p, int rank, struct remat_error *err)
{
    const struct remat_cublaslt *lt = library_of(p);
    cublasLtMatmulPreference_t preference = NULL;
    cublasLtMatmulHeuristicResult_t found[MOST_RANKS] = {0};
    int count = 0;
    cublasStatus_t status;
    REMAT_TRY(check(lt->cublasLtMatmulPreferenceCreate(&preference), "choosing an algorithm", err));
    status = prefer(lt, preference, p->alignment);
    if (status == CUBLAS_STATUS_SUCCESS)
        status =
            lt->cublasLtMatmulAlgoGetHeuristic(p->device->libraries->cublaslt_handle, p->descriptor, p->first,
                                               p->second, p->result, p->result, preference, rank + 1, found, &count);
    (void)lt->cublasLtMatmulPreferenceDestroy(preference);
    REMAT_TRY(check(status, "choosing an algorithm", err));
    if (count <= rank)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuBLASLt has %d algorithms for a product", count);
    REMAT_TRY(check(found[rank].state, "choosing an algorithm", err));
    p->algorithm = found[rank].algo;
    p->scratch_bytes = found[rank].workspaceSize;
    return REMAT_OK;
}

static enum remat_status prepare(struct remat_device *device, const struct remat_cuda_product *product, void **out,
                                 int64_t *scratch_bytes, struct remat_error *err)
{
    struct prepared *p;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(p, 1, err));
    p->device = device;
    p->add = product->add;
    p->alignment = product->alignment > 0 ? (uint32_t)product->alignment : ALIGNMENT_BYTES;
    status = describe(p, product, err);
    if (status == REMAT_OK)
        status = choose(p, product->rank, err);
    if (status != REMAT_OK) {
        destroy(p);
        return status;
    }
    *scratch_bytes = remat_cuda_scratch_bytes((int64_t)p->scratch_bytes);
    *out = p;
    return REMAT_OK;
}

static enum remat_status run(const void *state, const struct remat_cuda_operands *o, void *scratch,
                             struct remat_error *err)
{
    const struct prepared *p = state;
    const struct remat_cublaslt *lt = library_of(p);
    const float one = 1, old = p->add ? 1 : 0;
    REMAT_TRY(name_operands(p, o->bias, o->e, err));
    return check(lt->cublasLtMatmul(p->device->libraries->cublaslt_handle, p->descriptor, &one, o->b, p->first, o->a,
                                    p->second, &old, p->add ? o->c : o->d, p->result, o->d, p->result, &p->algorithm,
                                    p->scratch_bytes > 0 ? remat_cuda_scratch(scratch) : NULL, p->scratch_bytes,
                                    p->device->stream),
                 "a product", err);
}

const struct remat_cuda_gemm remat_cuda_gemm_lt = {prepare, run, destroy};
