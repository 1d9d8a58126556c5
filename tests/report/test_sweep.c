/* The report of a budget sweep. */
#include "tests/report/support_folder.h"
#include "tests/report/support_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static json_t *points_of(json_t *file)
{
    return json_object_get(file, "points");
}

static json_t *failed_point(double budget_mib, const char *status, const char *message)
{
    return json_pack("{s:s, s:I, s:s, s:s}", "solver", "sqrt", "budget_bytes", (json_int_t)(budget_mib * 1048576),
                     "status", status, "message", message);
}

/* Five measured points of one solver, five planned ones and a failed one of another. */
static json_t *full_sweep(void)
{
    json_t *file = sweep_file();
    for (int i = 0; i < 5; i++) {
        double budget = 100 - 15.25 * i, price = 1 + 0.011 * i * i;
        json_array_append_new(points_of(file), sweep_point("chain", budget, price, price * 1.013));
        json_array_append_new(points_of(file), i < 4 ? sweep_point("sqrt", budget, price + 0.03, 0)
                                                     : failed_point(budget, "infeasible", "needs <41 MiB> & more"));
    }
    return file;
}

static void add_reference(json_t *file)
{
    json_object_set_new(file, "reference",
                        json_pack("{s:s, s:[{s:I, s:I, s:f}, {s:I, s:I}]}", "name", "other system", "points",
                                  "budget_bytes", (json_int_t)50 << 20, "peak_bytes", (json_int_t)55 << 20,
                                  "relative_step", 1.33, "budget_bytes", (json_int_t)90 << 20, "peak_bytes",
                                  (json_int_t)88 << 20));
}

static void expect_on_page(const char *folder, const char *text)
{
    char *page = folder_page(folder);
    if (!strstr(page, text))
        fail_msg("the page does not say %s", text);
    free(page);
}

static void test_all_points_are_told(void **state)
{
    static const char *const texts[] = {"tiny: budget sweep",
                                        "<td>100.00</td>",
                                        "<td>84.75</td>",
                                        "<td>69.50</td>",
                                        "<td>54.25</td>",
                                        "<td>39.00</td>",
                                        "<td>1.011</td>",
                                        "<td>1.044</td>",
                                        "<td>1.099</td>",
                                        "<td>1.176</td>",
                                        "<td>1.041</td>",
                                        "<td>1.129</td>",
                                        "infeasible: needs &lt;41 MiB&gt; &amp; more",
                                        "9 planned, 5 of them measured; 1 failed",
                                        "budget exceeded by 0 of 5",
                                        "median +1.3 %",
                                        "Some Machine",
                                        "1,234",
                                        "remat sweep tiny -o x",
                                        "href=\"sweep.json\"",
                                        "0123456789ab"};
    folder_write_json(*state, "sweep.json", full_sweep());
    folder_report(*state, REMAT_OK);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        expect_on_page(*state, texts[i]);
    check_chart(*state, "peak");
    check_chart(*state, "time");
    check_chart(*state, "predicted");
}

/* Nothing on the page is fetched from elsewhere, and its ids are unique. */
static void test_page_stands_alone(void **state)
{
    char *page, *at, id[64];
    folder_write_json(*state, "sweep.json", full_sweep());
    folder_report(*state, REMAT_OK);
    page = folder_page(*state);
    assert_null(strstr(page, "<script"));
    assert_null(strstr(page, "<link"));
    assert_null(strstr(page, "<img"));
    assert_null(strstr(page, "src="));
    assert_null(strstr(page, "href=\"http"));
    for (at = strstr(page, " id=\""); at; at = strstr(at + 1, " id=\"")) {
        snprintf(id, sizeof id, "%.*s", (int)strcspn(at + 5, "\"") + 6, at);
        if (strstr(at + 1, id))
            fail_msg("the page has two times%s", id);
    }
    free(page);
}

static void test_pictures_in_the_page_are_well_formed(void **state)
{
    char *page, *at, *end;
    int count = 0;
    folder_write_json(*state, "sweep.json", full_sweep());
    folder_report(*state, REMAT_OK);
    page = folder_page(*state);
    for (at = strstr(page, "<svg"); at; at = strstr(end, "<svg")) {
        end = strstr(at, "</svg>");
        assert_non_null(end);
        end += 6;
        check_well_formed(at, (size_t)(end - at));
        count++;
    }
    assert_int_equal(count, 3);
    free(page);
}

static void test_reference_points(void **state)
{
    json_t *file = full_sweep();
    add_reference(file);
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "<td>1.330</td>");
    expect_on_page(*state, "<td>88.00</td><td>&ndash;</td>");
    check_chart(*state, "peak");
}

