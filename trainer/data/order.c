#include "trainer/data/order.h"

#include "core/base/rng.h"

/* Uniform in [0, bound) from 64 random bits; the bias is below bound / 2^64. */
static int32_t draw_below(struct remat_rng_block block, int32_t bound)
{
    uint64_t word = ((uint64_t)block.word[1] << 32) | block.word[0];
    return (int32_t)(((unsigned __int128)word * (uint64_t)bound) >> 64);
}

void remat_order_shuffle(uint64_t seed, int64_t epoch, int32_t count, int32_t *order)
{
    for (int32_t i = 0; i < count; i++)
        order[i] = i;
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t j = draw_below(remat_rng(seed, REMAT_RNG_SHUFFLE, (uint32_t)epoch, 0, (uint64_t)i), i + 1);
        int32_t swapped = order[i];
        order[i] = order[j];
        order[j] = swapped;
    }
}
