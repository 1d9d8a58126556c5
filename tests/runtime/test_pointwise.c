/* The approximations of runtime/backend/pointwise.h against the C library in double. */
#include "runtime/backend/pointwise.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The size of the last digit of a float near x. */
static double last_digit(double x)
{
    return ldexp(1, ilogb(x) - 23);
}

static void exp_is_within_two_last_digits(void **state)
{
    double worst = 0;
    (void)state;
    for (double x = -86.89; x < 88.7; x += 3.1e-4) {
        float argument = (float)x;
        double exact = exp((double)argument), error = fabs((double)remat_exp(argument) - exact) / last_digit(exact);
        worst = error > worst ? error : worst;
    }
    if (worst > 2)
        fail_msg("e^x is off by %.2f of its last digit", worst);
}

static void exp_has_the_right_ends(void **state)
{
    (void)state;
    assert_true(remat_exp(0.0f) == 1.0f);
    assert_true(remat_exp(-INFINITY) == 0.0f && remat_exp(-87.5f) == 0.0f && remat_exp(-1e30f) == 0.0f);
    assert_true(remat_exp(89.0f) == INFINITY && remat_exp(INFINITY) == INFINITY);
    assert_true(isnan(remat_exp(NAN)));
}

static double gelu(double x, double *slope)
{
    double u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x), s = 1 / (1 + exp(-2 * u));
    *slope = s + x * s / (1 + exp(2 * u)) * 2 * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    return x * s;
}

/* A relative error of the exponent -2u, from three roundings, becomes |2u| times that of its exponential. */
static void gelu_follows_its_definition(void **state)
{
    (void)state;
    for (double x = -9; x < 9; x += 1.3e-4) {
        float argument = (float)x;
        double slope, exact = gelu((double)argument, &slope);
        double tolerance = (4 + 3 * 1.6 * fabs(x) * (1 + 0.045 * x * x)) * 6e-8;
        if (fabs((double)remat_gelu(argument) - exact) > tolerance * fabs(exact))
            fail_msg("gelu(%.7g) = %.9g, not %.9g", x, (double)remat_gelu(argument), exact);
        if (fabs((double)remat_gelu_slope(argument) - slope) > 5e-7)
            fail_msg("gelu'(%.7g) = %.9g, not %.9g", x, (double)remat_gelu_slope(argument), slope);
    }
}

static void gelu_is_straight_far_out(void **state)
{
    (void)state;
    assert_true(remat_gelu(50.0f) == 50.0f && remat_gelu_slope(50.0f) == 1.0f && remat_gelu_slope(1e20f) == 1.0f);
    assert_true(fabsf(remat_gelu(-50.0f)) < 1e-30f && fabsf(remat_gelu_slope(-1e20f)) < 1e-30f);
    assert_true(isnan(remat_gelu(NAN)) && isnan(remat_gelu_slope(NAN)));
}

static void the_rectifier_passes_on_nan(void **state)
{
    (void)state;
    assert_true(remat_relu(-1.0f) == 0.0f && remat_relu(2.0f) == 2.0f && isnan(remat_relu(NAN)));
    assert_true(remat_relu_mask(0.0f, 3.0f) == 0.0f && remat_relu_mask(1.0f, 3.0f) == 3.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_two_last_digits), cmocka_unit_test(exp_has_the_right_ends),
        cmocka_unit_test(gelu_follows_its_definition),   cmocka_unit_test(gelu_is_straight_far_out),
        cmocka_unit_test(the_rectifier_passes_on_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
