/* The cuda backend: one GPU. */
#include "runtime/backend/cuda/cuda.h"

#include "core/base/memory.h"
#include "core/graph/op_attr.h"
#include "runtime/backend/cuda/nvml.h"
#include "runtime/backend/plugin.h"

#include <stdio.h>
#include <stdlib.h>

enum { LEAST_COMPUTE_CAPABILITY = 80 };

enum remat_status remat_cuda_check(cudaError_t error, const char *what, struct remat_error *err)
{
    if (error == cudaSuccess)
        return REMAT_OK;
    (void)cudaGetLastError(); /* told here: it is not the next call's */
    return remat_fail(err, error == cudaErrorMemoryAllocation ? REMAT_OUT_OF_MEMORY : REMAT_FAILED, "CUDA: %s: %s",
                      what, cudaGetErrorString(error));
}

/* What to do where there is no GPU to open. */
static enum remat_status find_gpu(int ordinal, struct remat_error *err)
{
    int count = 0;
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "no NVIDIA driver for CUDA %d.%d here (libcuda.so.1 is missing or older); nvidia-smi shows "
                          "what is installed",
                          CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    if (error == cudaErrorNoDevice || (error == cudaSuccess && count == 0))
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "no NVIDIA GPU here (nvidia-smi lists them; CUDA_VISIBLE_DEVICES "
                          "hides them)");
    REMAT_TRY(remat_cuda_check(error, "counting GPUs", err));
    if (ordinal >= count || ordinal < 0)
        return remat_fail(err, REMAT_UNAVAILABLE, "cuda:%d: there are %d GPUs here, cuda:0 to cuda:%d", ordinal, count,
                          count - 1);
    return REMAT_OK;
}

static enum remat_status open_uploads(struct remat_device *device, struct remat_error *err)
{
    REMAT_TRY(remat_cuda_check(cudaStreamCreateWithFlags(&device->uploads, cudaStreamNonBlocking), "a stream", err));
    for (int place = 0; place < 2; place++) {
        cudaEvent_t *events[2] = {&device->arrived[place], &device->used[place]};
        for (int i = 0; i < 2; i++)
            REMAT_TRY(remat_cuda_check(cudaEventCreateWithFlags(events[i], cudaEventDisableTiming), "an event", err));
    }
    return REMAT_OK;
}

static void close_uploads(struct remat_device *device)
{
    for (int place = 0; place < 2; place++) {
        if (device->arrived[place])
            (void)cudaEventDestroy(device->arrived[place]);
        if (device->used[place])
            (void)cudaEventDestroy(device->used[place]);
    }
    if (device->uploads)
        (void)cudaStreamDestroy(device->uploads);
}

/* Counts what the context took, and what the libraries take on top. */
static enum remat_status open_libraries(struct remat_device *device, struct remat_error *err)
{
    char ignored[160];
    int64_t process_bytes, free_bytes;
    remat_cuda_nvml_open(device);
    device->context_bytes = remat_cuda_process_bytes(device, ignored, sizeof ignored);
    free_bytes = remat_cuda_ops.available_bytes(device);
    REMAT_TRY(remat_cuda_libraries_open(device, err));
    process_bytes = remat_cuda_process_bytes(device, ignored, sizeof ignored);
    device->libraries_bytes = process_bytes >= 0 ? process_bytes - device->context_bytes
                                                 : free_bytes - remat_cuda_ops.available_bytes(device);
    return REMAT_OK;
}

static enum remat_status open_gpu(struct remat_device *device, struct remat_error *err)
{
    int capability;
    REMAT_TRY(remat_cuda_check(cudaSetDevice(device->ordinal), "choosing the GPU", err));
    REMAT_TRY(remat_cuda_check(cudaGetDeviceProperties(&device->properties, device->ordinal), "asking the GPU", err));
    REMAT_TRY(remat_cuda_check(cudaDriverGetVersion(&device->driver_version), "asking the driver", err));
    REMAT_TRY(remat_cuda_check(cudaRuntimeGetVersion(&device->runtime_version), "asking the runtime", err));
    capability = device->properties.major * 10 + device->properties.minor;
    if (capability < LEAST_COMPUTE_CAPABILITY)
        return remat_fail(err, REMAT_UNAVAILABLE, "%s has compute capability %d.%d; %d.%d or more is needed",
                          device->properties.name, device->properties.major, device->properties.minor,
                          LEAST_COMPUTE_CAPABILITY / 10, LEAST_COMPUTE_CAPABILITY % 10);
    REMAT_TRY(remat_cuda_check(cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking), "a stream", err));
    REMAT_TRY(remat_cuda_check(cudaEventCreateWithFlags(&device->copied, cudaEventDisableTiming), "an event", err));
    REMAT_TRY(open_uploads(device, err));
    return open_libraries(device, err);
}

