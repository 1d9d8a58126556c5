/* Axes: round ticks, ranges that hold the data, ranges of zero. */
#include "report/axis.h"
#include "tests/report/support_folder.h"

#include <math.h>

static struct report_axis axis_of(double low, double high, int ticks, bool whole)
{
    struct report_axis axis = {.whole = whole};
    report_axis_include(&axis, low);
    report_axis_include(&axis, high);
    report_axis_finish(&axis, ticks);
    return axis;
}

static void test_range_holds_data_and_ends_at_ticks(void **state)
{
    static const double ranges[][2] = {{0, 1},       {9.42, 14.7},   {-3, 8},        {0.9, 1.31},
                                       {1e-4, 5e-4}, {1234, 987654}, {1e9, 1.001e9}, {-1e-3, -1e-5}};
    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        struct report_axis axis = axis_of(ranges[i][0], ranges[i][1], 6, false);
        double intervals = (axis.high - axis.low) / axis.step;
        assert_true(axis.low <= ranges[i][0] && axis.high >= ranges[i][1]);
        assert_true(fabs(intervals - round(intervals)) < 1e-6);
        assert_true(intervals >= 2 && intervals <= 8);
    }
}

static void test_steps_are_round(void **state)
{
    (void)state;
    assert_float_equal(axis_of(0, 100, 6, false).step, 20, 1e-9);
    assert_float_equal(axis_of(0, 1.4, 6, false).step, 0.25, 1e-9);
    assert_int_equal(axis_of(0, 1.4, 6, false).decimals, 2);
    assert_float_equal(axis_of(0, 12, 6, true).step, 2, 1e-9);
    assert_float_equal(axis_of(0, 3, 8, true).step, 1, 1e-9);
    assert_float_equal(axis_of(0, 15, 8, true).step, 2, 1e-9);
}

static void test_empty_ranges_widen(void **state)
{
    static const double values[] = {0, 1, -7, 1e-9, 3e12};
    struct report_axis nothing = {0};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct report_axis axis = axis_of(values[i], values[i], 6, false);
        assert_true(axis.low <= values[i] && values[i] <= axis.high && axis.low < axis.high && axis.step > 0);
    }
    report_axis_finish(&nothing, 6);
    assert_true(nothing.low < nothing.high && nothing.step > 0);
}

static void test_not_numbers_are_passed_over(void **state)
{
    struct report_axis axis = {0};
    (void)state;
    report_axis_include(&axis, NAN);
    report_axis_include(&axis, INFINITY);
    assert_false(axis.any);
    report_axis_include(&axis, 4);
    report_axis_include(&axis, NAN);
    assert_float_equal(axis.low, 4, 0);
    assert_float_equal(axis.high, 4, 0);
}

static void test_tick_texts(void **state)
{
    struct report_axis axis = axis_of(0, 1.4, 6, false), small = axis_of(0, 3e-7, 6, false);
    char text[32];
    (void)state;
    assert_string_equal(report_axis_tick_text(&axis, 0.25, text, sizeof text), "0.25");
    assert_string_equal(report_axis_tick_text(&axis, -1e-14, text, sizeof text), "0.00");
    assert_string_equal(report_axis_tick_text(&small, 1e-7, text, sizeof text), "1e-07");
}

static void test_units(void **state)
{
    (void)state;
    assert_string_equal(report_bytes_unit(5e11).name, "GiB");
    assert_string_equal(report_bytes_unit(5e6).name, "MiB");
    assert_string_equal(report_bytes_unit(0).name, "KiB");
    assert_string_equal(report_time_unit(2e10).name, "s");
    assert_string_equal(report_time_unit(2e7).name, "ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_range_holds_data_and_ends_at_ticks),
                                       cmocka_unit_test(test_steps_are_round),
                                       cmocka_unit_test(test_empty_ranges_widen),
                                       cmocka_unit_test(test_not_numbers_are_passed_over),
                                       cmocka_unit_test(test_tick_texts),
                                       cmocka_unit_test(test_units)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
