/* Counter-based random numbers: a pure function of (key, counter), so that a dropout mask, an augmentation or an
 * initial weight can be made again anywhere, in any order, on any number of threads or ranks.
 *
 * Philox-4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011.
 * Header only, so that device kernels use the same code. */
#ifndef REMAT_CORE_BASE_RNG_H
#define REMAT_CORE_BASE_RNG_H

#include <stdint.h>

#ifdef __CUDACC__
#define REMAT_HOST_DEVICE __host__ __device__
#else
#define REMAT_HOST_DEVICE
#endif

struct remat_rng_block {
    uint32_t word[4];
};

/* What a stream of numbers is for; part of the key, so that streams never overlap. */
enum remat_rng_purpose {
    REMAT_RNG_INIT = 1,     /* counter: element index / 4, stream: parameter index */
    REMAT_RNG_DROPOUT = 2,  /* counter: element index / 4, stream: layer id, salt: step */
    REMAT_RNG_SHUFFLE = 3,  /* counter: position, stream: epoch */
    REMAT_RNG_AUGMENT = 4,  /* counter: sample id, stream: epoch */
    REMAT_RNG_SYNTHETIC = 5 /* counter: element index / 4, stream: step */
};

/* Four words for (seed, purpose, stream, salt, counter). */
static inline REMAT_HOST_DEVICE struct remat_rng_block remat_rng(uint64_t seed, uint32_t purpose, uint32_t stream,
                                                                 uint32_t salt, uint64_t counter)
{
    uint32_t key0 = (uint32_t)seed ^ (purpose * 0x9E3779B1u), key1 = (uint32_t)(seed >> 32) ^ (salt * 0x85EBCA77u);
    struct remat_rng_block x;
    int round;
    x.word[0] = (uint32_t)counter;
    x.word[1] = (uint32_t)(counter >> 32);
    x.word[2] = stream;
    x.word[3] = purpose ^ (salt << 8);
    for (round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * x.word[0], b = (uint64_t)0xCD9E8D57u * x.word[2];
        uint32_t w0 = (uint32_t)(b >> 32) ^ x.word[1] ^ key0, w2 = (uint32_t)(a >> 32) ^ x.word[3] ^ key1;
        x.word[1] = (uint32_t)b;
        x.word[3] = (uint32_t)a;
        x.word[0] = w0;
        x.word[2] = w2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return x;
}

/* Uniform in [0, 1) with 24 bits. */
static inline REMAT_HOST_DEVICE float remat_rng_uniform(uint32_t word)
{
    return (float)(word >> 8) * (1.0f / 16777216.0f);
}

#endif
