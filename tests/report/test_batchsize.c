/* The report of a batch-size search. */
#include "tests/report/support_folder.h"
#include "tests/report/support_graph.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static json_t *point(int batch, double peak_mib, double speed, bool measured)
{
    json_int_t peak = (json_int_t)(peak_mib * 1048576);
    json_t *json = json_pack("{s:i, s:s, s:I, s:I, s:I, s:f}", "batch", batch, "status", "ok", "persistent_bytes",
                             (json_int_t)64 << 20, "planned_peak_bytes", peak, "predicted_step_ns",
                             (json_int_t)(1e9 * batch / speed), "predicted_samples_per_second", speed);
    if (measured)
        json_object_update_new(json, json_pack("{s:I, s:I, s:f}", "measured_peak_bytes", peak, "measured_step_ns",
                                               (json_int_t)(1.1e9 * batch / speed), "samples_per_second", speed / 1.1));
    return json;
}

static json_t *search_file(void)
{
    json_t *file = json_pack("{s:s, s:i, s:{s:s}, s:I, s:i, s:i, s:[]}", "format", "remat-batchsize", "version", 1,
                             "model", "name", "resnet18", "memory_bytes", (json_int_t)512 << 20, "best_batch", 24,
                             "largest_batch", 57, "points");
    json_t *points = json_object_get(file, "points");
    assert_non_null(points);
    json_array_append_new(points, point(1, 20, 90, false));
    json_array_append_new(points, point(57, 446, 405, false));
    json_array_append_new(
        points, json_pack("{s:i, s:s, s:s}", "batch", 58, "status", "infeasible", "message", "task conv1 needs more"));
    for (int batch = 4; batch < 56; batch += 4)
        json_array_append_new(points, point(batch, 7.8 * batch + 12, 440 - 0.9 * abs(batch - 24), batch == 24));
    return file;
}

static void expect_on_page(const char *folder, const char *text)
{
    char *page = folder_page(folder);
    if (!strstr(page, text))
        fail_msg("the page does not say %s", text);
    free(page);
}

static void test_search(void **state)
{
    folder_write_json(*state, "batchsize.json", search_file());
    folder_report(*state, REMAT_OK);
    check_chart(*state, "throughput");
    expect_on_page(*state, "resnet18: batch size");
    expect_on_page(*state, "<td>440.0</td><td>400.0</td>");
    expect_on_page(*state, "infeasible: task conv1 needs more");
    expect_on_page(*state, "512.00 MiB");
}

static void test_plans_of_batches(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    char path[2 * FOLDER_BYTES];
    snprintf(path, sizeof path, "%s/plans", (const char *)*state);
    assert_int_equal(mkdir(path, 0777), 0);
    layered_graph(&graph, 6);
    layered_plan(&graph, true, &plan);
    write_plan(*state, "plans/batch-24.json", &graph, &plan);
    folder_write_json(*state, "batchsize.json", search_file());
    folder_report(*state, REMAT_OK);
    check_chart(*state, "arena-best");
    assert_false(folder_has(*state, "charts/arena-largest.png"));
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

static void test_nothing_fits(void **state)
{
    json_t *file = search_file();
    json_array_clear(json_object_get(file, "points"));
    folder_write_json(*state, "batchsize.json", file);
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "No batch fits");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_search, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_plans_of_batches, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_nothing_fits, folder_make, folder_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
