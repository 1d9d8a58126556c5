/* Moves: packing with them reaches the live peak of whatever there is; plans with them survive verifier and replay; and
 * what the verifier refuses. */
#include "core/base/json.h"
#include "core/plan/explain.h"
#include "core/plan/pack_moves.h"
#include "tests/core/support_moves.h"
#include "tests/core/support_plan.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* --- packing ----------------------------------------------------------------------------------------------------- */

enum { MOST = 40, LENGTH = 24 };

static int64_t largest_sum(const struct remat_pack_item *items, int32_t count, int64_t base)
{
    int64_t peak = base;
    int32_t at, i;
    for (at = 0; at < LENGTH; at++) {
        int64_t sum = base;
        for (i = 0; i < count; i++)
            sum += items[i].begin <= at && at <= items[i].end ? items[i].bytes : 0;
        peak = sum > peak ? sum : peak;
    }
    return peak;
}

static bool crosses(const struct remat_pack_item *item, int32_t gap)
{
    return item->begin < gap && gap <= item->end;
}

static bool share(int64_t a, int64_t a_bytes, int64_t b, int64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

/* Plays the moves: at each instruction, and for the moved item at each move, all ranges are apart. */
static void play(const struct remat_pack_item *items, int32_t count, int64_t base, int64_t target,
                 const struct remat_pack_moves *moves)
{
    int64_t offset[MOST];
    int32_t at, i, k, next = 0;
    for (i = 0; i < count; i++)
        offset[i] = items[i].offset;
    for (at = 0; at < LENGTH; at++) {
        for (; next < moves->count && moves->list[next].at == at; next++) {
            const struct remat_pack_move *move = &moves->list[next];
            assert_true(crosses(&items[move->item], at) && move->offset != offset[move->item]);
            for (i = 0; i < count; i++)
                assert_false(i != move->item && crosses(&items[i], at) &&
                             share(move->offset, items[move->item].bytes, offset[i], items[i].bytes));
            offset[move->item] = move->offset;
        }
        for (i = 0; i < count; i++) {
            if (at < items[i].begin || at > items[i].end)
                continue;
            assert_true(offset[i] >= base && offset[i] + items[i].bytes <= target);
            for (k = 0; k < i; k++)
                assert_false(items[k].begin <= at && at <= items[k].end &&
                             share(offset[i], items[i].bytes, offset[k], items[k].bytes));
        }
    }
    assert_int_equal(next, moves->count);
}

/* The moves that it took. */
static int32_t pack(struct remat_pack_item *items, int32_t count, int64_t base, int32_t tries)
{
    int64_t target = largest_sum(items, count, base);
    struct remat_pack_moves moves;
    struct remat_error err = {0};
    bool placed;
    int32_t taken;
    assert_int_equal(remat_pack_with_moves(items, count, base, target, NULL, 0, tries, &moves, &placed, &err),
                     REMAT_OK);
    assert_true(placed);
    play(items, count, base, target, &moves);
    taken = moves.count;
    free(moves.list);
    return taken;
}

/* No placement without moves takes fewer than 10 bytes (docs/solvers.md). */
static void the_unreachable_is_reached(void **state)
{
    struct remat_pack_item items[] = {{3, 0, 0, 0}, {3, 0, 2, 0}, {3, 0, 6, 0}, {1, 1, 5, 0},
                                      {2, 2, 3, 0}, {2, 3, 4, 0}, {3, 4, 6, 0}, {3, 6, 6, 0}};
    bool placed;
    struct remat_error err = {0};
    (void)state;
    assert_int_equal(largest_sum(items, 8, 0), 9);
    assert_int_equal(remat_pack_tightly(items, 8, 0, 200, &placed, &err), REMAT_OK);
    assert_false(placed);
    assert_int_equal(pack(items, 8, 0, 8), 1);
}

static void all_cases_reach_the_live_peak(void **state)
{
    struct random_stream stream = {.seed = 3};
    int32_t round, i, moved = 0;
    (void)state;
    for (round = 0; round < 3000; round++) {
        struct remat_pack_item items[MOST];
        int32_t count = random_below(&stream, MOST + 1), largest = 1 + random_below(&stream, 200);
        int64_t base = random_below(&stream, 3) * 64;
        for (i = 0; i < count; i++) {
            int32_t begin = random_below(&stream, LENGTH);
            items[i] = (struct remat_pack_item){random_below(&stream, largest), begin,
                                                begin + random_below(&stream, LENGTH - begin), 0};
        }
        moved += pack(items, count, base, 1) > 0;
    }
    assert_true(moved > 20);
}

static void pins_hold(void **state)
{
    struct random_stream stream = {.seed = 5};
    int32_t round, i, k, placed_count = 0;
    (void)state;
    for (round = 0; round < 500; round++) {
        struct remat_pack_item items[MOST];
        struct remat_pack_pin pins[MOST];
        struct remat_pack_moves moves;
        struct remat_error err = {0};
        int32_t count = 10 + random_below(&stream, MOST - 9), pins_count = 0;
        int64_t target;
        bool placed;
        for (i = 0; i < count; i++) {
            int32_t begin = random_below(&stream, LENGTH);
            items[i] = (struct remat_pack_item){1 + random_below(&stream, 50), begin,
                                                begin + random_below(&stream, LENGTH - begin), 0};
            if (random_below(&stream, 4) == 0)
                pins[pins_count++] = (struct remat_pack_pin){i, begin, (begin + items[i].end + 1) / 2};
        }
        target = largest_sum(items, count, 0);
        assert_int_equal(remat_pack_with_moves(items, count, 0, target, pins, pins_count, 2, &moves, &placed, &err),
                         REMAT_OK);
        placed_count += placed;
        if (placed)
            play(items, count, 0, target, &moves);
        for (i = 0; i < moves.count; i++)
            for (k = 0; k < pins_count; k++)
                assert_false(pins[k].item == moves.list[i].item && pins[k].begin < moves.list[i].at &&
                             moves.list[i].at <= pins[k].end);
        free(moves.list);
    }
    assert_true(placed_count > 100);
}

/* --- plans ------------------------------------------------------------------------------------------------------- */

static void expect_right(const struct remat_task_graph *graph, const struct remat_plan *plan, int32_t seed)
{
    struct remat_error err = {0};
    const char *problem;
    if (remat_plan_verify(graph, plan, &err) != REMAT_OK)
        fail_msg("seed %d: %s", seed, err.message);
    problem = replay_plan(graph, plan);
    if (problem)
        fail_msg("seed %d: %s", seed, problem);
}

/* Placed without a try for a packing without moves, so that many need some. */
static void schedules_are_placed_in_their_live_peaks(void **state)
{
    int32_t seed, moved = 0;
    (void)state;
    for (seed = 0; seed < 400; seed++) {
        struct remat_task_graph graph;
        struct remat_schedule schedule, back;
        struct remat_plan plan;
        struct remat_error err = {0};
        random_graph(&graph, (uint64_t)seed, 1 + seed % 40);
        graph.move_bytes_per_s = seed % 3 == 0 ? 0 : 1000000 * (1 + seed);
        random_schedule(&graph, (uint64_t)seed, 3, &schedule);
        assert_int_equal(remat_plan_place(&graph, &schedule, 0, &plan, &err), REMAT_OK);
        assert_int_equal(plan.arena_bytes, plan.live_peak_bytes);
        expect_right(&graph, &plan, seed);
        moved += remat_plan_count_moves(&graph, &plan).count > 0;
        assert_int_equal(remat_plan_schedule(&plan, &back, &err), REMAT_OK);
        assert_int_equal(back.count, schedule.count);
        assert_memory_equal(back.entries, schedule.entries, (size_t)schedule.count * sizeof *back.entries);
        remat_schedule_free(&back);
        remat_schedule_free(&schedule);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
    assert_true(moved > 10);
}

static void copies_and_moves_go_together(void **state)
{
    int32_t seed, moved = 0;
    (void)state;
    for (seed = 0; seed < 200; seed++) {
        struct remat_task_graph graph;
        struct remat_schedule schedule;
        struct remat_plan plan;
        struct remat_error err = {0};
        random_graph(&graph, (uint64_t)seed, 1 + seed % 30);
        graph.move_bytes_per_s = 100000000;
        random_schedule(&graph, (uint64_t)seed, 2, &schedule);
        random_copies(&graph, (uint64_t)seed, &schedule);
        assert_int_equal(remat_plan_place(&graph, &schedule, 0, &plan, &err), REMAT_OK);
        expect_right(&graph, &plan, seed);
        moved += remat_plan_count_moves(&graph, &plan).count > 0;
        moves_add(&graph, &plan, (uint64_t)seed, 20, plan.arena_bytes * 3 / 2);
        expect_right(&graph, &plan, seed);
        remat_schedule_free(&schedule);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
    assert_true(moved > 0);
}

static void files_keep_moves(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan, back;
    struct remat_error err = {0};
    json_t *json;
    FILE *stream = tmpfile();
    char text[4096];
    size_t length;
    (void)state;
    plan_fixture(4, 12, 2, &graph, &plan);
    graph.move_bytes_per_s = 100000000;
    assert_true(moves_add(&graph, &plan, 1, 200, plan.arena_bytes * 3 / 2) > 3);
    json = remat_plan_to_json(&plan);
    assert_int_equal(remat_plan_from_json(json, "plan", &back, &err), REMAT_OK);
    assert_true(remat_plan_hash(&back) == remat_plan_hash(&plan));
    assert_int_equal(remat_plan_verify(&graph, &back, &err), REMAT_OK);
    json_decref(json);
    assert_non_null(stream);
    assert_int_equal(
        remat_plan_explain(&graph, &back, &(struct remat_explain_options){.instructions = true}, stream, &err),
        REMAT_OK);
    rewind(stream);
    length = fread(text, 1, sizeof text - 1, stream);
    text[length] = 0;
    assert_non_null(strstr(text, "within the arena"));
    fclose(stream);
    remat_plan_free(&back);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

/* Operands of moves that are no views, no numbers or not there are refused on reading. */
static void bad_files_are_refused(void **state)
{
    static const char *const keys[] = {"from", "to", "kind"};
    struct random_stream stream = {.seed = 8};
    struct remat_task_graph graph;
    struct remat_plan plan, back;
    int32_t round, at = 0;
    (void)state;
    plan_fixture(4, 12, 2, &graph, &plan);
    assert_true(moves_add(&graph, &plan, 1, 200, plan.arena_bytes * 3 / 2) > 3);
    while (plan.instructions[at].kind != REMAT_MOVE)
        at++;
    for (round = 0; round < 60; round++) {
        json_t *json = remat_plan_to_json(&plan), *move;
        struct remat_error err = {0};
        const char *key = keys[random_below(&stream, 3)];
        move = json_array_get(json_object_get(json, "instructions"), (size_t)at);
        switch (random_below(&stream, 4)) {
        case 0:
            json_object_del(move, key);
            break;
        case 1:
            json_object_set_new(move, key, json_integer(plan.views_count + random_below(&stream, 5)));
            break;
        case 2:
            json_object_set_new(move, key, json_integer(-1 - random_below(&stream, 5)));
            break;
        default:
            json_object_set_new(move, key, json_string("mover"));
        }
        assert_int_equal(remat_plan_from_json(json, "plan", &back, &err), REMAT_BAD_DATA);
        assert_null(strstr(err.message, "plan_hash"));
        remat_plan_free(&back);
        json_decref(json);
    }
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

struct fixture {
    struct remat_task_graph graph;
    struct remat_plan plan;
    int32_t at; /* the move */
};

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    plan_fixture(2, 12, 1, &f->graph, &f->plan);
    f->graph.move_bytes_per_s = 50000000;
    while (moves_add(&f->graph, &f->plan, 9, 1, f->plan.arena_bytes * 3 / 2) == 0)
        assert_true(moves_add(&f->graph, &f->plan, 10, 40, f->plan.arena_bytes * 3 / 2) > 0);
    while (f->plan.instructions[f->at].kind != REMAT_MOVE)
        f->at++;
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    remat_plan_free(&f->plan);
    remat_task_graph_free(&f->graph);
    free(f);
    return 0;
}

/* Frees `plan` after seeing it refused with these words. */
static void refuse(struct fixture *f, struct remat_plan *plan, const char *words)
{
    struct remat_error err = {0};
    assert_int_equal(remat_plan_verify(&f->graph, plan, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, words))
        fail_msg("expected \"%s\" in: %s", words, err.message);
    remat_plan_free(plan);
}

static struct remat_buffer *old_buffer(struct remat_plan *plan, int32_t at)
{
    return &plan->buffers[plan->views[plan->instructions[at].inputs[0]].buffer];
}

static struct remat_buffer *new_buffer(struct remat_plan *plan, int32_t at)
{
    return &plan->buffers[plan->views[plan->instructions[at].outputs[0]].buffer];
}

static void operands_are_one_view_each(void **state)
{
    struct fixture *f = *state;
    struct remat_plan plan = plan_copy(&f->plan);
    plan.instructions[f->at].inputs[1] = plan.instructions[f->at].inputs[0];
    refuse(f, &plan, "but takes 1");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].outputs[1] = plan.instructions[f->at].outputs[0];
    refuse(f, &plan, "but takes 1");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].scratch = 0;
    refuse(f, &plan, "as scratch 0");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].inputs[0] = -1;
    refuse(f, &plan, "");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].outputs[0] = plan.views_count;
    refuse(f, &plan, "");
}

