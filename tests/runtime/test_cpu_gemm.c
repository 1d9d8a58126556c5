/* Matrix products of the cpu backend against a sum in double, for every compiled instruction set that runs here. */
#include "runtime/backend/cpu/gemm.h"

#include "core/base/memory.h"
#include "core/base/rng.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GUARD = 64 };

static struct remat_device *open_device(void **state)
{
    return *state;
}

static float *array(int64_t count)
{
    void *out = aligned_alloc(REMAT_ALIGNMENT, (size_t)remat_align_up((count + GUARD) * (int64_t)sizeof(float)));
    assert_non_null(out);
    return out;
}

static float *random_array(int64_t count, uint32_t stream)
{
    float *out = array(count);
    for (int64_t i = 0; i < count; i++)
        out[i] = remat_rng_uniform(remat_rng(7, REMAT_RNG_SYNTHETIC, stream, 0, (uint64_t)i).word[0]) - 0.5f;
    return out;
}

static void *scratch_of(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads,
                        int64_t *bytes)
{
    *bytes = remat_gemm_scratch_bytes(device, gemm, threads);
    char *out = aligned_alloc(REMAT_ALIGNMENT, (size_t)remat_align_up(*bytes + GUARD));
    assert_non_null(out);
    memset(out, 0xff, (size_t)*bytes); /* NaN: nothing may be read before it is written */
    memset(out + *bytes, 0x5a, GUARD);
    return out;
}

static void check_guard(const char *scratch, int64_t bytes)
{
    for (int64_t i = 0; i < GUARD; i++)
        assert_int_equal(scratch[bytes + i], 0x5a);
}

static void check_element(const struct remat_gemm *gemm, const float *a, const float *b, const float *before,
                          const float *c, int64_t i, int64_t j)
{
    double sum = 0, size = 0, expected;
    for (int64_t p = 0; p < gemm->k; p++) {
        double x = a[gemm->trans_a ? p * gemm->lda + i : i * gemm->lda + p];
        double y = b[gemm->trans_b ? j * gemm->ldb + p : p * gemm->ldb + j];
        sum += x * y;
        size += fabs(x * y);
    }
    expected = gemm->alpha * sum + (gemm->bias ? gemm->bias[j] : 0);
    if (gemm->beta != 0)
        expected += before[i * gemm->ldc + j];
    /* Rounding of a sum of k terms: at most about k ulps of their sizes (Higham, section 3.1). */
    assert_true(fabs(c[i * gemm->ldc + j] - expected) <= 6e-8 * (double)(gemm->k + 4) * (size + fabs(expected) + 1));
}

static void check_gemm(const struct remat_device *device, struct remat_gemm gemm, int32_t threads)
{
    int64_t a_rows = gemm.trans_a ? gemm.k : gemm.m, b_rows = gemm.trans_b ? gemm.n : gemm.k, bytes;
    int64_t c_count = gemm.m * gemm.ldc;
    float *a = random_array(a_rows * gemm.lda, 1), *b = random_array(b_rows * gemm.ldb, 2);
    float *before = random_array(c_count, 3), *c = array(c_count), *again = array(c_count);
    char *scratch = scratch_of(device, &gemm, threads, &bytes);
    memcpy(c, before, (size_t)c_count * sizeof *c);
    memcpy(again, before, (size_t)c_count * sizeof *c);
    if (gemm.beta == 0)
        for (int64_t i = 0; i < gemm.m; i++)
            for (int64_t j = 0; j < gemm.n; j++)
                c[i * gemm.ldc + j] = NAN;
    remat_gemm_run(device, &gemm, a, b, c, scratch, threads);
    remat_gemm_run(device, &gemm, a, b, again, scratch, threads);
    check_guard(scratch, bytes);
    assert_memory_equal(c, again, (size_t)c_count * sizeof *c);
    for (int64_t i = 0; i < gemm.m; i++) {
        for (int64_t j = 0; j < gemm.n; j++)
            check_element(&gemm, a, b, before, c, i, j);
        for (int64_t j = gemm.n; j < gemm.ldc; j++)
            assert_true(c[i * gemm.ldc + j] == before[i * gemm.ldc + j]);
    }
    free(a);
    free(b);
    free(before);
    free(c);
    free(again);
    free(scratch);
}

