/* Sequences against the memory model, and the search against the true optimum, the chain method and itself. */
#include "tests/solver/support_brute.h"
#include "tests/solver/support_chain.h"
#include "tests/solver/support_random_dag.h"

#include "core/base/clock.h"
#include "solver/anneal.h"
#include "solver/closure_bound.h"
#include "solver/exact.h"
#include "solver/polish.h"
#include "tests/core/support_random_graph.h"

#include <stdlib.h>
#include <string.h>

/* The most of a range is the most of its stages. */
static void check_range(struct remat_sequence *sequence, int32_t first, int32_t last)
{
    double most = -1;
    int32_t t;
    for (t = first; t <= last; t++) {
        double bytes = remat_sequence_most(sequence, t, t);
        most = bytes > most ? bytes : most;
    }
    assert_true(remat_sequence_most(sequence, first, last) == most);
}

/* Cost and peak of a sequence are those of its schedule by the independent rules. */
static void check_sequence(const struct remat_task_graph *graph, struct remat_sequence *sequence)
{
    struct remat_overflow overflow = remat_sequence_overflow(sequence, 0);
    struct remat_schedule schedule;
    struct remat_liveness live;
    struct remat_error err = {0};
    CHECK_OK(remat_sequence_schedule(sequence, &schedule, &err), err);
    CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
    assert_true(live.cost_ns == sequence->cost_ns);
    assert_true((double)live.peak_bytes == overflow.peak_bytes);
    assert_true(remat_sequence_most(sequence, 0, sequence->stages_count - 1) + (double)sequence->model->fixed_bytes ==
                overflow.peak_bytes);
    check_range(sequence, sequence->stages_count / 3, sequence->stages_count - 2);
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
}

/* Thousands of random moves, some undone: what was kept up to date equals what is derived anew. */
static void check_moves(const struct remat_task_graph *graph, uint64_t seed, int32_t moves)
{
    struct remat_model model;
    struct remat_sequence sequence;
    struct remat_mover mover;
    struct remat_error err = {0};
    int32_t k;
    CHECK_OK(remat_model_of_graph(graph, &model, &err), err);
    CHECK_OK(remat_sequence_init(&sequence, &model, graph, graph->order, graph->order_count, &err), err);
    CHECK_OK(remat_mover_init(&mover, &sequence, seed, &err), err);
    check_sequence(graph, &sequence);
    for (k = 0; k < moves; k++) {
        struct remat_overflow now = remat_sequence_overflow(&sequence, 0);
        int64_t cost = sequence.cost_ns;
        bool crowded = sequence.again_count > 6 * sequence.stages_count;
        CHECK_OK(remat_move_any(&mover, now.peak_bytes * (k % 5) / 5, &now, &err), err);
        if (crowded || remat_mover_pick(&mover, 4) == 0 || mover.given_up) {
            CHECK_OK(remat_sequence_undo(&sequence, 0, &err), err);
            assert_true(sequence.cost_ns == cost);
            assert_true(remat_sequence_overflow(&sequence, 0).peak_bytes == now.peak_bytes);
        }
        remat_sequence_commit(&sequence);
        if (crowded)
            CHECK_OK(remat_sequence_reset(&sequence, &err), err);
        if (k % 16 == 0)
            check_sequence(graph, &sequence);
    }
    remat_mover_free(&mover);
    remat_sequence_free(&sequence);
    remat_model_free(&model);
}

static void test_moves(void **state)
{
    struct remat_task_graph graph;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 24; seed++) {
        random_graph(&graph, seed, 2 + (int32_t)(seed % 14));
        check_moves(&graph, seed, 1200);
        remat_task_graph_free(&graph);
        random_dag(&graph, seed, 20, 40);
        check_moves(&graph, seed, 1200);
        remat_task_graph_free(&graph);
    }
    chain_graph(&graph, 12, 64, 4);
    check_moves(&graph, 1, 4000);
    remat_task_graph_free(&graph);
}

/* Values are dropped and made again for no reason, as long as the sequence stays within its peak; polishing finds most
 * of that out and stays within, too. */
