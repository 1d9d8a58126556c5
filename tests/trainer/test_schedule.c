#include "support_cmocka.h"

#include "trainer/recipe.h"
#include "trainer/schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12 * (1 + fabs(expected))))
        fail_msg("%.17g is not %.17g", found, expected);
}

/* The reference recipe's rate per epoch, as PyTorch's MultiStepLR gives it. */
static void multistep_drops_at_its_milestones(void **state)
{
    const struct remat_recipe *recipe;
    struct remat_error err;
    (void)state;
    CHECK_OK(remat_recipe_find("reference", REMAT_IMAGE_MODEL, &recipe, &err), err);
    for (int64_t epoch = 0; epoch < 80; epoch++) {
        double expected = 1e-3 / pow(3, (double)(epoch / 20));
        assert_near(remat_rate_at(&recipe->rate, epoch * 500, 500, 40000), expected);
        assert_near(remat_rate_at(&recipe->rate, epoch * 500 + 499, 500, 40000), expected);
    }
}

static void step_drops_each_period(void **state)
{
    struct remat_rate rate = {.kind = REMAT_RATE_STEP, .peak = 2, .gamma = 0.5, .period = 3};
    (void)state;
    assert_near(remat_rate_at(&rate, 29, 10, 100), 2);
    assert_near(remat_rate_at(&rate, 30, 10, 100), 1);
    assert_near(remat_rate_at(&rate, 99, 10, 100), 0.25);
}

static void warmup_rises_linearly_to_the_peak(void **state)
{
    struct remat_rate rate = {.kind = REMAT_RATE_CONSTANT, .peak = 4, .warmup_steps = 8};
    (void)state;
    for (int64_t step = 0; step < 8; step++)
        assert_near(remat_rate_at(&rate, step, 10, 100), 4.0 * (double)(step + 1) / 8);
    assert_near(remat_rate_at(&rate, 8, 10, 100), 4);
    rate.warmup_steps = 0;
    rate.warmup_epochs = 0.5;
    assert_near(remat_rate_at(&rate, 0, 10, 100), 0.8);
    assert_near(remat_rate_at(&rate, 5, 10, 100), 4);
}

static void cosine_and_linear_end_at_the_floor(void **state)
{
    struct remat_rate rate = {.kind = REMAT_RATE_COSINE, .peak = 1, .floor = 0.1, .warmup_steps = 10};
    (void)state;
    assert_near(remat_rate_at(&rate, 10, 7, 111), 1);
    assert_near(remat_rate_at(&rate, 60, 7, 111), 0.55);
    assert_near(remat_rate_at(&rate, 110, 7, 111), 0.1);
    assert_near(remat_rate_at(&rate, 500, 7, 111), 0.1);
    rate.kind = REMAT_RATE_LINEAR;
    assert_near(remat_rate_at(&rate, 35, 7, 111), 0.775);
    assert_near(remat_rate_at(&rate, 110, 7, 111), 0.1);
}

static void impossible_schedules_are_refused(void **state)
{
    static const struct remat_rate bad[] = {
        {.kind = REMAT_RATE_CONSTANT, .peak = -1},
        {.kind = REMAT_RATE_CONSTANT, .peak = INFINITY},
        {.kind = REMAT_RATE_CONSTANT, .peak = NAN},
        {.kind = REMAT_RATE_COSINE, .peak = 1, .floor = 2},
        {.kind = REMAT_RATE_STEP, .peak = 1, .gamma = 0.1},
        {.kind = REMAT_RATE_STEP, .peak = 1, .gamma = 0, .period = 1},
        {.kind = REMAT_RATE_MULTISTEP, .peak = 1, .gamma = 0.1, .milestones = {4, 4}, .milestones_count = 2},
        {.kind = REMAT_RATE_CONSTANT, .peak = 1, .warmup_steps = -1},
    };
    struct remat_error err;
    enum remat_rate_kind kind;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(remat_rate_check(&bad[i], &err), REMAT_USAGE);
    assert_int_equal(remat_rate_parse("cosine", &kind, &err), REMAT_OK);
    assert_int_equal(kind, REMAT_RATE_COSINE);
    assert_int_equal(remat_rate_parse("exponential", &kind, &err), REMAT_USAGE);
}

static void presets_are_sound(void **state)
{
    struct remat_error err;
    (void)state;
    for (const struct remat_recipe *recipe = remat_recipes; recipe->name; recipe++) {
        const struct remat_recipe *found;
        json_t *json = remat_recipe_to_json(recipe);
        CHECK_OK(remat_recipe_check(recipe, &err), err);
        CHECK_OK(remat_recipe_find(recipe->name, recipe->kind, &found, &err), err);
        assert_ptr_equal(found, recipe);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "name")), recipe->name);
        json_decref(json);
    }
}

static void recipes_are_checked_against_the_model(void **state)
{
    const struct remat_recipe *recipe;
    struct remat_recipe bad;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_recipe_find("char", REMAT_IMAGE_MODEL, &recipe, &err), REMAT_USAGE);
    assert_int_equal(remat_recipe_find("nosuch", REMAT_IMAGE_MODEL, &recipe, &err), REMAT_USAGE);
    CHECK_OK(remat_recipe_find(NULL, REMAT_TEXT_MODEL, &recipe, &err), err);
    assert_string_equal(recipe->name, "char");
    bad = *recipe;
    bad.batch = 0;
    assert_int_equal(remat_recipe_check(&bad, &err), REMAT_USAGE);
    bad = *recipe;
    bad.steps = 0;
    assert_int_equal(remat_recipe_check(&bad, &err), REMAT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multistep_drops_at_its_milestones),     cmocka_unit_test(step_drops_each_period),
        cmocka_unit_test(warmup_rises_linearly_to_the_peak),     cmocka_unit_test(cosine_and_linear_end_at_the_floor),
        cmocka_unit_test(impossible_schedules_are_refused),      cmocka_unit_test(presets_are_sound),
        cmocka_unit_test(recipes_are_checked_against_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
