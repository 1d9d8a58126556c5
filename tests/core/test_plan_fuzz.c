/* Random changes of valid plans: what the verifier accepts must survive a replay on tagged bytes. */
#include "tests/core/support_moves.h"
#include "tests/core/support_plan.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void swap(struct remat_plan *plan, int32_t a, int32_t b)
{
    struct remat_instruction saved = plan->instructions[a];
    plan->instructions[a] = plan->instructions[b];
    plan->instructions[b] = saved;
}

static void drop(struct remat_plan *plan, int32_t at)
{
    plan->instructions_count--;
    memmove(plan->instructions + at, plan->instructions + at + 1,
            (size_t)(plan->instructions_count - at) * sizeof *plan->instructions);
}

static void duplicate(struct remat_plan *plan, int32_t from, int32_t to)
{
    struct remat_instruction copy = plan->instructions[from];
    memmove(plan->instructions + to + 1, plan->instructions + to,
            (size_t)(plan->instructions_count - to) * sizeof *plan->instructions);
    plan->instructions[to] = copy;
    plan->instructions_count++;
}

static void change_operand(struct random_stream *stream, struct remat_plan *plan, int32_t at)
{
    struct remat_instruction *instruction = &plan->instructions[at];
    int32_t view = random_below(stream, plan->views_count);
    int32_t slot = random_below(stream, 3);
    if (instruction->kind != REMAT_RUN && plan->views[view].value < 0)
        return; /* no index of a value */
    if (slot == 0 && instruction->inputs[0] >= 0)
        instruction->inputs[0] = view;
    else if (slot == 1 && instruction->outputs[0] >= 0)
        instruction->outputs[0] = view;
    else if (instruction->scratch >= 0)
        instruction->scratch = view;
}

/* Another instance of the value that operand 0 reads. */
static void read_other_instance(struct random_stream *stream, struct remat_plan *plan, int32_t at)
{
    struct remat_instruction *instruction = &plan->instructions[at];
    int32_t v, seen = 0, value = instruction->inputs[0] < 0 ? -1 : plan->views[instruction->inputs[0]].value;
    for (v = 0; v < plan->views_count && value >= 0; v++)
        if (plan->views[v].value == value && random_below(stream, ++seen) == 0)
            instruction->inputs[0] = v;
}

static void change_buffer(struct random_stream *stream, struct remat_plan *plan)
{
    struct remat_buffer *buffer = &plan->buffers[random_below(stream, plan->buffers_count)];
    const struct remat_buffer *other = &plan->buffers[random_below(stream, plan->buffers_count)];
    int64_t by = 64 * (random_below(stream, 9) - 4);
    switch (random_below(stream, 4)) {
    case 0:
        buffer->offset = other->offset;
        break;
    case 1:
        buffer->offset = buffer->offset + by < 0 ? 0 : buffer->offset + by;
        break;
    case 2:
        buffer->bytes = buffer->bytes + by < 0 ? 0 : buffer->bytes + by;
        break;
    default:
        buffer->end = buffer->end + 1 < plan->instructions_count ? buffer->end + 1 : buffer->begin;
    }
}

static void mutate(struct random_stream *stream, const struct remat_task_graph *graph, struct remat_plan *plan)
{
    int32_t at = random_below(stream, plan->instructions_count - 1), view = random_below(stream, plan->views_count);
    switch (random_below(stream, 9)) {
    case 0:
        swap(plan, at, at + 1);
        break;
    case 1:
        swap(plan, at, random_below(stream, plan->instructions_count));
        break;
    case 2:
        drop(plan, at);
        break;
    case 3:
        duplicate(plan, at, random_below(stream, plan->instructions_count));
        break;
    case 4:
        change_operand(stream, plan, at);
        break;
    case 5:
        read_other_instance(stream, plan, at);
        break;
    case 6:
        plan->views[view].buffer = random_below(stream, plan->buffers_count);
        break;
    case 7:
        if (plan->instructions[at].kind == REMAT_RUN)
            plan->instructions[at].option =
                random_below(stream, graph->tasks[plan->instructions[at].task].options_count);
        else if (plan->instructions[at].kind == REMAT_WAIT)
            plan->instructions[at].event = random_below(stream, plan->instructions_count);
        break;
    default:
        change_buffer(stream, plan);
    }
}

static void accepted_plans_replay(void **state)
{
    struct random_stream stream = {.seed = 77};
    int32_t accepted = 0, refused = 0, round;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 60; seed++) {
        struct remat_task_graph graph;
        struct remat_plan valid;
        if (seed % 4 < 2)
            plan_fixture(seed, 3 + (int32_t)(seed % 12), 2, &graph, &valid);
        else
            plan_fixture_copies(seed, 3 + (int32_t)(seed % 12), 2, &graph, &valid);
        if (seed % 3 == 0)
            moves_add(&graph, &valid, seed, 30, valid.arena_bytes * 3 / 2);
        for (round = 0; round < 150; round++) {
            struct remat_plan plan = plan_copy(&valid);
            struct remat_error err = {0};
            const char *problem;
            mutate(&stream, &graph, &plan);
            if (random_below(&stream, 4) > 0)
                plan_rebook(&graph, &plan);
            if (remat_plan_verify(&graph, &plan, &err) == REMAT_OK) {
                accepted++;
                problem = replay_plan(&graph, &plan);
                if (problem)
                    fail_msg("seed %d round %d: accepted, but %s", (int)seed, round, problem);
            } else {
                refused++;
                assert_true(err.status == REMAT_BAD_DATA && err.message[0]);
            }
            remat_plan_free(&plan);
        }
        remat_plan_free(&valid);
        remat_task_graph_free(&graph);
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > 100 && refused > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_plans_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
