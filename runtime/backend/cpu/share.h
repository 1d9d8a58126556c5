/* How work in whole units is divided among threads. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SHARE_H
#define REMAT_RUNTIME_BACKEND_CPU_SHARE_H

#include <stdint.h>

static inline int64_t remat_at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

static inline int64_t remat_units(int64_t total, int64_t unit)
{
    return (total + unit - 1) / unit;
}

/* Where share `index` of `count` of 0..total begins; it ends where the next one begins. */
static inline int64_t remat_share(int64_t total, int64_t unit, int32_t index, int32_t count)
{
    return remat_at_most(remat_units(total, unit) * index / count * unit, total);
}

/* How evenly `total` falls to the threads: mean over maximum, at most 1. */
static inline double remat_balance(int64_t total, int64_t unit, int32_t threads)
{
    return (double)total / (double)(remat_units(remat_units(total, unit), threads) * unit * threads);
}

/* For a function that several threads of one parallel region run, or one alone. */
static inline void remat_wait_for_sharers(int32_t sharing)
{
    if (sharing > 1) {
#pragma omp barrier
    }
}

#endif
