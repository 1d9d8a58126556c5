/* Every solver on synthetic steps: schedules are valid, within budget, placed and verified; answers are consistent. */
#include "tests/solver/support_chain.h"

#include <string.h>

static const struct remat_solver *solver(const char *name)
{
    const struct remat_solver *found;
    struct remat_error err = {0};
    CHECK_OK(remat_solver_find(name, &found, &err), err);
    return found;
}

static struct remat_plan smallest_plan(const struct remat_task_graph *graph, const char *name)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    struct remat_plan plan;
    struct remat_error err = {0};
    CHECK_OK(remat_solve_smallest(graph, solver(name), &options, &plan, &err), err);
    CHECK_OK(remat_plan_verify(graph, &plan, &err), err);
    assert_true(plan.budget_bytes == plan.arena_bytes);
    return plan;
}

/* All budgets from the smallest to keep-all: feasible, verified, never slower with more memory. */
static void check_budgets(const struct remat_task_graph *graph, const char *name, int32_t points)
{
    struct remat_plan smallest = smallest_plan(graph, name), whole = smallest_plan(graph, "keep-all");
    /* The bound depends on graph and budget alone: one method's are enough. */
    struct remat_solve_options options = {.without_bound = strcmp(name, "chain") != 0};
    struct remat_error err = {0};
    int64_t last = INT64_MAX;
    int32_t k;
    assert_true(smallest.arena_bytes <= whole.arena_bytes);
    for (k = 0; k <= points; k++) {
        struct remat_plan plan;
        options.budget_bytes =
            smallest.arena_bytes + (whole.arena_bytes - smallest.arena_bytes) * k / (points > 0 ? points : 1);
        CHECK_OK(remat_solve(graph, solver(name), &options, &plan, &err), err);
        CHECK_OK(remat_plan_verify(graph, &plan, &err), err);
        assert_true(plan.arena_bytes <= options.budget_bytes);
        assert_true(plan.budget_bytes == options.budget_bytes);
        assert_string_equal(plan.solver, name);
        assert_true(plan.lower_bound_ns <= plan.predicted_step_ns);
        assert_true(plan.predicted_step_ns <= last);
        last = plan.predicted_step_ns;
        remat_plan_free(&plan);
    }
    if (strcmp(name, "keep-all") != 0)
        assert_true(last == whole.predicted_step_ns);
    remat_plan_free(&smallest);
    remat_plan_free(&whole);
}

static void test_budgets(void **state)
{
    static const char *const names[] = {"keep-all", "sqrt", "chain"};
    size_t k;
    (void)state;
    for (k = 0; k < sizeof names / sizeof *names; k++) {
        struct remat_task_graph graph;
        chain_graph(&graph, 12, 64, 4);
        check_budgets(&graph, names[k], 9);
        remat_task_graph_free(&graph);
        chain_graph(&graph, 9, 32, 7);
        check_budgets(&graph, names[k], 9);
        remat_task_graph_free(&graph);
        gelu_graph(&graph, 10, 64, 3);
        check_budgets(&graph, names[k], 9);
        remat_task_graph_free(&graph);
        unit_chain(&graph, 16);
        check_budgets(&graph, names[k], 5);
        remat_task_graph_free(&graph);
    }
}

static void test_quality(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan sqrt_n, chain, whole;
    struct remat_solve_options options = {0};
    struct remat_error err = {0};
    (void)state;
    chain_graph(&graph, 16, 256, 2);
    sqrt_n = smallest_plan(&graph, "sqrt");
    chain = smallest_plan(&graph, "chain");
    whole = smallest_plan(&graph, "keep-all");
    assert_true(4 * chain.arena_bytes < 3 * sqrt_n.arena_bytes);
    remat_plan_free(&chain);
    options.budget_bytes = sqrt_n.arena_bytes;
    CHECK_OK(remat_solve(&graph, solver("chain"), &options, &chain, &err), err);
    print_message("added by chain %lld, by sqrt %lld, of %lld\n",
                  (long long)(chain.predicted_step_ns - whole.predicted_step_ns),
                  (long long)(sqrt_n.predicted_step_ns - whole.predicted_step_ns), (long long)whole.predicted_step_ns);
    assert_true(chain.predicted_step_ns - whole.predicted_step_ns <
                (sqrt_n.predicted_step_ns - whole.predicted_step_ns) * 9 / 10);
    remat_plan_free(&chain);
    options.budget_bytes = whole.arena_bytes * 3 / 5;
    CHECK_OK(remat_solve(&graph, solver("chain"), &options, &chain, &err), err);
    assert_true(chain.predicted_step_ns < whole.predicted_step_ns * 105 / 100);
    remat_plan_free(&chain);
    remat_plan_free(&whole);
    remat_plan_free(&sqrt_n);
    remat_task_graph_free(&graph);
}

