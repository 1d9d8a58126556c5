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
/* T: the type of x, y, z and their gradients. */
template <class T> struct normalise {
    const T *x, *z;                            /* z NULL: none */
    const float *mean, *spread, *gamma, *beta; /* spread: invstd, or the variance in evaluation */
    T *y;
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

template <class T> struct moment_terms {
    const T *x;
    int64_t columns;
    template <int W> __device__ void run(int64_t row, int64_t c, float *a, float *b) const
    {
        float v[W], pivot[W];
        remat_load<W>(x, row * columns + c, v);
        remat_load<W>(x, c, pivot);
        for (int k = 0; k < W; k++) {
            float d = v[k] - pivot[k];
            a[k] += d;
            b[k] = remat_fma(d, d, b[k]);
        }
    }
};

template <class T> struct moments {
    const T *x;
    float *mean, *invstd, *running_mean, *running_var;
    double rows;
    float epsilon, momentum;
    __device__ void operator()(int64_t c, double a, double b) const
    {
        double m = (double)remat_float(x[c]) + a / rows, variance = (b - a * a / rows) / rows;
        variance = variance < 0 ? 0 : variance;
        mean[c] = (float)m;
        invstd[c] = (float)(1 / sqrt(variance + (double)epsilon));
        running_mean[c] += momentum * ((float)m - running_mean[c]);
        variance = rows > 1 ? variance * rows / (rows - 1) : variance;
        running_var[c] += momentum * ((float)variance - running_var[c]);
    }
};

/* What the backward kernels share: the gradient behind the rectifier, and the normalised x. */
template <class T> struct gradient {
    const T *x, *dy, *y; /* y NULL: its sign is made again from x */
    const float *mean, *invstd, *gamma, *beta;
    bool relu;

    template <int W> __device__ void load(int64_t i, int64_t c, float *g, float *xhat) const
    {
        float v[W], m[W], s[W];
        remat_load<W>(x, i, v);
        remat_load<W>(dy, i, g);
        remat_load<W>(mean, c, m);
        remat_load<W>(invstd, c, s);
        if (relu)
            mask<W>(i, c, v, m, s, g);
        for (int k = 0; k < W; k++)
            xhat[k] = (v[k] - m[k]) * s[k];
    }

    template <int W>
    __device__ void mask(int64_t i, int64_t c, const float *v, const float *m, const float *s, float *g) const
    {
        float w[W], b[W];
        if (y) {
            remat_load<W>(y, i, w);
        } else {
            remat_load<W>(gamma, c, w);
            remat_load<W>(beta, c, b);
            for (int k = 0; k < W; k++)
                w[k] = remat_normalise(v[k], m[k], w[k] * s[k], b[k]);
        }
        for (int k = 0; k < W; k++)
            g[k] = remat_relu_mask(w[k], g[k]);
    }
};

template <class T> struct gradient_terms {
    struct gradient<T> of;
    int64_t columns;
    template <int W> __device__ void run(int64_t row, int64_t c, float *a, float *b) const
    {
        float g[W], xhat[W];
        of.template load<W>(row * columns + c, c, g, xhat);
        for (int k = 0; k < W; k++) {
            a[k] += g[k];
            b[k] = remat_fma(g[k], xhat[k], b[k]);
        }
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

template <class T> struct input_gradient {
    struct gradient<T> of;
    const float *dgamma, *dbeta;
    T *dx, *dz; /* dz NULL: none */
    float inverse_rows;

    template <int W> __device__ void run(int64_t i, int64_t c) const
    {
        float g[W], xhat[W], out[W];
        of.template load<W>(i, c, g, xhat);
        for (int k = 0; k < W; k++)
            out[k] =
                of.gamma[c + k] * of.invstd[c + k] * (g[k] - inverse_rows * (dbeta[c + k] + xhat[k] * dgamma[c + k]));
        if (dz)
            remat_store<W>(dz, i, g);
        remat_store<W>(dx, i, out);
    }
};

template <class T>
struct normalise<T> apply_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int32_t z) {
    struct normalise<T> n = {
    };
    n.x = (const T *)args->inputs[0];
    n.z = spec->attr.residual ? (const T *)args->inputs[z] : NULL;
    n.gamma = (const float *)args->cells[0];
    n.beta = (const float *)args->cells[1];
    n.y = (T *)args->outputs[0];
    n.epsilon = spec->attr.epsilon;
    n.relu = spec->attr.relu;
    return n;
}

template <class T>
enum remat_status run_apply(const struct remat_device *device, const struct remat_kernel_spec *spec,
                            const struct normalise<T> &n, struct remat_error *err)
{
    return remat_by_column<T>(device, n, remat_tensor_elements(&spec->inputs[0]),
                              remat_tensor_columns(&spec->inputs[0]), err);
}

template <class T>
enum remat_status train(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    struct normalise<T> n = apply_of<T>(spec, args, 1);
    struct moment_terms<T> terms = {
        n.x, columns
    };
    struct moments<T> done = {
        n.x, (float *)args->outputs[1], (float *)args->outputs[2], (float *)args->cells[2], (float *)args->cells[3],
            (double)rows, spec->attr.epsilon, spec->attr.momentum
    };
    n.mean = done.mean;
    n.spread = done.invstd;
    REMAT_TRY(remat_column_sums<T>(device, terms, done, rows, columns, (float *)args->scratch, err));
    return run_apply<T>(device, spec, n, err);
}

template <class T>
enum remat_status apply(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                        struct remat_error *err)
{
    struct normalise<T> n = apply_of<T>(spec, args, 3);
    n.mean = (const float *)args->inputs[1];
    n.spread = (const float *)args->inputs[2];
    return run_apply<T>((const struct remat_device *)state, spec, n, err);
}

template <class T>
enum remat_status evaluate(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    struct normalise<T> n = apply_of<T>(spec, args, 1);
    n.mean = (const float *)args->cells[2];
    n.spread = (const float *)args->cells[3];
    n.evaluate = true;
    return run_apply<T>((const struct remat_device *)state, spec, n, err);
}

template <class T>
enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    bool saved = spec->attr.relu && spec->attr.residual;
    struct gradient<T> of = {
        (const T *)args->inputs[0], (const T *)args->inputs[3], saved ? (const T *)args->inputs[4] : NULL,
            (const float *)args->inputs[1], (const float *)args->inputs[2], (const float *)args->cells[0],
            (const float *)args->cells[1], spec->attr.relu
    };
    struct gradient_sums sums = {(float *)args->outputs[1], (float *)args->outputs[2]};
    struct input_gradient<T> last = {
        of, sums.dgamma, sums.dbeta, (T *)args->outputs[0], spec->attr.residual ? (T *)args->outputs[3] : NULL,
            1.0f / (float)rows
    };
    struct gradient_terms<T> terms = {
        of, columns
    };
    REMAT_TRY(remat_column_sums<T>(device, terms, sums, rows, columns, (float *)args->scratch, err));
    return remat_by_column<T>(device, last, rows * columns, columns, err);
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

const struct remat_op_impl remat_cuda_batchnorm = {
    REMAT_OP_BATCHNORM, "kernel", 0, remat_cuda_supports_floats, create_sums, REMAT_BY_TYPE(train), NULL};
const struct remat_op_impl remat_cuda_batchnorm_apply = {
    REMAT_OP_BATCHNORM_APPLY, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(apply),     NULL};
const struct remat_op_impl remat_cuda_batchnorm_eval = {
    REMAT_OP_BATCHNORM_EVAL, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(evaluate), NULL};
const struct remat_op_impl remat_cuda_batchnorm_bwd = {
    REMAT_OP_BATCHNORM_BWD, "kernel", 0, remat_cuda_supports_floats, create_sums, REMAT_BY_TYPE(backward), NULL};
