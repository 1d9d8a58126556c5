/* Copies between the spaces: what follows from a schedule with them, on a chain worked out by hand; what the verifier
 * refuses; and random ones, whose plans must survive verifier and replay. */
#include "tests/core/support_plan.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* a makes A (640 bytes) in 100 ns; b makes B (128) from A in 200; c makes C (640) from B in 300; d = A + C (640), over
 * one of them if it may, in 50. A store takes 1 ns a byte, a fetch half. */
enum { A, B, C, D };

static struct remat_task_graph chain;

static void add_task(const char *name, enum remat_op op, int64_t time_ns, int64_t bytes, const int32_t *inputs,
                     int32_t inputs_count)
{
    struct remat_option option = {.name = "only", .time_ns = time_ns};
    struct remat_task task = {.name = name, .op = op, .options = &option, .options_count = 1, .outputs_count = 1};
    struct remat_tensor tensor = remat_tensor_make(REMAT_U8, 1, &bytes);
    struct remat_error err = {0};
    int32_t id;
    for (; task.inputs_count < inputs_count; task.inputs_count++)
        task.inputs[task.inputs_count] = inputs[task.inputs_count];
    assert_int_equal(remat_add_value(&chain, &tensor, REMAT_ACTIVATION, 0, &task.outputs[0], &err, "%s", name),
                     REMAT_OK);
    if (remat_add_task(&chain, &task, false, &id, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static int make_chain(void **state)
{
    struct remat_error err = {0};
    (void)state;
    remat_task_graph_init(&chain);
    chain.micro_count = 1;
    chain.to_host_bytes_per_s = 1000000000;
    chain.to_device_bytes_per_s = 2000000000;
    add_task("A", REMAT_OP_OPAQUE, 100, 640, NULL, 0);
    add_task("B", REMAT_OP_OPAQUE, 200, 128, (const int32_t[]){A}, 1);
    add_task("C", REMAT_OP_OPAQUE, 300, 640, (const int32_t[]){B}, 1);
    add_task("D", REMAT_OP_ADD, 50, 640, (const int32_t[]){A, C}, 2);
    if (remat_task_graph_finish(&chain, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    return 0;
}

static int free_chain(void **state)
{
    (void)state;
    remat_task_graph_free(&chain);
    return 0;
}

/* "rA" runs A, "sA" stores it, "fA" fetches it, "wA" waits for its copy. */
static struct remat_schedule schedule_of(const char *words)
{
    struct remat_schedule schedule = {0};
    struct remat_error err = {0};
    for (; *words; words += words[2] ? 3 : 2) {
        enum remat_instruction_kind kind = words[0] == 's' ? REMAT_STORE : words[0] == 'f' ? REMAT_FETCH : REMAT_WAIT;
        int32_t value = words[1] - 'A';
        assert_int_equal(words[0] == 'r' ? remat_schedule_push(&schedule, value, 0, &err)
                                         : remat_schedule_push_copy(&schedule, kind, value, &err),
                         REMAT_OK);
    }
    return schedule;
}

static void expect_cost(const char *words, int64_t cost_ns)
{
    struct remat_schedule schedule = schedule_of(words);
    struct remat_liveness live;
    struct remat_error err = {0};
    if (remat_liveness(&chain, &schedule, &live, &err) != REMAT_OK)
        fail_msg("%s: %s", words, err.message);
    if (live.cost_ns != cost_ns)
        fail_msg("%s: %lld ns, expected %lld", words, (long long)live.cost_ns, (long long)cost_ns);
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

static void times_are_those_of_the_lanes(void **state)
{
    (void)state;
    expect_cost("rA rB rC rD", 650);
    /* stored 100 to 740; b ends at 300 and stands still; c until 1040; fetched until 1360 */
    expect_cost("rA sA rB wA rC fA wA rD", 1410);
    /* c beside the fetch, 740 to 1060 */
    expect_cost("rA sA rB wA fA rC wA rD", 1110);
    /* the store beside b and c, 100 to 740; fetched until 1060 */
    expect_cost("rA sA rB rC wA fA wA rD", 1110);
    /* stores one after the other: A 100 to 740, B 740 to 868; c from 868 */
    expect_cost("rA sA rB sB wA wB fA fB wB rC wA rD", 868 + 320 + 64 + 300 + 50);
    /* nobody stands still who has not to wait */
    expect_cost("rA rB sB rC wB rD", 650);
    chain.micro_count = 3;
    expect_cost("rA sA rB wA rC fA wA rD", 3 * 1410);
    chain.micro_count = 1;
}

static void bytes_are_those_of_both_spaces(void **state)
{
    static const int64_t device[] = {640, 640, 768, 768, 768, 1280, 1280, 1280};
    static const int64_t host[] = {0, 640, 640, 640, 640, 640, 640, 0};
    struct remat_schedule schedule = schedule_of("rA sA rB wA rC fA wA rD");
    struct remat_liveness live;
    struct remat_error err = {0};
    int32_t i;
    (void)state;
    assert_int_equal(remat_liveness(&chain, &schedule, &live, &err), REMAT_OK);
    for (i = 0; i < schedule.count; i++) {
        assert_int_equal(live.live_bytes[i], device[i]);
        assert_int_equal(live.host_live_bytes[i], host[i]);
    }
    assert_int_equal(live.peak_bytes, 1280);
    assert_int_equal(live.peak_entry, 5);
    assert_int_equal(live.host_peak_bytes, 640);
    assert_int_equal(live.instances_count, 6); /* A twice, and on the host */
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

/* While A is stored nothing may be written over it: d goes over C. */
static void what_is_stored_is_not_overwritten(void **state)
{
    struct remat_schedule schedule = schedule_of("rA rB rC sA rD wA");
    struct remat_liveness live;
    struct remat_error err = {0};
    int32_t made;
    (void)state;
    assert_int_equal(remat_liveness(&chain, &schedule, &live, &err), REMAT_OK);
    made = live.outputs[4 * REMAT_MAX_OUTPUTS];
    assert_true(live.instances[made].over < 0 || live.instances[live.instances[made].over].value == C);
    assert_int_equal(live.instances[live.inputs[4 * REMAT_MAX_INPUTS]].end, 5);
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

static void refuse_schedule(const char *words, const char *message)
{
    struct remat_schedule schedule = schedule_of(words);
    struct remat_liveness live;
    struct remat_error err = {0};
    assert_int_equal(remat_liveness(&chain, &schedule, &live, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, message))
        fail_msg("%s: expected \"%s\" in: %s", words, message, err.message);
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

static void wrong_schedules_are_refused(void **state)
{
    int64_t rate = chain.to_host_bytes_per_s;
    (void)state;
    refuse_schedule("sA rA rB rC rD", "stores value 'A', which no earlier entry makes");
    refuse_schedule("rA rB fA wA rC rD", "fetches value 'A', which no earlier entry stores");
    refuse_schedule("rA sA fA wA rB rC rD", "before the wait for its copy");
    refuse_schedule("rA sA sA wA rB rC rD", "before the wait for its copy");
    refuse_schedule("rA sA wA fA rB wA rC rD", "before the wait for its fetch");
    refuse_schedule("rA wA rB rC rD", "none is under way");
    refuse_schedule("rA sA wA wA rB rC rD", "none is under way");
    refuse_schedule("rA sA rB rC rD", "not waited for in its section");
    refuse_schedule("rA sZ rB rC rD", "names value 25");
    chain.to_host_bytes_per_s = 0;
    refuse_schedule("rA sA wA rB rC rD", "how fast copies are");
    chain.to_host_bytes_per_s = rate;
}

/* --- plans ------------------------------------------------------------------------------------------------------- */

static struct remat_plan plan_of(const char *words)
{
    struct remat_schedule schedule = schedule_of(words);
    struct remat_plan plan, copy;
    struct remat_error err = {0};
    if (remat_plan_place(&chain, &schedule, 20, &plan, &err) != REMAT_OK ||
        remat_plan_verify(&chain, &plan, &err) != REMAT_OK)
        fail_msg("%s: %s", words, err.message);
    copy = plan_copy(&plan);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
    return copy;
}

/* Frees `plan` after seeing it refused with these words. */
static void refuse(struct remat_plan *plan, const char *words)
{
    struct remat_error err = {0};
    assert_int_equal(remat_plan_verify(&chain, plan, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, words))
        fail_msg("expected \"%s\" in: %s", words, err.message);
    remat_plan_free(plan);
}

/* Takes an instruction away; waits keep their copies. */
static void drop(struct remat_plan *plan, int32_t at)
{
    int32_t i;
    plan->instructions_count--;
    memmove(plan->instructions + at, plan->instructions + at + 1,
            (size_t)(plan->instructions_count - at) * sizeof *plan->instructions);
    for (i = 0; i < plan->instructions_count; i++)
        if (plan->instructions[i].event > at)
            plan->instructions[i].event--;
}

static void swap(struct remat_plan *plan, int32_t a, int32_t b)
{
    struct remat_instruction saved = plan->instructions[a];
    plan->instructions[a] = plan->instructions[b];
    plan->instructions[b] = saved;
}

static int32_t buffer_of(const struct remat_plan *plan, int32_t view)
{
    return plan->views[view].buffer;
}

/* rA 0, sA 1, rB 2, wA 3, rC 4, fA 5, wA 6, rD 7 */
static const char usual[] = "rA sA rB wA rC fA wA rD";

static void waits_are_needed(void **state)
{
    struct remat_plan plan = plan_of(usual);
    (void)state;
    drop(&plan, 3);
    plan_rebook(&chain, &plan);
    refuse(&plan, "before the wait for its copy by instruction 1");
    plan = plan_of(usual);
    drop(&plan, 6);
    plan_rebook(&chain, &plan);
    refuse(&plan, "before the wait for its copy by instruction 5");
    plan = plan_of(usual);
    swap(&plan, 6, 7);
    plan_rebook(&chain, &plan);
    refuse(&plan, "before the wait for its copy by instruction 5");
    plan = plan_of("rA rB sB wB rC rD");
    drop(&plan, 3);
    plan_rebook(&chain, &plan);
    refuse(&plan, "instruction 2 (store): is not waited for in its section");
}

static void waits_are_for_earlier_copies_once(void **state)
{
    struct remat_plan plan = plan_of(usual);
    (void)state;
    swap(&plan, 5, 6); /* before its fetch */
    plan_rebook(&chain, &plan);
    refuse(&plan, "is no earlier copy");
    plan = plan_of(usual);
    plan.instructions[6].event = 4;
    refuse(&plan, "waits for instruction 4, which is no earlier copy");
    plan = plan_of(usual);
    plan.instructions[6].event = 1;
    refuse(&plan, "or was waited for");
    plan = plan_of(usual);
    plan.instructions[3].inputs[0] = 0;
    refuse(&plan, "but takes 0");
    /* earlier is right, but then nothing else is as it was */
    plan = plan_of(usual);
    swap(&plan, 2, 3);
    refuse(&plan, "");
    plan = plan_of(usual);
    swap(&plan, 2, 3);
    plan_rebook(&chain, &plan);
    assert_int_equal(remat_plan_verify(&chain, &plan, &(struct remat_error){0}), REMAT_OK);
    remat_plan_free(&plan);
}

static void fetches_need_a_store(void **state)
{
    struct remat_plan plan = plan_of(usual);
    (void)state;
    drop(&plan, 3);
    drop(&plan, 1);
    plan_rebook(&chain, &plan);
    refuse(&plan, "reads value 'A' (input 0) from buffer");
}

static void copies_go_from_space_to_space(void **state)
{
    struct remat_plan plan = plan_of(usual);
    (void)state;
    plan.instructions[1].outputs[0] = plan.instructions[5].outputs[0];
    refuse(&plan, "is in device memory");
    plan = plan_of(usual);
    plan.instructions[5].inputs[0] = plan.instructions[0].outputs[0];
    refuse(&plan, "is in device memory");
    plan = plan_of(usual);
    plan.instructions[7].inputs[0] = plan.instructions[1].outputs[0];
    refuse(&plan, "is in host memory");
    plan = plan_of(usual);
    plan.instructions[5].outputs[0] = plan.instructions[4].outputs[0];
    refuse(&plan, "should be value 0 ('A')");
    plan = plan_of(usual);
    plan.instructions[1].inputs[1] = 0;
    refuse(&plan, "but takes 1");
    plan = plan_of(usual);
    plan.instructions[1].scratch = 0;
    refuse(&plan, "as scratch 0");
    plan = plan_of(usual);
    plan.instructions[1].inputs[0] = -1;
    refuse(&plan, "input 0 is view -1");
}

static void host_memory_is_laid_out_as_well(void **state)
{
    struct remat_plan plan = plan_of("rA rB sA sB wA wB fB wB rC fA wA rD");
    int32_t a = buffer_of(&plan, plan.instructions[2].outputs[0]),
            b = buffer_of(&plan, plan.instructions[3].outputs[0]);
    (void)state;
    assert_int_equal(plan.host_bytes, 768);
    assert_int_equal(plan.host_live_peak_bytes, 768);
    plan.buffers[a].offset = plan.buffers[b].offset = 0;
    plan.host_bytes = 640;
    refuse(&plan, "overlaps buffer");
    plan = plan_of(usual);
    a = buffer_of(&plan, plan.instructions[1].outputs[0]);
    plan.buffers[a].bytes -= 64;
    plan.host_bytes -= 64;
    plan.host_live_peak_bytes -= 64;
    refuse(&plan, "needs 640 bytes");
    plan = plan_of(usual);
    plan.buffers[a].end--; /* before the wait for the fetch */
    refuse(&plan, "but is used from 1 to 6");
    plan = plan_of(usual);
    plan.host_bytes += 64;
    refuse(&plan, "says host memory of 704 bytes, but its buffers reach 640");
    plan = plan_of(usual);
    plan.host_live_peak_bytes += 64;
    refuse(&plan, "live peak of 704 bytes in host memory");
    plan = plan_of(usual);
    plan.host_budget_bytes = 639;
    refuse(&plan, "host memory of 640 bytes exceeds its budget of 639");
}

static void bytes_of_a_copy_are_not_written(void **state)
{
    struct remat_plan plan = plan_of("rA rB rC sA rD wA");
    (void)state;
    plan.views[plan.instructions[4].outputs[0]].buffer = buffer_of(&plan, plan.instructions[3].inputs[0]);
    plan_rebook(&chain, &plan);
    refuse(&plan, "writes over bytes that instruction 3 copies");
}

static void times_are_checked_by_another_clock(void **state)
{
    struct remat_plan plan = plan_of(usual);
    (void)state;
    assert_int_equal(plan.predicted_step_ns, 1410);
    plan.predicted_step_ns--;
    refuse(&plan, "its step takes 1409 ns, but the graph's times add up to 1410");
    plan = plan_of(usual);
    chain.to_device_bytes_per_s /= 2;
    refuse(&plan, "add up to 1730");
    plan = plan_of(usual);
    chain.to_host_bytes_per_s = 0;
    refuse(&plan, "how fast copies are");
}

/* --- random ones ---------------------------------------------------------------------------------------------------
 */

static void random_copies_are_placed_rightly(void **state)
{
    int32_t copies = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 150; seed++) {
        struct remat_task_graph graph;
        struct remat_schedule schedule, back;
        struct remat_liveness live;
        struct remat_plan plan;
        struct remat_error err = {0};
        const char *problem;
        random_graph(&graph, seed, 1 + (int32_t)(seed % 30));
        random_schedule(&graph, seed, (int32_t)(seed % 3), &schedule);
        copies -= schedule.count;
        random_copies(&graph, seed, &schedule);
        copies += schedule.count;
        if (remat_plan_place(&graph, &schedule, REMAT_PLACE_EFFORT, &plan, &err) != REMAT_OK ||
            remat_plan_verify(&graph, &plan, &err) != REMAT_OK)
            fail_msg("seed %d: %s", (int)seed, err.message);
        problem = replay_plan(&graph, &plan);
        if (problem)
            fail_msg("seed %d: %s", (int)seed, problem);
        assert_int_equal(remat_liveness(&graph, &schedule, &live, &err), REMAT_OK);
        assert_int_equal(plan.live_peak_bytes, live.peak_bytes);
        assert_int_equal(plan.host_live_peak_bytes, live.host_peak_bytes);
        assert_int_equal(plan.predicted_step_ns, live.cost_ns);
        assert_int_equal(remat_plan_schedule(&plan, &back, &err), REMAT_OK);
        assert_int_equal(back.count, schedule.count);
        assert_memory_equal(back.entries, schedule.entries, (size_t)back.count * sizeof *back.entries);
        remat_schedule_free(&back);
        remat_liveness_free(&live);
        remat_plan_free(&plan);
        remat_schedule_free(&schedule);
        remat_task_graph_free(&graph);
    }
    assert_true(copies > 1000);
}

/* A copy that one section begins and another waits for. */
static void sections_keep_their_copies(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan, wrong;
    struct remat_error err = {0};
    int32_t at;
    (void)state;
    plan_fixture_copies(5, 20, 0, &graph, &plan);
    wrong = plan_copy(&plan);
    assert_true(plan.finish_begin < plan.instructions_count);
    for (at = plan.finish_begin - 1; plan.instructions[at].kind != REMAT_WAIT; at--)
        ;
    /* behind the first run of the finish section */
    for (; at < wrong.finish_begin; at++)
        swap(&wrong, at, at + 1);
    plan_rebook(&graph, &wrong);
    assert_int_equal(remat_plan_verify(&graph, &wrong, &err), REMAT_BAD_DATA);
    assert_true(strstr(err.message, "not waited for in its section") || strstr(err.message, "before the wait"));
    remat_plan_free(&wrong);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(times_are_those_of_the_lanes, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(bytes_are_those_of_both_spaces, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(what_is_stored_is_not_overwritten, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(wrong_schedules_are_refused, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(waits_are_needed, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(waits_are_for_earlier_copies_once, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(fetches_need_a_store, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(copies_go_from_space_to_space, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(host_memory_is_laid_out_as_well, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(bytes_of_a_copy_are_not_written, make_chain, free_chain),
        cmocka_unit_test_setup_teardown(times_are_checked_by_another_clock, make_chain, free_chain),
        cmocka_unit_test(random_copies_are_placed_rightly),
        cmocka_unit_test(sections_keep_their_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
