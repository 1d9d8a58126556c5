/* Kernels compiled once per instruction set.
 *
 * Every file of this folder is compiled with REMAT_ISA = baseline, avx2 and avx512 and exports a table of functions
 * under a name that ends in the instruction set; nothing else in it has external linkage:
 *
 *     header:            struct remat_foo_kernels { void (*scale)(float *x, int64_t n, float factor); };
 *                        REMAT_SIMD_DECLARE(struct remat_foo_kernels, remat_foo_kernels);
 *     simd/foo.c:        const struct remat_foo_kernels REMAT_SIMD_NAME(remat_foo_kernels) = {.scale = scale};
 *     anywhere else:     REMAT_SIMD_TABLE(device, remat_foo_kernels)->scale(x, n, 2.0f);
 *
 * Headers used here hold static functions only: a shared inline function compiled with AVX-512 could be the copy that
 * the linker keeps for everyone. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SIMD_SIMD_H
#define REMAT_RUNTIME_BACKEND_CPU_SIMD_SIMD_H

#define REMAT_ISA_LIST(X)             \
    X(REMAT_ISA_BASELINE, "baseline") \
    X(REMAT_ISA_AVX2, "avx2")         \
    X(REMAT_ISA_AVX512, "avx512")

enum remat_isa {
#define X(name, text) name,
    REMAT_ISA_LIST(X)
#undef X
        REMAT_ISA_COUNT
};

#define REMAT_SIMD_PASTE_(name, isa) name##_##isa
#define REMAT_SIMD_PASTE(name, isa) REMAT_SIMD_PASTE_(name, isa)
#define REMAT_SIMD_NAME(name) REMAT_SIMD_PASTE(name, REMAT_ISA)

#if defined(__x86_64__)
#define REMAT_SIMD_DECLARE(type, name) extern const type name##_baseline, name##_avx2, name##_avx512
#define REMAT_SIMD_TABLE(device, name)                  \
    ((device)->isa == REMAT_ISA_AVX512 ? &name##_avx512 \
     : (device)->isa == REMAT_ISA_AVX2 ? &name##_avx2   \
                                       : &name##_baseline)
#else
#define REMAT_SIMD_DECLARE(type, name) extern const type name##_baseline
#define REMAT_SIMD_TABLE(device, name) (&name##_baseline)
#endif

#endif
