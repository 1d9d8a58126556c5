/* Offloading: whatever it answers is right, within both budgets, and never slower than recomputing alone. */
#include "solver/offload.h"
#include "tests/core/support_random_graph.h"
#include "tests/solver/support_chain.h"

#include <string.h>

enum { GRAPHS = 40 };

static void fail_on(enum remat_status status, const struct remat_error *err, uint64_t seed)
{
    if (status != REMAT_OK)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err->message);
}

static const struct remat_solver *find(const char *name)
{
    const struct remat_solver *solver;
    struct remat_error err;
    CHECK_OK(remat_solver_find(name, &solver, &err), err);
    return solver;
}

static void set_rates(struct remat_task_graph *graph, int64_t bytes_per_s)
{
    graph->to_host_bytes_per_s = bytes_per_s;
    graph->to_device_bytes_per_s = bytes_per_s;
}

/* Places and checks a schedule of the graph. */
static void check_schedule(const struct remat_task_graph *graph, const struct remat_schedule *schedule, int64_t budget,
                           int64_t host, uint64_t seed)
{
    struct remat_liveness live;
    struct remat_plan plan;
    struct remat_error err = {0};
    const char *wrong;
    fail_on(remat_liveness(graph, schedule, &live, &err), &err, seed);
    assert_true(live.peak_bytes <= budget && live.host_peak_bytes <= host);
    fail_on(remat_plan_place(graph, schedule, 20, &plan, &err), &err, seed);
    fail_on(remat_plan_verify(graph, &plan, &err), &err, seed);
    wrong = replay_plan(graph, &plan);
    if (wrong)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
    remat_plan_free(&plan);
    remat_liveness_free(&live);
}

/* Keep-all at falling budgets, with all the host memory there is, and with a third of what that took. */
static void offload_base(const struct remat_task_graph *graph, uint64_t seed, int32_t *found_count)
{
    struct remat_schedule base, out;
    struct remat_liveness live;
    struct remat_error err = {0};
    int64_t k;
    CHECK_OK(remat_schedule_base(graph, &base, &err), err);
    CHECK_OK(remat_liveness(graph, &base, &live, &err), err);
    for (k = 1; k <= 8; k++) {
        int64_t budget = live.peak_bytes * (16 - k) / 16, hosts[] = {INT64_MAX, live.peak_bytes * k / 48};
        for (int h = 0; h < 2; h++) {
            bool found;
            fail_on(remat_offload(graph, &base, budget, hosts[h], &out, &found, &err), &err, seed);
            if (found)
                check_schedule(graph, &out, budget, hosts[h], seed);
            *found_count += found;
            remat_schedule_free(&out);
        }
    }
    remat_liveness_free(&live);
    remat_schedule_free(&base);
}

static void test_keep_all_is_offloaded_rightly(void **state)
{
    int32_t found = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < GRAPHS; seed++) {
        struct remat_task_graph graph;
        random_graph(&graph, seed, 4 + (int32_t)(seed % 20));
        set_rates(&graph, 1000000 + (int64_t)(seed * seed * seed) * 100000);
        offload_base(&graph, seed, &found);
        remat_task_graph_free(&graph);
    }
    print_message("%d of %d budgets reached\n", found, GRAPHS * 16);
    assert_true(found > GRAPHS * 3);
}

/* The plan with host memory, checked, and not slower than without. Returns whether it offloads. */
static bool check_solved(const struct remat_task_graph *graph, const struct remat_solver *solver, int64_t budget,
                         int64_t host, uint64_t seed)
{
    struct remat_solve_options options = {.budget_bytes = budget};
    struct remat_plan alone, plan;
    struct remat_error err = {0};
    enum remat_status pure = remat_solve(graph, solver, &options, &alone, &err), status;
    bool offloads = false;
    options.host_budget_bytes = host;
    status = remat_solve(graph, solver, &options, &plan, &err);
    if (pure == REMAT_OK)
        fail_on(status, &err, seed);
    else
        assert_int_equal(pure, REMAT_INFEASIBLE);
    if (status == REMAT_OK) {
        const char *wrong = replay_plan(graph, &plan);
        fail_on(remat_plan_verify(graph, &plan, &err), &err, seed);
        if (wrong)
            fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
        assert_true(plan.arena_bytes <= budget && plan.host_bytes <= host);
        assert_true(pure != REMAT_OK || plan.predicted_step_ns <= alone.predicted_step_ns);
        assert_int_equal(plan.lower_bound_ns, plan.keep_all_step_ns);
        offloads = plan.host_bytes > 0;
    }
    remat_plan_free(&plan);
    remat_plan_free(&alone);
    return offloads;
}

