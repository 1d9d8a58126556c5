/* Content hashes (XXH3, 64 bit) for signatures, plan identity and checkpoint integrity. Not cryptographic. */
#ifndef REMAT_CORE_BASE_HASH_H
#define REMAT_CORE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t remat_hash(const void *data, size_t bytes, uint64_t seed);
uint64_t remat_hash_text(const char *text, uint64_t seed);
static inline uint64_t remat_hash_combine(uint64_t a, uint64_t b)
{
    uint64_t pair[2] = {a, b};
    return remat_hash(pair, sizeof pair, 0);
}

#endif
