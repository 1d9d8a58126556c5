/* Batch normalisation over the rows of x[M,C] (Ioffe, Szegedy 2015) with residual and ReLU: one pass over x for the
 * statistics and one that normalises, adds and rectifies; backward, one for the two sums and one for dx. */
#include "runtime/backend/cpu/simd/batchnorm_kernels.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/split.h"

#include <math.h>
#include <string.h>

enum { VECTORS = 6, WIDE = 256 };

/* Where things lie in the scratchpad. */
struct workspace {
    int64_t rows, channels, width;
    int32_t parts, threads;
    float *vectors[VECTORS]; /* [width] each */
    float *blocks;           /* [parts][2 width] */
    double *sums;            /* [parts][2 width] */
    int64_t bytes;
};

static void *carve(struct workspace *work, void *scratch, int64_t bytes)
{
    char *piece = scratch ? (char *)scratch + work->bytes : NULL;
    work->bytes += remat_align_up(bytes);
    return piece;
}

/* Without scratch, only sizes. */
static struct workspace workspace_make(const struct remat_device *device, const struct remat_kernel_spec *spec,
                                       void *scratch)
{
    struct workspace work = {.rows = remat_tensor_rows(&spec->inputs[0]),
                             .channels = remat_tensor_columns(&spec->inputs[0])};
    bool backward = spec->op == REMAT_OP_BATCHNORM_BWD, sums = backward || spec->op == REMAT_OP_BATCHNORM;
    work.width = work.channels < WIDE ? WIDE / work.channels * work.channels : work.channels;
    work.threads = device->threads;
    work.parts = remat_parts(device, work.rows * work.channels);
    for (int i = 0; i < (backward ? VECTORS : VECTORS / 2); i++)
        work.vectors[i] = carve(&work, scratch, work.width * (int64_t)sizeof(float));
    if (sums) {
        work.blocks = carve(&work, scratch, work.parts * 2 * work.width * (int64_t)sizeof(float));
        work.sums = carve(&work, scratch, work.parts * 2 * work.width * (int64_t)sizeof(double));
    }
    return work;
}

/* What all parts have in common. */
static struct remat_batchnorm_rows rows_make(const struct workspace *work, const struct remat_kernel_spec *spec)
{
    return (struct remat_batchnorm_rows){.width = work->width,
                                         .relu = spec->attr.relu,
                                         .residual = spec->attr.residual,
                                         .mean = work->vectors[0],
                                         .scale = work->vectors[1],
                                         .beta = work->vectors[2],
                                         .slope = work->vectors[3],
                                         .tilt = work->vectors[4],
                                         .level = work->vectors[5]};
}

/* Rows of a forward pass; what is added is input `residual`. */
static struct remat_batchnorm_rows forward_rows(const struct workspace *work, const struct remat_kernel_spec *spec,
                                                const struct remat_kernel_args *args, int residual)
{
    struct remat_batchnorm_rows rows = rows_make(work, spec);
    rows.x = args->inputs[0];
    rows.z = spec->attr.residual ? args->inputs[residual] : NULL;
    rows.out = args->outputs[0];
    rows.stream = remat_streams(&spec->outputs[0], args->outputs[0], args);
    return rows;
}

static const float *shifted(const float *pointer, int64_t by)
{
    return pointer ? pointer + by : NULL;
}

static float *shifted_output(float *pointer, int64_t by)
{
    return pointer ? pointer + by : NULL;
}

static struct remat_batchnorm_rows rows_part(const struct workspace *work, const struct remat_batchnorm_rows *all,
                                             int32_t part)
{
    struct remat_range range = remat_split(work->rows * work->channels, work->width, part, work->parts);
    struct remat_batchnorm_rows rows = *all;
    rows.n = range.end - range.begin;
    rows.x = shifted(all->x, range.begin);
    rows.z = shifted(all->z, range.begin);
    rows.y = shifted(all->y, range.begin);
    rows.dy = shifted(all->dy, range.begin);
    rows.out = shifted_output(all->out, range.begin);
    rows.dz = shifted_output(all->dz, range.begin);
    return rows;
}

