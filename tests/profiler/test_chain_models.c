/* The chain method on real models: fifteen budgets from one preparation, each at most 0.1 % (the smallest 0.2 %) above
 * the dynamic program without rounding, and placed without loss. Times are the roofline's of a made-up machine, so the
 * answers are the same everywhere. */
#include "models/models.h"
#include "profiler/profiler.h"
#include "runtime/lower/lower.h"
#include "solver/curve.h"
#include "solver/solver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BUDGETS = 15 };

static void ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s", err->message);
}

static void open_model(const char *name, const struct remat_model_options *options, struct remat_task_graph *graph)
{
    const struct remat_machine_peaks peaks = {.gflop_per_second = 150, .gbyte_per_second = 25};
    const struct remat_device_config config = {.threads = 2};
    struct remat_lower_options lowering = remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW);
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_layer_graph layers;
    struct remat_error err = {0};
    ok(remat_backend_find("cpu", &backend, &err), &err);
    ok(backend->open(&config, &device, &err), &err);
    ok(remat_model_build(name, options, &layers, &err), &err);
    ok(remat_lower(&layers, backend, device, &lowering, graph, &err), &err);
    remat_profile_estimate(graph, &peaks);
    remat_layer_graph_free(&layers);
    backend->close(device);
}

static void list_budgets(const struct remat_task_graph *graph, const struct remat_solver *solver, int64_t *budgets)
{
    struct remat_solve_options options = {.budget_bytes = INT64_MAX, .seed = 1, .threads = 1};
    struct remat_plan smallest = {0}, largest = {0};
    const struct remat_solver *keep_all;
    struct remat_error err = {0};
    ok(remat_solver_find("keep-all", &keep_all, &err), &err);
    ok(remat_solve_smallest(graph, solver, &options, &smallest, &err), &err);
    ok(remat_solve(graph, keep_all, &options, &largest, &err), &err);
    for (int32_t k = 0; k < BUDGETS; k++)
        budgets[k] = smallest.arena_bytes + (largest.arena_bytes - smallest.arena_bytes) / (BUDGETS - 1) * k;
    budgets[BUDGETS - 1] = largest.arena_bytes;
    remat_plan_free(&smallest);
    remat_plan_free(&largest);
}

static void compare(const char *name, const struct remat_model_options *model)
{
    const struct remat_solve_options options = {.seed = 1, .threads = 1};
    struct remat_task_graph graph;
    struct remat_plan plans[BUDGETS] = {{0}};
    struct remat_curve *curve;
    struct remat_chain_table *table;
    const struct remat_solver *solver;
    struct remat_error err = {0};
    int64_t budgets[BUDGETS], base;
    open_model(name, model, &graph);
    base = remat_task_graph_base_time_ns(&graph);
    ok(remat_solver_find("chain", &solver, &err), &err);
    list_budgets(&graph, solver, budgets);
    ok(remat_solve_curve(&graph, solver, &options, budgets, BUDGETS, plans, &err), &err);
    ok(remat_curve_make(&graph, 0, &curve, &err), &err);
    ok(remat_chain_table_make(remat_curve_chain(curve), budgets[BUDGETS - 1], 1e-8 * (double)base, 0, &table, &err),
       &err);
    for (int32_t k = 0; k < BUDGETS; k++) {
        int64_t room = budgets[k] - graph.staging_bytes - remat_curve_chain(curve)->always_bytes;
        double unrounded = (double)base + remat_steps_at(remat_chain_costs(table), room);
        double ratio = (double)plans[k].predicted_step_ns / unrounded;
        print_message("%s %lld bytes: %.3f ms, unrounded %.3f ms, ratio %.5f\n", name, (long long)budgets[k],
                      (double)plans[k].predicted_step_ns / 1e6, unrounded / 1e6, ratio);
        assert_true(plans[k].arena_bytes <= budgets[k]);
        assert_int_equal(plans[k].arena_bytes, plans[k].live_peak_bytes);
        assert_true(ratio <= (k > 0 ? 1.001 : 1.002));
        remat_plan_free(&plans[k]);
    }
    remat_chain_table_free(table);
    remat_curve_free(curve);
    remat_task_graph_free(&graph);
}

static void test_resnet152(void **state)
{
    (void)state;
    compare("resnet152", &(struct remat_model_options){.batch = 8, .image = 224});
}

static void test_gpt2_xl(void **state)
{
    (void)state;
    compare("gpt2-xl", &(struct remat_model_options){.batch = 1, .length = 1024});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_resnet152), cmocka_unit_test(test_gpt2_xl)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
