/* Sequences against the memory model, and the search against the true optimum, the chain method and itself. */
#include "tests/solver/support_brute.h"
#include "tests/solver/support_chain.h"
#include "tests/solver/support_random_dag.h"

#include "solver/anneal.h"
#include "tests/core/support_random_graph.h"

#include <string.h>

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
    if (solving.release)
        solving.release(solving.memo);
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

static bool has_options(const struct remat_task_graph *graph)
{
    int32_t t;
    for (t = 0; t < graph->tasks_count; t++)
        if (graph->tasks[t].options_count > 1)
            return true;
    return false;
}

/* Never below the optimum nor above the chain method's cost; nearly always the optimum. */
static void test_against_optimum(void **state)
{
    int32_t possible = 0, optimal = 0;
    uint64_t seed;
    (void)state;
    for (seed = 0; seed < 120; seed++) {
        struct remat_task_graph graph;
        int64_t peak, part;
        random_dag(&graph, seed, 6 + (int32_t)(seed % 5), 12);
        peak = keep_all_peak(&graph);
        if (has_options(&graph)) /* brute force chooses them run by run, a plan task by task */
            peak = 0;
        for (part = 5; part <= 8 && peak > 0; part++) {
            int64_t budget = peak * part / 9, best = brute_force(&graph, budget);
            int64_t found, chain;
            if (best < 0)
                continue;
            found = cost_of(&graph, "search", budget);
            chain = cost_of(&graph, "chain", budget);
            possible++;
            optimal += found == best;
            assert_true(found < 0 || found >= best);
            assert_true(chain < 0 || (found >= 0 && found <= chain));
        }
        remat_task_graph_free(&graph);
    }
    print_message("%d of %d optimal\n", optimal, possible);
    assert_true(possible >= 20);
    assert_true(20 * optimal >= 19 * possible);
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
    for (k = 0; k <= sizeof limits / sizeof *limits; k++) {
        struct remat_solve_options options = {.budget_bytes = budget};
        double started = remat_now_seconds();
        if (k < sizeof limits / sizeof *limits)
            options.time_limit_seconds = limits[k];
        else
            options.stop = &stopped;
        CHECK_OK(remat_solve(&graph, solver("search"), &options, &plan, &err), err);
        assert_true(plan.predicted_step_ns <= chain || chain < 0);
        assert_true(remat_now_seconds() - started < 5);
        remat_plan_free(&plan);
    }
    remat_task_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves), cmocka_unit_test(test_unit_chains), cmocka_unit_test(test_against_optimum),
        cmocka_unit_test(test_curve), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
