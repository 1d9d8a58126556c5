#include "runtime/backend/cpu/loss.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/split.h"

/* Doubles between the partial sums of two threads: a cache line. */
enum { STRIDE = 8 };

int64_t remat_cpu_loss_scratch_bytes(const struct remat_device *device)
{
    return device->threads * STRIDE * (int64_t)sizeof(double);
}

void remat_cpu_loss_rows(const struct remat_device *device, const struct remat_loss_rows *rows, double *metrics,
                         void *scratch)
{
    int32_t parts = remat_parts(device, rows->rows * rows->classes);
    double *sums = scratch;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(rows->rows, 1, part, parts);
        struct remat_loss_rows own = *rows;
        double *sum = sums + part * STRIDE;
        own.rows = range.end - range.begin;
        own.logits += range.begin * rows->classes;
        own.labels += range.begin;
        own.dlogits = rows->dlogits ? rows->dlogits + range.begin * rows->classes : NULL;
        sum[0] = sum[1] = sum[2] = 0;
        REMAT_SIMD_TABLE(device, remat_loss_kernels)->rows(&own, sum);
    }
    for (int32_t part = 0; part < parts; part++) {
        for (int k = 0; k < 3; k++)
            metrics[k] += sums[part * STRIDE + k];
    }
}

enum remat_status remat_cpu_check_labels(const int32_t *labels, int64_t rows, int64_t classes, struct remat_error *err)
{
    for (int64_t i = 0; i < rows; i++) {
        if (labels[i] >= classes)
            return remat_fail(err, REMAT_BAD_DATA, "label %d of row %lld is not below the number of classes, %lld",
                              (int)labels[i], (long long)i, (long long)classes);
    }
    return REMAT_OK;
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    bool training = spec->op == REMAT_OP_LOSS;
    struct remat_loss_rows rows = {.rows = remat_tensor_rows(&spec->inputs[0]),
                                   .classes = remat_tensor_columns(&spec->inputs[0]),
                                   .logits = args->inputs[0],
                                   .labels = args->inputs[1]};
    REMAT_TRY(remat_cpu_check_labels(rows.labels, rows.rows, rows.classes, err));
    if (training) {
        rows.dlogits = args->outputs[0];
        rows.smoothing = spec->attr.smoothing;
        rows.factor = args->record->loss_scale / (float)rows.rows;
    }
    remat_cpu_loss_rows(state, &rows, args->cells[0], args->scratch);
    return REMAT_OK;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    (void)spec;
    (void)err;
    *state = device;
    *scratch_bytes = remat_cpu_loss_scratch_bytes(device);
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_loss, REMAT_OP_LOSS, create, run);
REMAT_CPU_LOOP(remat_cpu_loss_eval, REMAT_OP_LOSS_EVAL, create, run);
