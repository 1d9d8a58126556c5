/* Lower bounds against the true optimum of small graphs, and on graphs whose optimum is known. With
 * arguments N and SEED the program fuzzes that many graphs from that seed on. */
#include "tests/solver/support_brute.h"
#include "tests/solver/support_chain.h"
#include "tests/solver/support_random_dag.h"

#include "solver/closure_bound.h"
#include "solver/linear.h"

#include "tests/core/support_random_graph.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_VALUES = 24 };

struct tally {
    int32_t graphs, budgets, infeasible, proven_infeasible, tight, raised, tight_together;
    double gap;
};

static struct remat_closure *make(const struct remat_task_graph *graph)
{
    struct remat_closure *closure;
    struct remat_error err = {0};
    CHECK_OK(remat_closure_make(graph, &closure, &err), err);
    return closure;
}

static int64_t keep_all_peak(const struct remat_task_graph *graph, int64_t *cost)
{
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    struct remat_error err = {0};
    int64_t peak;
    CHECK_OK(remat_schedule_base(graph, &schedule, &err), err);
    CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
    peak = live.peak_bytes;
    *cost = live.cost_ns;
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    return peak;
}

static void check_one(struct remat_closure *closure, struct remat_bound *bound, int64_t best, uint64_t seed,
                      struct tally *tally)
{
    static const struct remat_bound_effort efforts[] = {{.cuts = 4, .parts = 40, .columns = 9999},
                                                        {.cuts = 8, .parts = 120, .columns = 9999}};
    /* Without a schedule, and with one that is a bit slower than the best: what is slower than that is left out. */
    struct remat_progress progress = {.best_ns = seed % 3 ? best + best * (int64_t)(seed % 7) / 30 : INT64_MAX};
    struct remat_error err = {0};
    int64_t alone;
    int32_t task;
    size_t k;
    tally->budgets++;
    if (best < 0) {
        tally->infeasible++;
        tally->proven_infeasible += bound->infeasible;
        return;
    }
    if (bound->infeasible || bound->lower_bound_ns > best ||
        bound->budget_bytes < remat_closure_least_bytes(closure, &task))
        fail_msg("seed %llu, budget %lld: bound %lld%s, optimum %lld", (unsigned long long)seed,
                 (long long)bound->budget_bytes, (long long)bound->lower_bound_ns,
                 bound->infeasible ? " (infeasible)" : "", (long long)best);
    alone = bound->lower_bound_ns;
    tally->tight += alone == best;
    for (k = 0; k < sizeof efforts / sizeof *efforts; k++)
        CHECK_OK(remat_closure_strengthen(closure, &efforts[k], &progress, bound, &err), err);
    if (bound->lower_bound_ns > best || bound->lower_bound_ns < alone)
        fail_msg("seed %llu, budget %lld: strengthened bound %lld, optimum %lld", (unsigned long long)seed,
                 (long long)bound->budget_bytes, (long long)bound->lower_bound_ns, (long long)best);
    tally->raised += bound->lower_bound_ns > alone;
    tally->tight_together += bound->lower_bound_ns == best;
    tally->gap += best > 0 ? (double)(best - bound->lower_bound_ns) / (double)best : 0;
}

/* Bound <= optimum at budgets from keep-all's peak down, by steps of a given or random size. */
static void compare(const struct remat_task_graph *graph, uint64_t seed, int32_t count, int64_t step,
                    struct tally *tally)
{
    struct remat_closure *closure = make(graph);
    struct remat_bound bounds[8];
    struct remat_error err = {0};
    int64_t budgets[8], cost, last = 0, peak = keep_all_peak(graph, &cost);
    int32_t k;
    struct random_stream stream = {.seed = seed + 77};
    for (k = 0; k < count; k++) {
        budgets[k] = peak;
        peak -= step > 0 ? step : 64 * (1 + random_below(&stream, 2));
    }
    CHECK_OK(remat_closure_bounds(closure, budgets, count, bounds, &err), err);
    for (k = 0; k < count; k++) {
        int64_t best = brute_force(graph, budgets[k]);
        if (k > 0)
            assert_true(bounds[k].infeasible || bounds[k].lower_bound_ns >= last);
        last = bounds[k].lower_bound_ns;
        check_one(closure, &bounds[k], best, seed, tally);
        if (best < 0)
            break; /* less memory is no better */
    }
    tally->graphs++;
    remat_closure_free(closure);
}

static void report(const struct tally *tally)
{
    print_message("%d graphs, %d budgets: %d infeasible, of which %d proven; bound = optimum in %d, with several cuts "
                  "together in %d (raised in %d), mean gap then %.3f %%\n",
                  tally->graphs, tally->budgets, tally->infeasible, tally->proven_infeasible, tally->tight,
                  tally->tight_together, tally->raised, 100 * tally->gap / (tally->budgets - tally->infeasible));
}

