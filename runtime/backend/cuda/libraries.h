/* NVIDIA's libraries, cuDNN (convolutions) and cuBLASLt (matrix products), found (search.h) and loaded at run time;
 * none is bundled. */
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

struct remat_cuda_attention;

struct remat_cuda_libraries {
    struct remat_cublaslt cublaslt;
    struct remat_cudnn cudnn;
    cublasLtHandle_t cublaslt_handle;        /* NULL: not there */
    cudnnHandle_t cudnn_handle;              /* NULL: not there */
    struct remat_cuda_attention *attentions; /* graphs that were made, of attention_cudnn.c */
};

void remat_cuda_attentions_free(struct remat_cuda_libraries *libraries);

#endif
