/* Max pooling x[N,H,W,C] -> y[N,P,Q,C] with the place of the first maximum of each window (row by row), and the mean
 * over all pixels x[N,H,W,C] -> y[N,C]. Gradients are gathered, so that their sums have one order. A thread takes 16
 * bytes of channels. */
#include "runtime/backend/cuda/launch.h"

namespace
{
/* Sizes fit 32 bits one by one (an image's do); places of whole batches need not. */
struct window {
    int height, width, out_height, out_width, channels;
    int rows, columns, stride[2], pad[2];
};

template <int W> __device__ void store_places(uint8_t *to, int64_t at, const uint8_t *places)
{
    typename remat_bits<W>::type bits;
    memcpy(&bits, places, W);
    *reinterpret_cast<typename remat_bits<W>::type *>(to + at) = bits;
}

template <int W> __device__ void load_places(const uint8_t *from, int64_t at, uint8_t *places)
{
    typename remat_bits<W>::type bits = *reinterpret_cast<const typename remat_bits<W>::type *>(from + at);
    memcpy(places, &bits, W);
}

/* A block takes a row of the output, a thread W channels of a pixel. */
template <int W, class T> __global__ void max_windows(struct window d, const T *x, T *y, uint8_t *places)
{
    int n = (int)(blockIdx.x / d.out_height), p = (int)(blockIdx.x % d.out_height), widths = d.channels / W;
    int top = p * d.stride[0] - d.pad[0];
    for (int i = (int)threadIdx.x; i < d.out_width * widths; i += REMAT_BLOCK) {
        int q = i / widths, c = i % widths * W, left = q * d.stride[1] - d.pad[1];
        int64_t at = ((int64_t)blockIdx.x * d.out_width + q) * d.channels + c;
        float best[W] = {}, v[W];
        uint8_t place[W] = {};
        bool any = false;
        for (int r = top < 0 ? -top : 0; r < d.rows && top + r < d.height; r++)
            for (int s = left < 0 ? -left : 0; s < d.columns && left + s < d.width; s++) {
                remat_load<W>(x, (((int64_t)n * d.height + top + r) * d.width + left + s) * d.channels + c, v);
                for (int k = 0; k < W; k++) {
                    bool better = !any || v[k] > best[k];
                    best[k] = better ? v[k] : best[k];
                    place[k] = better ? (uint8_t)(r * d.columns + s) : place[k];
                }
                any = true;
            }
        remat_store<W>(y, at, best);
        store_places<W>(places, at, place);
    }
}

/* The first of the windows, `stride` apart, that reach position `at`, which counts from the padding's begin. */
__device__ int first_reaching(int at, int size, int stride)
{
    return at < size ? 0 : (at - size) / stride + 1;
}

/* A block takes a row of the input, a thread W channels of a pixel: the outputs whose windows hold it, in their order.
 */
template <int W, class T> __global__ void max_gradients(struct window d, const T *dy, const uint8_t *places, T *dx)
{
    int n = (int)(blockIdx.x / d.height), h = (int)(blockIdx.x % d.height) + d.pad[0], widths = d.channels / W;
    int p0 = first_reaching(h, d.rows, d.stride[0]), p1 = h / d.stride[0];
    p1 = p1 < d.out_height ? p1 : d.out_height - 1;
    for (int i = (int)threadIdx.x; i < d.width * widths; i += REMAT_BLOCK) {
        int pixel = i / widths, w = pixel + d.pad[1], c = i % widths * W;
        int q0 = first_reaching(w, d.columns, d.stride[1]), q1 = w / d.stride[1];
        float sum[W] = {}, g[W];
        uint8_t place[W];
        q1 = q1 < d.out_width ? q1 : d.out_width - 1;
        for (int p = p0; p <= p1; p++)
            for (int q = q0; q <= q1; q++) {
                int here = (h - p * d.stride[0]) * d.columns + w - q * d.stride[1];
                int64_t at = (((int64_t)n * d.out_height + p) * d.out_width + q) * d.channels + c;
                remat_load<W>(dy, at, g);
                load_places<W>(places, at, place);
                for (int k = 0; k < W; k++)
                    sum[k] += place[k] == here ? g[k] : 0.0f;
            }
        remat_store<W>(dx, ((int64_t)blockIdx.x * d.width + pixel) * d.channels + c, sum);
    }
}

/* One thread a channel of an image. */
template <class T> __global__ void means(const T *x, T *y, int64_t pixels, int64_t channels, int64_t count)
{
    for (int64_t o = remat_thread(); o < count; o += remat_threads()) {
        const T *from = x + o / channels * pixels * channels + o % channels;
        float sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += remat_float(from[i * channels]);
        remat_put(&y[o], sum / (float)pixels);
    }
}

/* A block takes a pixel. */
template <int W, class T> __global__ void mean_gradients(const T *dy, T *dx, int64_t pixels, int64_t channels)
{
    const T *from = dy + blockIdx.x / pixels * channels;
    for (int64_t c = (int64_t)threadIdx.x * W; c < channels; c += REMAT_BLOCK * W) {
        float v[W];
        remat_load<W>(from, c, v);
        for (int k = 0; k < W; k++)
            v[k] /= (float)pixels;
        remat_store<W>(dx, blockIdx.x * channels + c, v);
    }
}

struct window window_of(const struct remat_op_attr *attr, const struct remat_tensor *x, const struct remat_tensor *y)
{
    struct window d = {(int)x->dims[1],
                       (int)x->dims[2],
                       (int)y->dims[1],
                       (int)y->dims[2],
                       (int)x->dims[3],
                       attr->kernel[0],
                       attr->kernel[1],
                       {attr->stride[0], attr->stride[1]},
                       {attr->pad[0], attr->pad[1]}};
    return d;
}

template <int W, class T>
enum remat_status maxpool_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    struct window d = window_of(&spec->attr, &spec->inputs[0], &spec->outputs[0]);
    REMAT_LAUNCH((max_windows<W, T>), (unsigned)(spec->inputs[0].dims[0] * d.out_height), REMAT_BLOCK, 0,
                 device->stream)
    (d, (const T *)args->inputs[0], (T *)args->outputs[0], (uint8_t *)args->outputs[1]);
    return remat_launched(err);
}

