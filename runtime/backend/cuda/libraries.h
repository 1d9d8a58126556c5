/* NVIDIA's libraries, cuDNN (convolutions) and cuBLASLt (matrix products), found (library_search.h) and loaded at
 * run time; none is bundled. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LIBRARIES_H
#define REMAT_RUNTIME_BACKEND_CUDA_LIBRARIES_H

#include "runtime/backend/cuda/cuda.h"

#include <cublasLt.h>
#include <cudnn.h>

#define REMAT_CUBLASLT_FUNCTIONS(X)    \
    X(cublasLtCreate)                  \
    X(cublasLtDestroy)                 \
    X(cublasLtGetVersion)              \
    X(cublasLtMatmul)                  \
    X(cublasLtMatmulAlgoGetHeuristic)  \
    X(cublasLtMatmulDescCreate)        \
    X(cublasLtMatmulDescDestroy)       \
    X(cublasLtMatmulDescSetAttribute)  \
    X(cublasLtMatrixLayoutCreate)      \
    X(cublasLtMatrixLayoutDestroy)     \
    X(cublasLtMatmulPreferenceCreate)  \
    X(cublasLtMatmulPreferenceDestroy) \
    X(cublasLtMatmulPreferenceSetAttribute)

#define REMAT_CUDNN_FUNCTIONS(X)     \
    X(cudnnCreate)                   \
    X(cudnnDestroy)                  \
    X(cudnnSetStream)                \
    X(cudnnGetVersion)               \
    X(cudnnGetErrorString)           \
    X(cudnnGetLastErrorString)       \
    X(cudnnBackendCreateDescriptor)  \
    X(cudnnBackendDestroyDescriptor) \
    X(cudnnBackendSetAttribute)      \
    X(cudnnBackendGetAttribute)      \
    X(cudnnBackendFinalize)          \
    X(cudnnBackendExecute)

#define X(name) __typeof__(&name) name;
struct remat_cublaslt {
    REMAT_CUBLASLT_FUNCTIONS(X)
};
struct remat_cudnn {
    REMAT_CUDNN_FUNCTIONS(X)
};
#undef X

struct remat_cudnn_made;

struct remat_cuda_libraries {
    struct remat_cublaslt cublaslt;
    struct remat_cudnn cudnn;
    cublasLtHandle_t cublaslt_handle;    /* NULL: not there */
    cudnnHandle_t cudnn_handle;          /* NULL: not there */
    struct remat_cudnn_made *cudnn_made; /* plans, of cudnn_plan.c */
};

void remat_cudnn_made_free(struct remat_cuda_libraries *libraries);

/* Libraries want scratch memory of this alignment: what a kernel asks for on top of theirs, and where theirs begins. */
int64_t remat_cuda_scratch_bytes(int64_t bytes);
void *remat_cuda_scratch(void *scratch);

/* Whether a library does a kernel, as `status` says. Why it does not is told on standard error where the environment
 * has REMAT_CUDA_TRACE: own kernels take over, which are much slower. */
bool remat_cuda_granted(const struct remat_kernel_spec *spec, enum remat_status status,
                        const struct remat_error *refusal);
bool remat_cuda_traces(void);

#endif
