/* Layer normalisation of each row of x[M,C] (Ba, Kiros, Hinton 2016). Each thread owns rows; the gradients of gamma and
 * beta are summed by thread, then over threads in their order. */
#include "runtime/backend/cpu/simd/layernorm_kernels.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/split.h"

#include <string.h>

static int32_t parts_of(const struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_parts(device, remat_tensor_elements(&spec->inputs[0]));
}

/* The rows of part `part`: pointers of `all` moved to its first row. */
static struct remat_layernorm_rows rows_part(const struct remat_layernorm_rows *all, int32_t part, int32_t parts)
{
    struct remat_range range = remat_split(all->rows, 1, part, parts);
    struct remat_layernorm_rows rows = *all;
    int64_t at = range.begin * all->columns;
    rows.rows = range.end - range.begin;
    rows.x += at;
    rows.out += at;
    rows.dy = all->dy ? all->dy + at : NULL;
    rows.g0 = all->g0 ? all->g0 + at : NULL;
    rows.mean = all->mean ? all->mean + range.begin : NULL;
    rows.rstd = all->rstd ? all->rstd + range.begin : NULL;
    rows.saved_mean = all->saved_mean ? all->saved_mean + range.begin : NULL;
    rows.saved_rstd = all->saved_rstd ? all->saved_rstd + range.begin : NULL;
    return rows;
}

static struct remat_layernorm_rows rows_make(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args)
{
    return (struct remat_layernorm_rows){.rows = remat_tensor_rows(&spec->inputs[0]),
                                         .columns = remat_tensor_columns(&spec->inputs[0]),
                                         .epsilon = spec->attr.epsilon,
                                         .x = args->inputs[0],
                                         .gamma = args->cells[0],
                                         .beta = args->cells[1],
                                         .out = args->outputs[0]};
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_layernorm_rows all = rows_make(spec, args);
    int32_t parts = parts_of(device, spec);
    (void)err;
    all.mean = args->outputs[1];
    all.rstd = args->outputs[2];
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_layernorm_rows rows = rows_part(&all, part, parts);
        REMAT_SIMD_TABLE(device, remat_layernorm_kernels)->forward(&rows);
    }
    return REMAT_OK;
}

static enum remat_status apply(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_layernorm_rows all = rows_make(spec, args);
    int32_t parts = parts_of(device, spec);
    (void)err;
    all.saved_mean = args->inputs[1];
    all.saved_rstd = args->inputs[2];
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_layernorm_rows rows = rows_part(&all, part, parts);
        REMAT_SIMD_TABLE(device, remat_layernorm_kernels)->apply(&rows);
    }
    return REMAT_OK;
}

/* Scratch: per part sums (double), then blocks (float), 2 C of each. */
static int64_t sums_bytes(int32_t parts, int64_t columns)
{
    return remat_align_up(parts * 2 * columns * (int64_t)sizeof(double));
}

static void add_parts(const double *sums, int32_t parts, int64_t columns, float *dgamma, float *dbeta)
{
    for (int64_t c = 0; c < columns; c++) {
        double slope = 0, level = 0;
        for (int32_t part = 0; part < parts; part++) {
            slope += sums[part * 2 * columns + c];
            level += sums[part * 2 * columns + columns + c];
        }
        dgamma[c] = (float)slope;
        dbeta[c] = (float)level;
    }
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_layernorm_rows all = rows_make(spec, args);
    int32_t parts = parts_of(device, spec);
    double *sums = args->scratch;
    float *blocks = (float *)((char *)args->scratch + sums_bytes(parts, all.columns));
    (void)err;
    all.saved_mean = args->inputs[1];
    all.saved_rstd = args->inputs[2];
    all.dy = args->inputs[3];
    all.g0 = spec->attr.accumulate ? args->inputs[4] : NULL;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_layernorm_rows rows = rows_part(&all, part, parts);
        double *own = sums + part * 2 * all.columns;
        memset(own, 0, (size_t)(2 * all.columns) * sizeof *own);
        REMAT_SIMD_TABLE(device, remat_layernorm_kernels)->backward(&rows, blocks + part * 2 * all.columns, own);
    }
    add_parts(sums, parts, all.columns, args->outputs[1], args->outputs[2]);
    return REMAT_OK;
}

static enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec,
                                         void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]);
    int32_t parts = parts_of(device, spec);
    (void)err;
    *state = device;
    *scratch_bytes = sums_bytes(parts, columns) + parts * 2 * columns * (int64_t)sizeof(float);
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_layernorm, REMAT_OP_LAYERNORM, remat_cpu_create_stateless, forward);
REMAT_CPU_LOOP(remat_cpu_layernorm_apply, REMAT_OP_LAYERNORM_APPLY, remat_cpu_create_stateless, apply);
REMAT_CPU_LOOP(remat_cpu_layernorm_bwd, REMAT_OP_LAYERNORM_BWD, create_backward, backward);
