/* Explain: the text holds the plan's true numbers. */
#include "core/plan/explain.h"
#include "tests/core/support_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static char *explain(const struct remat_task_graph *graph, const struct remat_plan *plan, bool instructions)
{
    struct remat_explain_options options = {.instructions = instructions};
    struct remat_error err = {0};
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    if (remat_plan_explain(graph, plan, &options, stream, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    fclose(stream);
    return text;
}

static int32_t count_words(const char *text, const char *words)
{
    int32_t count = 0;
    while ((text = strstr(text, words)) != NULL) {
        count++;
        text += strlen(words);
    }
    return count;
}

static void see(const char *text, const char *format, long long number)
{
    char words[128];
    snprintf(words, sizeof words, format, number);
    if (!strstr(text, words))
        fail_msg("expected \"%s\" in:\n%s", words, text);
}

/* Runs beyond the order are recomputations: that many stars, and that count in the summary. */
static void numbers_are_the_plans(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 12; seed++) {
        struct remat_task_graph graph;
        struct remat_plan plan;
        char *text;
        plan_fixture(seed, 12, 2, &graph, &plan);
        strcpy(plan.solver, "chain");
        plan.budget_bytes = plan.arena_bytes;
        plan.lower_bound_ns = plan.predicted_step_ns;
        text = explain(&graph, &plan, true);
        see(text, "Plan of a task graph by chain\n", 0);
        see(text, "(%lld bytes), budget", plan.arena_bytes);
        see(text, ", of which %lld recompute", plan.instructions_count - graph.order_count);
        see(text, "The peak: instruction %lld, ", plan.peak_instruction);
        see(text, "gap 0.00 %%", 0);
        see(text, "  total  ", 0);
        assert_int_equal(count_words(text, " * "), plan.instructions_count - graph.order_count);
        assert_int_equal(count_words(text, "finish section, once a step"), seed % 2);
        free(text);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
}

/* What is offloaded stands in its table, and kernels wait as long as the step is longer than its runs. */
static void copies_are_told(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 12; seed++) {
        struct remat_task_graph graph;
        struct remat_plan plan;
        int32_t at, fetches = 0, runs = 0;
        char *text;
        plan_fixture_copies(seed, 12, 1, &graph, &plan);
        for (at = 0; at < plan.instructions_count; at++) {
            fetches += plan.instructions[at].kind == REMAT_FETCH;
            runs += plan.instructions[at].kind == REMAT_RUN;
        }
        text = explain(&graph, &plan, true);
        see(text, "  runs         %lld, of which", runs);
        see(text, "  host memory  ", 0);
        see(text, "(%lld bytes)\n", plan.host_bytes);
        see(text, "In host memory for a while", 0);
        assert_int_equal(count_words(text, "   fetch "), fetches + 1); /* and the table's head */
        free(text);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
}

static void keep_all_recomputes_nothing(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    char *text;
    (void)state;
    plan_fixture(2, 10, 0, &graph, &plan);
    text = explain(&graph, &plan, false);
    see(text, ", of which 0 recompute and cost 0 ns", 0);
    assert_null(strstr(text, "Instructions"));
    assert_null(strstr(text, "lower bound"));
    assert_null(strstr(text, "budget"));
    assert_null(strstr(text, "host memory"));
    free(text);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

/* Every run beyond the order is in a block's extra time, and the rows are those of the text. */
static void blocks_add_up(void **state)
{
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 12; seed++) {
        struct remat_task_graph graph;
        struct remat_plan plan;
        struct remat_plan_block *blocks;
        struct remat_error err = {0};
        int64_t extra_ns = 0;
        int32_t count, b;
        char *text;
        plan_fixture(seed, 12, 2, &graph, &plan);
        assert_int_equal(remat_plan_blocks(&graph, &plan, &blocks, &count, &err), REMAT_OK);
        text = explain(&graph, &plan, false);
        for (b = 0; b < count; b++) {
            see(text, blocks[b].name, 0);
            assert_true((blocks[b].again > 0) == (blocks[b].again_bytes > 0));
            extra_ns += blocks[b].extra_ns;
        }
        assert_true(extra_ns >= 0 && (extra_ns == 0 || plan.instructions_count > graph.order_count));
        see(text, "  total  ", 0);
        free(text);
        free(blocks);
        plan.views[0].buffer = -5;
        assert_int_equal(remat_plan_blocks(&graph, &plan, &blocks, &count, &err), REMAT_BAD_DATA);
        assert_null(blocks);
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
}

static void wrong_plans_and_full_disks_are_refused(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct remat_error err = {0};
    FILE *full = fopen("/dev/full", "w");
    (void)state;
    assert_non_null(full);
    plan_fixture(2, 10, 1, &graph, &plan);
    assert_int_equal(remat_plan_explain(&graph, &plan, NULL, full, &err), REMAT_IO);
    fclose(full);
    plan.views[0].buffer = -5;
    assert_int_equal(remat_plan_explain(&graph, &plan, NULL, stdout, &err), REMAT_BAD_DATA);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_the_plans),
        cmocka_unit_test(copies_are_told),
        cmocka_unit_test(keep_all_recomputes_nothing),
        cmocka_unit_test(blocks_add_up),
        cmocka_unit_test(wrong_plans_and_full_disks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
