/* Tools of the loops of this folder: the vectorisation mark, sums across a vector, stores past the caches. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_LOOP_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_LOOP_H

#include "runtime/backend/cpu/simd/vector.h"

#include <stdbool.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* Before a loop whose iterations do not depend on each other: outputs are either apart from the inputs or exactly
 * over them. */
#if defined(__clang__)
#define REMAT_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define REMAT_INDEPENDENT _Pragma("GCC ivdep")
#endif

/* Elements of the tile in which results wait to be streamed. */
enum { REMAT_TILE = 512 };

/* The sum of the lanes, pairwise. */
static inline float remat_vec_sum(remat_vec v)
{
    float lane[REMAT_LANES];
    remat_vec_store(lane, v);
    for (int width = REMAT_LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    }
    return lane[0];
}

/* Copies n floats past the caches where `to` permits it. The caller ends its stores with remat_stream_end(). */
static inline void remat_stream(float *to, const float *from, int64_t n)
{
    int64_t i = 0;
#if defined(__AVX512F__)
    for (; (uintptr_t)to % 64 == 0 && i + 16 <= n; i += 16)
        _mm512_stream_ps(to + i, _mm512_loadu_ps(from + i));
#elif defined(__AVX__)
    for (; (uintptr_t)to % 32 == 0 && i + 8 <= n; i += 8)
        _mm256_stream_ps(to + i, _mm256_loadu_ps(from + i));
#elif defined(__SSE2__)
    for (; (uintptr_t)to % 16 == 0 && i + 4 <= n; i += 4)
        _mm_stream_ps(to + i, _mm_loadu_ps(from + i));
#endif
    if (i < n)
        memcpy(to + i, from + i, (size_t)(n - i) * sizeof *to);
}

/* Makes streamed results visible to other threads. */
static inline void remat_stream_end(bool stream)
{
#if defined(__SSE2__)
    if (stream)
        _mm_sfence();
#else
    (void)stream;
#endif
}

#endif
