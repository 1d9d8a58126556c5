/* Max pooling x[N,H,W,C] -> y[N,P,Q,C] with the place of the first maximum of each window (row by row), and the mean
 * over all pixels x[N,H,W,C] -> y[N,C]. Gradients are gathered, so that their sums have one order. */
#include "runtime/backend/cuda/launch.h"

namespace
{
struct window {
    int64_t height, width, out_height, out_width, channels;
    int rows, columns, stride[2], pad[2];
};

template <class T> __global__ void max_windows(struct window d, const T *x, T *y, uint8_t *places, int64_t count)
{
    for (int64_t o = remat_thread(); o < count; o += remat_threads()) {
        int64_t c = o % d.channels, pixel = o / d.channels, n = pixel / (d.out_height * d.out_width);
        int64_t top = pixel / d.out_width % d.out_height * d.stride[0] - d.pad[0];
        int64_t left = pixel % d.out_width * d.stride[1] - d.pad[1];
        float best = 0;
        int place = -1;
        for (int r = 0; r < d.rows; r++)
            for (int s = 0; s < d.columns; s++) {
                int64_t h = top + r, w = left + s;
                float v;
                if (h < 0 || h >= d.height || w < 0 || w >= d.width)
                    continue;
                v = remat_float(x[((n * d.height + h) * d.width + w) * d.channels + c]);
                if (place < 0 || v > best) {
                    best = v;
                    place = r * d.columns + s;
                }
            }
        remat_put(&y[o], best);
        places[o] = (uint8_t)place;
    }
}

template <class T>
__global__ void max_gradients(struct window d, const T *dy, const uint8_t *places, T *dx, int64_t count)
{
    for (int64_t i = remat_thread(); i < count; i += remat_threads()) {
        int64_t c = i % d.channels, pixel = i / d.channels, n = pixel / (d.height * d.width);
        int64_t h = pixel / d.width % d.height + d.pad[0], w = pixel % d.width + d.pad[1];
        float sum = 0;
        for (int r = d.rows - 1; r >= 0; r--)
            for (int s = d.columns - 1; s >= 0; s--) {
                int64_t p = (h - r) / d.stride[0], q = (w - s) / d.stride[1], o;
                if (h < r || w < s || (h - r) % d.stride[0] || (w - s) % d.stride[1] || p >= d.out_height ||
                    q >= d.out_width)
                    continue;
                o = ((n * d.out_height + p) * d.out_width + q) * d.channels + c;
                sum += places[o] == r * d.columns + s ? remat_float(dy[o]) : 0.0f;
            }
        remat_put(&dx[i], sum);
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

template <class T> __global__ void mean_gradients(const T *dy, T *dx, int64_t pixels, int64_t channels, int64_t count)
{
    for (int64_t i = remat_thread(); i < count; i += remat_threads())
        remat_put(&dx[i], remat_float(dy[i / channels / pixels * channels + i % channels]) / (float)pixels);
}

struct window window_of(const struct remat_op_attr *attr, const struct remat_tensor *x, const struct remat_tensor *y)
{
    struct window d = {x->dims[1],
                       x->dims[2],
                       y->dims[1],
                       y->dims[2],
                       x->dims[3],
                       attr->kernel[0],
                       attr->kernel[1],
                       {attr->stride[0], attr->stride[1]},
                       {attr->pad[0], attr->pad[1]}};
    return d;
}

template <class T>
enum remat_status maxpool(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                          struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->outputs[0]);
    REMAT_LAUNCH(max_windows<T>, remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (window_of(&spec->attr, &spec->inputs[0], &spec->outputs[0]), (const T *)args->inputs[0], (T *)args->outputs[0],
     (uint8_t *)args->outputs[1], count);
    return remat_launched(err);
}

template <class T>
enum remat_status maxpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->outputs[0]);
    REMAT_LAUNCH(max_gradients<T>, remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (window_of(&spec->attr, &spec->outputs[0], &spec->inputs[0]), (const T *)args->inputs[0],
     (const uint8_t *)args->inputs[1], (T *)args->outputs[0], count);
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

template <class T>
enum remat_status avgpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    const struct remat_tensor *x = &spec->outputs[0];
    int64_t count = remat_tensor_elements(x);
    REMAT_LAUNCH(mean_gradients<T>, remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    ((const T *)args->inputs[0], (T *)args->outputs[0], x->dims[1] * x->dims[2], x->dims[3], count);
    return remat_launched(err);
}
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
