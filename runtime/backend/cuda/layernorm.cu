/* Layer normalisation of the rows of x[M,C], a warp a row.
 *
 *   y = gamma (x - mean) rstd + beta
 *   with e = gamma dy: dx = rstd (e - mean(e) - xhat mean(e xhat)) (+ g0); dgamma = sum dy xhat, dbeta = sum dy */
#include "runtime/backend/cuda/columns.h"

namespace
{
enum { ROWS_A_BLOCK = REMAT_BLOCK / REMAT_WARP };

__device__ float sum_of(float value)
{
    return remat_over_warp(value, remat_take_sum());
}

__device__ void apply_row(const float *x, float *y, const float *gamma, const float *beta, int64_t columns, float mean,
                          float rstd, int lane)
{
    for (int64_t c = lane; c < columns; c += REMAT_WARP)
        y[c] = remat_normalise(x[c], mean, gamma[c] * rstd, beta[c]);
}

__device__ int64_t row_of_warp()
{
    return (int64_t)blockIdx.x * ROWS_A_BLOCK + threadIdx.x / REMAT_WARP;
}

__global__ void train_rows(const float *x, float *y, float *means, float *rstds, const float *gamma, const float *beta,
                           int64_t rows, int64_t columns, float epsilon)
{
    int64_t row = row_of_warp();
    int lane = threadIdx.x % REMAT_WARP;
    float sum = 0, squares = 0, mean, rstd;
    if (row >= rows)
        return;
    x += row * columns;
    for (int64_t c = lane; c < columns; c += REMAT_WARP)
        sum += x[c];
    mean = sum_of(sum) / (float)columns;
    for (int64_t c = lane; c < columns; c += REMAT_WARP)
        squares = remat_fma(x[c] - mean, x[c] - mean, squares);
    rstd = 1.0f / sqrtf(sum_of(squares) / (float)columns + epsilon);
    if (lane == 0) {
        means[row] = mean;
        rstds[row] = rstd;
    }
    apply_row(x, y + row * columns, gamma, beta, columns, mean, rstd, lane);
}

__global__ void apply_rows(const float *x, const float *means, const float *rstds, float *y, const float *gamma,
                           const float *beta, int64_t rows, int64_t columns)
{
    int64_t row = row_of_warp();
    if (row < rows)
        apply_row(x + row * columns, y + row * columns, gamma, beta, columns, means[row], rstds[row],
                  threadIdx.x % REMAT_WARP);
}

__global__ void backward_rows(const float *x, const float *means, const float *rstds, const float *dy, const float *g0,
                              float *dx, const float *gamma, int64_t rows, int64_t columns)
{
    int64_t row = row_of_warp(), at = row * columns;
    float sum = 0, moment = 0, mean, rstd;
    if (row >= rows)
        return;
    mean = means[row];
    rstd = rstds[row];
    for (int64_t c = threadIdx.x % REMAT_WARP; c < columns; c += REMAT_WARP) {
        float e = gamma[c] * dy[at + c];
        sum += e;
        moment = remat_fma(e, (x[at + c] - mean) * rstd, moment);
    }
    sum = sum_of(sum) / (float)columns;
    moment = sum_of(moment) / (float)columns;
    for (int64_t c = threadIdx.x % REMAT_WARP; c < columns; c += REMAT_WARP) {
        float e = gamma[c] * dy[at + c], xhat = (x[at + c] - mean) * rstd;
        float d = rstd * (e - sum - xhat * moment);
        dx[at + c] = g0 ? d + g0[at + c] : d;
    }
}

struct terms {
    const float *x, *means, *rstds, *dy;
    int64_t columns;
    __device__ void operator()(int64_t row, int64_t c, float *a, float *b) const
    {
        float g = dy[row * columns + c];
        *a += g;
        *b = remat_fma(g, (x[row * columns + c] - means[row]) * rstds[row], *b);
    }
};

struct sums {
    float *dgamma, *dbeta;
    __device__ void operator()(int64_t c, double a, double b) const
    {
        dbeta[c] = (float)a;
        dgamma[c] = (float)b;
    }
};

unsigned blocks_of(int64_t rows)
{
    return (unsigned)remat_ceil(rows, ROWS_A_BLOCK);
}

enum remat_status train(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]);
    REMAT_LAUNCH(train_rows, blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    ((const float *)args->inputs[0], (float *)args->outputs[0], (float *)args->outputs[1], (float *)args->outputs[2],
     (const float *)args->cells[0], (const float *)args->cells[1], rows, remat_tensor_columns(&spec->inputs[0]),
     spec->attr.epsilon);
    return remat_launched(err);
}

enum remat_status apply(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]);
    REMAT_LAUNCH(apply_rows, blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    ((const float *)args->inputs[0], (const float *)args->inputs[1], (const float *)args->inputs[2],
     (float *)args->outputs[0], (const float *)args->cells[0], (const float *)args->cells[1], rows,
     remat_tensor_columns(&spec->inputs[0]));
    return remat_launched(err);
}

/* The sums come first: dx may lie over what they read. */
enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    const float *x = (const float *)args->inputs[0], *means = (const float *)args->inputs[1],
                *rstds = (const float *)args->inputs[2], *dy = (const float *)args->inputs[3];
    struct terms of = {x, means, rstds, dy, columns};
    struct sums done = {(float *)args->outputs[1], (float *)args->outputs[2]};
    REMAT_TRY(remat_column_sums(device, of, done, rows, columns, (float *)args->scratch, err));
    REMAT_LAUNCH(backward_rows, blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    (x, means, rstds, dy, spec->attr.accumulate ? (const float *)args->inputs[4] : NULL, (float *)args->outputs[0],
     (const float *)args->cells[0], rows, columns);
    return remat_launched(err);
}

enum remat_status create_sums(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                              int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = remat_slices_bytes(remat_tensor_rows(&spec->inputs[0]), remat_tensor_columns(&spec->inputs[0]));
    return REMAT_OK;
}
} // namespace

const struct remat_op_impl remat_cuda_layernorm = {REMAT_OP_LAYERNORM,      "kernel", 0,   remat_cuda_supports_f32,
                                                   remat_cuda_create_plain, train,    NULL};
const struct remat_op_impl remat_cuda_layernorm_apply = {
    REMAT_OP_LAYERNORM_APPLY, "kernel", 0, remat_cuda_supports_f32, remat_cuda_create_plain, apply, NULL};
const struct remat_op_impl remat_cuda_layernorm_bwd = {
    REMAT_OP_LAYERNORM_BWD, "kernel", 0, remat_cuda_supports_f32, create_sums, backward, NULL};
