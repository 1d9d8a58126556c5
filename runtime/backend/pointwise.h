/* The mathematics of pointwise operations, once for every backend that computes in single precision: CPU loops
 * include it, and so do device kernels. Branch-free, so that compilers vectorise the loops around it.
 *
 * Static functions only: each translation unit gets the instructions that it is compiled for. */
#ifndef REMAT_RUNTIME_BACKEND_POINTWISE_H
#define REMAT_RUNTIME_BACKEND_POINTWISE_H

#include "core/base/rng.h"

#include <stdint.h>
#include <string.h>

/* a * b + c with one rounding where the processor has such an instruction, else with two; never as the compiler
 * likes, so that equal formulas in different loops give equal bits. */
static inline REMAT_HOST_DEVICE float remat_fma(float a, float b, float c)
{
#if defined(__FMA__) || defined(__FP_FAST_FMAF) || defined(__CUDACC__)
    return __builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

/* max(0, x); NaN stays NaN. */
static inline REMAT_HOST_DEVICE float remat_relu(float x)
{
    return 0.0f > x ? 0.0f : x;
}

/* The gradient of a rectifier whose result (or argument) is y. */
static inline REMAT_HOST_DEVICE float remat_relu_mask(float y, float gradient)
{
    return y > 0.0f ? gradient : 0.0f;
}

/* gamma * (x - mean) * invstd + beta with scale = gamma * invstd. Subtracting first keeps the digits where the mean is
 * large beside the deviation. */
static inline REMAT_HOST_DEVICE float remat_normalise(float x, float mean, float scale, float beta)
{
    return remat_fma(x - mean, scale, beta);
}

/* a / b within 2 ulp for |b| < 2^126: a GPU has an instruction for the reciprocal, which its exact division refines and
 * guards by ten more. */
static inline REMAT_HOST_DEVICE float remat_divide(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fdividef(a, b);
#else
    return a / b;
#endif
}

/* e^r for |r| <= ln 2 / 2: by a polynomial with the coefficients of Cephes' expf, or a GPU's instruction for powers of
 * 2 (relative error 2^-22 at most). */
static inline REMAT_HOST_DEVICE float remat_exp_reduced(float r)
{
    float p;
#ifdef __CUDA_ARCH__
    __asm__("ex2.approx.ftz.f32 %0, %1;" : "=f"(p) : "f"(r * 1.44269504f));
    return p;
#else
    p = remat_fma(1.9875691500e-4f, r, 1.3981999507e-3f);
    p = remat_fma(p, r, 8.3334519073e-3f);
    p = remat_fma(p, r, 4.1665795894e-2f);
    p = remat_fma(p, r, 1.6666665459e-1f);
    p = remat_fma(p, r, 5.0000001201e-1f);
    return remat_fma(p, r * r, r) + 1.0f;
#endif
}

/* e^x within 2 ulp; 0 below -86.9, infinity above 88.72, NaN for NaN.
 * x = n ln 2 + r, |r| <= ln 2 / 2, ln 2 in two parts so that r is exact (Cody and Waite, "Software Manual for the
 * Elementary Functions", 1980). */
static inline REMAT_HOST_DEVICE float remat_exp(float x)
{
    const float round = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, held in the low bits */
    float low = x < -86.9f ? -86.9f : x, t = low > 89.0f ? 89.0f : low, n, p, power;
    float shifted = remat_fma(t, 1.44269504f, round);
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    n = shifted - round;
    p = remat_exp_reduced(remat_fma(n, 2.12194440e-4f, remat_fma(n, -0.693359375f, t)));
    bits = (bits + 126u) << 23; /* 2^(n - 1), doubled below: 2^n alone would overflow before e^x does */
    memcpy(&power, &bits, sizeof power);
    return x < -86.9f ? 0.0f : p * power * 2.0f;
}

/* gelu(x) = x / 2 (1 + tanh u) = x s, s = 1 / (1 + e^(-2u)), u = sqrt(2 / pi) (x + 0.044715 x^3): the tanh form
 * (Hendrycks and Gimpel, arXiv 1606.08415), written with s because it keeps its relative accuracy in the left tail. */
static inline REMAT_HOST_DEVICE float remat_gelu_exponential(float x)
{
    return remat_exp(x * remat_fma(-0.0713548162726f * x, x, -1.59576912161f)); /* e^(-2u) */
}

/* Where the curve is straight: beyond it e^(-2u) would leave the range of floats. */
static inline REMAT_HOST_DEVICE float remat_gelu_clamp(float x)
{
    float low = x < -9.5f ? -9.5f : x;
    return low > 9.5f ? 9.5f : low;
}

static inline REMAT_HOST_DEVICE float remat_gelu(float x)
{
    return remat_divide(x, 1.0f + remat_gelu_exponential(remat_gelu_clamp(x)));
}

/* gelu'(x) = s + x s (1 - s) 2u', 1 - s = e s. */
static inline REMAT_HOST_DEVICE float remat_gelu_slope(float argument)
{
    float x = remat_gelu_clamp(argument), e = remat_gelu_exponential(x), s = remat_divide(1.0f, 1.0f + e);
    float twice_slope = remat_fma(0.214064448818f * x, x, 1.59576912161f); /* 2u' */
    return remat_fma(x * s * (e * s), twice_slope, s);
}

#endif
