#include "runtime/backend/cuda/libraries.h"

#include "core/base/memory.h"
#include "runtime/backend/cuda/library_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct remat_cuda_file wanted_nvrtc = {"libnvrtc.so.13", "cu13"},
                                    wanted_cublas = {"libcublas.so.13", "cu13"},
                                    wanted_cublaslt = {"libcublasLt.so.13", "cu13"},
                                    wanted_cudnn = {"libcudnn.so.9", "cudnn"};

enum { SCRATCH_ALIGNMENT = 256 };

/* --- functions ---------------------------------------------------------------------------------------------------- */

/* All or nothing. */
static void load_cublaslt(struct remat_cublaslt *out)
{
    void *file = remat_cuda_find(&wanted_cublaslt);
    bool complete = true;
#define X(name) complete &= remat_cuda_take(file, #name, &out->name);
    REMAT_CUBLASLT_FUNCTIONS(X)
#undef X
    if (!complete)
        memset(out, 0, sizeof *out);
}

static void load_cudnn(struct remat_cudnn *out)
{
    void *file;
    bool complete = true;
    /* cuDNN opens these by name; where they are in no folder of the system it must find them loaded. */
    (void)remat_cuda_find(&wanted_nvrtc);
    (void)remat_cuda_find(&wanted_cublaslt);
    (void)remat_cuda_find(&wanted_cublas);
    file = remat_cuda_find(&wanted_cudnn);
#define X(name) complete &= remat_cuda_take(file, #name, &out->name);
    REMAT_CUDNN_FUNCTIONS(X)
#undef X
    if (!complete)
        memset(out, 0, sizeof *out);
}

/* --- the device's part -------------------------------------------------------------------------------------------- */

static enum remat_status open_cublaslt(struct remat_cuda_libraries *libraries, struct remat_error *err)
{
    cublasStatus_t status;
    if (!libraries->cublaslt.cublasLtCreate)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "the cuda backend needs %s, which was not found; docs/cuda.md tells where it is looked for "
                          "(REMAT_CUDA_LIBRARY_PATH names a folder)",
                          wanted_cublaslt.name);
    status = libraries->cublaslt.cublasLtCreate(&libraries->cublaslt_handle);
    if (status != CUBLAS_STATUS_SUCCESS)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuBLASLt cannot use this GPU: status %d", (int)status);
    return REMAT_OK;
}

static enum remat_status open_cudnn(struct remat_cuda_libraries *libraries, cudaStream_t stream,
                                    struct remat_error *err)
{
    const struct remat_cudnn *cudnn = &libraries->cudnn;
    cudnnStatus_t status;
    if (!cudnn->cudnnCreate)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "the cuda backend needs %s, which was not found; docs/cuda.md tells where it is looked for "
                          "(REMAT_CUDA_LIBRARY_PATH names a folder)",
                          wanted_cudnn.name);
    status = cudnn->cudnnCreate(&libraries->cudnn_handle);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnn->cudnnSetStream(libraries->cudnn_handle, stream);
    if (status != CUDNN_STATUS_SUCCESS)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuDNN cannot use this GPU: %s", cudnn->cudnnGetErrorString(status));
    return REMAT_OK;
}

enum remat_status remat_cuda_libraries_open(struct remat_device *device, struct remat_error *err)
{
    REMAT_TRY(REMAT_ALLOC(device->libraries, 1, err));
    load_cublaslt(&device->libraries->cublaslt);
    load_cudnn(&device->libraries->cudnn);
    REMAT_TRY(open_cublaslt(device->libraries, err));
    return open_cudnn(device->libraries, device->stream, err);
}

/* The files stay loaded: libraries of this size do not bear unloading. */
void remat_cuda_libraries_close(struct remat_device *device)
{
    struct remat_cuda_libraries *libraries = device->libraries;
    if (!libraries)
        return;
    remat_cudnn_made_free(libraries);
    if (libraries->cublaslt_handle)
        (void)libraries->cublaslt.cublasLtDestroy(libraries->cublaslt_handle);
    if (libraries->cudnn_handle)
        (void)libraries->cudnn.cudnnDestroy(libraries->cudnn_handle);
    free(libraries);
    device->libraries = NULL;
}

int64_t remat_cuda_scratch_bytes(int64_t bytes)
{
    return bytes > 0 ? bytes + SCRATCH_ALIGNMENT - 1 : 0;
}

void *remat_cuda_scratch(void *scratch)
{
    uintptr_t end = (uintptr_t)scratch + SCRATCH_ALIGNMENT - 1;
    return (void *)(end - end % SCRATCH_ALIGNMENT);
}

bool remat_cuda_traces(void)
{
    return getenv("REMAT_CUDA_TRACE") != NULL;
}

bool remat_cuda_granted(const struct remat_kernel_spec *spec, enum remat_status status,
                        const struct remat_error *refusal)
{
    if (status != REMAT_OK && remat_cuda_traces())
        fprintf(stderr, "%s: by no library: %s\n", remat_op_text(spec->op), refusal->message);
    return status == REMAT_OK;
}

static void describe(const struct remat_cublaslt *cublaslt, const struct remat_cudnn *cudnn, char *text, int capacity)
{
    int used = cublaslt->cublasLtGetVersion
                   ? snprintf(text, (size_t)capacity, "cuBLASLt %zu, ", cublaslt->cublasLtGetVersion())
                   : snprintf(text, (size_t)capacity, "no cuBLASLt, ");
    if (cudnn->cudnnGetVersion)
        snprintf(text + used, (size_t)(capacity - used), "cuDNN %zu", cudnn->cudnnGetVersion());
    else
        snprintf(text + used, (size_t)(capacity - used), "no cuDNN");
}

void remat_cuda_libraries_describe(const struct remat_device *device, char *text, int capacity)
{
    describe(&device->libraries->cublaslt, &device->libraries->cudnn, text, capacity);
}

void remat_cuda_libraries_found(char *text, int capacity)
{
    struct remat_cublaslt cublaslt;
    struct remat_cudnn cudnn;
    load_cublaslt(&cublaslt);
    load_cudnn(&cudnn);
    describe(&cublaslt, &cudnn, text, capacity);
}
