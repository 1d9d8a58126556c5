/* Random training steps: in-place pairs, several outputs, alternates, versions, options, accumulation. Whatever a
 * solver answers must be valid; on the smallest steps it is compared with the true optimum. */
#include "tests/solver/support_brute.h"
#include "tests/solver/support_chain.h"

#include "tests/core/support_random_graph.h"

#include <string.h>

static void check_plan(const struct remat_task_graph *graph, struct remat_plan *plan, int64_t budget, uint64_t seed)
{
    struct remat_error err = {0};
    const char *wrong = replay_plan(graph, plan);
    if (remat_plan_verify(graph, plan, &err) != REMAT_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.message);
    if (wrong)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    assert_true(plan->arena_bytes <= budget);
}

static void solve_some(const struct remat_task_graph *graph, const struct remat_solver *solver, uint64_t seed)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    struct remat_plan plan;
    struct remat_error err = {0};
    int64_t least, k;
    if (remat_solve_smallest(graph, solver, &options, &plan, &err) != REMAT_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.message);
    least = plan.arena_bytes;
    check_plan(graph, &plan, least, seed);
    remat_plan_free(&plan);
    for (k = 0; k < 4; k++) {
        options.budget_bytes = least + least * k / 4;
        if (remat_solve(graph, solver, &options, &plan, &err) != REMAT_OK)
            fail_msg("seed %llu, budget %lld: %s", (unsigned long long)seed, (long long)options.budget_bytes,
                     err.message);
        check_plan(graph, &plan, options.budget_bytes, seed);
        remat_plan_free(&plan);
    }
    options.budget_bytes = least - 1;
    /* A search may find, asked for less, what it did not find before; whatever it finds must be right. */
    if (remat_solve(graph, solver, &options, &plan, &err) == REMAT_OK && strcmp(solver->name, "search") == 0)
        check_plan(graph, &plan, least - 1, seed);
    else
        assert_int_equal(err.status, REMAT_INFEASIBLE);
    remat_plan_free(&plan);
}

static void test_random_steps(void **state)
{
    const struct remat_solver *solver;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 60; seed++) {
        struct remat_task_graph graph;
        random_graph(&graph, seed, 2 + (int32_t)(seed % 14));
        for (solver = remat_solvers; solver->name; solver++)
            if (strcmp(solver->name, "search") != 0 || seed % 12 == 0) /* it takes longer */
                solve_some(&graph, solver, seed);
        remat_task_graph_free(&graph);
    }
}

static void test_against_optimum(void **state)
{
    struct remat_error err = {0};
    const struct remat_solver *solver;
    int32_t compared = 0, optimal = 0;
    uint64_t seed;
    (void)state;
    CHECK_OK(remat_solver_find("chain", &solver, &err), err);
    for (seed = 0; seed < 120; seed++) {
        struct remat_solve_options options = {.budget_bytes = INT64_MAX};
        struct remat_task_graph graph;
        struct remat_plan plan;
        int64_t best;
        random_graph(&graph, seed, 3);
        if (graph.values_count <= 15) {
            CHECK_OK(remat_solve_smallest(&graph, solver, &options, &plan, &err), err);
            options.budget_bytes = plan.arena_bytes;
            remat_plan_free(&plan);
            CHECK_OK(remat_solve(&graph, solver, &options, &plan, &err), err);
            best = brute_force(&graph, options.budget_bytes);
            assert_true(best >= 0 && best <= plan.predicted_step_ns);
            optimal += best == plan.predicted_step_ns;
            compared++;
            remat_plan_free(&plan);
        }
        remat_task_graph_free(&graph);
    }
    print_message("%d steps compared, %d optimal\n", compared, optimal);
    assert_true(compared >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_against_optimum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
