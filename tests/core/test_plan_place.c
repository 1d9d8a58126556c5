/* Placing random schedules: the verifier accepts, the replay agrees, the numbers are those of the liveness. */
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void place(const struct remat_task_graph *graph, const struct remat_schedule *schedule, struct remat_plan *plan)
{
    struct remat_error err = {0};
    if (remat_plan_place(graph, schedule, REMAT_PLACE_EFFORT, plan, &err) != REMAT_OK ||
        remat_plan_verify(graph, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static void check_one(uint64_t seed, int32_t *exact)
{
    struct remat_task_graph graph;
    struct remat_schedule schedule, back;
    struct remat_liveness live;
    struct remat_plan plan;
    struct remat_error err = {0};
    const char *problem;
    random_graph(&graph, seed, 1 + (int32_t)(seed % 30));
    random_schedule(&graph, seed, (int32_t)(seed % 4), &schedule);
    place(&graph, &schedule, &plan);
    problem = replay_plan(&graph, &plan);
    if (problem)
        fail_msg("seed %d: %s", (int)seed, problem);
    assert_int_equal(remat_liveness(&graph, &schedule, &live, &err), REMAT_OK);
    assert_int_equal(plan.live_peak_bytes, live.peak_bytes);
    assert_int_equal(plan.peak_instruction, live.peak_entry);
    assert_int_equal(plan.predicted_step_ns, live.cost_ns);
    assert_true(plan.arena_bytes >= plan.live_peak_bytes);
    assert_true(plan.arena_bytes * 10 <= plan.live_peak_bytes * 11);
    *exact += plan.arena_bytes == plan.live_peak_bytes;
    assert_int_equal(remat_plan_schedule(&plan, &back, &err), REMAT_OK);
    assert_int_equal(back.count, schedule.count);
    assert_memory_equal(back.entries, schedule.entries, (size_t)back.count * sizeof *back.entries);
    remat_schedule_free(&back);
    remat_liveness_free(&live);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
}

static void random_schedules_are_placed_rightly(void **state)
{
    int32_t exact = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 120; seed++)
        check_one(seed, &exact);
    assert_true(exact >= 110);
}

static void keep_all_costs_the_base_time_with_one_option(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule schedule;
    struct remat_plan plan;
    struct remat_error err = {0};
    int32_t t;
    (void)state;
    random_graph(&graph, 9, 15);
    for (t = 0; t < graph.tasks_count; t++)
        graph.tasks[t].options_count = 1;
    assert_int_equal(remat_schedule_base(&graph, &schedule, &err), REMAT_OK);
    place(&graph, &schedule, &plan);
    assert_int_equal(plan.predicted_step_ns, remat_task_graph_base_time_ns(&graph));
    assert_int_equal(plan.keep_all_step_ns, plan.predicted_step_ns);
    assert_int_equal(plan.graph_hash, remat_task_graph_hash(&graph));
    assert_int_equal(graph.tasks[plan.instructions[plan.finish_begin].task].section, REMAT_FINISH);
    assert_int_equal(graph.tasks[plan.instructions[plan.finish_begin - 1].task].section, REMAT_MICRO);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
}

static void placing_is_deterministic_and_the_hash_sees_changes(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule schedule;
    struct remat_plan a, b;
    (void)state;
    random_graph(&graph, 10, 25);
    random_schedule(&graph, 1, 2, &schedule);
    place(&graph, &schedule, &a);
    place(&graph, &schedule, &b);
    assert_int_equal(remat_plan_hash(&a), remat_plan_hash(&b));
    b.solve_ns = 5;
    assert_int_equal(remat_plan_hash(&a), remat_plan_hash(&b));
    b.buffers[b.buffers_count - 1].offset += 64;
    assert_int_not_equal(remat_plan_hash(&a), remat_plan_hash(&b));
    b.buffers[b.buffers_count - 1].offset -= 64;
    b.instructions[4].option ^= 1;
    assert_int_not_equal(remat_plan_hash(&a), remat_plan_hash(&b));
    remat_plan_free(&a);
    remat_plan_free(&b);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
}

static void host_values_and_bad_schedules_are_refused(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule schedule;
    struct remat_plan plan;
    struct remat_error err = {0};
    (void)state;
    random_graph(&graph, 12, 6);
    assert_int_equal(remat_schedule_base(&graph, &schedule, &err), REMAT_OK);
    graph.values[2].space = REMAT_HOST;
    assert_int_equal(remat_plan_place(&graph, &schedule, 0, &plan, &err), REMAT_UNAVAILABLE);
    assert_non_null(strstr(err.message, graph.values[2].name));
    remat_plan_free(&plan);
    schedule.count--;
    assert_int_equal(remat_plan_place(&graph, &schedule, 0, &plan, &err), REMAT_BAD_DATA);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_schedules_are_placed_rightly),
        cmocka_unit_test(keep_all_costs_the_base_time_with_one_option),
        cmocka_unit_test(placing_is_deterministic_and_the_hash_sees_changes),
        cmocka_unit_test(host_values_and_bad_schedules_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
