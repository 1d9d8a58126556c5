/* Monotonic time in nanoseconds. */
#ifndef REMAT_PROFILER_CLOCK_H
#define REMAT_PROFILER_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline int64_t remat_clock_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