typedef void remat_sum_loop(const struct remat_batchnorm_rows *rows, float *block, double *sums);

static void sum_parts(const struct workspace *work, const struct remat_batchnorm_rows *all, remat_sum_loop *loop)
{
#pragma omp parallel for schedule(static) num_threads(work->threads)
    for (int32_t part = 0; part < work->parts; part++) {
        struct remat_batchnorm_rows rows = rows_part(work, all, part);
        double *sums = work->sums + part * 2 * work->width;
        memset(sums, 0, (size_t)(2 * work->width) * sizeof *sums);
        loop(&rows, work->blocks + part * 2 * work->width, sums);
    }
}

static void write_parts(const struct workspace *work, const struct remat_batchnorm_rows *all,
                        void (*loop)(const struct remat_batchnorm_rows *rows))
{
#pragma omp parallel for schedule(static) num_threads(work->threads)
    for (int32_t part = 0; part < work->parts; part++) {
        struct remat_batchnorm_rows rows = rows_part(work, all, part);
        loop(&rows);
    }
}

/* The sums of channel c, in the order of parts and columns. */
static void fold(const struct workspace *work, int64_t c, double *first, double *second)
{
    *first = *second = 0;
    for (int32_t part = 0; part < work->parts; part++) {
        const double *sums = work->sums + part * 2 * work->width;
        for (int64_t column = c; column < work->width; column += work->channels) {
            *first += sums[column];
            *second += sums[work->width + column];
        }
    }
}

/* Repeats a per-channel vector up to the width. */
static void repeat(const struct workspace *work, float *vector)
{
    for (int64_t column = work->channels; column < work->width; column++)
        vector[column] = vector[column - work->channels];
}

/* mean, scale and beta: one place for forward, recomputation and the sign test of backward. */
static void fill_normalisation(const struct workspace *work, const float *mean, const float *invstd, const float *gamma,
                               const float *beta)
{
    for (int64_t c = 0; c < work->channels; c++) {
        work->vectors[0][c] = mean[c];
        work->vectors[1][c] = gamma[c] * invstd[c];
        work->vectors[2][c] = beta[c];
    }
    for (int i = 0; i < 3; i++)
        repeat(work, work->vectors[i]);
}

static void follow(float *running, float momentum, double value)
{
    *running += momentum * (float)(value - (double)*running);
}

static void finish_statistics(const struct workspace *work, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args)
{
    float *mean = args->outputs[1], *invstd = args->outputs[2], *running_mean = args->cells[2],
          *running_var = args->cells[3];
    double m = (double)work->rows;
    for (int64_t c = 0; c < work->channels; c++) {
        double sum, squares, average, variance;
        fold(work, c, &sum, &squares);
        average = sum / m;
        variance = squares / m - average * average;
        variance = variance < 0 ? 0 : variance;
        mean[c] = (float)average;
        invstd[c] = (float)(1 / sqrt(variance + (double)spec->attr.epsilon));
        follow(&running_mean[c], spec->attr.momentum, average);
        follow(&running_var[c], spec->attr.momentum, work->rows > 1 ? variance * m / (m - 1) : variance);
    }
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_batchnorm_kernels *kernels = REMAT_SIMD_TABLE(device, remat_batchnorm_kernels);
    struct workspace work = workspace_make(device, spec, args->scratch);
    struct remat_batchnorm_rows rows = forward_rows(&work, spec, args, 1);
    (void)err;
    sum_parts(&work, &rows, kernels->statistics);
    finish_statistics(&work, spec, args);
    fill_normalisation(&work, args->outputs[1], args->outputs[2], args->cells[0], args->cells[1]);
    write_parts(&work, &rows, kernels->apply);
    return REMAT_OK;
}

