/* bf16: the upper half of an f32. */
#ifndef REMAT_RUNTIME_BACKEND_BF16_H
#define REMAT_RUNTIME_BACKEND_BF16_H

#include <stdint.h>
#include <string.h>

static inline float remat_bf16_to_f32(uint16_t x)
{
    uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* To the nearest, halves to the even one; NaN stays NaN. */
static inline uint16_t remat_bf16_from_f32(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return 0x7FFF;
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1)) >> 16);
}

#endif
