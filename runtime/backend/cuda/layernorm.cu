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

/* A warp reads W columns a thread at a time. T: the type of x, y and their gradients. */
template <int W, class T>
__device__ void apply_row(const T *x, T *y, const float *gamma, const float *beta, int64_t columns, float mean,
                          float rstd, int lane)
{
    for (int64_t c = lane * W; c < columns; c += REMAT_WARP * W) {
        float v[W], g[W], b[W];
        remat_load<W>(x, c, v);
        remat_load<W>(gamma, c, g);
        remat_load<W>(beta, c, b);
        for (int k = 0; k < W; k++)
            v[k] = remat_normalise(v[k], mean, g[k] * rstd, b[k]);
        remat_store<W>(y, c, v);
    }
}

__device__ int64_t row_of_warp()
{
    return (int64_t)blockIdx.x * ROWS_A_BLOCK + threadIdx.x / REMAT_WARP;
}

template <int W, class T>
__global__ void train_rows(const T *x, T *y, float *means, float *rstds, const float *gamma, const float *beta,
                           int64_t rows, int64_t columns, float epsilon)
{
    int64_t row = row_of_warp();
    int lane = threadIdx.x % REMAT_WARP;
    float sum = 0, squares = 0, mean, rstd, v[W];
    if (row >= rows)
        return;
    x += row * columns;
    for (int64_t c = lane * W; c < columns; c += REMAT_WARP * W) {
        remat_load<W>(x, c, v);
        for (int k = 0; k < W; k++)
            sum += v[k];
    }
    mean = sum_of(sum) / (float)columns;
    for (int64_t c = lane * W; c < columns; c += REMAT_WARP * W) {
        remat_load<W>(x, c, v);
        for (int k = 0; k < W; k++)
            squares = remat_fma(v[k] - mean, v[k] - mean, squares);
    }
    rstd = 1.0f / sqrtf(sum_of(squares) / (float)columns + epsilon);
    if (lane == 0) {
        means[row] = mean;
        rstds[row] = rstd;
    }
    apply_row<W>(x, y + row * columns, gamma, beta, columns, mean, rstd, lane);
}

template <int W, class T>
__global__ void apply_rows(const T *x, const float *means, const float *rstds, T *y, const float *gamma,
                           const float *beta, int64_t rows, int64_t columns)
{
    int64_t row = row_of_warp();
    if (row < rows)
        apply_row<W>(x + row * columns, y + row * columns, gamma, beta, columns, means[row], rstds[row],
                     threadIdx.x % REMAT_WARP);
}

template <int W, class T>
__global__ void backward_rows(const T *x, const float *means, const float *rstds, const T *dy, const T *g0, T *dx,
                              const float *gamma, int64_t rows, int64_t columns)
{
    int64_t row = row_of_warp(), at = row * columns, first = threadIdx.x % REMAT_WARP * W;
    float sum = 0, moment = 0, mean, rstd, v[W], e[W], g[W];
    if (row >= rows)
        return;
    mean = means[row];
    rstd = rstds[row];
    for (int64_t c = first; c < columns; c += REMAT_WARP * W) {
        remat_load<W>(x, at + c, v);
        remat_load<W>(dy, at + c, e);
        remat_load<W>(gamma, c, g);
        for (int k = 0; k < W; k++) {
            sum += g[k] * e[k];
            moment = remat_fma(g[k] * e[k], (v[k] - mean) * rstd, moment);
        }
    }
    sum = sum_of(sum) / (float)columns;
    moment = sum_of(moment) / (float)columns;
    for (int64_t c = first; c < columns; c += REMAT_WARP * W) {
        remat_load<W>(x, at + c, v);
        remat_load<W>(dy, at + c, e);
        remat_load<W>(gamma, c, g);
        for (int k = 0; k < W; k++)
            v[k] = rstd * (g[k] * e[k] - sum - (v[k] - mean) * rstd * moment);
        if (g0) {
            remat_load<W>(g0, at + c, g);
            for (int k = 0; k < W; k++)
                v[k] += g[k];
        }
        remat_store<W>(dx, at + c, v);
    }
}

template <class T> struct terms {
    const T *x, *dy;
    const float *means, *rstds;
    int64_t columns;
    template <int W> struct of {
    };
    template <int W> struct row {
        struct remat_raw<W, T> dy, x;
        float mean, rstd;
    };
    template <int W> __device__ void prepare(int64_t, of<W> *) const
    {
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        r->dy = remat_fetch<W>(dy, at * columns + c);
        r->x = remat_fetch<W>(x, at * columns + c);
        r->mean = means[at];
        r->rstd = rstds[at];
    }
    template <int W> __device__ void add(const of<W> &, const row<W> &r, float *a, float *b) const
    {
        float g[W], v[W];
        remat_decode<W, T>(r.dy, g);
        remat_decode<W, T>(r.x, v);
        for (int e = 0; e < W; e++) {
            a[e] += g[e];
            b[e] = remat_fma(g[e], (v[e] - r.mean) * r.rstd, b[e]);
        }
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

template <int W, class T>
enum remat_status train_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]);
    REMAT_LAUNCH((train_rows<W, T>), blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    ((const T *)args->inputs[0], (T *)args->outputs[0], (float *)args->outputs[1], (float *)args->outputs[2],
     (const float *)args->cells[0], (const float *)args->cells[1], rows, remat_tensor_columns(&spec->inputs[0]),
     spec->attr.epsilon);
    return remat_launched(err);
}

template <int W, class T>
enum remat_status apply_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]);
    REMAT_LAUNCH((apply_rows<W, T>), blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    ((const T *)args->inputs[0], (const float *)args->inputs[1], (const float *)args->inputs[2], (T *)args->outputs[0],
     (const float *)args->cells[0], (const float *)args->cells[1], rows, remat_tensor_columns(&spec->inputs[0]));
    return remat_launched(err);
}

/* The sums come first: dx may lie over what they read. */
template <int W, class T>
enum remat_status backward_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    const T *x = (const T *)args->inputs[0], *dy = (const T *)args->inputs[3];
    const float *means = (const float *)args->inputs[1], *rstds = (const float *)args->inputs[2];
    struct terms<T> of = {
        x, dy, means, rstds, columns
    };
    struct sums done = {(float *)args->outputs[1], (float *)args->outputs[2]};
    REMAT_TRY(remat_column_sums<T>(device, of, done, rows, columns, (float *)args->scratch, err));
    REMAT_LAUNCH((backward_rows<W, T>), blocks_of(rows), REMAT_BLOCK, 0, device->stream)
    (x, means, rstds, dy, spec->attr.accumulate ? (const T *)args->inputs[4] : NULL, (T *)args->outputs[0],
     (const float *)args->cells[0], rows, columns);
    return remat_launched(err);
}

REMAT_BY_WIDTH(train)
REMAT_BY_WIDTH(apply)
REMAT_BY_WIDTH(backward)

enum remat_status create_sums(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                              int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = remat_slices_bytes(remat_tensor_rows(&spec->inputs[0]), remat_tensor_columns(&spec->inputs[0]));
    return REMAT_OK;
}
} // namespace

const struct remat_op_impl remat_cuda_layernorm = {
    REMAT_OP_LAYERNORM, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(train), NULL};
const struct remat_op_impl remat_cuda_layernorm_apply = {
    REMAT_OP_LAYERNORM_APPLY, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(apply),     NULL};
const struct remat_op_impl remat_cuda_layernorm_bwd = {
    REMAT_OP_LAYERNORM_BWD, "kernel", 0, remat_cuda_supports_floats, create_sums, REMAT_BY_TYPE(backward), NULL};