static void check_polish(const struct remat_task_graph *graph, uint64_t seed, int64_t *wasted, int64_t *left)
{
    struct remat_model model;
    struct remat_sequence sequence;
    struct remat_mover mover;
    struct remat_error err = {0};
    struct remat_polish polish = {.sequence = &sequence, .states = 2000};
    int64_t base, worse;
    int32_t k;
    CHECK_OK(remat_model_of_graph(graph, &model, &err), err);
    CHECK_OK(remat_sequence_init(&sequence, &model, graph, graph->order, graph->order_count, &err), err);
    CHECK_OK(remat_mover_init(&mover, &sequence, seed, &err), err);
    polish.budget_bytes = remat_sequence_overflow(&sequence, 0).peak_bytes;
    base = sequence.cost_ns;
    for (k = 0; k < 12; k++) {
        CHECK_OK(remat_move_drop_any(&mover, &err), err);
        if (mover.given_up || remat_sequence_overflow(&sequence, polish.budget_bytes).bytes > 0)
            CHECK_OK(remat_sequence_undo(&sequence, 0, &err), err);
        remat_sequence_commit(&sequence);
    }
    worse = sequence.cost_ns;
    CHECK_OK(remat_polish(&polish, &err), err);
    assert_true(remat_sequence_overflow(&sequence, polish.budget_bytes).bytes <= 0);
    assert_true(sequence.cost_ns <= worse);
    check_sequence(graph, &sequence);
    *wasted += worse - base;
    *left += sequence.cost_ns - base;
    remat_mover_free(&mover);
    remat_sequence_free(&sequence);
    remat_model_free(&model);
}

static void test_polish(void **state)
{
    int64_t wasted = 0, left = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 60; seed++) {
        struct remat_task_graph graph;
        random_dag(&graph, seed, 12 + (int32_t)(seed % 30), 60);
        check_polish(&graph, seed, &wasted, &left);
        remat_task_graph_free(&graph);
        chain_graph(&graph, 4 + (int32_t)(seed % 6), 64, seed);
        check_polish(&graph, seed, &wasted, &left);
        remat_task_graph_free(&graph);
    }
    print_message("%lld ns wasted, %lld left\n", (long long)wasted, (long long)left);
    assert_true(wasted > 0 && left < wasted * 9 / 10);
}

static const struct remat_solver *solver(const char *name)
{
    const struct remat_solver *found;
    struct remat_error err = {0};
    CHECK_OK(remat_solver_find(name, &found, &err), err);
    return found;
}

/* The cost that a method finds, its schedule checked; -1 if it says infeasible. */
static int64_t cost_of(const struct remat_task_graph *graph, const char *name, int64_t budget)
{
    struct remat_solve_options options = {.budget_bytes = budget};
    struct remat_solving solving = {.graph = graph};
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    struct remat_error err = {0};
    enum remat_status status = solver(name)->solve(&solving, &options, &schedule, &err);
    int64_t cost = -1;
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

static int64_t keep_all_peak(const struct remat_task_graph *graph)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    struct remat_solving solving = {.graph = graph};
    struct remat_schedule schedule;
    struct remat_liveness live;
    struct remat_error err = {0};
    int64_t peak;
    CHECK_OK(solver("keep-all")->smallest(&solving, &options, &schedule, &err), err);
    CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
    peak = live.peak_bytes;
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    return peak;
}

static void test_unit_chains(void **state)
{
    /* Proven optima: layers, budget, cost. */
    static const int64_t known[][3] = {{4, 5, 10},  {6, 5, 16},  {8, 6, 21}, {9, 4, 30},
                                       {12, 7, 32}, {16, 8, 43}, {20, 8, 55}};
    struct remat_task_graph graph;
    size_t k;
    (void)state;
    for (k = 0; k < sizeof known / sizeof *known; k++) {
        unit_chain(&graph, (int32_t)known[k][0]);
        assert_int_equal(cost_of(&graph, "search", known[k][1]), known[k][2]);
        remat_task_graph_free(&graph);
    }
}

static int64_t least_budget(const struct remat_task_graph *graph)
{
    struct remat_solve_options options = {0};
    struct remat_solving solving = {.graph = graph};
    struct remat_schedule schedule = {0};
    struct remat_liveness live;
    struct remat_error err = {0};
    int64_t peak;
    CHECK_OK(solver("search")->smallest(&solving, &options, &schedule, &err), err);
    CHECK_OK(remat_liveness(graph, &schedule, &live, &err), err);
    peak = live.peak_bytes;
    remat_liveness_free(&live);
    remat_schedule_free(&schedule);
    remat_solving_end(&solving);
    return peak;
}

/* Bounds hold: the closure's, with and without linear programs, and that of an exact search given up early. */
static void check_bounds(const struct remat_task_graph *graph, int64_t budget, int64_t best)
{
    static const struct remat_bound_effort effort = {.cuts = 3, .parts = 2, .columns = 200};
    struct remat_progress progress = {.best_ns = best + 1};
    struct remat_closure *closure;
    struct remat_bound bound;
    struct remat_exact exact;
    struct remat_error err = {0};
    CHECK_OK(remat_closure_make(graph, &closure, &err), err);
    CHECK_OK(remat_closure_bounds(closure, &budget, 1, &bound, &err), err);
    if (best >= 0)
        CHECK_OK(remat_closure_strengthen(closure, &effort, &progress, &bound, &err), err);
    assert_true(best < 0 || (!bound.infeasible && bound.lower_bound_ns <= best));
    remat_closure_free(closure);
    CHECK_OK(remat_exact_solve(graph, budget, INT64_MAX, 24, &exact, &err), err);
    assert_true(best < 0 ? !exact.found : exact.lower_bound_ns <= best);
    remat_schedule_free(&exact.schedule);
}

