/* Of parameters: copies in another type. Images: x = (byte / 255 - mean[c]) / std[c] over the last dimension, at most 4
 * channels. Anything else: a copy. */
#include "runtime/backend/cuda/launch.h"

namespace
{
struct levels {
    float mean[4], scale[4];
};

/* W elements a thread; the channel goes round. */
template <int W, class T>
__global__ void normalise(struct levels levels, const uint8_t *bytes, T *x, int64_t count, int channels)
{
    for (int64_t i = remat_thread() * W; i < count; i += remat_threads() * W) {
        typename remat_bits<W>::type bits = *reinterpret_cast<const typename remat_bits<W>::type *>(bytes + i);
        int c = (int)(i % channels);
        uint8_t b[W];
        float v[W];
        memcpy(b, &bits, W);
        for (int k = 0; k < W; k++) {
            v[k] = ((float)b[k] / 255.0f - levels.mean[c]) * levels.scale[c];
            c = c + 1 < channels ? c + 1 : 0;
        }
        remat_store<W>(x, i, v);
    }
}

bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *staging = &spec->cells[0], *out = &spec->outputs[0];
    (void)device;
    return staging->dtype == out->dtype ||
           (staging->dtype == REMAT_U8 && (out->dtype == REMAT_F32 || out->dtype == REMAT_BF16) &&
            remat_tensor_columns(staging) <= 4);
}

struct levels levels_of(const struct remat_op_attr *attr)
{
    struct levels levels;
    for (int c = 0; c < 4; c++) {
        levels.mean[c] = attr->mean[c];
        levels.scale[c] = attr->std[c] != 0 ? 1.0f / attr->std[c] : 1.0f;
    }
    return levels;
}

template <int W, class T>
void start(const struct remat_device *device, const struct remat_kernel_spec *spec,
           const struct remat_kernel_args *args, int64_t count)
{
    REMAT_LAUNCH((normalise<W, T>), remat_grid(count, W * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (levels_of(&spec->attr), (const uint8_t *)args->cells[0], (T *)args->outputs[0], count,
     (int)remat_tensor_columns(&spec->cells[0]));
}

template <class T>
enum remat_status run(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                      struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    const struct remat_tensor *staging = &spec->cells[0];
    int64_t count = remat_tensor_elements(staging);
    enum { W = 8 };
    if (staging->dtype == spec->outputs[0].dtype)
        return remat_cuda_check(cudaMemcpyAsync(args->outputs[0], args->cells[0], (size_t)remat_tensor_bytes(staging),
                                                cudaMemcpyDeviceToDevice, device->stream),
                                "copying a batch", err);
    if (count % W == 0)
        start<W, T>(device, spec, args, count);
    else
        start<1, T>(device, spec, args, count);
    return remat_launched(err);
}
struct same {
    __device__ float operator()(float x) const
    {
        return x;
    }
};

bool supports_cast(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return spec->cells[0].dtype == REMAT_F32 && spec->outputs[0].dtype == REMAT_BF16;
}

enum remat_status run_cast(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->outputs[0]);
    REMAT_LAUNCH((remat_map1<same, float, remat_bf16>), remat_grid(count, 8 * REMAT_BLOCK), REMAT_BLOCK, 0,
                 device->stream)
    (same(), (const float *)args->cells[0], (remat_bf16 *)args->outputs[0], count);
    return remat_launched(err);
}
} // namespace

const struct remat_op_impl remat_cuda_feed = {REMAT_OP_FEED,           "kernel",           0,   supports,
                                              remat_cuda_create_plain, REMAT_BY_TYPE(run), NULL};
const struct remat_op_impl remat_cuda_cast = {REMAT_OP_CAST,           "kernel", 0,   supports_cast,
                                              remat_cuda_create_plain, run_cast, NULL};
