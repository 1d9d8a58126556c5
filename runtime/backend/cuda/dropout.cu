/* y = keep ? x / (1 - p) : 0, and the same for gradients; four elements share one block of random words (dropout.h). */
#include "runtime/backend/cuda/launch.h"

namespace
{
__device__ float kept(uint32_t word, float probability, float scale, float x)
{
    return remat_dropout_keeps(word, probability) ? x * scale : 0.0f;
}

template <class T>
__global__ void mask(const struct remat_step_record *record, int32_t layer, float probability, const T *x, T *y,
                     int64_t count)
{
    float scale = 1.0f / (1.0f - probability);
    for (int64_t q = remat_thread(); q < remat_ceil(count, 4); q += remat_threads()) {
        struct remat_rng_block words = remat_dropout_block(record, layer, q);
        float v[4];
        if (4 * q + 4 <= count) {
            remat_load<4>(x, 4 * q, v);
            for (int k = 0; k < 4; k++)
                v[k] = kept(words.word[k], probability, scale, v[k]);
            remat_store<4>(y, 4 * q, v);
            continue;
        }
        for (int k = 0; 4 * q + k < count; k++)
            remat_put(&y[4 * q + k], kept(words.word[k], probability, scale, remat_float(x[4 * q + k])));
    }
}

template <class T>
enum remat_status run(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                      struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH(mask<T>, remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (args->record, spec->attr.layer, spec->attr.probability, (const T *)args->inputs[0], (T *)args->outputs[0], count);
    return remat_launched(err);
}
} // namespace

const struct remat_op_impl remat_cuda_dropout = {
    REMAT_OP_DROPOUT, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(run), NULL};
const struct remat_op_impl remat_cuda_dropout_bwd = {
    REMAT_OP_DROPOUT_BWD, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(run), NULL};
