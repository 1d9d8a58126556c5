/* Checked memory and error messages. */
#include "core/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void alloc_zeroes_and_checks(void **state)
{
    int64_t *array;
    struct remat_error err;
    (void)state;
    assert_int_equal(REMAT_ALLOC(array, 100, &err), REMAT_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(array[i], 0);
    free(array);
    assert_int_equal(REMAT_ALLOC(array, 0, &err), REMAT_OK);
    assert_non_null(array);
    free(array);
    assert_int_equal(REMAT_ALLOC(array, INT64_MAX / 2, &err), REMAT_OUT_OF_MEMORY);
    assert_null(array);
    assert_int_equal(REMAT_ALLOC(array, -1, &err), REMAT_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "out of host memory"));
}

static void growth_keeps_and_zeroes(void **state)
{
    int32_t *array = NULL, capacity = 0;
    struct remat_error err;
    (void)state;
    for (int32_t i = 0; i < 1000; i++) {
        assert_int_equal(REMAT_GROW(array, capacity, i + 1, &err), REMAT_OK);
        assert_int_equal(array[i], 0);
        array[i] = i + 1;
    }
    for (int32_t i = 0; i < 1000; i++)
        assert_int_equal(array[i], i + 1);
    assert_true(capacity >= 1000);
    free(array);
}

static void pools_hold_small_and_large_pieces(void **state)
{
    struct remat_pool pool = {0};
    struct remat_error err;
    const char *text;
    char *large, *small[200];
    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(REMAT_POOL_ALLOC(&pool, small[i], 1000, &err), REMAT_OK);
        assert_int_equal((uintptr_t)small[i] % 16, 0);
        assert_int_equal(small[i][999], 0);
        memset(small[i], i, 1000);
    }
    assert_int_equal(REMAT_POOL_ALLOC(&pool, large, 1 << 20, &err), REMAT_OK);
    memset(large, 1, 1 << 20);
    assert_int_equal(remat_pool_printf(&pool, &text, &err, "%s-%d", "name", 7), REMAT_OK);
    assert_string_equal(text, "name-7");
    for (int i = 0; i < 200; i++)
        assert_int_equal((unsigned char)small[i][500], i);
    assert_int_equal(REMAT_POOL_ALLOC(&pool, large, INT64_MAX, &err), REMAT_OUT_OF_MEMORY);
    remat_pool_free(&pool);
    assert_null(pool.blocks);
}

static void alignment_rounds_up(void **state)
{
    (void)state;
    assert_int_equal(remat_align_up(0), 0);
    assert_int_equal(remat_align_up(1), 64);
    assert_int_equal(remat_align_up(64), 64);
    assert_int_equal(remat_align_up(65), 128);
}

static void messages_are_cut_never_overrun(void **state)
{
    struct remat_error err = {0};
    char text[3000];
    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(remat_fail(&err, REMAT_BAD_DATA, "%d things in %s", 3, "a file"), REMAT_BAD_DATA);
    assert_string_equal(err.message, "3 things in a file");
    assert_int_equal(remat_error_prefix(&err, "%s[%d]", "tasks", 4), REMAT_BAD_DATA);
    assert_string_equal(err.message, "tasks[4]: 3 things in a file");
    assert_int_equal(remat_error_prefix(&err, "%s", text), REMAT_BAD_DATA);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(remat_fail(&err, REMAT_IO, "%s", text), REMAT_IO);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(remat_error_prefix(&err, "where"), REMAT_IO);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    assert_int_equal(remat_fail(NULL, REMAT_IO, "nobody listens"), REMAT_IO);
}

static void every_status_has_a_text(void **state)
{
    (void)state;
#define X(name, code, text) assert_string_equal(remat_status_text((enum remat_status)(code)), text);
    REMAT_STATUS_LIST(X)
#undef X
    assert_string_equal(remat_status_text((enum remat_status)99), "unknown status");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_zeroes_and_checks),           cmocka_unit_test(growth_keeps_and_zeroes),
        cmocka_unit_test(pools_hold_small_and_large_pieces), cmocka_unit_test(alignment_rounds_up),
        cmocka_unit_test(messages_are_cut_never_overrun),    cmocka_unit_test(every_status_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
