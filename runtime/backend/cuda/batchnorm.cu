/* Batch normalisation over the rows of x[M,C], with an optional residual z and ReLU.
 *
 *   y = f(gamma (x - mean) invstd + beta + z)
 *   dbeta = sum g, dgamma = sum g xhat, dx = gamma invstd (g - dbeta / M - xhat dgamma / M), dz = g
 *
 * Moments in one pass, about a pivot (the column's first element) so that little cancels: with d = x - pivot,
 * mean = pivot + sum d / M, variance = (sum d^2 - (sum d)^2 / M) / M. Recomputation runs the forward's own last kernel
 * on the saved moments: the same bits. */
#include "runtime/backend/cuda/columns.h"

namespace
{
struct normalise {
    const float *x, *z, *mean, *spread, *gamma, *beta; /* z NULL: none; spread: invstd, or the variance in evaluation */
    float *y;
    float epsilon;
    bool relu, evaluate;

    template <int W> __device__ void run(int64_t i, int64_t c) const
    {
        float v[W], m[W], s[W], g[W], b[W], r[W];
        remat_load<W>(x, i, v);
        remat_load<W>(mean, c, m);
        remat_load<W>(spread, c, s);
        remat_load<W>(gamma, c, g);
        remat_load<W>(beta, c, b);
        if (z)
            remat_load<W>(z, i, r);
        for (int k = 0; k < W; k++) {
            float invstd = evaluate ? 1.0f / sqrtf(s[k] + epsilon) : s[k];
            v[k] = remat_normalise(v[k], m[k], g[k] * invstd, b[k]);
            v[k] = z ? v[k] + r[k] : v[k];
            v[k] = relu ? remat_relu(v[k]) : v[k];
        }
        remat_store<W>(y, i, v);
    }
};

struct moment_terms {
    const float *x;
    int64_t columns;
    __device__ void operator()(int64_t row, int64_t c, float *a, float *b) const
    {
        float d = x[row * columns + c] - x[c];
        *a += d;
        *b = remat_fma(d, d, *b);
    }
};

struct moments {
    const float *x;
    float *mean, *invstd, *running_mean, *running_var;
    double rows;
    float epsilon, momentum;
    __device__ void operator()(int64_t c, double a, double b) const
    {
        double m = (double)x[c] + a / rows, variance = (b - a * a / rows) / rows;
        variance = variance < 0 ? 0 : variance;
        mean[c] = (float)m;
        invstd[c] = (float)(1 / sqrt(variance + (double)epsilon));
        running_mean[c] += momentum * ((float)m - running_mean[c]);
        variance = rows > 1 ? variance * rows / (rows - 1) : variance;
        running_var[c] += momentum * ((float)variance - running_var[c]);
    }
};

/* What the backward kernels share: the gradient behind the rectifier. */
struct gradient {
    const float *x, *mean, *invstd, *dy, *y, *gamma, *beta; /* y NULL: its sign is made again from x */
    bool relu;
    __device__ float masked(float xi, float dyi, float yi, int64_t c) const
    {
        if (!relu)
            return dyi;
        return remat_relu_mask(y ? yi : remat_normalise(xi, mean[c], gamma[c] * invstd[c], beta[c]), dyi);
    }
};

struct gradient_terms {
    struct gradient of;
    int64_t columns;
    __device__ void operator()(int64_t row, int64_t c, float *a, float *b) const
    {
        int64_t i = row * columns + c;
        float g = of.masked(of.x[i], of.dy[i], of.y ? of.y[i] : 0.0f, c);
        *a += g;
        *b = remat_fma(g, (of.x[i] - of.mean[c]) * of.invstd[c], *b);
    }
};

struct gradient_sums {
    float *dgamma, *dbeta;
    __device__ void operator()(int64_t c, double a, double b) const
    {
        dbeta[c] = (float)a;
        dgamma[c] = (float)b;
    }
};

struct input_gradient {
    struct gradient of;
    const float *dgamma, *dbeta;
    float *dx, *dz; /* dz NULL: none */
    float inverse_rows;

