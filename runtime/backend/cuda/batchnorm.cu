/* Batch normalisation over the rows of x[M,C], with an optional residual z and ReLU.
 *
 *   y = f(gamma (x - mean) invstd + beta + z)
 *   dbeta = sum g, dgamma = invstd sum g (x - mean), dx = gamma invstd (g - dbeta / M - xhat dgamma / M), dz = g
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
    int64_t columns;
    float epsilon;
    bool relu, evaluate;

    enum { TOGETHER = 4 };
    template <int W> struct of {
        float mean[W], scale[W], beta[W];
    };
    template <int W> struct row {
        struct remat_raw<W, T> x, z;
    };
    template <int W> __device__ void prepare(int64_t c, of<W> *k) const
    {
        float s[W];
        remat_load<W>(mean, c, k->mean);
        remat_load<W>(spread, c, s);
        remat_load<W>(gamma, c, k->scale);
        remat_load<W>(beta, c, k->beta);
        for (int e = 0; e < W; e++)
            k->scale[e] *= evaluate ? 1.0f / sqrtf(s[e] + epsilon) : s[e];
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        r->x = remat_fetch<W>(x, at * columns + c);
        if (z)
            r->z = remat_fetch<W>(z, at * columns + c);
    }
    template <int W> __device__ void put(const of<W> &k, const row<W> &r, int64_t at, int64_t c) const
    {
        float v[W], w[W];
        remat_decode<W, T>(r.x, v);
        if (z)
            remat_decode<W, T>(r.z, w);
        for (int e = 0; e < W; e++) {
            v[e] = remat_normalise(v[e], k.mean[e], k.scale[e], k.beta[e]);
            v[e] = z ? v[e] + w[e] : v[e];
            v[e] = relu ? remat_relu(v[e]) : v[e];
        }
        remat_store<W>(y, at * columns + c, v);
    }
};

template <class T> struct moment_terms {
    const T *x;
    int64_t columns;
    template <int W> struct of {
        float pivot[W];
    };
    template <int W> struct row {
        struct remat_raw<W, T> x;
    };
    template <int W> __device__ void prepare(int64_t c, of<W> *k) const
    {
        remat_load<W>(x, c, k->pivot);
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        r->x = remat_fetch<W>(x, at * columns + c);
    }
    template <int W> __device__ void add(const of<W> &k, const row<W> &r, float *a, float *b) const
    {
        float v[W];
        remat_decode<W, T>(r.x, v);
        for (int e = 0; e < W; e++) {
            float d = v[e] - k.pivot[e];
            a[e] += d;
            b[e] = remat_fma(d, d, b[e]);
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

/* How the rectifier's mask is known: there is none; from y's sign made again from x; from y itself. */
enum mask { UNMASKED, REMADE, SAVED };

/* What the backward kernels share: the gradient behind the rectifier, and x about its mean. */
template <class T, mask M> struct gradient {
    const T *x, *dy, *y;
    const float *mean, *invstd, *gamma, *beta;

    template <int W> struct of { /* columns */
        float mean[W], scale[W], beta[W];
    };
    template <int W> struct row {
        struct remat_raw<W, T> x, dy, y;
    };
    template <int W> __device__ void prepare(int64_t c, of<W> *k) const
    {
        float s[W];
        remat_load<W>(mean, c, k->mean);
        if (M != REMADE)
            return;
        remat_load<W>(invstd, c, s);
        remat_load<W>(gamma, c, k->scale);
        remat_load<W>(beta, c, k->beta);
        for (int e = 0; e < W; e++)
            k->scale[e] *= s[e];
    }
    template <int W> __device__ void load(int64_t i, row<W> *r) const
    {
        r->x = remat_fetch<W>(x, i);
        r->dy = remat_fetch<W>(dy, i);
        if (M == SAVED)
            r->y = remat_fetch<W>(y, i);
    }
    template <int W> __device__ void decode(const of<W> &k, const row<W> &r, float *g, float *centred) const
    {
        float w[W];
        remat_decode<W, T>(r.x, centred);
        remat_decode<W, T>(r.dy, g);
        if (M == SAVED)
            remat_decode<W, T>(r.y, w);
        for (int e = 0; e < W; e++) {
            if (M == REMADE)
                w[e] = remat_normalise(centred[e], k.mean[e], k.scale[e], k.beta[e]);
            if (M != UNMASKED)
                g[e] = remat_relu_mask(w[e], g[e]);
            centred[e] -= k.mean[e];
        }
    }
};

