/* Sums of gradients over micro steps, their norm, and clearing. */
#include "core/base/memory.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/elementwise_kernels.h"
#include "runtime/backend/cpu/split.h"

#include <string.h>

static enum remat_status accumulate(const void *state, const struct remat_kernel_spec *spec,
                                    const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    remat_map2 *add = REMAT_SIMD_TABLE(device, remat_elementwise_kernels)->add;
    int64_t n = remat_tensor_elements(&spec->inputs[0]);
    int32_t parts = remat_parts(device, n);
    const float *gradient = args->inputs[0];
    float *sum = args->cells[0];
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        int64_t at = range.begin, count = range.end - range.begin;
        if (args->record->micro == 0)
            memcpy(sum + at, gradient + at, (size_t)count * sizeof *sum);
        else
            add(sum + at, gradient + at, sum + at, count, false);
    }
    return REMAT_OK;
}

static int32_t norm_parts(const struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_parts(device, remat_tensor_elements(&spec->cells[0]));
}

/* Scratch: a double a part, added up in their order. */
static enum remat_status square_norm(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    int64_t n = remat_tensor_elements(&spec->cells[0]);
    int32_t parts = norm_parts(device, spec);
    const float *gradient = args->cells[0];
    double *norm = args->cells[1], *sums = args->scratch;
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        sums[part] = REMAT_SIMD_TABLE(device, remat_elementwise_kernels)
                         ->square_sum(gradient + range.begin, range.end - range.begin);
    }
    for (int32_t part = 0; part < parts; part++)
        norm[0] += sums[part];
    return REMAT_OK;
}

static enum remat_status create_square_norm(struct remat_device *device, const struct remat_kernel_spec *spec,
                                            void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = norm_parts(device, spec) * (int64_t)sizeof(double);
    return REMAT_OK;
}

static enum remat_status reset(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    memset(args->cells[0], 0, (size_t)remat_tensor_bytes(&spec->cells[0]));
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_accumulate, REMAT_OP_ACCUMULATE, remat_cpu_create_stateless, accumulate);
REMAT_CPU_LOOP(remat_cpu_square_norm, REMAT_OP_SQUARE_NORM, create_square_norm, square_norm);
REMAT_CPU_LOOP(remat_cpu_reset, REMAT_OP_RESET, remat_cpu_create_stateless, reset);
