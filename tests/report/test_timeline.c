/* What a plan holds when: sums by category are the plan's live bytes, in-place outputs count once. */
#include "report/timeline.h"
#include "tests/core/support_moves.h"
#include "tests/report/support_folder.h"
#include "tests/report/support_graph.h"

#include <sys/stat.h>

enum { LAYERS = 8 };
static const int64_t LAYER_BYTES = (int64_t)LAYER_KIB * 1024;

static void load(const char *folder, bool recompute, struct report_timeline *timeline)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct remat_error err;
    layered_graph(&graph, LAYERS);
    layered_plan(&graph, recompute, &plan);
    write_plan(folder, "p.json", &graph, &plan);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    if (report_timeline_load(folder, "p.json", timeline, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static int64_t live_bytes(const struct report_timeline *timeline, int32_t instruction)
{
    int64_t sum = 0;
    for (int c = 0; c < REMAT_CATEGORY_COUNT; c++)
        sum += timeline->bytes[instruction][c];
    return sum;
}

static void check_peak(const struct report_timeline *timeline)
{
    int64_t peak = 0;
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++)
        peak = live_bytes(timeline, i) > peak ? live_bytes(timeline, i) : peak;
    assert_int_equal(peak, timeline->plan.live_peak_bytes);
    assert_int_equal(live_bytes(timeline, timeline->plan.peak_instruction), peak);
}

static void test_keep_all(void **state)
{
    struct report_timeline timeline;
    int32_t last;
    load(*state, false, &timeline);
    last = timeline.plan.instructions_count - 1;
    check_peak(&timeline);
    assert_int_equal(timeline.bytes[LAYERS][REMAT_ACTIVATION], LAYERS * LAYER_BYTES);
    assert_int_equal(timeline.bytes[0][REMAT_STAGING], 2 * LAYER_BYTES);
    assert_int_equal(timeline.bytes[last][REMAT_SCRATCH], 64 * 1024);
    assert_int_equal(timeline.bytes[last][REMAT_ACTIVATION_GRADIENT], LAYER_BYTES); /* written over what it reads */
    for (int32_t i = 0; i <= last; i++)
        assert_false(timeline.repeats[i]);
    assert_float_equal(timeline.start_ns[last + 1], (double)timeline.plan.predicted_step_ns, 0.5);
    report_timeline_free(&timeline);
}

static void test_recomputation(void **state)
{
    struct report_timeline timeline;
    int32_t repeats = 0;
    load(*state, true, &timeline);
    check_peak(&timeline);
    for (int32_t i = 0; i < timeline.plan.instructions_count; i++)
        repeats += timeline.repeats[i];
    assert_int_equal(repeats, LAYERS / 2);
    assert_true(timeline.bytes[LAYERS][REMAT_ACTIVATION] < LAYERS * LAYER_BYTES);
    report_timeline_free(&timeline);
}

/* The first activation waits on the host, from behind its forward reader to its backward one. A copy takes two tasks'
 * time. */
static void make_offloaded_plan(struct remat_task_graph *graph, struct remat_plan *plan)
{
    struct remat_schedule schedule = {0};
    struct remat_error err;
    layered_graph(graph, LAYERS);
    graph->to_host_bytes_per_s = graph->to_device_bytes_per_s = LAYER_BYTES * 250;
    for (int32_t t = 0; t < graph->order_count; t++) {
        if (t == 3)
            assert_int_equal(remat_schedule_push_copy(&schedule, REMAT_STORE, 1, &err), REMAT_OK);
        if (t == 2 * LAYERS)
            assert_int_equal(remat_schedule_push_copy(&schedule, REMAT_FETCH, 1, &err), REMAT_OK);
        if (t == 4 || t == 2 * LAYERS)
            assert_int_equal(remat_schedule_push_copy(&schedule, REMAT_WAIT, 1, &err), REMAT_OK);
        assert_int_equal(remat_schedule_push(&schedule, t, 0, &err), REMAT_OK);
    }
    if (remat_plan_place(graph, &schedule, REMAT_PLACE_EFFORT, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    remat_schedule_free(&schedule);
}

static void test_offloading(void **state)
{
    struct report_timeline timeline;
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct remat_error err;
    int32_t last;
    make_offloaded_plan(&graph, &plan);
    write_plan(*state, "p.json", &graph, &plan);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    if (report_timeline_load(*state, "p.json", &timeline, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    check_peak(&timeline);
    last = timeline.plan.instructions_count - 1;
    assert_int_equal(timeline.bytes[LAYERS + 2][REMAT_ACTIVATION], (LAYERS - 1) * LAYER_BYTES);
    /* one task beside the store, none beside the fetch: kernels stand still for 2 and for 4 ms */
    assert_float_equal(timeline.start_ns[last + 1], (double)timeline.plan.predicted_step_ns, 0.5);
    assert_int_equal(timeline.plan.predicted_step_ns - timeline.plan.keep_all_step_ns, 6000000);
    report_timeline_free(&timeline);
}

/* The first activation goes to the top of a larger arena, which takes as long as two tasks. */
static void test_moving(void **state)
{
    enum { AT = 4 };
    struct report_timeline timeline;
    struct remat_task_graph graph;
    struct remat_schedule schedule;
    struct remat_plan plan;
    struct remat_error err;
    int32_t last, view;
    layered_graph(&graph, LAYERS);
    graph.move_bytes_per_s = LAYER_BYTES * 250;
    assert_int_equal(remat_schedule_base(&graph, &schedule, &err), REMAT_OK);
    assert_int_equal(remat_plan_place(&graph, &schedule, REMAT_PLACE_EFFORT, &plan, &err), REMAT_OK);
    view = plan.instructions[1].outputs[0];
    moves_insert(&graph, &plan, AT, plan.views[view].buffer, plan.arena_bytes);
    write_plan(*state, "p.json", &graph, &plan);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
    if (report_timeline_load(*state, "p.json", &timeline, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    check_peak(&timeline);
    last = timeline.plan.instructions_count - 1;
    assert_int_equal(timeline.views[view].end, AT - 1);
    assert_int_equal(timeline.views[timeline.plan.instructions[AT].outputs[0]].begin, AT);
    assert_float_equal(timeline.start_ns[AT + 1] - timeline.start_ns[AT], 4000000, 0.5);
    assert_float_equal(timeline.start_ns[last + 1], (double)timeline.plan.predicted_step_ns, 0.5);
    report_timeline_free(&timeline);
}

static void test_bad_plans_are_refused(void **state)
{
    struct report_timeline timeline;
    struct remat_error err;
    assert_int_equal(report_timeline_load(*state, "none.json", &timeline, &err), REMAT_MISSING_INPUT);
    report_timeline_free(&timeline);
    folder_write(*state, "bad.json", "{\"format\": \"remat-plan\", \"version\": 2}");
    assert_int_equal(report_timeline_load(*state, "bad.json", &timeline, &err), REMAT_BAD_DATA);
    report_timeline_free(&timeline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_keep_all, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_recomputation, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_offloading, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_moving, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(test_bad_plans_are_refused, folder_make, folder_remove)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
