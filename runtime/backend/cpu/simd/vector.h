/* Vectors of floats as wide as the instruction set's registers, in the compilers' vector extension; a * b + c becomes
 * a fused multiply-add where there is one (these files are compiled with -ffp-contract=fast). */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_VECTOR_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_VECTOR_H

#include "runtime/backend/cpu/simd/simd.h"

#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
enum { REMAT_LANES = 16 };
#elif defined(__AVX__)
enum { REMAT_LANES = 8 };
#else
enum { REMAT_LANES = 4 };
#endif

typedef float remat_vec __attribute__((vector_size(REMAT_LANES * 4)));
/* Before a loop with a small constant count whose body must be repeated, so that arrays of vectors become registers. */
#if defined(__clang__)
#define REMAT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define REMAT_UNROLL _Pragma("GCC unroll 16")
#endif

/* The same at any address; may alias any type. */
typedef float remat_vec_unaligned __attribute__((vector_size(REMAT_LANES * 4), aligned(4), may_alias));

static inline remat_vec remat_vec_load(const float *p)
{
    return *(const remat_vec_unaligned *)p;
}

static inline void remat_vec_store(float *p, remat_vec v)
{
    *(remat_vec_unaligned *)p = v;
}

/* Past the caches, to an address aligned to the vector. Order it with remat_vec_fence(). */
static inline void remat_vec_stream(float *p, remat_vec v)
{
#if defined(__AVX512F__)
    _mm512_stream_ps(p, v);
#elif defined(__AVX__)
    _mm256_stream_ps(p, v);
#elif defined(__x86_64__)
    _mm_stream_ps(p, v);
#else
    remat_vec_store(p, v);
#endif
}

static inline void remat_vec_fence(void)
{
#if defined(__x86_64__)
    _mm_sfence();
#endif
}

static inline remat_vec remat_vec_set(float x)
{
    return x - (remat_vec){0};
}

#endif