static uint64_t fuzzed_graphs = 300, first_seed = 0;

/* The optimum of a small graph at every budget, and the least budget there is. */
static void check_against_optimum(uint64_t seed, int64_t *budgets)
{
    struct remat_task_graph graph;
    int64_t peak, least, k;
    random_dag(&graph, seed, 3 + (int32_t)(seed % 8), 12);
    peak = keep_all_peak(&graph);
    least = least_budget(&graph);
    for (k = -1; k < 4; k++) {
        int64_t budget = k < 0 ? least - 1 : least + (peak - least) * k / 4, best = brute_force(&graph, budget);
        assert_true(k < 0 ? best < 0 : best >= 0);
        if (cost_of(&graph, "search", budget) != best)
            fail_msg("seed %llu, budget %lld: the optimum is %lld", (unsigned long long)seed, (long long)budget,
                     (long long)best);
        check_bounds(&graph, budget, best);
        *budgets += k >= 0 && budget < peak;
    }
    remat_task_graph_free(&graph);
}

static void test_against_optimum(void **state)
{
    int64_t budgets = 0;
    uint64_t seed;
    (void)state;
    for (seed = first_seed; seed < first_seed + fuzzed_graphs; seed++)
        check_against_optimum(seed, &budgets);
    print_message("%llu graphs, %lld budgets below keep-all's\n", (unsigned long long)fuzzed_graphs,
                  (long long)budgets);
    assert_true(budgets >= (int64_t)fuzzed_graphs);
}

/* This graph's fastest schedules would run an alternate before the cell that it reads is written. */
static void test_alternate_of_a_written_cell(void **state)
{
    int64_t budgets = 0;
    (void)state;
    check_against_optimum(15013, &budgets);
}

/* More memory never costs time where one run gives the whole curve; the same again gives the same. */
static void test_curve(void **state)
{
    enum { POINTS = 5 };
    struct remat_task_graph graph;
    struct remat_plan plans[POINTS], again[POINTS];
    struct remat_solve_options options = {.seed = 7};
    struct remat_error err = {0};
    int64_t budgets[POINTS], peak;
    int32_t k;
    (void)state;
    chain_graph(&graph, 3, 64, 9);
    peak = keep_all_peak(&graph);
    for (k = 0; k < POINTS; k++)
        budgets[k] = peak * (2 * POINTS - k) / (2 * POINTS);
    CHECK_OK(remat_solve_curve(&graph, solver("search"), &options, budgets, POINTS, plans, &err), err);
    CHECK_OK(remat_solve_curve(&graph, solver("search"), &options, budgets, POINTS, again, &err), err);
    for (k = 0; k < POINTS; k++) {
        if (k > 0 && plans[k].instructions_count > 0)
            assert_true(plans[k].predicted_step_ns >= plans[k - 1].predicted_step_ns);
        plans[k].solve_ns = again[k].solve_ns = 0;
        assert_true(remat_plan_hash(&plans[k]) == remat_plan_hash(&again[k]));
        remat_plan_free(&plans[k]);
        remat_plan_free(&again[k]);
    }
    remat_task_graph_free(&graph);
}

static void rescale(struct remat_task_graph *graph, int64_t bytes, int64_t time)
{
    int32_t i, k;
    graph->staging_bytes *= bytes;
    for (i = 0; i < graph->values_count; i++)
        graph->values[i].bytes *= bytes;
    for (i = 0; i < graph->tasks_count; i++)
        for (k = 0; k < graph->tasks[i].options_count; k++) {
            graph->tasks[i].options[k].scratch_bytes *= bytes;
            graph->tasks[i].options[k].time_ns *= time;
        }
}

/* Neither the unit of memory nor that of time means anything. */
static void test_rescaled(void **state)
{
    static const int64_t factors[][2] = {{1, 7}, {3, 1}, {1000, 1}, {5, 9}};
    struct remat_task_graph graph, other;
    int64_t budget, cost;
    size_t k;
    (void)state;
    chain_graph(&graph, 10, 64, 9);
    budget = keep_all_peak(&graph) / 2;
    cost = cost_of(&graph, "search", budget);
    assert_true(cost > 0);
    for (k = 0; k < sizeof factors / sizeof *factors; k++) {
        int64_t found;
        chain_graph(&other, 10, 64, 9);
        rescale(&other, factors[k][0], factors[k][1]);
        found = cost_of(&other, "search", budget * factors[k][0]);
        assert_true(llabs(found - cost * factors[k][1]) * 1000 <= found);
        remat_task_graph_free(&other);
    }
    remat_task_graph_free(&graph);
}