static void what_is_moved_is_the_value(void **state)
{
    struct fixture *f = *state;
    struct remat_plan plan = plan_copy(&f->plan);
    int32_t value = plan.views[plan.instructions[f->at].inputs[0]].value;
    plan.views[plan.instructions[f->at].outputs[0]].value = value == 0 ? 1 : 0;
    refuse(f, &plan, "should be value");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].kind = (enum remat_instruction_kind)5;
    refuse(f, &plan, "");
}

static void buffers_end_and_begin_at_the_move(void **state)
{
    struct fixture *f = *state;
    struct remat_plan plan = plan_copy(&f->plan);
    new_buffer(&plan, f->at)->begin--;
    refuse(f, &plan, "");
    plan = plan_copy(&f->plan);
    old_buffer(&plan, f->at)->end++;
    refuse(f, &plan, "");
    plan = plan_copy(&f->plan);
    plan.instructions[f->at].outputs[0] = plan.instructions[f->at].inputs[0];
    plan_rebook(&f->graph, &plan);
    refuse(f, &plan, "");
    plan = plan_copy(&f->plan);
    new_buffer(&plan, f->at)->bytes += 64;
    refuse(f, &plan, "");
}

/* Without the move the value is not where it is read. */
static void moves_are_needed(void **state)
{
    struct fixture *f = *state;
    struct remat_plan plan = plan_copy(&f->plan);
    int32_t i;
    plan.instructions_count--;
    memmove(plan.instructions + f->at, plan.instructions + f->at + 1,
            (size_t)(plan.instructions_count - f->at) * sizeof *plan.instructions);
    for (i = 0; i < plan.buffers_count; i++) {
        plan.buffers[i].begin -= plan.buffers[i].begin > f->at;
        plan.buffers[i].end -= plan.buffers[i].end >= f->at && plan.buffers[i].end > plan.buffers[i].begin;
    }
    plan.finish_begin -= plan.finish_begin > f->at;
    plan_rebook(&f->graph, &plan);
    refuse(f, &plan, "");
}

