/* Published points belong to one size of one model. */
#include "bench/published.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void points_of_the_published_sizes_alone(void **state)
{
    json_t *found = remat_published_points("resnet50", 128, 224);
    const json_t *points, *first;
    (void)state;
    assert_non_null(found);
    points = json_object_get(found, "points");
    assert_int_equal(json_array_size(points), 14);
    first = json_array_get(points, 0);
    assert_int_equal(json_integer_value(json_object_get(first, "peak_bytes")) >> 20, 3466);
    assert_true(json_real_value(json_object_get(first, "relative_step")) > 1.33);
    json_decref(found);
    found = remat_published_points("gpt2-medium", 8, 1024);
    assert_non_null(found);
    json_decref(found);
    assert_null(remat_published_points("resnet50", 64, 224));
    assert_null(remat_published_points("resnet50", 128, 32));
    assert_null(remat_published_points("resnet18", 128, 224));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(points_of_the_published_sizes_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