/* With a limit of time, too, something is found where the chain method has nothing. */
static void test_reach(void **state)
{
    int32_t beyond_chain = 0;
    uint64_t seed;
    (void)state;
    for (seed = 1; seed <= 8; seed++) {
        /* It ends with the first plan; the limit is for slow machines. */
        struct remat_solve_options options = {.gap = 1000, .threads = 1, .seed = seed, .time_limit_seconds = 240};
        struct remat_task_graph graph;
        struct remat_plan smallest = {0};
        struct remat_schedule schedule = {0};
        struct remat_solving solving = {.graph = &graph};
        struct remat_error err = {0};
        random_dag(&graph, seed, 60, 120);
        CHECK_OK(remat_solve_smallest(&graph, solver("search"), &options, &smallest, &err), err);
        options.budget_bytes = smallest.live_peak_bytes + smallest.live_peak_bytes / 16;
        beyond_chain += cost_of(&graph, "chain", options.budget_bytes) < 0;
        CHECK_OK(solver("search")->solve(&solving, &options, &schedule, &err), err);
        assert_true(schedule.count >= graph.order_count);
        remat_solving_end(&solving);
        remat_schedule_free(&schedule);
        remat_plan_free(&smallest);
        remat_task_graph_free(&graph);
    }
    print_message("%d of 8 beyond the chain\n", beyond_chain);
    assert_true(beyond_chain > 0);
}

/* However short the time, and whoever stops it: an answer, at least as good as the chain's. */
static void test_limits(void **state)
{
    static const volatile sig_atomic_t stopped = 1;
    static const double limits[] = {1e-9, 1e-3, 0.05};
    struct remat_task_graph graph;
    struct remat_plan plan = {0};
    struct remat_error err = {0};
    int64_t budget, chain;
    size_t k;
    (void)state;
    chain_graph(&graph, 12, 64, 9);
    budget = keep_all_peak(&graph) / 2;
    chain = cost_of(&graph, "chain", budget);
    assert_true(chain >= 0);
    for (k = 0; k <= sizeof limits / sizeof *limits; k++) {
        struct remat_solve_options options = {.budget_bytes = budget, .threads = 1};
        double started = remat_clock_seconds();
        if (k < sizeof limits / sizeof *limits)
            options.time_limit_seconds = limits[k];
        else
            options.stop = &stopped;
        CHECK_OK(remat_solve(&graph, solver("search"), &options, &plan, &err), err);
        assert_true(plan.predicted_step_ns <= chain);
        assert_true(remat_clock_seconds() - started < 5);
        remat_plan_free(&plan);
    }
    remat_task_graph_free(&graph);
}

/* However many threads: a plan at least as good as the chain's, a bound that holds, and the time is kept. */
static void test_threads(void **state)
{
    static const int32_t threads[] = {0, 2, 3, 5, 40};
    struct remat_task_graph graph;
    struct remat_error err = {0};
    int64_t budget, chain, best = INT64_MAX, bound = 0;
    size_t k, round;
    (void)state;
    chain_graph(&graph, 24, 64, 9);
    budget = keep_all_peak(&graph) * 2 / 5;
    chain = cost_of(&graph, "chain", budget);
    assert_true(chain >= 0);
    for (round = 0; round < 2; round++)
        for (k = 0; k < sizeof threads / sizeof *threads; k++) {
            struct remat_solve_options options = {
                .budget_bytes = budget, .threads = threads[k], .time_limit_seconds = round ? 0.4 : 1e-3};
            double started = remat_clock_seconds();
            struct remat_plan plan = {0};
            CHECK_OK(remat_solve(&graph, solver("search"), &options, &plan, &err), err);
            assert_true(plan.predicted_step_ns <= chain && plan.lower_bound_ns <= plan.predicted_step_ns);
            best = plan.predicted_step_ns < best ? plan.predicted_step_ns : best;
            bound = plan.lower_bound_ns > bound ? plan.lower_bound_ns : bound;
            assert_true(remat_clock_seconds() - started < 10);
            remat_plan_free(&plan);
        }
    assert_true(bound <= best);
    print_message("chain %lld, best %lld, bound %lld\n", (long long)chain, (long long)best, (long long)bound);
    remat_task_graph_free(&graph);
}

/* test_search [GRAPHS [FIRST_SEED]] */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_polish),
        cmocka_unit_test(test_unit_chains),
        cmocka_unit_test(test_against_optimum),
        cmocka_unit_test(test_alternate_of_a_written_cell),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_rescaled),
    };
    if (argc > 1)
        fuzzed_graphs = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
