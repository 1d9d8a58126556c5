/* Ratios of measured steps: the median, and whether they agree. */
#include "bench/measurement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

static void add(struct remat_measurement *m, int64_t keep_all_ns, int64_t plan_ns)
{
    struct remat_error err;
    assert_int_equal(remat_measured_add(&m->keep_all, keep_all_ns, NULL, 0, &err), REMAT_OK);
    assert_int_equal(remat_measured_add(&m->plan, plan_ns, NULL, 0, &err), REMAT_OK);
}

static void the_median_of_neighbours_counts(void **state)
{
    /* The machine is twice as slow for a while, and once a step alone is disturbed. */
    static const int64_t plan[] = {110, 220, 220, 110, 900}, keep_all[] = {100, 200, 200, 100, 100};
    struct remat_measurement drift = {0}, even = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        add(&drift, keep_all[i], plan[i]);
    add(&even, 100, 100);
    add(&even, 100, 120);
    assert_true(fabs(remat_measurement_relative(&drift) - 1.1) < 1e-12);
    assert_true(fabs(remat_measurement_relative(&even) - 1.1) < 1e-12);
    remat_measurement_free(&drift);
    remat_measurement_free(&even);
}

static bool settles(const int64_t *plan_ns, int32_t count, double predicted)
{
    struct remat_measurement m = {0};
    bool result;
    for (int32_t i = 0; i < count; i++)
        add(&m, 100, plan_ns[i]);
    result = remat_measurement_settles(&m, predicted);
    remat_measurement_free(&m);
    return result;
}

static void the_middle_half_must_agree(void **state)
{
    (void)state;
    assert_true(settles(NULL, 0, 1));
    assert_true(settles((const int64_t[]){50}, 1, 0));
    assert_true(settles((const int64_t[]){100, 101}, 2, 0));
    assert_false(settles((const int64_t[]){100, 103}, 2, 0));
    assert_true(settles((const int64_t[]){50, 100, 101, 300}, 4, 0));
}

static void what_strays_from_the_predicted_is_looked_at_again(void **state)
{
    (void)state;
    assert_true(settles((const int64_t[]){109, 110}, 2, 1.08));
    assert_false(settles((const int64_t[]){109, 110}, 2, 1.07));
    assert_false(settles((const int64_t[]){109, 110}, 2, 1.12));
}

/* Three steps of three instructions; each step is disturbed in another one. */
static void disturbed_instructions_do_not_count(void **state)
{
    static const int64_t disturbed[3][3] = {{90, 20, 30}, {10, 95, 30}, {10, 20, 80}}, even[3] = {5, 10, 15};
    struct remat_measurement m = {0};
    struct remat_error err;
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            remat_measured_add(&m.plan, disturbed[i][0] + disturbed[i][1] + disturbed[i][2] + 4, disturbed[i], 3, &err),
            REMAT_OK);
        assert_int_equal(remat_measured_add(&m.keep_all, 32, even, 3, &err), REMAT_OK);
    }
    assert_int_equal(remat_measured_ns(&m.plan), 64);
    assert_int_equal(remat_measured_ns(&m.keep_all), 32);
    assert_true(fabs(remat_measurement_relative(&m) - 2) < 1e-12);
    assert_int_equal(remat_measured_step_ns(&m.plan), 139);
    remat_measurement_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_median_of_neighbours_counts),
        cmocka_unit_test(the_middle_half_must_agree),
        cmocka_unit_test(what_strays_from_the_predicted_is_looked_at_again),
        cmocka_unit_test(disturbed_instructions_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