    template <int W> __device__ void run(int64_t i, int64_t c) const
    {
        float x[W], dy[W], y[W], g[W];
        remat_load<W>(of.x, i, x);
        remat_load<W>(of.dy, i, dy);
        if (of.y)
            remat_load<W>(of.y, i, y);
        for (int k = 0; k < W; k++) {
            float xhat = (x[k] - of.mean[c + k]) * of.invstd[c + k];
            g[k] = of.masked(x[k], dy[k], of.y ? y[k] : 0.0f, c + k);
            x[k] = of.gamma[c + k] * of.invstd[c + k] * (g[k] - inverse_rows * (dbeta[c + k] + xhat * dgamma[c + k]));
        }
        if (dz)
            remat_store<W>(dz, i, g);
        remat_store<W>(dx, i, x);
    }
};

struct normalise apply_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int32_t z)
{
    struct normalise n = {};
    n.x = (const float *)args->inputs[0];
    n.z = spec->attr.residual ? (const float *)args->inputs[z] : NULL;
    n.gamma = (const float *)args->cells[0];
    n.beta = (const float *)args->cells[1];
    n.y = (float *)args->outputs[0];
    n.epsilon = spec->attr.epsilon;
    n.relu = spec->attr.relu;
    return n;
}

enum remat_status run_apply(const struct remat_device *device, const struct remat_kernel_spec *spec,
                            const struct normalise &n, struct remat_error *err)
{
    return remat_by_column(device, n, remat_tensor_elements(&spec->inputs[0]), remat_tensor_columns(&spec->inputs[0]),
                           err);
}

enum remat_status train(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    struct normalise n = apply_of(spec, args, 1);
    struct moment_terms terms = {n.x, columns};
    struct moments done = {n.x,
                           (float *)args->outputs[1],
                           (float *)args->outputs[2],
                           (float *)args->cells[2],
                           (float *)args->cells[3],
                           (double)rows,
                           spec->attr.epsilon,
                           spec->attr.momentum};
    n.mean = done.mean;
    n.spread = done.invstd;
    REMAT_TRY(remat_column_sums(device, terms, done, rows, columns, (float *)args->scratch, err));
    return run_apply(device, spec, n, err);
}

enum remat_status apply(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    struct normalise n = apply_of(spec, args, 3);
    n.mean = (const float *)args->inputs[1];
    n.spread = (const float *)args->inputs[2];
    return run_apply((const struct remat_device *)state, spec, n, err);
}

enum remat_status evaluate(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    struct normalise n = apply_of(spec, args, 1);
    n.mean = (const float *)args->cells[2];
    n.spread = (const float *)args->cells[3];
    n.evaluate = true;
    return run_apply((const struct remat_device *)state, spec, n, err);
}

enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    bool saved = spec->attr.relu && spec->attr.residual;
    struct gradient of = {(const float *)args->inputs[0],
                          (const float *)args->inputs[1],
                          (const float *)args->inputs[2],
                          (const float *)args->inputs[3],
                          saved ? (const float *)args->inputs[4] : NULL,
                          (const float *)args->cells[0],
                          (const float *)args->cells[1],
                          spec->attr.relu};
    struct gradient_sums sums = {(float *)args->outputs[1], (float *)args->outputs[2]};
    struct input_gradient last = {of,
                                  sums.dgamma,
                                  sums.dbeta,
                                  (float *)args->outputs[0],
                                  spec->attr.residual ? (float *)args->outputs[3] : NULL,
                                  1.0f / (float)rows};
    struct gradient_terms terms = {of, columns};
    REMAT_TRY(remat_column_sums(device, terms, sums, rows, columns, (float *)args->scratch, err));
    return remat_by_column(device, last, rows * columns, columns, err);
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

const struct remat_op_impl remat_cuda_batchnorm = {REMAT_OP_BATCHNORM, "kernel", 0,   remat_cuda_supports_f32,
                                                   create_sums,        train,    NULL};
const struct remat_op_impl remat_cuda_batchnorm_apply = {
    REMAT_OP_BATCHNORM_APPLY, "kernel", 0, remat_cuda_supports_f32, remat_cuda_create_plain, apply, NULL};
const struct remat_op_impl remat_cuda_batchnorm_eval = {REMAT_OP_BATCHNORM_EVAL, "kernel", 0,   remat_cuda_supports_f32,
                                                        remat_cuda_create_plain, evaluate, NULL};
const struct remat_op_impl remat_cuda_batchnorm_bwd = {
    REMAT_OP_BATCHNORM_BWD, "kernel", 0, remat_cuda_supports_f32, create_sums, backward, NULL};
