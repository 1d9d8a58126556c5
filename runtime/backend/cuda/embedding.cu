/* x[b,t,:] = wte[token[b,t],:] + wpe[t,:]. A token outside the vocabulary, which no kernel can report, gives NaN: the
 * loss then stops the training loop.
 *
 * dwte[v,:] is the sum over the places of token v, in their order: each place finds the next one of its token, and a
 * block walks from the first. dwpe[t,:] is the sum over b. No atomic additions, hence always the same bits. */
#include "runtime/backend/cuda/launch.h"

namespace
{
/* A block takes a place, a thread W channels. */
template <int W, class T>
__global__ void look_up(const int32_t *tokens, const float *wte, const float *wpe, T *x, int64_t length,
                        int64_t channels, int64_t vocabulary)
{
    int64_t place = blockIdx.x, token = tokens[place];
    for (int64_t c = (int64_t)threadIdx.x * W; c < channels; c += REMAT_BLOCK * W) {
        float v[W], w[W];
        remat_load<W>(wpe, place % length * channels + c, w);
        if (token >= 0 && token < vocabulary)
            remat_load<W>(wte, token * channels + c, v);
        for (int k = 0; k < W; k++)
            v[k] = token >= 0 && token < vocabulary ? v[k] + w[k] : nanf("");
        remat_store<W>(x, place * channels + c, v);
    }
}

struct take_smaller {
    __device__ int32_t operator()(int32_t a, int32_t b) const
    {
        return a < b ? a : b;
    }
};

/* next[i]: the next place of the same token, or -1; first[i], not 0 when this begins, becomes 0 where an earlier place
 * has it. A warp searches for a place, 128 at a time. */
__global__ void link_places(const int32_t *tokens, int32_t places, int32_t *next, int32_t *first)
{
    enum { EACH = 4 };
    int32_t lane = (int32_t)threadIdx.x % REMAT_WARP, warps = (int32_t)(remat_threads() / REMAT_WARP);
    for (int32_t i = (int32_t)(remat_thread() / REMAT_WARP); i < places; i += warps) {
        int32_t token = tokens[i], found = places;
        for (int32_t from = i + 1; from < places && found == places; from += EACH * REMAT_WARP) {
            for (int32_t k = EACH - 1; k >= 0; k--) {
                int32_t place = from + k * REMAT_WARP + lane;
                found = place < places && tokens[place] == token ? place : found;
            }
            found = remat_over_warp(found, take_smaller());
        }
        if (lane == 0)
            next[i] = found < places ? found : -1;
        if (lane == 0 && found < places)
            first[found] = 0;
    }
}

/* dwte is 0, or dwte0, when this begins. */
template <class T>
__global__ void sum_tokens(const int32_t *tokens, const int32_t *next, const int32_t *first, const T *dx, float *dwte,
                           int64_t channels, int64_t vocabulary)
{
    int64_t token = tokens[blockIdx.x];
    if (!first[blockIdx.x] || token < 0 || token >= vocabulary)
        return;
    int64_t c = (int64_t)blockIdx.y * blockDim.x + threadIdx.x;
    if (c >= channels)
        return;
    float sum = dwte[token * channels + c];
    for (int32_t place = (int32_t)blockIdx.x; place >= 0; place = next[place])
        sum += remat_float(dx[place * channels + c]);
    dwte[token * channels + c] = sum;
}

template <class T>
__global__ void sum_positions(const T *dx, float *dwpe, int64_t batch, int64_t length, int64_t channels, int64_t count)
{
    for (int64_t i = remat_thread(); i < count; i += remat_threads()) {
        float sum = 0;
        for (int64_t b = 0; i / channels < length && b < batch; b++)
            sum += remat_float(dx[b * length * channels + i]);
        dwpe[i] = sum;
    }
}

template <int W, class T>
void start_look_up(const struct remat_device *device, const struct remat_kernel_spec *spec,
                   const struct remat_kernel_args *args)
{
    REMAT_LAUNCH((look_up<W, T>), (unsigned)remat_tensor_rows(&spec->outputs[0]), REMAT_BLOCK, 0, device->stream)
    ((const int32_t *)args->inputs[0], (const float *)args->cells[0], (const float *)args->cells[1],
     (T *)args->outputs[0], spec->inputs[0].dims[1], remat_tensor_columns(&spec->outputs[0]), spec->cells[0].dims[0]);
}

template <class T>
enum remat_status forward(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                          struct remat_error *err)
{
    enum { W = remat_vector_of<T>::WIDTH };
    const struct remat_device *device = (const struct remat_device *)state;
    if (remat_tensor_columns(&spec->outputs[0]) % W == 0)
        start_look_up<W, T>(device, spec, args);
    else
        start_look_up<1, T>(device, spec, args);
    return remat_launched(err);
}

enum remat_status start_sums(const struct remat_device *device, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    size_t bytes = (size_t)remat_tensor_bytes(&spec->outputs[0]);
    if (!spec->attr.accumulate)
        return remat_cuda_check(cudaMemsetAsync(args->outputs[0], 0, bytes, device->stream), "clearing sums", err);
    if (args->outputs[0] == args->inputs[2])
        return REMAT_OK;
    return remat_cuda_check(
        cudaMemcpyAsync(args->outputs[0], args->inputs[2], bytes, cudaMemcpyDeviceToDevice, device->stream),
        "copying sums", err);
}

template <class T>
enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    const int32_t *tokens = (const int32_t *)args->inputs[0];
    const T *dx = (const T *)args->inputs[1];
    int64_t places = remat_tensor_elements(&spec->inputs[0]), length = spec->inputs[0].dims[1];
    int64_t channels = remat_tensor_columns(&spec->inputs[1]), positions = remat_tensor_elements(&spec->outputs[1]);
    int32_t *next = (int32_t *)args->scratch, *first = next + places;
    REMAT_TRY(start_sums(device, spec, args, err));
    REMAT_TRY(remat_cuda_check(cudaMemsetAsync(first, 1, (size_t)places * sizeof *first, device->stream),
                               "marking places", err));
    REMAT_LAUNCH(link_places, remat_grid(places, REMAT_BLOCK / REMAT_WARP), REMAT_BLOCK, 0, device->stream)
    (tokens, (int32_t)places, next, first);
    dim3 sums((unsigned)places, (unsigned)remat_ceil(channels, REMAT_BLOCK));
    REMAT_LAUNCH(sum_tokens<T>, sums, REMAT_BLOCK, 0, device->stream)
    (tokens, (const int32_t *)next, (const int32_t *)first, dx, (float *)args->outputs[0], channels,
     spec->outputs[0].dims[0]);
    REMAT_LAUNCH(sum_positions<T>, remat_grid(positions, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (dx, (float *)args->outputs[1], places / length, length, channels, positions);
    return remat_launched(err);
}

enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                  int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = 2 * remat_tensor_elements(&spec->inputs[0]) * (int64_t)sizeof(int32_t);
    return REMAT_OK;
}
} // namespace

const struct remat_op_impl remat_cuda_embedding = {
    REMAT_OP_EMBEDDING, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(forward), NULL};
const struct remat_op_impl remat_cuda_embedding_bwd = {
    REMAT_OP_EMBEDDING_BWD, "kernel", 0, remat_cuda_supports_floats, create_backward, REMAT_BY_TYPE(backward), NULL};
