#include "core/base/memory.h"
#include "profiler/clock.h"
#include "profiler/isolated.h"
#include "profiler/profiler.h"
#include "runtime/exec/memory.h"

#include <string.h>

enum { FIRST_SIZE = 128, LAST_SIZE = 2048, ENOUGH_NS = 30000000, REPEATS = 5, COPY_BYTES = 64 << 20 };

static struct remat_kernel_spec matrix_product(int64_t size)
{
    struct remat_kernel_spec spec;
    const int64_t dims[2] = {size, size};
    memset(&spec, 0, sizeof spec);
    spec.op = REMAT_OP_LINEAR;
    spec.inputs_count = spec.outputs_count = spec.cells_count = 1;
    spec.inputs[0] = spec.outputs[0] = spec.cells[0] = remat_tensor_make(REMAT_F32, 2, dims);
    return spec;
}

/* The size doubles until one product takes long enough to be timed well, so that slow backends stay quick. */
static enum remat_status measure_compute(const struct remat_backend *backend, struct remat_device *device,
                                         double *gflop_per_second, struct remat_error *err)
{
    *gflop_per_second = 0.0;
    for (int64_t size = FIRST_SIZE; size <= LAST_SIZE; size *= 2) {
        struct remat_kernel_spec spec = matrix_product(size);
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

static void copy(unsigned char *to, const unsigned char *from, int64_t bytes, int32_t threads)
{
    const int64_t piece = 1 << 20;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < bytes; i += piece)
        memcpy(to + i, from + i, (size_t)piece);
}

/* Bytes read and bytes written both count. */
static enum remat_status measure_copy(int32_t threads, double *gbyte_per_second, struct remat_error *err)
{
    struct remat_memory memory;
    REMAT_TRY(remat_memory_open(2 * (int64_t)COPY_BYTES, "measuring the memory bandwidth", &memory, err));
    *gbyte_per_second = 0.0;
    for (int i = 0; i < REPEATS; i++) {
        int64_t begin = remat_clock_ns(), time;
        copy(memory.base, memory.base + COPY_BYTES, COPY_BYTES, threads);
        time = remat_clock_ns() - begin;
        if (2.0 * COPY_BYTES / (double)time > *gbyte_per_second)
            *gbyte_per_second = 2.0 * COPY_BYTES / (double)time;
    }
    remat_memory_close(&memory);
    return REMAT_OK;
}

enum remat_status remat_profile_peaks(const struct remat_backend *backend, struct remat_device *device,
                                      struct remat_machine_peaks *out, struct remat_error *err)
{
    struct remat_device_info info;
    backend->describe(device, &info);
    REMAT_TRY(measure_compute(backend, device, &out->gflop_per_second, err));
    return measure_copy(info.threads > 0 ? info.threads : 1, &out->gbyte_per_second, err);
}