static struct remat_gemm gemm_make(int64_t m, int64_t n, int64_t k, int variant)
{
    struct remat_gemm gemm = {.m = m, .n = n, .k = k, .trans_a = variant & 1, .trans_b = variant & 2};
    gemm.alpha = variant & 4 ? 0.125f : 1.0f;
    gemm.beta = variant & 8 ? 1.0f : 0.0f;
    gemm.lda = (gemm.trans_a ? m : k) + 3;
    gemm.ldb = (gemm.trans_b ? k : n) + 5;
    gemm.ldc = n + 2;
    return gemm;
}

static void test_sizes_and_transposes(void **state)
{
    static const int64_t sizes[][3] = {{1, 1, 1},     {5, 7, 3},     {6, 16, 8},     {7, 17, 9},
                                       {13, 31, 33},  {64, 3, 300},  {3, 100, 1030}, {33, 65, 257},
                                       {29, 300, 40}, {97, 33, 520}, {45, 530, 70}};
    struct remat_device *device = open_device(state);
    for (int isa = 0; isa <= (int)remat_cpu_best_isa(); isa++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
            for (int variant = 0; variant < 16; variant++)
                for (int32_t threads = 1; threads <= 3; threads++) {
                    device->isa = (enum remat_isa)isa;
                    check_gemm(device, gemm_make(sizes[s][0], sizes[s][1], sizes[s][2], variant), threads);
                }
    device->isa = remat_cpu_best_isa();
}

static void test_bias(void **state)
{
    struct remat_device *device = open_device(state);
    float *bias = random_array(77, 9);
    for (int variant = 0; variant < 4; variant++) {
        struct remat_gemm gemm = gemm_make(23, 77, 1100, variant);
        gemm.bias = bias;
        check_gemm(device, gemm, 1);
        check_gemm(device, gemm, 2);
    }
    free(bias);
}

/* The order of a sum does not depend on how the work is divided. */
static void test_threads_give_equal_bits(void **state)
{
    struct remat_device *device = open_device(state);
    for (int variant = 0; variant < 4; variant++) {
        struct remat_gemm gemm = gemm_make(50, 90, 1500, variant);
        float *a = random_array(gemm.lda * 1500, 1), *b = random_array(gemm.ldb * 1500, 2);
        float *c[3];
        for (int32_t t = 0; t < 3; t++) {
            int64_t bytes;
            void *scratch = scratch_of(device, &gemm, t + 1, &bytes);
            c[t] = random_array(gemm.m * gemm.ldc, 3);
            remat_gemm_run(device, &gemm, a, b, c[t], scratch, t + 1);
            free(scratch);
        }
        for (int32_t t = 1; t < 3; t++)
            assert_memory_equal(c[0], c[t], (size_t)(gemm.m * gemm.ldc) * sizeof(float));
        for (int32_t t = 0; t < 3; t++)
            free(c[t]);
        free(a);
        free(b);
    }
}

/* As attention does: every thread of a parallel region multiplies on its own. */
static void test_inside_a_parallel_region(void **state)
{
    struct remat_device *device = open_device(state);
    struct remat_gemm gemm = gemm_make(20, 40, 64, 2);
    float *a = random_array(20 * gemm.lda, 1), *b = random_array(40 * gemm.ldb, 2), *c[2];
    void *scratch[2];
    for (int t = 0; t < 2; t++) {
        int64_t bytes;
        scratch[t] = scratch_of(device, &gemm, 1, &bytes);
        c[t] = random_array(20 * gemm.ldc, 3);
    }
#pragma omp parallel for num_threads(2)
    for (int t = 0; t < 2; t++)
        remat_gemm_run(device, &gemm, a, b, c[t], scratch[t], 1);
    for (int64_t i = 0; i < 20; i++)
        for (int64_t j = 0; j < 40; j++)
            check_element(&gemm, a, b, c[0], c[0], i, j);
    assert_memory_equal(c[0], c[1], (size_t)(20 * gemm.ldc) * sizeof(float));
    for (int t = 0; t < 2; t++) {
        free(c[t]);
        free(scratch[t]);
    }
    free(a);
    free(b);
}

static int open_cpu(void **state)
{
    struct remat_device_config config = {.threads = 2};
    return remat_cpu_open(&config, (struct remat_device **)state, NULL) == REMAT_OK ? 0 : -1;
}

static int close_cpu(void **state)
{
    remat_cpu_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_transposes),
        cmocka_unit_test(test_bias),
        cmocka_unit_test(test_threads_give_equal_bits),
        cmocka_unit_test(test_inside_a_parallel_region),
    };
    return cmocka_run_group_tests(tests, open_cpu, close_cpu);
}
