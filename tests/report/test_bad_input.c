/* Whatever a folder holds, the report answers with a page or a message that names the place. */
#include "tests/report/support_folder.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_missing_folder(void **state)
{
    (void)state;
    assert_non_null(strstr(folder_report("/nonexistent/folder", REMAT_MISSING_INPUT), "/nonexistent/folder"));
    assert_int_equal(remat_report("/nonexistent/folder", NULL), REMAT_MISSING_INPUT);
}

static void test_empty_folder(void **state)
{
    assert_non_null(strstr(folder_report(*state, REMAT_MISSING_INPUT), "sweep.json"));
    assert_false(folder_has(*state, "index.html"));
}

static void expect_refused(const char *folder, const char *text, const char *message)
{
    const char *found;
    folder_write(folder, "sweep.json", text);
    found = folder_report(folder, REMAT_BAD_DATA);
    if (!strstr(found, message) || !strstr(found, "sweep.json"))
        fail_msg("expected a message with \"%s\", found: %s", message, found);
}

#define HEAD "{\"format\": \"remat-sweep\", \"version\": 1, "

static void test_malformed_sweeps(void **state)
{
    const char *folder = *state;
    expect_refused(folder, "", "line 1");
    expect_refused(folder, "{\"format\": ", "line 1");
    expect_refused(folder, "[]", "expected an object");
    expect_refused(folder, "{\"format\": \"remat-plan\", \"version\": 1}", "remat-plan");
    expect_refused(folder, "{\"format\": \"remat-sweep\", \"version\": 2}", "version");
    expect_refused(folder, HEAD "\"base_time_ns\": 1}", "points");
    expect_refused(folder, HEAD "\"points\": {}}", "points");
    expect_refused(folder, HEAD "\"points\": [7]}", "points[0]");
    expect_refused(folder, HEAD "\"points\": [{\"solver\": \"a\"}]}", "status");
    expect_refused(folder, HEAD "\"points\": [{\"status\": \"ok\"}]}", "solver");
    expect_refused(folder, HEAD "\"points\": [{\"solver\": \"a\", \"status\": \"ok\", \"gap\": \"x\"}]}", "gap");
    expect_refused(folder, HEAD "\"points\": [{\"solver\": \"a\", \"status\": \"ok\", \"steps_ns\": [1, []]}]}",
                   "steps_ns");
    expect_refused(folder, HEAD "\"points\": [], \"reference\": {\"points\": []}}", "name");
    expect_refused(folder, HEAD "\"points\": [], \"reference\": {\"name\": \"r\"}}", "points");
    assert_false(folder_has(folder, "index.html"));
}

/* Zeros, negative and huge numbers are drawn somehow, not trusted. */
static void test_strange_numbers(void **state)
{
    folder_write(*state, "sweep.json",
                 HEAD
                 "\"base_time_ns\": 0, \"points\": ["
                 "{\"solver\": \"a\", \"status\": \"ok\", \"budget_bytes\": 0, \"planned_peak_bytes\": 0, "
                 "\"predicted_relative_step\": 0, \"relative_step\": 0, \"measured_peak_bytes\": 0, "
                 "\"lower_bound_ns\": 5},"
                 "{\"solver\": \"a\", \"status\": \"ok\", \"budget_bytes\": -5, \"planned_peak_bytes\": 1e300, "
                 "\"predicted_relative_step\": 1e300, \"relative_step\": -1e300, \"measured_peak_bytes\": 1e300}]}");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "peak");
}

static void test_page_cannot_be_written(void **state)
{
    char path[2 * FOLDER_BYTES];
    folder_write_json(*state, "sweep.json", sweep_file());
    folder_write(*state, "charts", "a file where the folder belongs");
    folder_report(*state, REMAT_IO);
    snprintf(path, sizeof path, "%s/charts", (const char *)*state);
    unlink(path);
    snprintf(path, sizeof path, "%s/index.html", (const char *)*state);
    assert_int_equal(mkdir(path, 0777), 0);
    folder_report(*state, REMAT_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_folder),
        cmocka_unit_test_setup_teardown(test_empty_folder, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_malformed_sweeps, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_strange_numbers, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_page_cannot_be_written, folder_make, folder_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
