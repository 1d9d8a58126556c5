/* The verifier refuses every kind of wrong plan, and says what and where. */
#include "tests/core/support_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct remat_task_graph graph;
static struct remat_plan valid;

static int set_up(void **state)
{
    (void)state;
    plan_fixture(4, 24, 2, &graph, &valid);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remat_plan_free(&valid);
    remat_task_graph_free(&graph);
    return 0;
}

static const struct remat_task *task_at(int32_t at)
{
    return &graph.tasks[valid.instructions[at].task];
}

static int32_t buffer_of(int32_t view)
{
    return valid.views[view].buffer;
}

/* Frees `plan` after seeing it refused with these words. */
static void refuse(struct remat_plan *plan, const char *words)
{
    struct remat_error err = {0};
    assert_int_equal(remat_plan_verify(&graph, plan, &err), REMAT_BAD_DATA);
    assert_int_equal(strncmp(err.message, "plan", 4), 0);
    if (!strstr(err.message, words))
        fail_msg("expected \"%s\" in: %s", words, err.message);
    remat_plan_free(plan);
}

static void accept(struct remat_plan *plan)
{
    struct remat_error err = {0};
    if (remat_plan_verify(&graph, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    remat_plan_free(plan);
}

/* The nth instruction of an op, from `from` on. */
static int32_t find(enum remat_op op, int32_t from)
{
    for (; from < valid.instructions_count; from++)
        if (task_at(from)->op == op)
            return from;
    fail_msg("no %s in the plan", remat_op_text(op));
    return -1;
}

static void the_fixture_is_valid(void **state)
{
    struct remat_plan plan = plan_copy(&valid);
    (void)state;
    assert_true(valid.instructions_count > graph.order_count);
    accept(&plan);
}

#define REFUSE_FIELD(field, new_value, words)       \
    do {                                            \
        struct remat_plan plan = plan_copy(&valid); \
        plan.field = (new_value);                   \
        refuse(&plan, (words));                     \
    } while (0)

static void recorded_numbers_are_true(void **state)
{
    (void)state;
    REFUSE_FIELD(graph_hash, valid.graph_hash ^ 1, "solve again");
    REFUSE_FIELD(arena_bytes, valid.arena_bytes + 64, "its buffers reach");
    REFUSE_FIELD(arena_bytes, valid.arena_bytes - 64, "outside the arena");
    REFUSE_FIELD(budget_bytes, valid.arena_bytes - 1, "exceeds its budget");
    REFUSE_FIELD(live_peak_bytes, valid.live_peak_bytes + 64, "its buffers add up to");
    REFUSE_FIELD(peak_instruction, 0, "instruction 0 has the live peak");
    REFUSE_FIELD(peak_instruction, -1, "instruction -1 has the live peak");
    REFUSE_FIELD(finish_begin, valid.finish_begin - 1, "finish section begins");
    REFUSE_FIELD(predicted_step_ns, valid.predicted_step_ns + 1, "its step takes");
    REFUSE_FIELD(keep_all_step_ns, valid.keep_all_step_ns - 1, "keeping everything takes");
    REFUSE_FIELD(lower_bound_ns, valid.predicted_step_ns + 1, "lower bound");
}

static void instructions_name_what_exists(void **state)
{
    (void)state;
    REFUSE_FIELD(instructions[5].kind, (enum remat_instruction_kind)7, "instruction 5 is of unknown kind 7");
    REFUSE_FIELD(instructions[5].task, graph.tasks_count, "instruction 5 runs task");
    REFUSE_FIELD(instructions[5].task, -1, "instruction 5 runs task -1");
    REFUSE_FIELD(instructions[5].option, 3, "uses option 3");
    REFUSE_FIELD(instructions[5].option, -1, "uses option -1");
    REFUSE_FIELD(instructions[5].outputs[0], valid.views_count, "but the plan has");
    REFUSE_FIELD(instructions[5].outputs[0], -1, "output 0 is view -1");
    REFUSE_FIELD(instructions[5].inputs[REMAT_MAX_INPUTS - 1], 0, "but takes");
    REFUSE_FIELD(instructions[5].outputs[REMAT_MAX_OUTPUTS - 1], 0, "but takes");
    REFUSE_FIELD(views[3].buffer, valid.buffers_count, "but the plan has");
    REFUSE_FIELD(views[3].offset, -64, "needs");
    REFUSE_FIELD(views[3].offset, 64, "needs");
    REFUSE_FIELD(views[3].offset, INT64_MAX, "needs");
    REFUSE_FIELD(views[3].value, -1, "should be value");
}

static void other_numerics_are_refused(void **state)
{
    int32_t t = valid.instructions[5].task, numerics = graph.tasks[t].options[0].numerics;
    struct remat_plan plan = plan_copy(&valid);
    (void)state;
    plan.instructions[5].option = graph.tasks[t].options_count - 1;
    assert_true(plan.instructions[5].option > 0);
    graph.tasks[t].options[plan.instructions[5].option].numerics = numerics + 1;
    plan.graph_hash = remat_task_graph_hash(&graph);
    refuse(&plan, "numerics class");
    graph.tasks[t].options[graph.tasks[t].options_count - 1].numerics = numerics;
}

static void buffers_are_ranges_of_the_arena(void **state)
{
    (void)state;
    REFUSE_FIELD(buffers[4].space, (enum remat_space)7, "is in space 7");
    REFUSE_FIELD(buffers[4].space, REMAT_HOST, "");
    REFUSE_FIELD(buffers[4].begin, -1, "lives over instructions");
    REFUSE_FIELD(buffers[4].end, valid.instructions_count, "lives over instructions");
    REFUSE_FIELD(buffers[4].end, valid.buffers[4].begin - 1, "lives over instructions");
    REFUSE_FIELD(buffers[4].offset, graph.staging_bytes - 64, "outside the arena");
    REFUSE_FIELD(buffers[4].offset, INT64_MAX - 64, "outside the arena");
    REFUSE_FIELD(buffers[4].bytes, -64, "outside the arena");
}

static bool lives_with(int32_t a, int32_t b)
{
    return a != b && valid.buffers[a].begin <= valid.buffers[b].end && valid.buffers[b].begin <= valid.buffers[a].end &&
           valid.buffers[a].bytes > 0 && valid.buffers[b].bytes > 0;
}

static void every_overlap_is_found(void **state)
{
    int32_t a, b, tried = 0;
    (void)state;
    for (a = 0; a < valid.buffers_count; a++)
        for (b = 0; b < valid.buffers_count; b++)
            if (lives_with(a, b) && valid.buffers[b].offset + valid.buffers[a].bytes <= valid.arena_bytes) {
                struct remat_plan plan = plan_copy(&valid);
                plan.buffers[a].offset = plan.buffers[b].offset;
                plan_rebook(&graph, &plan);
                refuse(&plan, "overlaps buffer");
                tried++;
            }
    assert_true(tried > 100);
}

static void scratch_is_never_too_small(void **state)
{
    int32_t at, tried = 0;
    (void)state;
    for (at = 0; at < valid.instructions_count; at++)
        if (valid.instructions[at].scratch >= 0) {
            struct remat_plan plan = plan_copy(&valid);
            plan.buffers[buffer_of(valid.instructions[at].scratch)].bytes -= 64;
            plan_rebook(&graph, &plan);
            refuse(&plan, "scratch 0 needs");
            tried++;
        }
    assert_true(tried > 10);
}

static void scratch_that_nobody_asked_for_is_refused(void **state)
{
    int32_t at, view = -1;
    struct remat_plan plan = plan_copy(&valid);
    (void)state;
    for (at = 0; at < valid.instructions_count; at++)
        if (valid.instructions[at].scratch >= 0)
            view = valid.instructions[at].scratch;
    for (at = 0; valid.instructions[at].scratch >= 0; at++)
        ;
    plan.instructions[at].scratch = view;
    refuse(&plan, "its option needs none");
}

static void intervals_are_tight(void **state)
{
    int32_t b, late = 0, loose = 0;
    (void)state;
    for (b = 0; b < valid.buffers_count; b++) {
        struct remat_plan plan = plan_copy(&valid);
        struct remat_error err = {0};
        if (valid.buffers[b].end > valid.buffers[b].begin)
            plan.buffers[b].begin++;
        else if (valid.buffers[b].begin > 0)
            plan.buffers[b].begin--;
        else
            plan.buffers[b].end++;
        assert_int_equal(remat_plan_verify(&graph, &plan, &err), REMAT_BAD_DATA);
        late += strstr(err.message, "which lives only from") != NULL;
        loose += strstr(err.message, "but is used from") != NULL;
        remat_plan_free(&plan);
    }
    assert_true(late > 5 && loose > 5);
}

static void unused_and_oversized_buffers_are_refused(void **state)
{
    struct remat_plan plan = plan_copy(&valid);
    int32_t at = valid.peak_instruction == 3 ? 4 : 3, b, oversized = 0;
    (void)state;
    plan.buffers[plan.buffers_count++] = (struct remat_buffer){REMAT_DEVICE, valid.arena_bytes - 64, 0, at, at};
    refuse(&plan, "is used from -1 to -1");
    for (b = 0; b < valid.buffers_count; b++) {
        struct remat_error err = {0};
        plan = plan_copy(&valid);
        plan.buffers[b].bytes += 64;
        assert_int_equal(remat_plan_verify(&graph, &plan, &err), REMAT_BAD_DATA);
        oversized += strstr(err.message, "are used") != NULL;
        remat_plan_free(&plan);
    }
    assert_true(oversized > 0);
}

static void addresses_are_aligned(void **state)
{
    int32_t b, seen = 0;
    (void)state;
    for (b = 0; b < valid.buffers_count; b++) {
        struct remat_plan plan = plan_copy(&valid);
        struct remat_error err = {0};
        plan.buffers[b].offset += 32;
        assert_int_equal(remat_plan_verify(&graph, &plan, &err), REMAT_BAD_DATA);
        seen += strstr(err.message, "not a multiple of 64") != NULL;
        remat_plan_free(&plan);
    }
    assert_true(seen > 0);
}

static void order_is_kept(void **state)
{
    struct remat_plan plan = plan_copy(&valid);
    struct remat_instruction first = plan.instructions[0];
    int32_t at = valid.instructions_count - 1;
    (void)state;
    plan.instructions[0] = plan.instructions[1];
    plan.instructions[1] = first;
    refuse(&plan, "instruction 0 (task '");
    plan = plan_copy(&valid);
    plan.instructions[0] = plan.instructions[1];
    refuse(&plan, "runs out of order: '");
    plan = plan_copy(&valid);
    while (task_at(at)->position != graph.order_count - 1)
        at--;
    plan.instructions_count = at;
    plan_rebook(&graph, &plan);
    refuse(&plan, "never runs");
}

/* Appends a second run of an instruction; cells are checked before operands. */
static void repeat(int32_t at, const char *words)
{
    struct remat_plan plan = plan_copy(&valid);
    plan.instructions[plan.instructions_count++] = valid.instructions[at];
    refuse(&plan, words);
}

static void cells_are_written_once_and_read_at_their_version(void **state)
{
    (void)state;
    repeat(find(REMAT_OP_SGD, 0), "may run only once");
    repeat(find(REMAT_OP_BATCHNORM, 0), "may run only once");
    repeat(find(REMAT_OP_LINEAR, 0), "uses version 0 of cell '");
}

static bool permitted(const struct remat_task *task, int32_t j, int32_t i)
{
    int32_t k;
    for (k = 0; k < task->in_place_count; k++)
        if (task->in_place[k].output == j && task->in_place[k].input == i)
            return true;
    return false;
}

static int64_t bytes_of(int32_t value)
{
    return graph.values[value].bytes;
}

/* Puts output j of an instruction into the memory of its input i and corrects all book-keeping. */
static struct remat_plan overwrite(int32_t at, int32_t j, int32_t i)
{
    struct remat_plan plan = plan_copy(&valid);
    plan.views[plan.instructions[at].outputs[j]].buffer = buffer_of(plan.instructions[at].inputs[i]);
    plan_rebook(&graph, &plan);
    return plan;
}

static void outputs_overwrite_only_what_is_permitted_and_dies(void **state)
{
    int32_t at, i, j, forbidden = 0, alive = 0;
    (void)state;
    for (at = 0; at < valid.instructions_count; at++)
        for (j = 0; j < task_at(at)->outputs_count; j++)
            for (i = 0; i < task_at(at)->inputs_count; i++) {
                const struct remat_instruction *instruction = &valid.instructions[at];
                struct remat_error err = {0};
                struct remat_plan plan;
                if (bytes_of(task_at(at)->outputs[j]) != bytes_of(task_at(at)->inputs[i]) ||
                    buffer_of(instruction->outputs[j]) == buffer_of(instruction->inputs[i]))
                    continue;
                plan = overwrite(at, j, i);
                plan.buffers[buffer_of(instruction->outputs[j])].begin = 0; /* not used any more */
                plan.buffers[buffer_of(instruction->outputs[j])].end = 0;
                plan.buffers[buffer_of(instruction->outputs[j])].bytes = 0;
                assert_int_equal(remat_plan_verify(&graph, &plan, &err), REMAT_BAD_DATA);
                forbidden += !permitted(task_at(at), j, i) && strstr(err.message, "does not permit");
                alive += permitted(task_at(at), j, i) && strstr(err.message, "which holds");
                remat_plan_free(&plan);
            }
    assert_true(forbidden > 5 && alive > 1);
}

static void operands_of_one_instruction_do_not_mix(void **state)
{
    int32_t at = find(REMAT_OP_BATCHNORM, 0), k = 0;
    struct remat_plan plan = plan_copy(&valid);
    (void)state;
    plan.views[valid.instructions[at].outputs[1]].buffer = buffer_of(valid.instructions[at].outputs[2]);
    plan.buffers[buffer_of(valid.instructions[at].outputs[1])].bytes = 0;
    plan_rebook(&graph, &plan);
    plan.buffers[buffer_of(valid.instructions[at].outputs[1])].begin = 0;
    plan.buffers[buffer_of(valid.instructions[at].outputs[1])].end = 0;
    refuse(&plan, "over each other");
    for (at = 0; at < valid.instructions_count && k == 0; at++) {
        const struct remat_instruction *instruction = &valid.instructions[at];
        if (instruction->scratch < 0 || task_at(at)->inputs_count == 0 ||
            valid.buffers[buffer_of(instruction->scratch)].bytes > bytes_of(task_at(at)->inputs[0]))
            continue;
        plan = plan_copy(&valid);
        plan.views[instruction->scratch].buffer = buffer_of(instruction->inputs[0]);
        plan.buffers[buffer_of(instruction->scratch)].bytes = 0;
        plan_rebook(&graph, &plan);
        plan.buffers[buffer_of(instruction->scratch)].begin = plan.buffers[buffer_of(instruction->scratch)].end = 0;
        refuse(&plan, "scratch memory over input 0");
        k++;
    }
    assert_int_equal(k, 1);
}

static void reads_find_their_value(void **state)
{
    int32_t at, k, wrong = 0;
    (void)state;
    for (at = 1; at < valid.instructions_count; at++)
        for (k = 0; k < task_at(at)->inputs_count; k++) {
            struct remat_plan plan = plan_copy(&valid);
            plan.instructions[at].inputs[k] = valid.instructions[at - 1].outputs[0];
            if (plan.instructions[at].inputs[k] >= 0 &&
                valid.views[plan.instructions[at].inputs[k]].value != task_at(at)->inputs[k]) {
                plan_rebook(&graph, &plan);
                plan.peak_instruction = valid.peak_instruction;
                refuse(&plan, "");
                wrong++;
            } else {
                remat_plan_free(&plan);
            }
        }
    assert_true(wrong > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fixture_is_valid),
        cmocka_unit_test(recorded_numbers_are_true),
        cmocka_unit_test(instructions_name_what_exists),
        cmocka_unit_test(other_numerics_are_refused),
        cmocka_unit_test(buffers_are_ranges_of_the_arena),
        cmocka_unit_test(every_overlap_is_found),
        cmocka_unit_test(scratch_is_never_too_small),
        cmocka_unit_test(scratch_that_nobody_asked_for_is_refused),
        cmocka_unit_test(intervals_are_tight),
        cmocka_unit_test(unused_and_oversized_buffers_are_refused),
        cmocka_unit_test(addresses_are_aligned),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(cells_are_written_once_and_read_at_their_version),
        cmocka_unit_test(outputs_overwrite_only_what_is_permitted_and_dies),
        cmocka_unit_test(operands_of_one_instruction_do_not_mix),
        cmocka_unit_test(reads_find_their_value),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