static enum remat_status apply(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct workspace work = workspace_make(device, spec, args->scratch);
    struct remat_batchnorm_rows rows = forward_rows(&work, spec, args, 3);
    (void)err;
    fill_normalisation(&work, args->inputs[1], args->inputs[2], args->cells[0], args->cells[1]);
    write_parts(&work, &rows, REMAT_SIMD_TABLE(device, remat_batchnorm_kernels)->apply);
    return REMAT_OK;
}

static void fill_running(const struct workspace *work, const struct remat_kernel_spec *spec,
                         const struct remat_kernel_args *args)
{
    const float *gamma = args->cells[0], *beta = args->cells[1], *mean = args->cells[2], *variance = args->cells[3];
    for (int64_t c = 0; c < work->channels; c++) {
        work->vectors[0][c] = mean[c];
        work->vectors[1][c] = (float)((double)gamma[c] / sqrt((double)variance[c] + (double)spec->attr.epsilon));
        work->vectors[2][c] = beta[c];
    }
    for (int i = 0; i < 3; i++)
        repeat(work, work->vectors[i]);
}

static enum remat_status evaluate(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct workspace work = workspace_make(device, spec, args->scratch);
    struct remat_batchnorm_rows rows = forward_rows(&work, spec, args, 1);
    (void)err;
    fill_running(&work, spec, args);
    write_parts(&work, &rows, REMAT_SIMD_TABLE(device, remat_batchnorm_kernels)->apply);
    return REMAT_OK;
}

/* With D = x - mean: dbeta = sum g, dgamma = invstd sum g D, and
 * dx = gamma invstd (g - dbeta / M - D invstd dgamma / M) = slope g + tilt D + level. */
static void finish_gradient(const struct workspace *work, const struct remat_kernel_args *args)
{
    const float *invstd = args->inputs[2], *gamma = args->cells[0];
    float *dgamma = args->outputs[1], *dbeta = args->outputs[2];
    double m = (double)work->rows;
    for (int64_t c = 0; c < work->channels; c++) {
        double sum, moment, inverse = (double)invstd[c], slope = (double)gamma[c] * inverse;
        fold(work, c, &sum, &moment);
        dgamma[c] = (float)(moment * inverse);
        dbeta[c] = (float)sum;
        work->vectors[3][c] = (float)slope;
        work->vectors[4][c] = (float)(-slope * inverse * inverse * moment / m);
        work->vectors[5][c] = (float)(-slope * sum / m);
    }
    for (int i = 3; i < VECTORS; i++)
        repeat(work, work->vectors[i]);
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_batchnorm_kernels *kernels = REMAT_SIMD_TABLE(device, remat_batchnorm_kernels);
    struct workspace work = workspace_make(device, spec, args->scratch);
    struct remat_batchnorm_rows rows = rows_make(&work, spec);
    (void)err;
    rows.x = args->inputs[0];
    rows.dy = args->inputs[3];
    rows.y = spec->attr.relu && spec->attr.residual ? args->inputs[4] : NULL;
    rows.out = args->outputs[0];
    rows.dz = spec->attr.residual ? args->outputs[3] : NULL;
    rows.stream = remat_streams(&spec->outputs[0], args->outputs[0], args);
    fill_normalisation(&work, args->inputs[1], args->inputs[2], args->cells[0], args->cells[1]);
    sum_parts(&work, &rows, kernels->gradient_sums);
    finish_gradient(&work, args);
    write_parts(&work, &rows, kernels->gradient);
    return REMAT_OK;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = workspace_make(device, spec, NULL).bytes;
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_batchnorm, REMAT_OP_BATCHNORM, create, forward);
REMAT_CPU_LOOP(remat_cpu_batchnorm_apply, REMAT_OP_BATCHNORM_APPLY, create, apply);
REMAT_CPU_LOOP(remat_cpu_batchnorm_eval, REMAT_OP_BATCHNORM_EVAL, create, evaluate);
REMAT_CPU_LOOP(remat_cpu_batchnorm_bwd, REMAT_OP_BATCHNORM_BWD, create, backward);
