/* What .cu files share: launching, element types, vectors of 16 bytes, sums over a block. Only for them.
 *
 * Every sum has a fixed order: partial sums go through shared or scratch memory in a tree that depends on the shape
 * alone, never through atomic additions. So equal operands give equal bits, and no mode needs to be chosen. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_LAUNCH_H
#define REMAT_RUNTIME_BACKEND_CUDA_LAUNCH_H

/* Headers of C that the project's own include, before those are read as C. */
#include <cuda_bf16.h>
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

/* The loop that follows has a few rounds, all of whose values are to be in registers. */
#ifdef __CUDACC__
#define REMAT_UNROLL _Pragma("unroll")
#else
#define REMAT_UNROLL
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

/* --- element types: float and bf16. Kernels compute in float and convert as they load and store --------------------
 */

typedef __nv_bfloat16 remat_bf16;

static __device__ __forceinline__ float remat_float(float x)
{
    return x;
}

static __device__ __forceinline__ float remat_float(remat_bf16 x)
{
    return __bfloat162float(x);
}

/* Rounds to the nearest, halves to the even one. */
static __device__ __forceinline__ void remat_put(float *to, float x)
{
    *to = x;
}

static __device__ __forceinline__ void remat_put(remat_bf16 *to, float x)
{
    *to = __float2bfloat16_rn(x);
}

/* What one instruction loads or stores. */
template <int BYTES> struct remat_bits;
template <> struct remat_bits<16> {
    typedef uint4 type;
};
template <> struct remat_bits<8> {
    typedef uint2 type;
};
template <> struct remat_bits<4> {
    typedef unsigned type;
};
template <> struct remat_bits<2> {
    typedef unsigned short type;
};
template <> struct remat_bits<1> {
    typedef unsigned char type;
};

/* So many elements are 16 bytes. Operands begin at multiples of 64 bytes. */
template <class T> struct remat_vector_of {
    enum { WIDTH = 16 / sizeof(T) };
};

/* W elements of T as they lie in memory, W a power of two, at a multiple of W; one instruction loads at most 16 bytes
 * of them. Where they are loaded long before they are needed, they take the fewest registers so. */
template <int W, class T> struct remat_raw {
    enum { EACH = W < (int)remat_vector_of<T>::WIDTH ? W : (int)remat_vector_of<T>::WIDTH };
    typedef typename remat_bits<EACH * sizeof(T)>::type type;
    type bits[W / EACH];
};

template <int W, class T>
static __device__ __forceinline__ struct remat_raw<W, T> remat_fetch(const T *from, int64_t at) {
    struct remat_raw<W, T> raw;
    for (int k = 0; k < W; k += remat_raw<W, T>::EACH)
        raw.bits[k / remat_raw<W, T>::EACH] = *reinterpret_cast<const typename remat_raw<W, T>::type *>(from + at + k);
    return raw;
}

template <int W, class T>
static __device__ __forceinline__ void remat_decode(const struct remat_raw<W, T> &raw, float *out)
{
    T values[W];
    memcpy(values, raw.bits, sizeof values);
    for (int k = 0; k < W; k++)
        out[k] = remat_float(values[k]);
}

/* The same at once; and stored. */
template <int W, class T> static __device__ __forceinline__ void remat_load(const T *from, int64_t at, float *out)
{
    remat_decode<W, T>(remat_fetch<W, T>(from, at), out);
}

template <int W, class T> static __device__ __forceinline__ void remat_store(T *to, int64_t at, const float *values)
{
    enum { EACH = W < (int)remat_vector_of<T>::WIDTH ? W : (int)remat_vector_of<T>::WIDTH };
    typedef typename remat_bits<EACH * sizeof(T)>::type bits_type;
    for (int k = 0; k < W; k += EACH) {
        bits_type bits;
        T rounded[EACH];
        for (int e = 0; e < EACH; e++)
            remat_put(&rounded[e], values[k + e]);
        memcpy(&bits, rounded, sizeof bits);
        *reinterpret_cast<bits_type *>(to + at + k) = bits;
    }
}