template <class T, mask M> struct gradient_terms {
    struct gradient<T, M> gradients;
    int64_t columns;
    template <int W> using of = typename gradient<T, M>::template of<W>;
    template <int W> using row = typename gradient<T, M>::template row<W>;
    template <int W> __device__ void prepare(int64_t c, of<W> *k) const
    {
        gradients.template prepare<W>(c, k);
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        gradients.template load<W>(at * columns + c, r);
    }
    template <int W> __device__ void add(const of<W> &k, const row<W> &r, float *a, float *b) const
    {
        float g[W], centred[W];
        gradients.template decode<W>(k, r, g, centred);
        for (int e = 0; e < W; e++) {
            a[e] += g[e];
            b[e] = remat_fma(g[e], centred[e], b[e]);
        }
    }
};

struct gradient_sums {
    float *dgamma, *dbeta;
    const float *invstd;
    __device__ void operator()(int64_t c, double a, double b) const
    {
        dbeta[c] = (float)a;
        dgamma[c] = (float)(b * (double)invstd[c]);
    }
};

template <class T, mask M> struct input_gradient {
    struct gradient<T, M> gradients;
    const float *dgamma, *dbeta;
    T *dx, *dz; /* dz NULL: none */
    int64_t columns;
    float inverse_rows;

    enum { TOGETHER = 2 };
    template <int W> struct of {
        typename gradient<T, M>::template of<W> gradients;
        float invstd[W], factor[W], dbeta[W], dgamma[W];
    };
    template <int W> using row = typename gradient<T, M>::template row<W>;
    template <int W> __device__ void prepare(int64_t c, of<W> *k) const
    {
        gradients.template prepare<W>(c, &k->gradients);
        remat_load<W>(gradients.invstd, c, k->invstd);
        remat_load<W>(gradients.gamma, c, k->factor);
        remat_load<W>(dbeta, c, k->dbeta);
        remat_load<W>(dgamma, c, k->dgamma);
        for (int e = 0; e < W; e++)
            k->factor[e] *= k->invstd[e];
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        gradients.template load<W>(at * columns + c, r);
    }
    template <int W> __device__ void put(const of<W> &k, const row<W> &r, int64_t at, int64_t c) const
    {
        float g[W], v[W];
        gradients.template decode<W>(k.gradients, r, g, v);
        for (int e = 0; e < W; e++)
            v[e] = k.factor[e] * (g[e] - inverse_rows * (k.dbeta[e] + v[e] * k.invstd[e] * k.dgamma[e]));
        if (dz)
            remat_store<W>(dz, at * columns + c, g);
        remat_store<W>(dx, at * columns + c, v);
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
    n.columns = remat_tensor_columns(&spec->inputs[0]);
    n.epsilon = spec->attr.epsilon;
    n.relu = spec->attr.relu;
    return n;
}

template <class T>
enum remat_status run_apply(const struct remat_device *device, const struct remat_kernel_spec *spec,
                            const struct normalise<T> &n, struct remat_error *err)
{
    return remat_by_column<T>(device, n, remat_tensor_rows(&spec->inputs[0]), remat_tensor_columns(&spec->inputs[0]),
                              err);
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

template <class T, mask M>
enum remat_status backward_masked(const struct remat_device *device, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]);
    struct gradient<T, M> of = {
        (const T *)args->inputs[0], (const T *)args->inputs[3], M == SAVED ? (const T *)args->inputs[4] : NULL,
            (const float *)args->inputs[1], (const float *)args->inputs[2], (const float *)args->cells[0],
            (const float *)args->cells[1]
    };
    struct gradient_sums sums = {(float *)args->outputs[1], (float *)args->outputs[2], (const float *)args->inputs[2]};
    struct input_gradient<T, M> last = {
        of, sums.dgamma, sums.dbeta, (T *)args->outputs[0], spec->attr.residual ? (T *)args->outputs[3] : NULL, columns,
            1.0f / (float)rows
    };
    struct gradient_terms<T, M> terms = {
        of, columns
    };
    REMAT_TRY(remat_column_sums<T>(device, terms, sums, rows, columns, (float *)args->scratch, err));
    return remat_by_column<T>(device, last, rows, columns, err);
}

template <class T>
enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    if (!spec->attr.relu)
        return backward_masked<T, UNMASKED>(device, spec, args, err);
    return spec->attr.residual ? backward_masked<T, SAVED>(device, spec, args, err)
                               : backward_masked<T, REMADE>(device, spec, args, err);
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
