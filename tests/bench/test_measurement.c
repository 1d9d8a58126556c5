/* Ratios of measured steps: the median, and whether they agree. */
#include "bench/measurement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

static void the_median_of_neighbours_counts(void **state)
{
    /* The machine is twice as slow for a while, and once a step alone is disturbed. */
    static const struct remat_measurement drift = {{110, 220, 220, 110, 900}, {100, 200, 200, 100, 100}, 5};
    static const struct remat_measurement even = {{100, 120}, {100, 100}, 2};
    (void)state;
    assert_true(fabs(remat_measurement_relative(&drift) - 1.1) < 1e-12);
    assert_true(fabs(remat_measurement_relative(&even) - 1.1) < 1e-12);
}

static void the_middle_half_must_agree(void **state)
{
    static const struct remat_measurement none = {.count = 0}, one = {{100}, {50}, 1};
    static const struct remat_measurement two = {{100, 103}, {100, 100}, 2}, apart = {{100, 105}, {100, 100}, 2};
    static const struct remat_measurement outliers = {{50, 100, 101, 300}, {100, 100, 100, 100}, 4};
    (void)state;
    assert_true(remat_measurement_agrees(&none));
    assert_true(remat_measurement_agrees(&one));
    assert_true(remat_measurement_agrees(&two));
    assert_false(remat_measurement_agrees(&apart));
    assert_true(remat_measurement_agrees(&outliers));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_of_neighbours_counts),
        cmocka_unit_test(the_middle_half_must_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