/* What else is live is in nobody's way. */
static void others_are_not_moved_over(void **state)
{
    struct fixture *f = *state;
    int32_t b, tried = 0;
    for (b = 0; b < f->plan.buffers_count; b++) {
        struct remat_plan plan = plan_copy(&f->plan);
        const struct remat_buffer *other = &plan.buffers[b];
        if (other == old_buffer(&plan, f->at) || other == new_buffer(&plan, f->at) || other->bytes == 0 ||
            other->space != REMAT_DEVICE || other->begin >= f->at || other->end <= f->at) {
            remat_plan_free(&plan);
            continue;
        }
        new_buffer(&plan, f->at)->offset = other->offset;
        plan_rebook(&f->graph, &plan);
        refuse(f, &plan, "overlaps buffer");
        tried++;
    }
    assert_true(tried > 0);
}

static void times_count_moves(void **state)
{
    struct fixture *f = *state;
    struct remat_plan plan = plan_copy(&f->plan);
    plan.predicted_step_ns--;
    refuse(f, &plan, "its step takes");
    plan = plan_copy(&f->plan);
    f->graph.move_bytes_per_s = 0;
    refuse(f, &plan, "its step takes");
    f->graph.move_bytes_per_s = 50000000;
}

/* A store reads until the wait for it, a fetch writes. */
static void what_is_copied_is_not_moved(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    int32_t at, wait, seed, tried = 0;
    (void)state;
    for (seed = 0; seed < 40; seed++) {
        plan_fixture_copies((uint64_t)seed, 10, 1, &graph, &plan);
        for (wait = 0; wait < plan.instructions_count; wait++) {
            struct remat_error err = {0};
            struct remat_plan changed;
            const struct remat_instruction *copy;
            int32_t view;
            if (plan.instructions[wait].kind != REMAT_WAIT || plan.instructions[wait].event + 1 >= wait)
                continue;
            copy = &plan.instructions[plan.instructions[wait].event];
            view = copy->kind == REMAT_STORE ? copy->inputs[0] : copy->outputs[0];
            at = wait;
            changed = plan_copy(&plan);
            moves_insert(&graph, &changed, at, plan.views[view].buffer, plan.arena_bytes);
            assert_int_equal(remat_plan_verify(&graph, &changed, &err), REMAT_BAD_DATA);
            tried++;
            remat_plan_free(&changed);
        }
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
    assert_true(tried > 10);
}

static void schedules_have_none(void **state)
{
    struct fixture *f = *state;
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    struct remat_error err = {0};
    assert_int_equal(remat_schedule_push_copy(&schedule, REMAT_MOVE, 0, &err), REMAT_OK);
    assert_int_equal(remat_liveness(&f->graph, &schedule, &live, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "entries are runs, stores, fetches and waits"));
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, open_fixture, close_fixture)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unreachable_is_reached),
        cmocka_unit_test(all_cases_reach_the_live_peak),
        cmocka_unit_test(pins_hold),
        cmocka_unit_test(schedules_are_placed_in_their_live_peaks),
        cmocka_unit_test(copies_and_moves_go_together),
        cmocka_unit_test(files_keep_moves),
        cmocka_unit_test(bad_files_are_refused),
        WITH_FIXTURE(operands_are_one_view_each),
        WITH_FIXTURE(what_is_moved_is_the_value),
        WITH_FIXTURE(buffers_end_and_begin_at_the_move),
        WITH_FIXTURE(moves_are_needed),
        WITH_FIXTURE(others_are_not_moved_over),
        WITH_FIXTURE(times_count_moves),
        cmocka_unit_test(what_is_copied_is_not_moved),
        WITH_FIXTURE(schedules_have_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
