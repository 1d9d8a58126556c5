/* Linear layers: y = x w' + b, dx = dy w, dw = dy' x, db = column sums of dy. */
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/cpu/loops.h"

#include "runtime/backend/cpu/gemm.h"
#include "runtime/backend/cpu/share.h"

#include <string.h>

/* x is [rows, C], y is [rows, K]. */
static struct remat_gemm product_of(const struct remat_kernel_spec *spec)
{
    struct remat_gemm gemm = {.alpha = 1.0f};
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), inputs, outputs;
    switch (spec->op) {
    case REMAT_OP_LINEAR:
        inputs = remat_tensor_columns(&spec->inputs[0]);
        outputs = remat_tensor_columns(&spec->outputs[0]);
        gemm.m = rows, gemm.n = outputs, gemm.k = inputs;
        gemm.lda = inputs, gemm.ldb = inputs, gemm.ldc = outputs;
        gemm.trans_b = true;
        break;
    case REMAT_OP_LINEAR_BWD_DATA:
        inputs = remat_tensor_columns(&spec->outputs[0]);
        outputs = remat_tensor_columns(&spec->inputs[0]);
        gemm.m = rows, gemm.n = inputs, gemm.k = outputs;
        gemm.lda = outputs, gemm.ldb = inputs, gemm.ldc = inputs;
        break;
    default:
        inputs = remat_tensor_columns(&spec->inputs[0]);
        outputs = remat_tensor_columns(&spec->inputs[1]);
        gemm.m = outputs, gemm.n = inputs, gemm.k = rows;
        gemm.lda = outputs, gemm.ldb = inputs, gemm.ldc = inputs;
        gemm.trans_a = true;
        break;
    }
    return gemm;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_gemm gemm = product_of(spec);
    (void)err;
    *state = device;
    *scratch_bytes = remat_gemm_scratch_bytes(device, &gemm, device->threads);
    return REMAT_OK;
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_gemm gemm = product_of(spec);
    (void)err;
    gemm.bias = spec->attr.bias ? args->cells[1] : NULL;
    remat_gemm_run(device, &gemm, args->inputs[0], args->cells[0], args->outputs[0], args->scratch, device->threads);
    return REMAT_OK;
}

static enum remat_status bwd_data(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_gemm gemm = product_of(spec);
    (void)err;
    remat_gemm_run(device, &gemm, args->inputs[0], args->cells[0], args->outputs[0], args->scratch, device->threads);
    return REMAT_OK;
}

/* Each thread sums whole columns, from the first row to the last. */
static void sum_columns(const struct remat_device *device, int64_t rows, int64_t columns, const float *dy, float *db)
{
#pragma omp parallel for num_threads(device->threads) schedule(static)
    for (int32_t thread = 0; thread < device->threads; thread++) {
        int64_t begin = remat_share(columns, 16, thread, device->threads);
        int64_t end = remat_share(columns, 16, thread + 1, device->threads);
        memset(db + begin, 0, (size_t)(end - begin) * sizeof *db);
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = begin; j < end; j++)
                db[j] += dy[i * columns + j];
    }
}

static enum remat_status bwd_weights(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct remat_gemm gemm = product_of(spec);
    (void)err;
    remat_gemm_run(device, &gemm, args->inputs[1], args->inputs[0], args->outputs[0], args->scratch, device->threads);
    if (spec->attr.bias)
        sum_columns(device, gemm.k, gemm.m, args->inputs[1], args->outputs[1]);
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_linear = {
    .op = REMAT_OP_LINEAR, .name = "gemm", .supports = remat_cpu_is_f32, .create = create, .run = forward};
const struct remat_op_impl remat_cpu_linear_bwd_data = {
    .op = REMAT_OP_LINEAR_BWD_DATA, .name = "gemm", .supports = remat_cpu_is_f32, .create = create, .run = bwd_data};
const struct remat_op_impl remat_cpu_linear_bwd_weights = {.op = REMAT_OP_LINEAR_BWD_WEIGHTS,
                                                           .name = "gemm",
                                                           .supports = remat_cpu_is_f32,
                                                           .create = create,
                                                           .run = bwd_weights};
