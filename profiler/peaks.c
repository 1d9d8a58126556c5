#include "core/base/memory.h"
#include "profiler/cache.h"
#include "profiler/isolated.h"
#include "profiler/profiler.h"

#include <string.h>

enum { FIRST_SIZE = 128, LAST_SIZE = 2048, LAST_DEVICE_SIZE = 8192, ENOUGH_NS = 30000000, REPEATS = 5 };
/* Beyond caches. */
enum { HOST_COPY_BYTES = 64 << 20, DEVICE_COPY_BYTES = 512 << 20 };

static struct remat_kernel_spec matrix_product(int64_t size, enum remat_dtype dtype)
{
    struct remat_kernel_spec spec;
    const int64_t dims[2] = {size, size};
    memset(&spec, 0, sizeof spec);
    spec.op = REMAT_OP_LINEAR;
    spec.inputs_count = spec.outputs_count = spec.cells_count = 1;
    spec.inputs[0] = spec.outputs[0] = spec.cells[0] = remat_tensor_make(dtype, 2, dims);
    if (dtype == REMAT_BF16) { /* the weight is a cast one */
        spec.inputs_count = 2;
        spec.cells_count = 0;
        spec.inputs[1] = spec.inputs[0];
    }
    return spec;
}

/* The size doubles until one product takes long enough to be timed well, so that slow backends stay quick. */
static enum remat_status measure_compute(const struct remat_backend *backend, struct remat_device *device,
                                         enum remat_dtype dtype, double *gflop_per_second, struct remat_error *err)
{
    int64_t last = backend->ops->host ? LAST_SIZE : LAST_DEVICE_SIZE;
    *gflop_per_second = 0.0;
    for (int64_t size = FIRST_SIZE; size <= last; size *= 2) {
        struct remat_kernel_spec spec = matrix_product(size, dtype);
        int64_t samples[REPEATS], fastest = INT64_MAX;
        REMAT_TRY(remat_time_isolated(backend, device, &spec, 0, false, samples, REPEATS, err));
        for (int i = 0; i < REPEATS; i++) {
            double rate = (double)remat_op_flop(&spec) / (double)samples[i];
            *gflop_per_second = rate > *gflop_per_second ? rate : *gflop_per_second;
            fastest = samples[i] < fastest ? samples[i] : fastest;
        }
        if (fastest > ENOUGH_NS)
            break;
    }
    return REMAT_OK;
}

static enum remat_status time_copies(const struct remat_device_ops *ops, struct remat_device *device,
                                     const struct remat_memory *memory, struct remat_marks *marks,
                                     double *gbyte_per_second, struct remat_error *err)
{
    unsigned char *to = memory->base, *from = to + memory->bytes / 2;
    for (int i = 0; i < REPEATS; i++) {
        int64_t time_ns;
        REMAT_TRY(ops->mark(marks, 0, err));
        REMAT_TRY(ops->copy(device, to, from, memory->bytes / 2, err));
        REMAT_TRY(ops->mark(marks, 1, err));
        REMAT_TRY(ops->marks_elapsed(marks, 0, 1, &time_ns, err));
        if (time_ns > 0 && (double)memory->bytes / (double)time_ns > *gbyte_per_second)
            *gbyte_per_second = (double)memory->bytes / (double)time_ns;
    }
    return REMAT_OK;
}

/* Bytes read and bytes written both count. */
static enum remat_status measure_copy(const struct remat_device_ops *ops, struct remat_device *device,
                                      double *gbyte_per_second, struct remat_error *err)
{
    struct remat_memory memory;
    struct remat_marks *marks = NULL;
    int64_t bytes = ops->host ? HOST_COPY_BYTES : DEVICE_COPY_BYTES;
    enum remat_status status;
    *gbyte_per_second = 0.0;
    REMAT_TRY(ops->memory_open(device, 2 * bytes, "measuring the memory bandwidth", &memory, err));
    status = ops->marks_open(device, 2, &marks, err);
    if (status == REMAT_OK)
        status = time_copies(ops, device, &memory, marks, gbyte_per_second, err);
    ops->marks_close(marks);
    remat_memory_close(&memory);
    return status;
}

/* Hosts that have bf16 have it for comparisons. */
static bool has_fast_bf16(const struct remat_backend *backend, struct remat_device *device)
{
    struct remat_kernel_spec spec = matrix_product(FIRST_SIZE, REMAT_BF16);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    int32_t count;
    return !backend->ops->host && backend->options(device, &spec, options, &count, NULL) == REMAT_OK;
}

static enum remat_status measure(const struct remat_backend *backend, struct remat_device *device,
                                 struct remat_machine_peaks *out, struct remat_error *err)
{
    out->bf16_gflop_per_second = 0.0;
    REMAT_TRY(measure_compute(backend, device, REMAT_F32, &out->gflop_per_second, err));
    if (has_fast_bf16(backend, device))
        REMAT_TRY(measure_compute(backend, device, REMAT_BF16, &out->bf16_gflop_per_second, err));
    return measure_copy(backend->ops, device, &out->gbyte_per_second, err);
}

static void raise_to(struct remat_machine_peaks *peaks, const struct remat_machine_peaks *known)
{
    if (known->gflop_per_second > peaks->gflop_per_second)
        peaks->gflop_per_second = known->gflop_per_second;
    if (known->bf16_gflop_per_second > peaks->bf16_gflop_per_second)
        peaks->bf16_gflop_per_second = known->bf16_gflop_per_second;
    if (known->gbyte_per_second > peaks->gbyte_per_second)
        peaks->gbyte_per_second = known->gbyte_per_second;
}

enum remat_status remat_profile_peaks(const struct remat_backend *backend, struct remat_device *device,
                                      const struct remat_profile_options *options, struct remat_machine_peaks *out,
                                      struct remat_error *err)
{
    struct remat_device_info info;
    struct remat_profile_cache cache;
    struct remat_machine_peaks known = {0, 0, 0};
    enum remat_status status;
    if (!options || !options->cache_path)
        return measure(backend, device, out, err);
    backend->describe(device, &info);
    status = remat_profile_cache_open(options->cache_path, info.fingerprint, &cache, err);
    if (status == REMAT_OK && remat_profile_cache_get_peaks(&cache, &known) && !options->refresh) {
        *out = known;
    } else if (status == REMAT_OK) {
        status = measure(backend, device, out, err);
        raise_to(out, &known);
        if (status == REMAT_OK)
            status = remat_profile_cache_put_peaks(&cache, out, err);
        if (status == REMAT_OK)
            status = remat_profile_cache_save(&cache, options->cache_path, err);
    }
    remat_profile_cache_close(&cache);
    return status;
}
