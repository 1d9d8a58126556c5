/* Plan files: what is written is read back, and damaged ones are refused with a message. */
#include "tests/core/support_plan.h"
#include "tests/core/support_random_graph.h"

#include "core/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void plans_survive_a_round_trip(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 10; seed++) {
        struct remat_task_graph graph;
        struct remat_plan plan, back;
        struct remat_error err = {0};
        json_t *json;
        plan_fixture(seed, 10, 2, &graph, &plan);
        strcpy(plan.solver, "chain");
        plan.budget_bytes = seed % 2 ? plan.arena_bytes : INT64_MAX;
        plan.lower_bound_ns = 17;
        plan.solve_ns = 12345;
        json = remat_plan_to_json(&plan);
        if (remat_plan_from_json(json, "plan.json", &back, &err) != REMAT_OK ||
            remat_plan_verify(&graph, &back, &err) != REMAT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(remat_plan_hash(&back), remat_plan_hash(&plan));
        assert_string_equal(back.solver, "chain");
        assert_int_equal(back.budget_bytes, plan.budget_bytes);
        assert_int_equal(back.lower_bound_ns, 17);
        assert_int_equal(back.solve_ns, 12345);
        assert_int_equal(back.predicted_step_ns, plan.predicted_step_ns);
        assert_int_equal(back.keep_all_step_ns, plan.keep_all_step_ns);
        assert_int_equal(back.peak_instruction, plan.peak_instruction);
        json_decref(json);
        remat_plan_free(&back);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
}

static void copies_survive_too(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 6; seed++) {
        struct remat_task_graph graph;
        struct remat_plan plan, back;
        struct remat_error err = {0};
        json_t *json;
        plan_fixture_copies(seed, 10, 1, &graph, &plan);
        plan.host_budget_bytes = seed % 2 ? plan.host_bytes : INT64_MAX;
        assert_true(plan.host_bytes > 0);
        json = remat_plan_to_json(&plan);
        if (remat_plan_from_json(json, "plan.json", &back, &err) != REMAT_OK ||
            remat_plan_verify(&graph, &back, &err) != REMAT_OK)
            fail_msg("%s", err.message);
        assert_int_equal(remat_plan_hash(&back), remat_plan_hash(&plan));
        assert_int_equal(back.host_budget_bytes, plan.host_budget_bytes);
        assert_int_equal(back.host_bytes, plan.host_bytes);
        json_decref(json);
        remat_plan_free(&back);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
}

static void refuse(json_t *json, const char *words)
{
    struct remat_plan plan;
    struct remat_error err = {0};
    assert_int_equal(remat_plan_from_json(json, "p.json", &plan, &err), REMAT_BAD_DATA);
    if (strncmp(err.message, "p.json", 6) != 0 || !strstr(err.message, words))
        fail_msg("expected \"%s\" in: %s", words, err.message);
    remat_plan_free(&plan);
    json_decref(json);
}

static json_t *fresh(void)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    json_t *json;
    plan_fixture_copies(6, 5, 1, &graph, &plan);
    json = remat_plan_to_json(&plan);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    return json;
}

static json_t *element(json_t *json, const char *key, size_t at)
{
    return json_array_get(json_object_get(json, key), at);
}

/* The last instruction of a kind. */
static json_t *of_kind(json_t *json, const char *kind)
{
    json_t *list = json_object_get(json, "instructions");
    size_t at = json_array_size(list);
    while (at-- > 0)
        if (strcmp(json_string_value(json_object_get(json_array_get(list, at), "kind")), kind) == 0)
            return json_array_get(list, at);
    fail_msg("no %s in the plan", kind);
    return NULL;
}

