/* Schedules and lifetimes, against a definition written out naively. */
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct remat_liveness derive(const struct remat_task_graph *graph, const struct remat_schedule *schedule)
{
    struct remat_liveness live;
    struct remat_error err = {0};
    if (remat_liveness(graph, schedule, &live, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    return live;
}

static const struct remat_task *task_of(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                                        int32_t run)
{
    return &graph->tasks[schedule->entries[run].task];
}

static bool makes(const struct remat_task *task, int32_t value)
{
    int32_t k;
    for (k = 0; k < task->outputs_count; k++)
        if (task->outputs[k] == value)
            return true;
    return false;
}

static bool reads(const struct remat_task *task, int32_t value)
{
    int32_t k;
    for (k = 0; k < task->inputs_count; k++)
        if (task->inputs[k] == value)
            return true;
    return false;
}

/* Each instance: the last reader before the value is made again. */
static void check_instances(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                            const struct remat_liveness *live)
{
    int32_t i, r;
    for (i = 0; i < live->instances_count; i++) {
        const struct remat_instance *instance = &live->instances[i];
        int32_t end = instance->begin;
        assert_true(makes(task_of(graph, schedule, instance->begin), instance->value));
        for (r = instance->begin + 1; r < schedule->count; r++) {
            if (reads(task_of(graph, schedule, r), instance->value))
                end = r;
            if (makes(task_of(graph, schedule, r), instance->value))
                break;
        }
        assert_int_equal(instance->end, end);
    }
}

static void check_operands(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                           const struct remat_liveness *live)
{
    int32_t r, k, s;
    for (r = 0; r < schedule->count; r++) {
        const struct remat_task *task = task_of(graph, schedule, r);
        for (k = 0; k < REMAT_MAX_OUTPUTS; k++) {
            int32_t made = live->outputs[r * REMAT_MAX_OUTPUTS + k];
            assert_int_equal(made >= 0, k < task->outputs_count);
            if (made >= 0)
                assert_true(live->instances[made].value == task->outputs[k] && live->instances[made].begin == r);
        }
        for (k = 0; k < REMAT_MAX_INPUTS; k++) {
            int32_t used = live->inputs[r * REMAT_MAX_INPUTS + k];
            assert_int_equal(used >= 0, k < task->inputs_count);
            if (used < 0)
                continue;
            for (s = r - 1; !makes(task_of(graph, schedule, s), task->inputs[k]); s--)
                ;
            assert_true(live->instances[used].value == task->inputs[k] && live->instances[used].begin == s);
        }
    }
}

/* How often operand instances of run r equal `instance`. */
static int32_t passed(const struct remat_liveness *live, int32_t r, int32_t instance)
{
    int32_t k, count = 0;
    for (k = 0; k < REMAT_MAX_INPUTS; k++)
        count += live->inputs[r * REMAT_MAX_INPUTS + k] == instance;
    return count;
}

/* The rule of schedule.h, pair by pair; returns the bytes that are counted twice by begin..end. */
static int64_t check_pairs(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                           const struct remat_liveness *live, int32_t r)
{
    const struct remat_task *task = task_of(graph, schedule, r);
    const int32_t *in = live->inputs + r * REMAT_MAX_INPUTS, *out = live->outputs + r * REMAT_MAX_OUTPUTS;
    int32_t over[REMAT_MAX_OUTPUTS] = {-1, -1, -1, -1}, k, other;
    int64_t shared = 0;
    for (k = 0; k < task->in_place_count; k++) {
        int32_t j = task->in_place[k].output, i = in[task->in_place[k].input];
        bool taken = over[j] >= 0;
        for (other = 0; other < REMAT_MAX_OUTPUTS; other++)
            taken |= over[other] == i;
        if (!taken && live->instances[i].end == r && passed(live, r, i) == 1 &&
            graph->values[live->instances[i].value].bytes == graph->values[task->outputs[j]].bytes)
            over[j] = i;
    }
    for (k = 0; k < task->outputs_count; k++) {
        assert_int_equal(live->instances[out[k]].over, over[k]);
        if (over[k] >= 0)
            shared += graph->values[task->outputs[k]].bytes;
    }
    return shared;
}

static void check_bytes(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                        const struct remat_liveness *live)
{
    int64_t peak = 0, cost = 0;
    int32_t r, i;
    for (r = 0; r < schedule->count; r++) {
        const struct remat_task *task = task_of(graph, schedule, r);
        const struct remat_option *option = &task->options[schedule->entries[r].option];
        int64_t bytes = graph->staging_bytes + option->scratch_bytes - check_pairs(graph, schedule, live, r);
        for (i = 0; i < live->instances_count; i++)
            if (live->instances[i].begin <= r && r <= live->instances[i].end)
                bytes += graph->values[live->instances[i].value].bytes;
        assert_int_equal(live->live_bytes[r], bytes);
        if (bytes > peak)
            peak = bytes;
        cost += option->time_ns * (task->section == REMAT_MICRO ? graph->micro_count : 1);
    }
    assert_int_equal(live->peak_bytes, peak);
    assert_int_equal(live->live_bytes[live->peak_entry], peak);
    assert_int_equal(live->cost_ns, cost);
}

static void follows_the_definition(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 60; seed++) {
        struct remat_task_graph graph;
        struct remat_schedule schedule;
        struct remat_liveness live;
        random_graph(&graph, seed, 1 + (int32_t)(seed % 20));
        random_schedule(&graph, seed, (int32_t)(seed % 4), &schedule);
        live = derive(&graph, &schedule);
        check_instances(&graph, &schedule, &live);
        check_operands(&graph, &schedule, &live);
        check_bytes(&graph, &schedule, &live);
        remat_liveness_free(&live);
        remat_schedule_free(&schedule);
        remat_task_graph_free(&graph);
    }
}

static void base_schedule_is_the_order(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule schedule;
    struct remat_liveness live;
    struct remat_error err = {0};
    int32_t i;
    (void)state;
    random_graph(&graph, 7, 12);
    assert_int_equal(remat_schedule_base(&graph, &schedule, &err), REMAT_OK);
    assert_int_equal(schedule.count, graph.order_count);
    for (i = 0; i < schedule.count; i++)
        assert_true(schedule.entries[i].task == graph.order[i] && schedule.entries[i].option == 0);
    live = derive(&graph, &schedule);
    assert_int_equal(live.instances_count, graph.values_count);
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    remat_task_graph_free(&graph);
}

static void refuse(const struct remat_task_graph *graph, const struct remat_schedule *schedule, const char *words)
{
    struct remat_liveness live;
    struct remat_error err = {0};
    assert_int_equal(remat_liveness(graph, schedule, &live, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, words))
        fail_msg("expected \"%s\" in: %s", words, err.message);
    remat_liveness_free(&live);
}

static int32_t find_op(const struct remat_task_graph *graph, enum remat_op op)
{
    int32_t t;
    for (t = 0; t < graph->tasks_count; t++)
        if (graph->tasks[t].op == op)
            return t;
    fail_msg("no %s in the graph", remat_op_text(op));
    return -1;
}

/* Inserts a run of `task` before run `at`. */
static void insert(struct remat_schedule *schedule, int32_t at, int32_t task)
{
    struct remat_error err = {0};
    assert_int_equal(remat_schedule_push(schedule, 0, 0, &err), REMAT_OK);
    memmove(schedule->entries + at + 1, schedule->entries + at,
            (size_t)(schedule->count - 1 - at) * sizeof *schedule->entries);
    schedule->entries[at] = (struct remat_entry){REMAT_RUN, task, 0, -1};
}

static void invalid_schedules_are_refused(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule base;
    struct remat_entry saved;
    struct remat_error err = {0};
    int32_t linear, update, last;
    (void)state;
    random_graph(&graph, 4, 20);
    assert_int_equal(remat_schedule_base(&graph, &base, &err), REMAT_OK);
    linear = find_op(&graph, REMAT_OP_LINEAR);
    update = find_op(&graph, REMAT_OP_SGD);
    last = base.count - 1;
    saved = base.entries[3];
    base.entries[3] = base.entries[2];
    refuse(&graph, &base, "before its turn");
    base.entries[3].task = graph.tasks_count;
    refuse(&graph, &base, "names task");
    base.entries[3] = (struct remat_entry){REMAT_RUN, saved.task, 9, -1};
    refuse(&graph, &base, "names option 9");
    base.entries[3] = saved;
    base.count--;
    refuse(&graph, &base, "has not run");
    base.count++;
    insert(&base, last + 1, update);
    refuse(&graph, &base, "only once");
    base.entries[last + 1].task = linear;
    refuse(&graph, &base, "needs version 0 of cell");
    base.count--;
    insert(&base, 0, find_op(&graph, REMAT_OP_BATCHNORM_APPLY));
    refuse(&graph, &base, "no earlier run makes");
    remat_schedule_free(&base);
    remat_task_graph_free(&graph);
}

static void micro_tasks_may_not_follow_the_finish_section(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule base;
    struct remat_error err = {0};
    (void)state;
    random_graph(&graph, 5, 12);
    assert_int_equal(remat_schedule_base(&graph, &base, &err), REMAT_OK);
    assert_int_equal(graph.tasks[graph.order[base.count - 1]].section, REMAT_FINISH);
    assert_int_equal(remat_schedule_push(&base, find_op(&graph, REMAT_OP_FEED), 0, &err), REMAT_OK);
    refuse(&graph, &base, "micro section");
    remat_schedule_free(&base);
    remat_task_graph_free(&graph);
}

static void huge_sizes_do_not_overflow(void **state)
{
    struct remat_task_graph graph;
    struct remat_schedule base;
    struct remat_error err = {0};
    (void)state;
    random_graph(&graph, 2, 5);
    assert_int_equal(remat_schedule_base(&graph, &base, &err), REMAT_OK);
    graph.tasks[graph.order[1]].options[0].time_ns = INT64_MAX;
    refuse(&graph, &base, "2^63 ns");
    graph.values[3].bytes = INT64_MAX / 2;
    refuse(&graph, &base, "2^63 bytes");
    remat_schedule_free(&base);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_the_definition),
        cmocka_unit_test(base_schedule_is_the_order),
        cmocka_unit_test(invalid_schedules_are_refused),
        cmocka_unit_test(micro_tasks_may_not_follow_the_finish_section),
        cmocka_unit_test(huge_sizes_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
