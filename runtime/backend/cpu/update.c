/* The optimizers, each one sweep over parameters, state and gradient. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/update_kernels.h"
#include "runtime/backend/cpu/split.h"

/* The gradient is input 0 or, with grad_in_cell, cell `next`, followed by the norm. */
static const float *gradient_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                                int32_t next)
{
    return spec->attr.grad_in_cell ? args->cells[next] : args->inputs[0];
}

static const double *norm_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int32_t next)
{
    return spec->attr.grad_in_cell ? args->cells[next + 1] : NULL;
}

static enum remat_status sgd(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    bool momentum = spec->attr.momentum != 0;
    int32_t next = momentum ? 2 : 1;
    const float *gradient = gradient_of(spec, args, next);
    struct remat_sgd_f32 factors = remat_sgd_make_f32(&spec->attr, args->record, norm_of(spec, args, next));
    float *w = args->cells[0], *buffer = momentum ? args->cells[1] : NULL;
    int64_t n = remat_tensor_elements(&spec->cells[0]);
    int32_t parts = remat_parts(device, n);
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        int64_t at = range.begin;
        REMAT_SIMD_TABLE(device, remat_update_kernels)
            ->sgd(&factors, gradient + at, w + at, buffer ? buffer + at : NULL, range.end - at);
    }
    return REMAT_OK;
}

static enum remat_status adamw(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const float *gradient = gradient_of(spec, args, 3);
    struct remat_adamw_f32 factors = remat_adamw_make_f32(&spec->attr, args->record, norm_of(spec, args, 3));
    float *w = args->cells[0], *m = args->cells[1], *v = args->cells[2];
    int64_t n = remat_tensor_elements(&spec->cells[0]);
    int32_t parts = remat_parts(device, n);
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        int64_t at = range.begin;
        REMAT_SIMD_TABLE(device, remat_update_kernels)
            ->adamw(&factors, gradient + at, w + at, m + at, v + at, range.end - at);
    }
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_sgd, REMAT_OP_SGD, remat_cpu_create_stateless, sgd);
REMAT_CPU_LOOP(remat_cpu_adamw, REMAT_OP_ADAMW, remat_cpu_create_stateless, adamw);
