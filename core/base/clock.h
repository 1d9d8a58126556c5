/* Time that only goes forward. */
#ifndef REMAT_CORE_BASE_CLOCK_H
#define REMAT_CORE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t remat_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline double remat_clock_seconds(void)
{
    return (double)remat_clock_ns() * 1e-9;
}

#endif
