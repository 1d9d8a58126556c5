/* Arithmetic on whole numbers. */
#ifndef REMAT_CORE_BASE_NUMBER_H
#define REMAT_CORE_BASE_NUMBER_H

#include <stdint.h>

/* The greatest common divisor; that of 0 and b is b. */
static inline int64_t remat_common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

#endif
