/* The statistics of samples, and the roofline, on made-up task graphs: nothing is timed here. */
#include "profiler/entries.h"
#include "profiler/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* x = feed; y1 = linear(x), y2 = linear(y1), y3 = gelu(y2): both linears have one signature and two options. */
static void make_graph(struct remat_task_graph *graph)
{
    static const enum remat_op ops[] = {REMAT_OP_FEED, REMAT_OP_LINEAR, REMAT_OP_LINEAR, REMAT_OP_GELU};
    static const char *const block_names[] = {"all"};
    const int64_t dims[2] = {64, 64};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, 2, dims);
    struct remat_error err;
    int32_t staging, weights, value = -1, id;
    remat_task_graph_init(graph);
    assert_int_equal(remat_add_cell(graph, &tensor, REMAT_STAGING_SLOT, -1, "staging.x", &staging, &err), REMAT_OK);
    assert_int_equal(remat_add_cell(graph, &tensor, REMAT_PARAMETER, -1, "w", &weights, &err), REMAT_OK);
    for (int i = 0; i < 4; i++) {
        struct remat_task task = {.name = remat_op_text(ops[i]), .op = ops[i]};
        if (value >= 0)
            task.inputs[task.inputs_count++] = value;
        if (ops[i] == REMAT_OP_LINEAR || ops[i] == REMAT_OP_FEED)
            task.cells[task.cells_count++] =
                (struct remat_cell_use){ops[i] == REMAT_OP_FEED ? staging : weights, 0, false};
        assert_int_equal(remat_add_value(graph, &tensor, REMAT_ACTIVATION, 0, &value, &err, "v%d", i), REMAT_OK);
        task.outputs[task.outputs_count++] = value;
        assert_int_equal(remat_add_task(graph, &task, false, &id, &err), REMAT_OK);
        assert_int_equal(REMAT_POOL_ALLOC(&graph->pool, graph->tasks[id].options, 2, &err), REMAT_OK);
        graph->tasks[id].options_count = ops[i] == REMAT_OP_LINEAR ? 2 : 1;
        graph->tasks[id].options[0] = (struct remat_option){"loops", 0, 1, 0, 0};
        graph->tasks[id].options[1] = (struct remat_option){"gemm", 64, 1, 0, 0};
    }
    assert_int_equal(REMAT_POOL_ALLOC(&graph->pool, graph->block_names, 1, &err), REMAT_OK);
    graph->block_names[0] = block_names[0];
    graph->blocks_count = 1;
    assert_int_equal(remat_task_graph_finish(graph, &err), REMAT_OK);
}

static void test_identical_tasks_once(void **state)
{
    struct remat_task_graph graph;
    struct remat_profile_entries entries;
    struct remat_error err;
    (void)state;
    make_graph(&graph);
    assert_int_equal(remat_profile_entries_collect(&graph, &entries, &err), REMAT_OK);
    assert_int_equal(entries.count, 4);
    assert_int_equal(remat_profile_entries_unknown(&entries), 4);
    assert_int_equal(entries.first_of_task[1], entries.first_of_task[2]);
    remat_profile_entries_free(&entries);
    remat_task_graph_free(&graph);
}

static void test_median_and_half_range(void **state)
{
    int64_t odd[] = {50, 10, 40, 20, 30}, even[] = {4, 1, 3, 2}, one[] = {7};
    struct remat_profile_entry entry = {0};
    (void)state;
    remat_profile_entry_set(&entry, odd, 5);
    assert_true(entry.known);
    assert_int_equal(entry.time_ns, 30);
    assert_int_equal(entry.spread_ns, 10);
    remat_profile_entry_set(&entry, even, 4);
    assert_int_equal(entry.time_ns, 3); /* 2.5, rounded */
    remat_profile_entry_set(&entry, one, 1);
    assert_int_equal(entry.time_ns, 7);
    assert_int_equal(entry.spread_ns, 0);
}

