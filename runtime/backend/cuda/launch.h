/* What .cu files share: launching, vectors of four, sums over a block. Only for them.
 *
 * Every sum has a fixed order: partial sums go through shared or scratch memory in a tree that depends on the shape
 * alone, never through atomic additions. So equal operands give equal bits, and no mode needs to be chosen. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LAUNCH_H
#define REMAT_RUNTIME_BACKEND_CUDA_LAUNCH_H

/* Headers of C that the project's own include, before those are read as C. */
#include <cuda_runtime.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "runtime/backend/cuda/cuda.h"
#include "runtime/backend/dropout.h"
#include "runtime/backend/optimizer.h"
#include "runtime/backend/pointwise.h"
}

/* REMAT_LAUNCH(kernel, grid, block, shared bytes, stream)(arguments); REMAT_SHARED(name): the shared bytes, as floats.
 * The tests' emulator of a GPU brings its own. */
#ifndef REMAT_LAUNCH
#define REMAT_LAUNCH(kernel, grid, block, shared, stream) kernel<<<(grid), (block), (shared), (stream)>>>
#define REMAT_SHARED(name) extern __shared__ float name[]
#endif

enum { REMAT_WARP = 32, REMAT_BLOCK = 256 };

static inline __host__ __device__ int64_t remat_ceil(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

static inline enum remat_status remat_launched(struct remat_error *err)
{
    return remat_cuda_check(cudaGetLastError(), "starting a kernel", err);
}

/* How many blocks walk over `items`, each thread taking every so-manieth: enough to fill any GPU, no more. */
static inline unsigned remat_grid(int64_t items, int64_t per_block)
{
    int64_t blocks = remat_ceil(items, per_block);
    return (unsigned)(blocks < 1 ? 1 : blocks > 16384 ? 16384 : blocks);
}

static __device__ __forceinline__ int64_t remat_thread()
{
    return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

static __device__ __forceinline__ int64_t remat_threads()
{
    return (int64_t)gridDim.x * blockDim.x;
}

/* Operands begin at multiples of 64 bytes: four floats can be read at once. */
static __device__ __forceinline__ float4 remat_load4(const float *from, int64_t quad)
{
    return reinterpret_cast<const float4 *>(from)[quad];
}

static __device__ __forceinline__ void remat_store4(float *to, int64_t quad, float4 value)
{
    reinterpret_cast<float4 *>(to)[quad] = value;
}

/* W floats at a multiple of W, W being 1 or 4. */
template <int W> static __device__ __forceinline__ void remat_load(const float *from, int64_t at, float *out)
{
    if (W == 4) {
        float4 v = remat_load4(from, at / 4);
        out[0] = v.x, out[W > 1 ? 1 : 0] = v.y, out[W > 2 ? 2 : 0] = v.z, out[W > 3 ? 3 : 0] = v.w;
    } else {
        out[0] = from[at];
    }
}

template <int W> static __device__ __forceinline__ void remat_store(float *to, int64_t at, const float *value)
{
    if (W == 4)
        remat_store4(to, at / 4,
                     make_float4(value[0], value[W > 1 ? 1 : 0], value[W > 2 ? 2 : 0], value[W > 3 ? 3 : 0]));
    else
        to[at] = value[0];
}

/* y[i] = f(x[i]); x may be y. */
template <class F> __global__ void remat_map1(F f, const float *x, float *y, int64_t count)
{
    for (int64_t q = remat_thread(); q < count / 4; q += remat_threads()) {
        float4 v = remat_load4(x, q);
        v = make_float4(f(v.x), f(v.y), f(v.z), f(v.w));
        remat_store4(y, q, v);
    }
    for (int64_t i = count / 4 * 4 + remat_thread(); i < count; i += remat_threads())
        y[i] = f(x[i]);
}

/* y[i] = f(a[i], b[i]); a or b may be y. */
template <class F> __global__ void remat_map2(F f, const float *a, const float *b, float *y, int64_t count)
{
    for (int64_t q = remat_thread(); q < count / 4; q += remat_threads()) {
        float4 v = remat_load4(a, q), w = remat_load4(b, q);
        v = make_float4(f(v.x, w.x), f(v.y, w.y), f(v.z, w.z), f(v.w, w.w));
        remat_store4(y, q, v);
    }
    for (int64_t i = count / 4 * 4 + remat_thread(); i < count; i += remat_threads())
        y[i] = f(a[i], b[i]);
}

/* `run` of an element-wise op with one input. */
template <class F>
static enum remat_status remat_run_map1(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH(remat_map1<F>, remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (F(), (const float *)args->inputs[0], (float *)args->outputs[0], count);
    return remat_launched(err);
}

template <class F>
static enum remat_status remat_run_map2(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH(remat_map2<F>, remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (F(), (const float *)args->inputs[0], (const float *)args->inputs[1], (float *)args->outputs[0], count);
    return remat_launched(err);
}

struct remat_take_sum {
    template <class T> __device__ T operator()(T a, T b) const
    {
        return a + b;
    }
};

struct remat_take_larger {
    __device__ float operator()(float a, float b) const
    {
        return a > b ? a : b;
    }
};

template <class T, class F> static __device__ T remat_over_warp(T value, F f)
{
    for (int distance = REMAT_WARP / 2; distance > 0; distance /= 2)
        value = f(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
    return value;
}

/* The same result in all threads of a block of whole warps. `room` holds one T a warp, in shared memory. */
template <class T, class F> static __device__ T remat_over_block(T value, F f, T *room)
{
    int warps = blockDim.x / REMAT_WARP, lane = threadIdx.x % REMAT_WARP;
    value = remat_over_warp(value, f);
    __syncthreads(); /* the room may still be read from the last time */
    if (lane == 0)
        room[threadIdx.x / REMAT_WARP] = value;
    __syncthreads();
    value = room[0];
    for (int w = 1; w < warps; w++)
        value = f(value, room[w]);
    return value;
}

#endif