static void test_infeasible(void **state)
{
    static const char *const names[] = {"keep-all", "sqrt", "chain"};
    struct remat_task_graph graph;
    size_t k;
    (void)state;
    chain_graph(&graph, 6, 64, 2);
    for (k = 0; k < sizeof names / sizeof *names; k++) {
        struct remat_plan plan = smallest_plan(&graph, names[k]);
        struct remat_solve_options options = {.budget_bytes = plan.arena_bytes - 1};
        struct remat_error err = {0};
        char least[32];
        snprintf(least, sizeof least, "(%lld bytes)", (long long)plan.arena_bytes);
        remat_plan_free(&plan);
        assert_int_equal(remat_solve(&graph, solver(names[k]), &options, &plan, &err), REMAT_INFEASIBLE);
        assert_non_null(strstr(err.message, least));
        assert_non_null(strstr(err.message, "set by task '"));
        remat_plan_free(&plan);
        options.budget_bytes = 0;
        assert_int_equal(remat_solve(&graph, solver(names[k]), &options, &plan, &err), REMAT_INFEASIBLE);
        remat_plan_free(&plan);
    }
    remat_task_graph_free(&graph);
}

static void test_curve(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan smallest, whole, plans[15];
    struct remat_solve_options options = {0};
    struct remat_error err = {0};
    int64_t budgets[15];
    int32_t k;
    (void)state;
    chain_graph(&graph, 14, 64, 9);
    smallest = smallest_plan(&graph, "chain");
    whole = smallest_plan(&graph, "keep-all");
    budgets[0] = smallest.arena_bytes - 1;
    for (k = 1; k < 15; k++)
        budgets[k] = smallest.arena_bytes + (whole.arena_bytes - smallest.arena_bytes) * (k - 1) / 13;
    CHECK_OK(remat_solve_curve(&graph, solver("chain"), &options, budgets, 15, plans, &err), err);
    assert_int_equal(plans[0].instructions_count, 0);
    options.without_bound = true;
    for (k = 1; k < 15; k++) {
        struct remat_plan alone;
        CHECK_OK(remat_plan_verify(&graph, &plans[k], &err), err);
        assert_true(plans[k].arena_bytes <= budgets[k]);
        options.budget_bytes = budgets[k];
        CHECK_OK(remat_solve(&graph, solver("chain"), &options, &alone, &err), err);
        /* What was tried for other budgets may only help. */
        assert_true(plans[k].predicted_step_ns <= alone.predicted_step_ns);
        remat_plan_free(&alone);
    }
    for (k = 0; k < 15; k++)
        remat_plan_free(&plans[k]);
    remat_plan_free(&smallest);
    remat_plan_free(&whole);
    remat_task_graph_free(&graph);
}

static void test_deterministic(void **state)
{
    struct remat_task_graph graph;
    struct remat_plan first, second;
    struct remat_error err = {0};
    struct remat_solve_options options = {0};
    (void)state;
    chain_graph(&graph, 10, 64, 5);
    first = smallest_plan(&graph, "keep-all");
    options.budget_bytes = first.arena_bytes / 2;
    remat_plan_free(&first);
    CHECK_OK(remat_solve(&graph, solver("chain"), &options, &first, &err), err);
    CHECK_OK(remat_solve(&graph, solver("chain"), &options, &second, &err), err);
    first.solve_ns = second.solve_ns = 0;
    assert_true(remat_plan_hash(&first) == remat_plan_hash(&second));
    remat_plan_free(&first);
    remat_plan_free(&second);
    remat_task_graph_free(&graph);
}

static void test_names(void **state)
{
    const struct remat_solver *found;
    struct remat_error err = {0};
    (void)state;
    assert_int_equal(remat_solver_find("gurobi", &found, &err), REMAT_USAGE);
    assert_string_equal(err.message, "unknown solver 'gurobi'; the solvers are: keep-all, sqrt, chain, search");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budgets), cmocka_unit_test(test_quality),       cmocka_unit_test(test_infeasible),
        cmocka_unit_test(test_curve),   cmocka_unit_test(test_deterministic), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