static void test_never_slower_than_recomputing(void **state)
{
    int32_t offloads = 0, below = 0, k;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < GRAPHS; seed++) {
        const struct remat_solver *chain = find("chain");
        struct remat_solve_options options = {.budget_bytes = INT64_MAX};
        struct remat_task_graph graph;
        struct remat_plan least, most;
        struct remat_error err = {0};
        random_graph(&graph, seed, 4 + (int32_t)(seed % 14));
        /* A kernel takes about 500 ns, a value 4 KiB. */
        set_rates(&graph, (int64_t)1000000000 << seed % 8);
        CHECK_OK(remat_solve_smallest(&graph, chain, &options, &least, &err), err);
        CHECK_OK(remat_solve(&graph, chain, &options, &most, &err), err);
        for (k = -1; k < 5; k++) {
            int64_t budget = least.arena_bytes + (most.arena_bytes - least.arena_bytes) * k / 5;
            bool offloaded = check_solved(&graph, chain, budget, k % 2 ? most.arena_bytes : most.arena_bytes / 4, seed);
            offloads += offloaded;
            below += k < 0 && offloaded;
        }
        remat_plan_free(&least);
        remat_plan_free(&most);
        remat_task_graph_free(&graph);
    }
    print_message("%d of %d plans offload, %d of them below the smallest budget without\n", offloads, GRAPHS * 6,
                  below);
    assert_true(offloads > GRAPHS && below > 0);
}

/* Copies that take no time: whatever is reached costs what keep-all costs. */
static void test_fast_copies_cost_nothing(void **state)
{
    int32_t reached = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < GRAPHS; seed++) {
        struct remat_solve_options options = {.budget_bytes = INT64_MAX};
        struct remat_task_graph graph;
        struct remat_plan plan;
        struct remat_error err = {0};
        random_graph(&graph, seed, 8 + (int32_t)(seed % 8));
        for (int32_t t = 0; t < graph.tasks_count; t++)
            graph.tasks[t].options_count = 1;
        set_rates(&graph, INT64_C(1) << 52);
        CHECK_OK(remat_solve(&graph, find("keep-all"), &options, &plan, &err), err);
        options.budget_bytes = plan.arena_bytes * 4 / 5;
        options.host_budget_bytes = plan.arena_bytes;
        remat_plan_free(&plan);
        if (remat_solve(&graph, find("keep-all"), &options, &plan, &err) == REMAT_OK) {
            assert_int_equal(plan.predicted_step_ns, plan.keep_all_step_ns);
            assert_true(plan.host_bytes > 0);
            reached++;
        }
        remat_plan_free(&plan);
        remat_task_graph_free(&graph);
    }
    assert_true(reached > GRAPHS / 2);
}

static void test_curves_are_offloaded_too(void **state)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    struct remat_task_graph graph;
    struct remat_plan most, plans[5];
    struct remat_error err = {0};
    int64_t budgets[5];
    int32_t k, offloads = 0;
    (void)state;
    random_graph(&graph, 8, 20);
    set_rates(&graph, INT64_C(1) << 40);
    CHECK_OK(remat_solve(&graph, find("chain"), &options, &most, &err), err);
    options.host_budget_bytes = most.arena_bytes;
    for (k = 0; k < 5; k++)
        budgets[k] = most.arena_bytes * (10 - k) / 10;
    CHECK_OK(remat_solve_curve(&graph, find("chain"), &options, budgets, 5, plans, &err), err);
    for (k = 0; k < 5; k++) {
        if (plans[k].instructions_count > 0) {
            CHECK_OK(remat_plan_verify(&graph, &plans[k], &err), err);
            assert_true(plans[k].arena_bytes <= budgets[k] && plans[k].host_bytes <= options.host_budget_bytes);
            assert_true(k == 0 || plans[k - 1].predicted_step_ns <= plans[k].predicted_step_ns);
            offloads += plans[k].host_bytes > 0;
        }
    }
    for (k = 0; k < 5; k++)
        remat_plan_free(&plans[k]);
    assert_true(offloads > 0);
    remat_plan_free(&most);
    remat_task_graph_free(&graph);
}

static void test_graphs_without_rates_are_refused(void **state)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX, .host_budget_bytes = 1 << 20};
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct remat_error err = {0};
    (void)state;
    random_graph(&graph, 3, 6);
    assert_int_equal(remat_solve(&graph, find("chain"), &options, &plan, &err), REMAT_UNAVAILABLE);
    assert_non_null(strstr(err.message, "how fast copies to the host are"));
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_all_is_offloaded_rightly),    cmocka_unit_test(test_never_slower_than_recomputing),
        cmocka_unit_test(test_fast_copies_cost_nothing),         cmocka_unit_test(test_curves_are_offloaded_too),
        cmocka_unit_test(test_graphs_without_rates_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
