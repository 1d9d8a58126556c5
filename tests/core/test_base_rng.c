/* Counter-based random numbers: the published vector, independence of streams, range of uniforms. */
#include "core/base/hash.h"
#include "core/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

/* Known answer of Philox-4x32-10 for counter and key zero (Random123 1.14, kat_vectors). */
static void matches_the_published_vector(void **state)
{
    static const uint32_t expected[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
    struct remat_rng_block block = remat_rng(0, 0, 0, 0, 0);
    (void)state;
    assert_memory_equal(block.word, expected, sizeof expected);
}

static void every_coordinate_matters(void **state)
{
    struct remat_rng_block blocks[] = {remat_rng(1, REMAT_RNG_DROPOUT, 2, 3, 4),
                                       remat_rng(2, REMAT_RNG_DROPOUT, 2, 3, 4),
                                       remat_rng(1, REMAT_RNG_INIT, 2, 3, 4),
                                       remat_rng(1, REMAT_RNG_DROPOUT, 3, 3, 4),
                                       remat_rng(1, REMAT_RNG_DROPOUT, 2, 4, 4),
                                       remat_rng(1, REMAT_RNG_DROPOUT, 2, 3, 5),
                                       remat_rng((UINT64_C(1) << 32) + 1, REMAT_RNG_DROPOUT, 2, 3, 4),
                                       remat_rng(1, REMAT_RNG_DROPOUT, 2, 3, (UINT64_C(1) << 32) + 4)};
    const size_t count = sizeof blocks / sizeof blocks[0];
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(&blocks[i], &blocks[k], sizeof blocks[i]);
}

/* Mean 1/2 and variance 1/12 within five standard errors. */
static void uniforms_are_uniform(void **state)
{
    enum { BLOCKS = 50000 };
    double sum = 0.0, squares = 0.0;
    (void)state;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        struct remat_rng_block block = remat_rng(42, REMAT_RNG_INIT, 0, 0, i);
        for (int k = 0; k < 4; k++) {
            double u = (double)remat_rng_uniform(block.word[k]);
            assert_true(u >= 0.0 && u < 1.0);
            sum += u;
            squares += (u - 0.5) * (u - 0.5);
        }
    }
    assert_true(sum / (4 * BLOCKS) > 0.5 - 0.0033 && sum / (4 * BLOCKS) < 0.5 + 0.0033);
    assert_true(squares / (4 * BLOCKS) > 1.0 / 12 - 0.0009 && squares / (4 * BLOCKS) < 1.0 / 12 + 0.0009);
    assert_true(remat_rng_uniform(UINT32_MAX) < 1.0f);
}

static void hashes_depend_on_content_and_seed(void **state)
{
    (void)state;
    assert_true(remat_hash("abc", 3, 0) == remat_hash_text("abc", 0));
    assert_false(remat_hash("abc", 3, 0) == remat_hash("abc", 3, 1));
    assert_false(remat_hash("abc", 3, 0) == remat_hash("abd", 3, 0));
    assert_false(remat_hash_combine(1, 2) == remat_hash_combine(2, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_published_vector),
        cmocka_unit_test(every_coordinate_matters),
        cmocka_unit_test(uniforms_are_uniform),
        cmocka_unit_test(hashes_depend_on_content_and_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