/* One field changed; what the message must contain. */
static void malformed_plans_are_refused(void **state)
{
    json_t *json;
    (void)state;
    refuse(json_array(), "expected an object");
#define REFUSE(object, key, value, words)              \
    do {                                               \
        json = fresh();                                \
        json_object_set_new((object), (key), (value)); \
        refuse(json, (words));                         \
    } while (0)
    REFUSE(json, "format", json_string("remat-profile"), "remat-profile");
    REFUSE(json, "version", json_integer(1), "version 2");
    REFUSE(json, "graph_hash", json_string("12"), "16 hexadecimal digits");
    REFUSE(json, "plan_hash", json_string("0123456789abcdef"), "the file was changed");
    REFUSE(json, "solver", json_string("a name that is longer than thirty-one characters"), "at most 31");
    REFUSE(json, "arena_bytes", json_integer(-1), "arena_bytes");
    REFUSE(json, "arena_bytes", json_real(1.5), "whole number");
    REFUSE(json, "budget_bytes", json_string("4GiB"), "budget_bytes");
    REFUSE(json, "buffers", json_object(), "expected an array as \"buffers\"");
    REFUSE(element(json, "buffers", 2), "space", json_string("moon"), "buffers[2]: \"space\" is \"moon\"");
    REFUSE(element(json, "buffers", 2), "end", json_integer(-1), "buffers[2]: \"end\"");
    REFUSE(element(json, "buffers", 2), "offset_bytes", json_integer(64000000), "the file was changed");
    REFUSE(element(json, "views", 1), "buffer", json_integer(100000), "views[1]: \"buffer\"");
    REFUSE(element(json, "views", 1), "value", json_integer(-2), "views[1]: \"value\"");
    REFUSE(json, "host_bytes", json_integer(-1), "host_bytes");
    REFUSE(json, "host_budget_bytes", json_string("1GiB"), "host_budget_bytes");
    REFUSE(of_kind(json, "run"), "kind", json_string("jump"), "\"kind\" is \"jump\"");
    REFUSE(of_kind(json, "run"), "kind", json_string("wait"), "\"event\"");
    REFUSE(of_kind(json, "run"), "kind", json_string("store"), "\"from\"");
    REFUSE(of_kind(json, "run"), "task", json_integer(INT64_MAX), "\"task\"");
    REFUSE(of_kind(json, "run"), "scratch", json_integer(100000), "\"scratch\"");
    REFUSE(of_kind(json, "run"), "inputs", json_pack("[i]", 100000), "\"inputs\"[0]");
    REFUSE(of_kind(json, "run"), "outputs", json_pack("[i,i,i,i,i]", 0, 1, 2, 3, 4), "at most 4");
    REFUSE(of_kind(json, "store"), "from", json_integer(-1), "\"from\"");
    REFUSE(of_kind(json, "fetch"), "to", json_integer(100000), "\"to\"");
    REFUSE(of_kind(json, "wait"), "event", json_integer(100000), "\"event\"");
    REFUSE(of_kind(json, "fetch"), "kind", json_string("store"), "the file was changed");
    REFUSE(json, "instructions", json_null(), "found null");
    json = fresh();
    json_object_del(json, "views");
    refuse(json, "found nothing");
}

/* Every prefix of a file, and files with random bytes changed: refused, or the same plan. */
static void damaged_files_never_crash(void **state)
{
    struct random_stream stream = {.seed = 5};
    json_t *original = fresh();
    char *text = json_dumps(original, JSON_COMPACT);
    size_t length = strlen(text);
    uint64_t hash;
    struct remat_plan plan;
    struct remat_error err = {0};
    int32_t round, read = 0;
    (void)state;
    assert_int_equal(remat_plan_from_json(original, "p", &plan, &err), REMAT_OK);
    hash = remat_plan_hash(&plan);
    remat_plan_free(&plan);
    for (round = 0; round < 1000; round++) {
        char *copy = malloc(length + 1);
        size_t kept = round % 3 == 0 ? (size_t)random_below(&stream, (int32_t)length) : length, k;
        json_t *json;
        assert_non_null(copy);
        memcpy(copy, text, length + 1);
        for (k = (size_t)random_below(&stream, 4); k > 0; k--)
            copy[random_below(&stream, (int32_t)length)] = "0123456789-.,:[]{}\"ae"[random_below(&stream, 21)];
        json = json_loadb(copy, kept, JSON_REJECT_DUPLICATES, NULL);
        if (json && remat_plan_from_json(json, "p", &plan, &err) == REMAT_OK) {
            assert_int_equal(remat_plan_hash(&plan), hash);
            read++;
        }
        if (json)
            remat_plan_free(&plan);
        json_decref(json);
        free(copy);
    }
    assert_true(read > 50);
    free(text);
    json_decref(original);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_survive_a_round_trip),
        cmocka_unit_test(copies_survive_too),
        cmocka_unit_test(malformed_plans_are_refused),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
