/* Which elements a dropout keeps: a pure function of (seed, step, micro step, layer, element), so that the backward
 * pass and every recomputation make the same mask again, on any backend. */
#ifndef REMAT_RUNTIME_BACKEND_DROPOUT_H
#define REMAT_RUNTIME_BACKEND_DROPOUT_H

#include "core/base/rng.h"
#include "runtime/backend/backend.h"

/* The random words of elements 4 * group .. 4 * group + 3. */
static inline REMAT_HOST_DEVICE struct remat_rng_block remat_dropout_block(const struct remat_step_record *record,
                                                                           int32_t layer, int64_t group)
{
    uint32_t salt = (uint32_t)((uint64_t)record->step * (uint64_t)record->micro_count + (uint64_t)record->micro);
    return remat_rng(record->seed, REMAT_RNG_DROPOUT, (uint32_t)layer, salt, (uint64_t)group);
}

/* An element is kept with probability 1 - p; kept ones are multiplied by 1 / (1 - p). */
static inline REMAT_HOST_DEVICE bool remat_dropout_keeps(uint32_t word, float probability)
{
    return remat_rng_uniform(word) >= probability;
}

static inline REMAT_HOST_DEVICE bool remat_dropout_keeps_element(const struct remat_step_record *record, int32_t layer,
                                                                 int64_t element, float probability)
{
    return remat_dropout_keeps(remat_dropout_block(record, layer, element / 4).word[element % 4], probability);
}

#endif
