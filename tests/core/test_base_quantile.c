/* Quantiles of numbers and of times: the same rule. */
#include "core/base/quantile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

static void test_numbers(void **state)
{
    double values[] = {4, 1, 3, 2, 5}, one[] = {7};
    (void)state;
    assert_float_equal(remat_quantile(values, 5, 0.5), 3, 1e-12);
    assert_float_equal(remat_quantile(values, 5, 0.25), 2, 1e-12);
    assert_float_equal(remat_quantile(values, 4, 0.5), 2.5, 1e-12);
    assert_float_equal(remat_quantile(one, 1, 0.75), 7, 1e-12);
    assert_true(isnan(remat_quantile(values, 0, 0.5)));
}

static void test_times(void **state)
{
    int64_t times[] = {400, 100, 300, 200, 501}, one[] = {7};
    (void)state;
    assert_float_equal(remat_quantile_ns(times, 5, 0.5), 300, 1e-12);
    assert_float_equal(remat_quantile_ns(times, 5, 0.9), 460.6, 1e-9);
    assert_float_equal(remat_quantile_ns(times, 5, 1), 501, 1e-12);
    assert_float_equal(remat_quantile_ns(one, 1, 0.25), 7, 1e-12);
    assert_true(isnan(remat_quantile_ns(times, 0, 0.5)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers), cmocka_unit_test(test_times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