/* What disturbs a step does not count; the mean over both linears keeps the sum of a step. */
static void test_entries_add_up_to_a_step(void **state)
{
    const int64_t times[4 * 3] = {12, 990, 12, 100, 110, 900, 1900, 300, 310, 50, 5000, 50};
    const int64_t slow[4] = {24, 420, 420, 100};
    struct remat_task_graph graph;
    struct remat_profile_entries entries;
    struct remat_schedule schedule = {0};
    struct remat_plan plan = {0};
    struct remat_error err;
    (void)state;
    make_graph(&graph);
    assert_int_equal(remat_profile_entries_collect(&graph, &entries, &err), REMAT_OK);
    assert_int_equal(remat_schedule_base(&graph, &schedule, &err), REMAT_OK);
    assert_int_equal(remat_plan_place(&graph, &schedule, 1, &plan, &err), REMAT_OK);
    assert_int_equal(remat_profile_entries_fill(&entries, &plan, times, 3, &err), REMAT_OK);
    assert_int_equal(remat_profile_entries_unknown(&entries), 1); /* the linears' second option never ran */
    for (int32_t e = 0; e < entries.count; e++)
        if (!entries.entries[e].known)
            remat_profile_entry_set(&entries.entries[e], (int64_t[]){1000}, 1);
    remat_profile_entries_apply(&entries, &graph);
    assert_true(graph.measured);
    assert_int_equal(graph.tasks[0].options[0].time_ns, 12);
    assert_int_equal(graph.tasks[1].options[0].time_ns, (110 + 310) / 2);
    assert_int_equal(graph.tasks[2].options[0].time_ns, (110 + 310) / 2);
    assert_int_equal(graph.tasks[2].options[1].time_ns, 1000);
    assert_int_equal(remat_task_graph_base_time_ns(&graph), 12 + 110 + 310 + 50);
    /* On a machine that has become half as fast, what is still unknown is scaled back. */
    entries.entries[3].known = false;
    assert_int_equal(remat_profile_entries_fill(&entries, &plan, slow, 1, &err), REMAT_OK);
    assert_int_equal(entries.entries[3].time_ns, 50);
    /* A step tells better than a task alone. */
    remat_profile_entry_set(&entries.entries[3], (int64_t[]){1000}, 1);
    assert_true(remat_profile_entries_alone_share(&entries) > 0.5);
    assert_int_equal(remat_profile_entries_fill(&entries, &plan, slow, 1, &err), REMAT_OK);
    assert_int_equal(entries.entries[3].time_ns, 50);
    assert_true(!entries.entries[3].alone);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    remat_profile_entries_free(&entries);
    remat_task_graph_free(&graph);
}

static void test_roofline(void **state)
{
    const struct remat_machine_peaks slow_memory = {1e9, 2.0, 0.0}, slow_compute = {4.0, 1e9, 0.0},
                                     both = {4.0, 1e9, 8.0};
    struct remat_task_graph graph;
    struct remat_kernel_spec linear;
    (void)state;
    make_graph(&graph);
    linear = remat_task_spec(&graph, &graph.tasks[1]);
    assert_true(remat_op_flop(&linear) >= 2 * 64 * 64 * 64);
    remat_profile_estimate(&graph, &slow_memory);
    assert_int_equal(graph.tasks[1].options[0].time_ns, remat_op_traffic_bytes(&linear) / 2);
    assert_false(graph.measured);
    remat_profile_estimate(&graph, &slow_compute);
    assert_int_equal(graph.tasks[1].options[1].time_ns, remat_op_flop(&linear) / 4);
    assert_true(graph.tasks[0].options[0].time_ns >= 1);
    assert_true(remat_compute_peak(&both, &linear) == 4.0);
    linear.inputs[0].dtype = REMAT_BF16;
    assert_true(remat_compute_peak(&both, &linear) == 8.0 && remat_compute_peak(&slow_compute, &linear) == 4.0);
    remat_task_graph_free(&graph);
}

static void test_table(void **state)
{
    const struct remat_machine_peaks peaks = {100.0, 10.0, 0.0};
    struct remat_task_graph graph;
    struct remat_profile_row *rows;
    struct remat_error err;
    int32_t count;
    (void)state;
    make_graph(&graph);
    for (int32_t t = 0; t < 4; t++)
        graph.tasks[t].options[0].time_ns = 1000;
    graph.tasks[1].options[1].time_ns = graph.tasks[2].options[1].time_ns = 800;
    assert_int_equal(remat_profile_table(&graph, &peaks, &rows, &count, &err), REMAT_OK);
    assert_int_equal(count, 3);
    assert_int_equal(rows[0].op, REMAT_OP_LINEAR);
    assert_int_equal(rows[0].count, 2);
    assert_int_equal(rows[0].alternates, 0);
    assert_string_equal(rows[0].option, "gemm");
    assert_string_equal(rows[0].shapes, "[64,64] * [64,64] -> [64,64]");
    assert_int_equal(rows[0].kept_bytes, 64 * 64 * 4);
    assert_int_equal(rows[0].scratch_bytes, 64);
    assert_true(rows[0].gflop_per_second == (double)rows[0].flop / 800.0);
    assert_true(rows[0].compute_share == rows[0].gflop_per_second / 100.0);
    free(rows);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identical_tasks_once),
        cmocka_unit_test(test_median_and_half_range),
        cmocka_unit_test(test_entries_add_up_to_a_step),
        cmocka_unit_test(test_roofline),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