static int32_t fuzzed_graphs = 1500, first_seed = 0;

static void test_random_dags(void **state)
{
    struct tally tally = {0};
    int32_t k;
    (void)state;
    for (k = first_seed; k < first_seed + fuzzed_graphs; k++) {
        struct remat_task_graph graph;
        random_dag(&graph, (uint64_t)k, 3 + k % 8, 11);
        compare(&graph, (uint64_t)k, 8, 0, &tally);
        remat_task_graph_free(&graph);
    }
    report(&tally);
    assert_true(2 * tally.tight > tally.budgets - tally.infeasible);
}

static void test_random_steps(void **state)
{
    struct tally tally = {0};
    int64_t cost;
    int32_t k;
    (void)state;
    for (k = first_seed / 10; k < (first_seed + fuzzed_graphs) / 10; k++) {
        struct remat_task_graph graph;
        random_graph(&graph, (uint64_t)k, 2 + k % 2);
        if (graph.values_count <= 13)
            compare(&graph, (uint64_t)k, 6, keep_all_peak(&graph, &cost) / 16, &tally);
        remat_task_graph_free(&graph);
    }
    report(&tally);
    assert_true(tally.graphs > 0 && (tally.raised > 0 || !remat_linear_libraries[0]));
}

static void test_unit_chains(void **state)
{
    /* Proven optima: layers, budget, cost. */
    static const int64_t known[][3] = {{4, 5, 10}, {6, 5, 16}, {8, 6, 21}, {12, 7, 32}, {16, 8, 43}, {20, 8, 55}};
    struct remat_error err = {0};
    size_t k;
    (void)state;
    for (k = 0; k < sizeof known / sizeof *known; k++) {
        struct remat_task_graph graph;
        struct remat_closure *closure;
        struct remat_bound bound;
        unit_chain(&graph, (int32_t)known[k][0]);
        closure = make(&graph);
        CHECK_OK(remat_closure_bounds(closure, &known[k][1], 1, &bound, &err), err);
        assert_int_equal(bound.lower_bound_ns, known[k][2]);
        assert_true(bound.task >= 0 && bound.price > 0);
        remat_closure_free(closure);
        remat_task_graph_free(&graph);
    }
}

/* At keep-all's peak the bound is the base time; it rises as the budget falls; what survives a cut is available then.
 */
static void test_curve(void **state)
{
    struct remat_task_graph graph;
    struct remat_closure *closure;
    struct remat_bound bounds[20], alone;
    struct remat_error err = {0};
    int64_t budgets[20], cost, peak;
    bool *survives;
    int32_t k, v, task;
    (void)state;
    chain_graph(&graph, 14, 64, 9);
    peak = keep_all_peak(&graph, &cost);
    closure = make(&graph);
    survives = calloc((size_t)graph.values_count, sizeof *survives);
    assert_non_null(survives);
    for (k = 0; k < 20; k++)
        budgets[k] = peak * (20 - k) / 20;
    CHECK_OK(remat_closure_bounds(closure, budgets, 20, bounds, &err), err);
    assert_int_equal(bounds[0].lower_bound_ns, cost);
    assert_int_equal(bounds[0].task, -1);
    assert_int_equal(remat_closure_base_ns(closure), cost);
    assert_true(bounds[19].infeasible);
    for (k = 1; k < 20 && !bounds[k].infeasible; k++) {
        int64_t bytes = 0, evicted = 0;
        assert_true(bounds[k].lower_bound_ns >= bounds[k - 1].lower_bound_ns);
        if (bounds[k].task < 0)
            continue;
        CHECK_OK(remat_closure_at(closure, bounds[k].task, budgets[k], &alone, survives, &err), err);
        assert_true(alone.lower_bound_ns > cost && alone.lower_bound_ns <= bounds[k].lower_bound_ns);
        for (v = 0; v < graph.values_count; v++) {
            bytes += survives[v] ? graph.values[v].bytes : 0;
            evicted += !survives[v];
            assert_true(!survives[v] ||
                        graph.tasks[graph.values[v].producer].position <= graph.tasks[bounds[k].task].position);
        }
        assert_true(bytes > 0 && bytes <= budgets[k] && evicted > 0);
    }
    assert_true(k > 8);
    assert_true(remat_closure_least_bytes(closure, &task) > budgets[19]);
    free(survives);
    remat_closure_free(closure);
    remat_task_graph_free(&graph);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_dags),
        cmocka_unit_test(test_random_steps),
        cmocka_unit_test(test_unit_chains),
        cmocka_unit_test(test_curve),
    };
    if (argc > 1)
        fuzzed_graphs = (int32_t)strtol(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = (int32_t)strtol(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