static void close_device(struct remat_device *device)
{
    if (!device)
        return;
    if (device->stream)
        (void)cudaStreamSynchronize(device->stream);
    remat_cuda_libraries_close(device);
    remat_cuda_nvml_close(device);
    if (device->uploads)
        (void)cudaStreamSynchronize(device->uploads);
    close_uploads(device);
    if (device->copied)
        (void)cudaEventDestroy(device->copied);
    if (device->stream)
        (void)cudaStreamDestroy(device->stream);
    free(device);
}

static enum remat_status open_device(const struct remat_device_config *config, struct remat_device **out,
                                     struct remat_error *err)
{
    enum remat_status status;
    char libraries[96];
    *out = NULL;
    if (find_gpu(config->ordinal, err) != REMAT_OK) {
        remat_cuda_libraries_found(libraries, sizeof libraries);
        return remat_error_prefix(err, "with %s", libraries);
    }
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->ordinal = config->ordinal;
    (*out)->tf32 = config->tf32;
    (*out)->alternatives = config->alternatives;
    status = open_gpu(*out, err);
    if (status != REMAT_OK) {
        close_device(*out);
        *out = NULL;
    }
    return status;
}

static void describe(struct remat_device *device, struct remat_device_info *out)
{
    char libraries[96], driver[24];
    *out = (struct remat_device_info){.threads = 1};
    out->memory_bytes = remat_cuda_ops.available_bytes(device);
    remat_cuda_libraries_describe(device, libraries, sizeof libraries);
    snprintf(out->name, sizeof out->name, "cuda");
    remat_cuda_driver_version(device, driver, sizeof driver);
    snprintf(out->description, sizeof out->description, "%.40s, %d multiprocessors, driver %s, CUDA %d.%d",
             device->properties.name, device->properties.multiProcessorCount, driver, device->runtime_version / 1000,
             device->runtime_version % 1000 / 10);
    snprintf(out->fingerprint, sizeof out->fingerprint, "cuda %.64s sm_%d%d, %s, %s", device->properties.name,
             device->properties.major, device->properties.minor, device->tf32 ? "tf32" : "f32", libraries);
}

static enum remat_status options(struct remat_device *device, const struct remat_kernel_spec *spec,
                                 struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                 struct remat_error *err)
{
    return remat_op_table_options(remat_cuda_table, device, spec, out, count, err);
}

static enum remat_status kernel_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                       int32_t option, struct remat_kernel **out, struct remat_error *err)
{
    return remat_op_table_create(remat_cuda_table, device, spec, option, out, err);
}

enum remat_status remat_cuda_create_plain(struct remat_device *device, const struct remat_kernel_spec *spec,
                                          void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)spec;
    (void)err;
    *state = device;
    *scratch_bytes = 0;
    return REMAT_OK;
}

static bool fit(const struct remat_tensor *tensors, int32_t count, enum remat_dtype never)
{
    for (int32_t i = 0; i < count; i++)
        if (tensors[i].layout != REMAT_ROW_MAJOR || tensors[i].dtype == REMAT_F16 || tensors[i].dtype == never)
            return false;
    return true;
}

/* f64 holds metrics and norms alone; nothing that outlives a step is bf16. */
bool remat_cuda_supports_floats(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return fit(spec->inputs, spec->inputs_count, REMAT_F64) && fit(spec->outputs, spec->outputs_count, REMAT_F64) &&
           fit(spec->cells, spec->cells_count, REMAT_BF16);
}

static bool is_update(const struct remat_kernel *kernel)
{
    const struct remat_kernel_spec *spec = remat_op_table_spec(kernel);
    const struct remat_tensor *gradient =
        spec->attr.grad_in_cell ? &spec->cells[spec->cells_count - 2] : &spec->inputs[0];
    return (spec->op == REMAT_OP_SGD || spec->op == REMAT_OP_ADAMW) && gradient->dtype == REMAT_F32;
}

bool remat_cuda_updates_join(const struct remat_kernel *first, const struct remat_kernel *next)
{
    const struct remat_op_attr *a = &remat_op_table_spec(first)->attr, *b = &remat_op_table_spec(next)->attr;
    if (!is_update(first) || !is_update(next) || remat_op_table_impl(first) != remat_op_table_impl(next))
        return false;
    for (const struct remat_attr_field *field = remat_attr_fields; field->name; field++)
        for (int32_t k = 0; k < field->count; k++)
            if (remat_attr_get(a, field, k) != remat_attr_get(b, field, k))
                return false;
    return true;
}

static const struct remat_backend backend = {
    .name = "cuda",
    .ops = &remat_cuda_ops,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .options = options,
    .kernel_create = kernel_create,
    .kernel_scratch_bytes = remat_op_table_scratch_bytes,
    .kernel_run = remat_op_table_run,
    .kernel_destroy = remat_op_table_destroy,
    .kernel_joins = remat_cuda_updates_join,
    .kernel_run_joined = remat_cuda_update_joined,
};

__attribute__((visibility("default"))) remat_backend_plugin_function remat_backend_plugin;

const struct remat_backend *remat_backend_plugin(int64_t abi)
{
    return abi == remat_plugin_abi() ? &backend : NULL;
}
