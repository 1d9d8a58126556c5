/* Convolutions as matrix products whose operands are gathered on the way, by an own kernel: the oracle of cuDNN's on a
 * GPU, and what there is without it.
 *
 *   y[NPQ, K]  = X[NPQ, RSC] w[K, RSC]'      X the windows of x
 *   dx[NHW, C] = Y[NHW, RSK] W[RSK, C]       Y the outputs that a pixel feeds
 *   dw[K, RSC] = dy[NPQ, K]' X[NPQ, RSC] */
#include "runtime/backend/cuda/tile.h"

namespace
{
struct shape {
    int64_t n, h, w, c, p, q, k, r, s;
    int stride[2], pad[2];
};

struct shape shape_of(const struct remat_op_attr *attr, const struct remat_tensor *x, const struct remat_tensor *y)
{
    struct shape d = {x->dims[0],
                      x->dims[1],
                      x->dims[2],
                      x->dims[3],
                      y->dims[1],
                      y->dims[2],
                      y->dims[3],
                      attr->kernel[0],
                      attr->kernel[1],
                      {attr->stride[0], attr->stride[1]},
                      {attr->pad[0], attr->pad[1]}};
    return d;
}

/* x under position `in` (of RSC) of the window of output `out` (of NPQ). */
template <class T> __device__ float windowed(const struct shape &d, const T *x, int64_t out, int64_t in)
{
    int64_t c = in % d.c, s = in / d.c % d.s, r = in / d.c / d.s;
    int64_t h = out / d.q % d.p * d.stride[0] + r - d.pad[0], w = out % d.q * d.stride[1] + s - d.pad[1];
    if (h < 0 || h >= d.h || w < 0 || w >= d.w)
        return 0.0f;
    return remat_float(x[((out / (d.p * d.q) * d.h + h) * d.w + w) * d.c + c]);
}

template <class T> struct forward {
    int64_t rows, columns, inner;
    struct shape d;
    const T *x, *weights;
    T *y;
    __device__ float a(int64_t i, int64_t k) const
    {
        return windowed(d, x, i, k);
    }
    __device__ float b(int64_t k, int64_t j) const
    {
        return remat_float(weights[j * inner + k]);
    }
    __device__ void put(int64_t i, int64_t j, float sum) const
    {
        remat_put(&y[i * columns + j], sum);
    }
};

template <class T> struct data_gradient {
    int64_t rows, columns, inner;
    struct shape d;
    const T *dy, *weights;
    T *dx;
    __device__ float a(int64_t i, int64_t in) const
    {
        int64_t k = in % d.k, s = in / d.k % d.s, r = in / d.k / d.s;
        int64_t h = i / d.w % d.h + d.pad[0] - r, w = i % d.w + d.pad[1] - s;
        if (h < 0 || w < 0 || h % d.stride[0] || w % d.stride[1])
            return 0.0f;
        h /= d.stride[0];
        w /= d.stride[1];
        if (h >= d.p || w >= d.q)
            return 0.0f;
        return remat_float(dy[((i / (d.h * d.w) * d.p + h) * d.q + w) * d.k + k]);
    }
    __device__ float b(int64_t in, int64_t c) const
    {
        int64_t k = in % d.k, position = in / d.k;
        return remat_float(weights[(k * d.r * d.s + position) * d.c + c]);
    }
    __device__ void put(int64_t i, int64_t c, float sum) const
    {
        remat_put(&dx[i * columns + c], sum);
    }
};

template <class T> struct weight_gradient {
    int64_t rows, columns, inner;
    struct shape d;
    const T *x, *dy;
    T *dw;
    __device__ float a(int64_t k, int64_t out) const
    {
        return remat_float(dy[out * d.k + k]);
    }
    __device__ float b(int64_t out, int64_t in) const
    {
        return windowed(d, x, out, in);
    }
    __device__ void put(int64_t k, int64_t in, float sum) const
    {
        remat_put(&dw[k * columns + in], sum);
    }
};

template <class T>
enum remat_status run(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                      struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    const T *first = (const T *)args->inputs[0], *weights = (const T *)remat_cuda_weight(spec, args);
    T *out = (T *)args->outputs[0];
    if (spec->op == REMAT_OP_CONV2D) {
        struct shape d = shape_of(&spec->attr, &spec->inputs[0], &spec->outputs[0]);
        struct forward<T> f = {
            d.n *d.p *d.q, d.k, d.r *d.s *d.c, d, first, weights, out
        };
        return remat_tiles_run(device, f, err);
    }
    if (spec->op == REMAT_OP_CONV2D_BWD_DATA) {
        struct shape d = shape_of(&spec->attr, &spec->outputs[0], &spec->inputs[0]);
        struct data_gradient<T> f = {
            d.n *d.h *d.w, d.c, d.r *d.s *d.k, d, first, weights, out
        };
        return remat_tiles_run(device, f, err);
    }
    struct shape d = shape_of(&spec->attr, &spec->inputs[0], &spec->inputs[1]);
    struct weight_gradient<T> f = {
        d.k, d.r *d.s *d.c, d.n *d.p *d.q, d, first, (const T *)args->inputs[1], out
    };
    return remat_tiles_run(device, f, err);
}
} // namespace

const struct remat_op_impl remat_cuda_conv2d_plain = {
    REMAT_OP_CONV2D, "tiles", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(run), NULL};
const struct remat_op_impl remat_cuda_conv2d_bwd_data_plain = {
    REMAT_OP_CONV2D_BWD_DATA, "tiles", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(run),       NULL};
const struct remat_op_impl remat_cuda_conv2d_bwd_weights_plain = {
    REMAT_OP_CONV2D_BWD_WEIGHTS, "tiles", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(run),          NULL};
