/* Sizes as people write them. */
#include "core/base/size.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void expect_bytes(const char *text, int64_t bytes)
{
    struct remat_size size;
    struct remat_error err = {0};
    if (remat_size_parse(text, &size, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_true(size.fraction < 0);
    assert_int_equal(size.bytes, bytes);
    assert_int_equal(remat_size_resolve(size, 7), bytes);
}

static void sizes_in_bytes(void **state)
{
    (void)state;
    expect_bytes("4096", 4096);
    expect_bytes("1", 1);
    expect_bytes("4096B", 4096);
    expect_bytes("512MiB", INT64_C(512) << 20);
    expect_bytes("512 mib", INT64_C(512) << 20);
    expect_bytes("4GiB", INT64_C(4) << 30);
    expect_bytes("4G", INT64_C(4) << 30);
    expect_bytes("1.5GB", 1500000000);
    expect_bytes(".5KiB", 512);
    expect_bytes("2.KB", 2000);
    expect_bytes("8192TiB", INT64_C(1) << 53);
    expect_bytes("9007199254740992", INT64_C(1) << 53);
}

static void fractions(void **state)
{
    struct remat_size size;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_size_parse("40%", &size, &err), REMAT_OK);
    assert_int_equal(remat_size_resolve(size, 1000), 400);
    assert_int_equal(remat_size_parse("12.5 %", &size, &err), REMAT_OK);
    assert_int_equal(remat_size_resolve(size, 1001), 125);
    assert_int_equal(remat_size_parse("100%", &size, &err), REMAT_OK);
    assert_int_equal(remat_size_resolve(size, INT64_C(1) << 50), INT64_C(1) << 50);
}

static void nonsense_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "GiB",
                                        ".",
                                        "-1",
                                        "+5",
                                        "1..2",
                                        "1.2.3",
                                        "4XiB",
                                        "0x10",
                                        "inf",
                                        "nan",
                                        "1e9",
                                        "4GiBs",
                                        "0",
                                        "0GiB",
                                        "0.4",
                                        "8193TiB",
                                        "99999999999999999999999",
                                        "0%",
                                        "-3%",
                                        "1001%",
                                        "%",
                                        "40%%",
                                        "40%GiB",
                                        "4 0",
                                        "4GiB "};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct remat_size size;
        struct remat_error err = {0};
        if (remat_size_parse(texts[i], &size, &err) != REMAT_USAGE)
            fail_msg("\"%s\" was accepted", texts[i]);
        assert_true(strlen(err.message) > 0);
    }
}

static void formats(void **state)
{
    char text[32], small[4];
    (void)state;
    assert_string_equal(remat_size_format(0, text, sizeof text), "0 B");
    assert_string_equal(remat_size_format(1023, text, sizeof text), "1023 B");
    assert_string_equal(remat_size_format(1024, text, sizeof text), "1.00 KiB");
    assert_string_equal(remat_size_format(INT64_C(3712), text, sizeof text), "3.62 KiB");
    assert_string_equal(remat_size_format((INT64_C(1) << 30) - 1, text, sizeof text), "1.00 GiB");
    assert_string_equal(remat_size_format(INT64_C(3463) << 20, text, sizeof text), "3.38 GiB");
    assert_string_equal(remat_size_format(INT64_MAX, text, sizeof text), "8.00 EiB");
    assert_string_equal(remat_size_format(-2048, text, sizeof text), "-2.00 KiB");
    assert_string_equal(remat_size_format(1024, small, sizeof small), "1.0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_in_bytes),
        cmocka_unit_test(fractions),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
