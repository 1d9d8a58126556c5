/* Solvers against the true optimum of small graphs. */
#include "tests/solver/support_brute.h"
#include "tests/solver/support_chain.h"

#include <string.h>

static int64_t keep_all_peak(const struct remat_task_graph *graph)
{
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    struct remat_error err = {0};
    int64_t peak;
    CHECK_OK(remat_schedule_base(graph, &schedule, &err), err);
    CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
    peak = live.peak_bytes;
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    return peak;
}

/* The cost that a solver finds, its schedule checked; -1 if it says infeasible. */
static int64_t solver_cost(const struct remat_task_graph *graph, const char *name, int64_t budget)
{
    struct remat_solve_options options = {.budget_bytes = budget};
    struct remat_solving solving = {.graph = graph};
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    const struct remat_solver *solver;
    struct remat_error err = {0};
    enum remat_status status;
    int64_t cost = -1;
    CHECK_OK(remat_solver_find(name, &solver, &err), err);
    status = solver->solve(&solving, &options, &schedule, &err);
    if (status == REMAT_OK) {
        CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
        assert_true(live.peak_bytes <= budget);
        cost = live.cost_ns;
        remat_liveness_free(&live);
    } else {
        assert_int_equal(status, REMAT_INFEASIBLE);
    }
    remat_solving_end(&solving);
    remat_schedule_free(&schedule);
    return cost;
}

struct tally {
    int32_t budgets, possible, feasible, optimal;
    double worst;
};

/* optimum <= chain <= sqrt at every budget; what brute force cannot do nobody can. */
static void compare(const struct remat_task_graph *graph, int32_t budgets, struct tally *tally)
{
    int64_t peak = keep_all_peak(graph), last = INT64_MAX;
    int32_t k;
    for (k = budgets / 4; k <= budgets; k++) {
        int64_t budget = peak * k / budgets, best = brute_force(graph, budget);
        int64_t chain = solver_cost(graph, "chain", budget), sqrt_n = solver_cost(graph, "sqrt", budget);
        tally->budgets++;
        if (best < 0) {
            assert_int_equal(chain, -1);
            assert_int_equal(sqrt_n, -1);
            continue;
        }
        assert_true(best <= last); /* more memory never costs time */
        last = best;
        tally->possible++;
        assert_true(sqrt_n < 0 || (chain >= 0 && chain <= sqrt_n));
        if (chain < 0)
            continue;
        assert_true(best <= chain);
        tally->feasible++;
        tally->optimal += best == chain;
        if ((double)chain / (double)best > tally->worst)
            tally->worst = (double)chain / (double)best;
    }
}

static void test_unit_chains(void **state)
{
    /* Proven optima: layers, budget, cost. */
    static const int64_t known[][3] = {{4, 5, 10}, {6, 5, 16}, {8, 6, 21}};
    struct remat_task_graph graph;
    size_t k;
    (void)state;
    for (k = 0; k < sizeof known / sizeof *known; k++) {
        int64_t found;
        unit_chain(&graph, (int32_t)known[k][0]);
        assert_int_equal(brute_force(&graph, known[k][1]), known[k][2]);
        found = solver_cost(&graph, "chain", known[k][1]);
        assert_in_range(found, known[k][2], known[k][2] * 5 / 4);
        remat_task_graph_free(&graph);
    }
}

static void test_linear_chains(void **state)
{
    struct tally tally = {0};
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 3; seed++) {
        struct remat_task_graph graph;
        linear_graph(&graph, 4, 64, seed);
        compare(&graph, 24, &tally);
        remat_task_graph_free(&graph);
    }
    print_message("%d budgets, %d possible, %d found, %d optimal, worst %.3f\n", tally.budgets, tally.possible,
                  tally.feasible, tally.optimal, tally.worst);
    assert_true(tally.feasible > 20);
    assert_true(4 * tally.optimal >= 3 * tally.feasible);
    assert_true(tally.worst < 1.15);
}

static void test_residual_chains(void **state)
{
    struct tally tally = {0};
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 3; seed++) {
        struct remat_task_graph graph;
        gelu_graph(&graph, 2, 64, seed);
        compare(&graph, 16, &tally);
        remat_task_graph_free(&graph);
    }
    print_message("%d budgets, %d possible, %d found, %d optimal, worst %.3f\n", tally.budgets, tally.possible,
                  tally.feasible, tally.optimal, tally.worst);
    assert_true(tally.feasible > 10);
    assert_true(tally.worst < 1.1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit_chains),
        cmocka_unit_test(test_linear_chains),
        cmocka_unit_test(test_residual_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