static void test_same_data_same_bytes(void **state)
{
    static const char *const names[] = {"index.html", "charts/peak.png", "charts/time.svg"};
    char *first[3];
    size_t bytes[3], again;
    folder_write_json(*state, "sweep.json", full_sweep());
    folder_report(*state, REMAT_OK);
    for (int i = 0; i < 3; i++)
        first[i] = folder_read(*state, names[i], &bytes[i]);
    folder_report(*state, REMAT_OK);
    for (int i = 0; i < 3; i++) {
        char *second = folder_read(*state, names[i], &again);
        assert_int_equal(again, bytes[i]);
        assert_memory_equal(first[i], second, again);
        free(first[i]);
        free(second);
    }
}

static void test_exceeded_budget_is_told(void **state)
{
    json_t *file = full_sweep();
    json_object_set_new(json_array_get(points_of(file), 0), "measured_peak_bytes", json_integer(200 << 20));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "budget exceeded by 1 of 5; measured peak differs from the planned one in 1");
}

static void test_differing_states_are_told(void **state)
{
    json_t *file = full_sweep();
    for (size_t i = 0; i < 6; i += 2)
        json_object_set_new(json_array_get(points_of(file), i), "state_hash",
                            json_string(i < 4 ? "00000000000000aa" : "00000000000000bb"));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "bit for bit, in 2 of 3 measured points");
}

static void test_single_point(void **state)
{
    json_t *file = sweep_file();
    json_array_append_new(points_of(file), sweep_point("chain", 64, 1, 1));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    check_chart(*state, "peak");
    check_chart(*state, "time");
    check_chart(*state, "predicted");
}

static void test_plans_without_measurements(void **state)
{
    json_t *file = sweep_file();
    json_array_append_new(points_of(file), sweep_point("chain", 64, 1.1, 0));
    json_array_append_new(points_of(file), sweep_point("chain", 90, 1.0, 0));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    check_chart(*state, "time");
    assert_false(folder_has(*state, "charts/predicted.png"));
    expect_on_page(*state, "the chart shows predictions only");
}

static void test_nothing_but_failures(void **state)
{
    json_t *file = sweep_file();
    json_array_append_new(points_of(file), failed_point(10, "infeasible", "too small"));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "No budget could be met");
    expect_on_page(*state, "infeasible: too small");
}

static void test_least_members(void **state)
{
    folder_write(
        *state, "sweep.json",
        "{\"format\": \"remat-sweep\", \"version\": 1, \"points\": [{\"solver\": \"a\", \"status\": \"ok\"}]}");
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "remat: budget sweep");
    folder_write(*state, "sweep.json", "{\"format\": \"remat-sweep\", \"version\": 1, \"points\": []}");
    folder_report(*state, REMAT_OK);
}

/* More solvers than there are colours. */
static void test_many_solvers(void **state)
{
    json_t *file = sweep_file();
    char name[16];
    for (int i = 0; i < 9; i++) {
        snprintf(name, sizeof name, "solver%d", i);
        json_array_append_new(points_of(file), sweep_point(name, 50 + i, 1.1, 1.1));
    }
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    check_chart(*state, "time");
    expect_on_page(*state, "solver8");
}

static void write_plans(const char *folder)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    char path[2 * FOLDER_BYTES];
    snprintf(path, sizeof path, "%s/plans", folder);
    assert_int_equal(mkdir(path, 0777), 0);
    layered_graph(&graph, 8);
    layered_plan(&graph, false, &plan);
    write_plan(folder, "plans/keep-all.json", &graph, &plan);
    remat_plan_free(&plan);
    layered_plan(&graph, true, &plan);
    write_plan(folder, "plans/small.json", &graph, &plan);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

static void test_plans_are_drawn(void **state)
{
    json_t *file = full_sweep();
    write_plans(*state);
    json_object_set_new(json_array_get(points_of(file), 8), "plan", json_string("plans/small.json"));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    check_chart(*state, "memory");
    check_chart(*state, "arena-keep-all");
    check_chart(*state, "arena-smallest");
    check_chart(*state, "blocks-smallest");
    assert_false(folder_has(*state, "charts/blocks-keep-all.png")); /* which makes nothing again */
    expect_on_page(*state, "Arena map: smallest budget");
}

static void test_missing_plan_leaves_a_note(void **state)
{
    json_t *file = full_sweep();
    json_object_set_new(json_array_get(points_of(file), 8), "plan", json_string("plans/lost.json"));
    folder_write_json(*state, "sweep.json", file);
    folder_report(*state, REMAT_OK);
    assert_false(folder_has(*state, "charts/memory.png"));
    expect_on_page(*state, "A plan could not be drawn: there is no file");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {TEST(test_all_points_are_told),
                                       TEST(test_page_stands_alone),
                                       TEST(test_pictures_in_the_page_are_well_formed),
                                       TEST(test_reference_points),
                                       TEST(test_same_data_same_bytes),
                                       TEST(test_exceeded_budget_is_told),
                                       TEST(test_differing_states_are_told),
                                       TEST(test_single_point),
                                       TEST(test_plans_without_measurements),
                                       TEST(test_nothing_but_failures),
                                       TEST(test_least_members),
                                       TEST(test_many_solvers),
                                       TEST(test_plans_are_drawn),
                                       TEST(test_missing_plan_leaves_a_note)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