template <int W, class T>
enum remat_status maxpool_bwd_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    struct window d = window_of(&spec->attr, &spec->outputs[0], &spec->inputs[0]);
    REMAT_LAUNCH((max_gradients<W, T>), (unsigned)(spec->outputs[0].dims[0] * d.height), REMAT_BLOCK, 0, device->stream)
    (d, (const T *)args->inputs[0], (const uint8_t *)args->inputs[1], (T *)args->outputs[0]);
    return remat_launched(err);
}

template <class T>
enum remat_status avgpool(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                          struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    const struct remat_tensor *x = &spec->inputs[0];
    int64_t count = remat_tensor_elements(&spec->outputs[0]);
    REMAT_LAUNCH(means<T>, remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    ((const T *)args->inputs[0], (T *)args->outputs[0], x->dims[1] * x->dims[2], x->dims[3], count);
    return remat_launched(err);
}

template <int W, class T>
enum remat_status avgpool_bwd_by(const struct remat_device *device, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *x = &spec->outputs[0];
    REMAT_LAUNCH((mean_gradients<W, T>), (unsigned)(x->dims[0] * x->dims[1] * x->dims[2]), REMAT_BLOCK, 0,
                 device->stream)
    ((const T *)args->inputs[0], (T *)args->outputs[0], x->dims[1] * x->dims[2], x->dims[3]);
    return remat_launched(err);
}

REMAT_BY_WIDTH(maxpool)
REMAT_BY_WIDTH(maxpool_bwd)
REMAT_BY_WIDTH(avgpool_bwd)
} // namespace

const struct remat_op_impl remat_cuda_maxpool = {
    REMAT_OP_MAXPOOL, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(maxpool), NULL};
const struct remat_op_impl remat_cuda_maxpool_bwd = {
    REMAT_OP_MAXPOOL_BWD,       "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(maxpool_bwd), NULL};
const struct remat_op_impl remat_cuda_avgpool = {
    REMAT_OP_AVGPOOL, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(avgpool), NULL};
const struct remat_op_impl remat_cuda_avgpool_bwd = {
    REMAT_OP_AVGPOOL_BWD,       "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(avgpool_bwd), NULL};
