/* CUDA C++ for the host's compiler: a block's threads are fibers of one thread, which meet at barriers and shuffles. */
#ifndef REMAT_TESTS_CUDA_EMULATOR_CUDA_RUNTIME_H
#define REMAT_TESTS_CUDA_EMULATOR_CUDA_RUNTIME_H

#include <cuda_runtime_api.h>
#include <functional>
#include <math.h>
#include <string.h>
#include <tuple>

#define __host__
#define __device__
#define __global__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_)
    {
    }
};

struct alignas(8) uint2 {
    unsigned x, y;
};

struct alignas(16) uint4 {
    unsigned x, y, z, w;
};

/* Where the running fiber is. */
struct emulated_place {
    dim3 thread, block, block_size, grid;
    float *shared;
};
extern emulated_place emulated;
#define threadIdx (emulated.thread)
#define blockIdx (emulated.block)
#define blockDim (emulated.block_size)
#define gridDim (emulated.grid)

void __syncthreads();
void __syncwarp();
/* Swaps 8 bytes with the lane whose number differs by `mask`. */
uint64_t emulated_shuffle(uint64_t bits, int mask);

template <class T> static inline T __shfl_xor_sync(unsigned lanes, T value, int mask)
{
    uint64_t bits = 0;
    (void)lanes;
    static_assert(sizeof value <= sizeof bits, "at most 8 bytes are exchanged");
    memcpy(&bits, &value, sizeof value);
    bits = emulated_shuffle(bits, mask);
    memcpy(&value, &bits, sizeof value);
    return value;
}

void emulated_launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> body);

template <class... P> struct emulated_call {
    void (*kernel)(P...);
    dim3 grid, block;
    size_t shared_bytes;
    cudaStream_t stream;
    void operator()(P... arguments) const
    {
        std::tuple<P...> held(arguments...);
        auto function = kernel;
        auto queue = stream;
        emulated_launch(grid, block, shared_bytes, queue, [=] { std::apply(function, held); });
    }
};

template <class... P>
static inline emulated_call<P...> emulated_prepare(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes,
                                                   cudaStream_t stream)
{
    return {kernel, grid, block, shared_bytes, stream};
}

#define REMAT_LAUNCH(kernel, grid, block, shared, stream) emulated_prepare(kernel, grid, block, shared, stream)
#define REMAT_SHARED(name) float *name = emulated.shared

template <class F> static inline cudaError_t cudaFuncSetAttribute(F, int, int)
{
    return cudaSuccess;
}
enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };

#endif
