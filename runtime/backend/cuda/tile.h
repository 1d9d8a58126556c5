/* D(i, j) = sum over k of A(i, k) B(k, j), ascending, for anything that can be read as two matrices: plain products and
 * convolutions where no library serves. A block computes 64 x 64 elements, a thread 4 x 4. Only for .cu files. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_TILE_H
#define REMAT_RUNTIME_BACKEND_CUDA_TILE_H

#include "runtime/backend/cuda/launch.h"

enum { REMAT_TILE = 64, REMAT_TILE_INNER = 16, REMAT_TILE_THREADS = 16, REMAT_TILE_EACH = 4 };

/* One step of the inner dimension into shared memory: p.a(i, k) and p.b(k, j), 0 outside. */
template <class P>
static __device__ void remat_tile_load(const P &p, int64_t i0, int64_t j0, int64_t k0, float (*a)[REMAT_TILE],
                                       float (*b)[REMAT_TILE])
{
    int thread = threadIdx.y * REMAT_TILE_THREADS + threadIdx.x;
    for (int e = thread; e < REMAT_TILE * REMAT_TILE_INNER; e += REMAT_TILE_THREADS * REMAT_TILE_THREADS) {
        int64_t i = i0 + e / REMAT_TILE_INNER, k = k0 + e % REMAT_TILE_INNER;
        a[e % REMAT_TILE_INNER][e / REMAT_TILE_INNER] = i < p.rows && k < p.inner ? p.a(i, k) : 0.0f;
    }
    for (int e = thread; e < REMAT_TILE * REMAT_TILE_INNER; e += REMAT_TILE_THREADS * REMAT_TILE_THREADS) {
        int64_t j = j0 + e % REMAT_TILE, k = k0 + e / REMAT_TILE;
        b[e / REMAT_TILE][e % REMAT_TILE] = j < p.columns && k < p.inner ? p.b(k, j) : 0.0f;
    }
}

/* p: rows, columns, inner, a(i, k), b(k, j), put(i, j, sum). */
template <class P> __global__ void remat_tiles(P p)
{
    __shared__ float a[REMAT_TILE_INNER][REMAT_TILE], b[REMAT_TILE_INNER][REMAT_TILE];
    int64_t i0 = (int64_t)blockIdx.x * REMAT_TILE, j0 = (int64_t)blockIdx.y * REMAT_TILE;
    float sum[REMAT_TILE_EACH][REMAT_TILE_EACH] = {};
    for (int64_t k0 = 0; k0 < p.inner; k0 += REMAT_TILE_INNER) {
        remat_tile_load(p, i0, j0, k0, a, b);
        __syncthreads();
        for (int k = 0; k < REMAT_TILE_INNER; k++)
            for (int y = 0; y < REMAT_TILE_EACH; y++)
                for (int x = 0; x < REMAT_TILE_EACH; x++)
                    sum[y][x] = remat_fma(a[k][threadIdx.y * REMAT_TILE_EACH + y],
                                          b[k][threadIdx.x + x * REMAT_TILE_THREADS], sum[y][x]);
        __syncthreads();
    }
    for (int y = 0; y < REMAT_TILE_EACH; y++)
        for (int x = 0; x < REMAT_TILE_EACH; x++) {
            int64_t i = i0 + threadIdx.y * REMAT_TILE_EACH + y, j = j0 + threadIdx.x + x * REMAT_TILE_THREADS;
            if (i < p.rows && j < p.columns)
                p.put(i, j, sum[y][x]);
        }
}

template <class P>
static enum remat_status remat_tiles_run(const struct remat_device *device, const P &p, struct remat_error *err)
{
    dim3 grid((unsigned)remat_ceil(p.rows, REMAT_TILE), (unsigned)remat_ceil(p.columns, REMAT_TILE));
    REMAT_LAUNCH(remat_tiles<P>, grid, dim3(REMAT_TILE_THREADS, REMAT_TILE_THREADS), 0, device->stream)(p);
    return remat_launched(err);
}

#endif