/* Of a call's floating operands those that are not f32 (op.h) are all of this type. */
static inline enum remat_dtype remat_type_of(const struct remat_kernel_spec *spec)
{
    for (int32_t i = 0; i < spec->inputs_count; i++)
        if (spec->inputs[i].dtype == REMAT_BF16)
            return REMAT_BF16;
    for (int32_t j = 0; j < spec->outputs_count; j++)
        if (spec->outputs[j].dtype == REMAT_BF16)
            return REMAT_BF16;
    return REMAT_F32;
}

typedef enum remat_status remat_run_function(const void *state, const struct remat_kernel_spec *spec,
                                             const struct remat_kernel_args *args, struct remat_error *err);

/* `run` of an op from that for each type. */
template <remat_run_function *F32, remat_run_function *BF16>
static enum remat_status remat_by_type(const void *state, const struct remat_kernel_spec *spec,
                                       const struct remat_kernel_args *args, struct remat_error *err)
{
    return remat_type_of(spec) == REMAT_BF16 ? BF16(state, spec, args, err) : F32(state, spec, args, err);
}
#define REMAT_BY_TYPE(run) remat_by_type<run<float>, run<remat_bf16>>

/* name<T>, a `run` for a type, from name_by<W, T>(device, spec, args, err): for rows of whole vectors, or of single
 * elements. */
#define REMAT_BY_WIDTH(name)                                                                               \
    template <class T>                                                                                     \
    enum remat_status name(const void *state, const struct remat_kernel_spec *spec,                        \
                           const struct remat_kernel_args *args, struct remat_error *err)                  \
    {                                                                                                      \
        const struct remat_device *device = (const struct remat_device *)state;                            \
        enum { W = remat_vector_of<T>::WIDTH };                                                            \
        return remat_tensor_columns(&spec->inputs[0]) % W == 0 ? name##_by<W, T>(device, spec, args, err)  \
                                                               : name##_by<1, T>(device, spec, args, err); \
    }

/* --- element-wise operations ---------------------------------------------------------------------------------------
 */

/* y[i] = f(x[i]); x may be y. */
template <class F, class X, class Y> __global__ void remat_map1(F f, const X *x, Y *y, int64_t count)
{
    enum { W = 16 / (sizeof(X) < sizeof(Y) ? sizeof(X) : sizeof(Y)) };
    for (int64_t q = remat_thread(); q < count / W; q += remat_threads()) {
        float v[W];
        remat_load<W>(x, q * W, v);
        for (int k = 0; k < W; k++)
            v[k] = f(v[k]);
        remat_store<W>(y, q * W, v);
    }
    for (int64_t i = count / W * W + remat_thread(); i < count; i += remat_threads())
        remat_put(&y[i], f(remat_float(x[i])));
}

/* y[i] = f(a[i], b[i]); a or b may be y. */
template <class F, class T> __global__ void remat_map2(F f, const T *a, const T *b, T *y, int64_t count)
{
    enum { W = remat_vector_of<T>::WIDTH };
    for (int64_t q = remat_thread(); q < count / W; q += remat_threads()) {
        float v[W], w[W];
        remat_load<W>(a, q * W, v);
        remat_load<W>(b, q * W, w);
        for (int k = 0; k < W; k++)
            v[k] = f(v[k], w[k]);
        remat_store<W>(y, q * W, v);
    }
    for (int64_t i = count / W * W + remat_thread(); i < count; i += remat_threads())
        remat_put(&y[i], f(remat_float(a[i]), remat_float(b[i])));
}

/* `run` of an element-wise op with one input. */
template <class F, class T>
static enum remat_status remat_run_map1(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH((remat_map1<F, T, T>), remat_grid(count, 16 / sizeof(T) * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (F(), (const T *)args->inputs[0], (T *)args->outputs[0], count);
    return remat_launched(err);
}

template <class F, class T>
static enum remat_status remat_run_map2(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH((remat_map2<F, T>), remat_grid(count, 16 / sizeof(T) * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (F(), (const T *)args->inputs[0], (const T *)args->inputs[1], (T *)args->outputs[0], count);
    return remat_launched(err);
}
#define REMAT_MAP1(functor) remat_by_type<remat_run_map1<functor, float>, remat_run_map1<functor, remat_bf16>>
#define REMAT_MAP2(functor) remat_by_type<remat_run_map2<functor, float>, remat_run_map2<functor, remat_bf16>>

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
