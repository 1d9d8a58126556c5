/* Whole models on a backend, cpu or the one that REMAT_TEST_BACKEND names: every plan gives the bits of keep-all, its
 * planned memory is what is measured, and the numbers agree with the reference backend's. In bf16, which the cpu has
 * not, ref takes its place. */
#include "core/base/hash.h"
#include "models/models.h"
#include "runtime/lower/lower.h"
#include "solver/solver.h"
#include "tests/core/support_moves.h"
#include "tests/runtime/support_exec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 3 };

struct setting {
    const char *model;
    struct remat_model_options options;
    enum remat_optimizer optimizer;
    int32_t micro_count;
    float max_norm;
    enum remat_dtype dtype;
};

static const struct setting resnet18 = {"resnet18", {.batch = 4, .image = 32, .classes = 10}, REMAT_SGD, 1, 0.0f,
                                        REMAT_F32};
static const struct setting resnet18_cifar = {
    "resnet18", {.batch = 2, .image = 16, .classes = 10, .stem = REMAT_STEM_CIFAR}, REMAT_SGD, 2, 1.0f, REMAT_F32};
static const struct setting gpt2 = {"gpt2",
                                    {.batch = 2,
                                     .length = 32,
                                     .positions = 32,
                                     .vocabulary = 97,
                                     .layers = 2,
                                     .width = 64,
                                     .heads = 4,
                                     .dropout = 0.1f},
                                    REMAT_ADAMW,
                                    1,
                                    0.0f,
                                    REMAT_F32};
static const struct setting resnet18_bf16 = {"resnet18", {.batch = 4, .image = 16, .classes = 10}, REMAT_SGD, 1, 0.0f,
                                             REMAT_BF16};
static const struct setting gpt2_bf16 = {"gpt2",
                                         {.batch = 2,
                                          .length = 16,
                                          .positions = 16,
                                          .vocabulary = 97,
                                          .layers = 2,
                                          .width = 64,
                                          .heads = 4,
                                          .dropout = 0.1f},
                                         REMAT_ADAMW,
                                         1,
                                         0.0f,
                                         REMAT_BF16};
static const struct setting gpt2_bf16_clipped = {
    "gpt2",      {.batch = 2, .length = 16, .positions = 16, .vocabulary = 97, .layers = 2, .width = 32, .heads = 4},
    REMAT_ADAMW, 2,
    0.5f,        REMAT_BF16};
/* Long enough for fused attention. */
static const struct setting gpt2_bf16_long = {
    "gpt2",      {.batch = 2, .length = 64, .positions = 64, .vocabulary = 97, .layers = 2, .width = 32, .heads = 2},
    REMAT_ADAMW, 1,
    0.0f,        REMAT_BF16};
static const struct setting gpt2_clipped = {
    "gpt2",      {.batch = 2, .length = 32, .positions = 32, .vocabulary = 97, .layers = 2, .width = 64, .heads = 4},
    REMAT_ADAMW, 2,
    0.5f,        REMAT_F32};

/* Deep and wide: the blocks of the largest models, at sizes that leave most of the time to the updates. */
static const struct setting resnet152 = {"resnet152", {.batch = 2, .image = 32, .classes = 10}, REMAT_SGD, 1, 0.0f,
                                         REMAT_F32};
static const struct setting gpt2_xl = {
    "gpt2-xl", {.batch = 1, .length = 16, .positions = 16, .vocabulary = 97, .layers = 2}, REMAT_SGD, 1, 0.0f,
    REMAT_F32};

struct world {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_layer_graph layers;
    struct remat_task_graph graph;
    void *first_state; /* drawn once; NULL before the first run */
    struct remat_error err;
};

static const char *device_name(const struct setting *setting)
{
    const char *name = getenv("REMAT_TEST_BACKEND");
    if (name && *name)
        return name;
    return setting->dtype == REMAT_BF16 ? "ref" : "cpu";
}

static void open_world(struct world *w, const struct setting *setting, const char *backend)
{
    const struct remat_device_config config = {.threads = 2};
    struct remat_lower_options options = remat_lower_defaults(REMAT_TRAIN, setting->optimizer);
    options.micro_count = setting->micro_count;
    options.max_norm = setting->max_norm;
    options.dtype = setting->dtype;
    support_ok(remat_backend_find(backend, &w->backend, &w->err), &w->err);
    support_ok(w->backend->open(&config, &w->device, &w->err), &w->err);
    support_ok(remat_model_build(setting->model, &setting->options, &w->layers, &w->err), &w->err);
    support_ok(remat_lower(&w->layers, w->backend, w->device, &options, &w->graph, &w->err), &w->err);
}

static void close_world(struct world *w)
{
    remat_task_graph_free(&w->graph);
    remat_layer_graph_free(&w->layers);
    w->backend->close(w->device);
    free(w->first_state);
}

/* --- what a training run leaves behind --------------------------------------------------------------------------- */

/* Hashes of every parameter gradient of every micro step, taken before it is used, and of the final state. */
struct trace {
    const struct world *world;
    const struct remat_task_graph *graph;
    int64_t position; /* micro steps so far */
    uint64_t *gradients;
    int32_t seen;
    uint64_t state;
};

static uint64_t hash_output(const struct trace *trace, const void *address, int64_t bytes)
{
    const struct world *w = trace->world;
    struct remat_error err;
    unsigned char *data = malloc((size_t)bytes);
    uint64_t hash;
    assert_non_null(data);
    support_ok(w->backend->ops->download(w->device, data, address, bytes, &err), &err);
    hash = remat_hash(data, (size_t)bytes, 1);
    free(data);
    return hash;
}

static void observe(void *context, int32_t instruction, const struct remat_task *task,
                    const struct remat_kernel_args *args)
{
    struct trace *trace = context;
    (void)instruction;
    for (int32_t k = 0; k < task->outputs_count; k++) {
        const struct remat_value *value = &trace->graph->values[task->outputs[k]];
        uint64_t hash, *slot = &trace->gradients[trace->position * trace->graph->values_count + task->outputs[k]];
        if (value->category != REMAT_PARAMETER_GRADIENT)
            continue;
        hash = hash_output(trace, args->outputs[k], remat_tensor_bytes(&value->tensor));
        assert_true(*slot == 0 || *slot == hash);
        trace->seen += *slot == 0;
        *slot = hash;
    }
}

static void open_run(struct world *w, const struct remat_plan *plan, const struct remat_exec_options *options,
                     struct support_run *run)
{
    int64_t bytes = w->graph.persistent_bytes;
    memset(run, 0, sizeof *run);
    support_ok(remat_state_create(w->backend, w->device, &w->graph, &run->state, &w->err), &w->err);
    support_ok(w->backend->ops->memory_open(w->device, plan->arena_bytes, "the test's arena", &run->arena, &w->err),
               &w->err);
    support_ok(remat_exec_create(w->backend, w->device, &w->graph, plan, &run->state, &run->arena, options, &run->exec,
                                 &w->err),
               &w->err);
    if (w->first_state) {
        support_ok(w->backend->ops->upload(w->device, run->state.memory.base, w->first_state, bytes, &w->err), &w->err);
        return;
    }
    support_ok(remat_state_init_parameters(&run->state, &w->layers, 11, &w->err), &w->err);
    w->first_state = malloc((size_t)bytes);
    assert_non_null(w->first_state);
    support_ok(w->backend->ops->download(w->device, w->first_state, run->state.memory.base, bytes, &w->err), &w->err);
}

/* Trains, checks the measured memory, and leaves a trace (whose gradients the caller frees). */
static void train(struct world *w, const struct remat_plan *plan, bool poison, struct trace *trace)
{
    const struct remat_exec_options options = {.track = true, .poison = poison, .observe = observe, .context = trace};
    struct remat_exec_measure measure;
    struct support_run run;
    memset(trace, 0, sizeof *trace);
    trace->world = w;
    trace->graph = &w->graph;
    trace->gradients = calloc((size_t)(STEPS * w->graph.micro_count * w->graph.values_count), sizeof(uint64_t));
    assert_non_null(trace->gradients);
    open_run(w, plan, &options, &run);
    for (int64_t step = 0; step < STEPS; step++)
        support_run_step(&run, &w->graph, step, &trace->position);
    support_ok(remat_exec_measured(run.exec, &measure, &w->err), &w->err);
    assert_int_equal(measure.peak_bytes, plan->arena_bytes);
    assert_int_equal(measure.live_peak_bytes, plan->live_peak_bytes);
    assert_int_equal(measure.host_peak_bytes, plan->host_bytes);
    assert_int_equal(measure.host_live_peak_bytes, plan->host_live_peak_bytes);
    support_ok(remat_state_hash(&run.state, &trace->state, &w->err), &w->err);
    support_run_close(&run);
}

static void expect_same(const struct trace *expected, const struct trace *found, const struct remat_plan *plan)
{
    const struct remat_task_graph *graph = expected->graph;
    int64_t count = (int64_t)STEPS * graph->micro_count * graph->values_count;
    for (int64_t i = 0; i < count; i++)
        if (expected->gradients[i] != found->gradients[i])
            fail_msg("%s, arena %lld: %s differs from keep-all's in micro step %lld", plan->solver,
                     (long long)plan->arena_bytes, graph->values[i % graph->values_count].name,
                     (long long)(i / graph->values_count));
    assert_true(found->seen == expected->seen && expected->seen > 0);
    assert_true(found->state == expected->state);
}

/* --- plans ------------------------------------------------------------------------------------------------------- */

static void solve(struct world *w, const char *name, int64_t budget, struct remat_plan *plan)
{
    const struct remat_solve_options options = {.budget_bytes = budget, .threads = 1};
    const struct remat_solver *solver;
    memset(plan, 0, sizeof *plan);
    support_ok(remat_solver_find(name, &solver, &w->err), &w->err);
    if (budget > 0)
        support_ok(remat_solve(&w->graph, solver, &options, plan, &w->err), &w->err);
    else
        support_ok(remat_solve_smallest(&w->graph, solver, &options, plan, &w->err), &w->err);
    assert_true(budget <= 0 || plan->arena_bytes <= budget);
}

/* Solves, trains with poison, compares; budget 0 = the smallest plan. Returns its arena. */
static int64_t check_plan(struct world *w, const char *solver, int64_t budget, const struct trace *expected)
{
    struct remat_plan plan;
    struct trace found;
    int64_t arena;
    solve(w, solver, budget, &plan);
    train(w, &plan, true, &found);
    expect_same(expected, &found, &plan);
    arena = plan.arena_bytes;
    free(found.gradients);
    remat_plan_free(&plan);
    return arena;
}

/* The smallest plan of a method, and `budgets` more between it and keep-all. */
static bool check_method(struct world *w, const char *solver, int64_t most, int32_t budgets,
                         const struct trace *expected)
{
    int64_t least = check_plan(w, solver, 0, expected);
    for (int32_t k = 1; k <= budgets && least < most; k++)
        check_plan(w, solver, least + (most - least) * k / (budgets + 1), expected);
    return least < most;
}

static void check_all_plans(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan keep_all;
    struct trace expected;
    int32_t saving = 0;
    open_world(&w, setting, device_name(setting));
    solve(&w, "keep-all", INT64_MAX, &keep_all);
    train(&w, &keep_all, false, &expected);
    for (const struct remat_solver *solver = remat_solvers; solver->name; solver++)
        saving += check_method(&w, solver->name, keep_all.arena_bytes, 3, &expected);
    assert_true(saving >= 1);
    free(expected.gradients);
    remat_plan_free(&keep_all);
    close_world(&w);
}

/* Five budgets of the default method, one of sqrt. */
static void check_large_model(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan keep_all;
    struct trace expected;
    open_world(&w, setting, device_name(setting));
    solve(&w, "keep-all", INT64_MAX, &keep_all);
    train(&w, &keep_all, false, &expected);
    assert_true(check_method(&w, "chain", keep_all.arena_bytes, 4, &expected));
    check_plan(&w, "sqrt", 0, &expected);
    free(expected.gradients);
    remat_plan_free(&keep_all);
    close_world(&w);
}

/* The smallest plan of the default method. */
static void check_smallest_plan(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan keep_all;
    struct trace expected;
    open_world(&w, setting, device_name(setting));
    solve(&w, "keep-all", INT64_MAX, &keep_all);
    train(&w, &keep_all, false, &expected);
    assert_true(check_plan(&w, "chain", 0, &expected) < keep_all.arena_bytes);
    free(expected.gradients);
    remat_plan_free(&keep_all);
    close_world(&w);
}

static void test_resnet18_bf16_plans(void **state)
{
    (void)state;
    check_smallest_plan(&resnet18_bf16);
}

static void test_gpt2_bf16_plans(void **state)
{
    (void)state;
    check_all_plans(&gpt2_bf16);
}

static void test_gpt2_bf16_long_plans(void **state)
{
    (void)state;
    check_smallest_plan(&gpt2_bf16_long);
}

static void test_gpt2_bf16_clipped_plans(void **state)
{
    (void)state;
    check_smallest_plan(&gpt2_bf16_clipped);
}

static void test_resnet152_plans(void **state)
{
    (void)state;
    check_large_model(&resnet152);
}

static void test_large_gpt2_plans(void **state)
{
    (void)state;
    check_large_model(&gpt2_xl);
}

static void test_resnet18_plans(void **state)
{
    (void)state;
    check_all_plans(&resnet18);
}

static void test_resnet18_accumulated_plans(void **state)
{
    (void)state;
    check_all_plans(&resnet18_cifar);
}

static void test_gpt2_plans(void **state)
{
    (void)state;
    check_all_plans(&gpt2);
}

static void test_gpt2_clipped_plans(void **state)
{
    (void)state;
    check_all_plans(&gpt2_clipped);
}

/* A run that nobody observes leaves the state that a trace left. Where a device records steps, this one is replayed. */
static void train_unobserved(struct world *w, const struct remat_plan *plan, const struct trace *expected)
{
    const struct remat_exec_options options = {.track = true};
    struct support_run run;
    struct remat_exec_measure measure;
    uint64_t state;
    open_run(w, plan, &options, &run);
    for (int64_t step = 0; step < STEPS; step++)
        support_run_step(&run, &w->graph, step, NULL);
    support_ok(remat_exec_measured(run.exec, &measure, &w->err), &w->err);
    assert_int_equal(measure.peak_bytes, plan->arena_bytes);
    assert_int_equal(measure.live_peak_bytes, plan->live_peak_bytes);
    assert_int_equal(measure.host_peak_bytes, plan->host_bytes);
    assert_int_equal(measure.host_live_peak_bytes, plan->host_live_peak_bytes);
    support_ok(remat_state_hash(&run.state, &state, &w->err), &w->err);
    assert_true(state == expected->state);
    support_run_close(&run);
}

static void check_unobserved(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan plan;
    struct trace expected;
    open_world(&w, setting, device_name(setting));
    solve(&w, "chain", 0, &plan);
    train(&w, &plan, false, &expected);
    train_unobserved(&w, &plan, &expected);
    free(expected.gradients);
    remat_plan_free(&plan);
    close_world(&w);
}

/* A budget that only host memory makes possible: the method recomputes nothing, or what it recomputes is not enough.
 * Whether it is. */
static bool check_offloaded_plan(struct world *w, const char *name, int64_t budget, const struct trace *expected)
{
    const struct remat_solve_options options = {
        .budget_bytes = budget, .host_budget_bytes = INT64_MAX, .threads = 1, .without_bound = true};
    const struct remat_solver *solver;
    struct remat_plan plan;
    struct trace found;
    enum remat_status status;
    support_ok(remat_solver_find(name, &solver, &w->err), &w->err);
    status = remat_solve(&w->graph, solver, &options, &plan, &w->err);
    if (status == REMAT_INFEASIBLE)
        return false;
    support_ok(status, &w->err);
    assert_true(plan.arena_bytes <= budget && plan.host_bytes > 0);
    train(w, &plan, true, &found);
    expect_same(expected, &found, &plan);
    train_unobserved(w, &plan, expected);
    free(found.gradients);
    remat_plan_free(&plan);
    return true;
}

/* With fast copies and with slow ones, which take their places elsewhere. */
static void check_offloaded(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan keep_all, least;
    struct trace expected;
    open_world(&w, setting, device_name(setting));
    solve(&w, "keep-all", INT64_MAX, &keep_all);
    solve(&w, "chain", 0, &least);
    train(&w, &keep_all, false, &expected);
    for (int64_t rate = INT64_C(1000000000); rate <= INT64_C(1000000000000); rate *= 1000) {
        w.graph.to_host_bytes_per_s = rate;
        w.graph.to_device_bytes_per_s = 2 * rate;
        assert_true(check_offloaded_plan(&w, "keep-all", (keep_all.arena_bytes + least.arena_bytes) / 2, &expected));
        assert_true(
            check_offloaded_plan(&w, "keep-all", (keep_all.arena_bytes + 3 * least.arena_bytes) / 4, &expected));
        (void)check_offloaded_plan(&w, "chain", least.arena_bytes - 64, &expected);
    }
    free(expected.gradients);
    remat_plan_free(&least);
    remat_plan_free(&keep_all);
    close_world(&w);
}

/* Recomputing, with values moved here and there. */
static void check_moved(const struct setting *setting)
{
    struct world w = {0};
    struct remat_plan keep_all, plan;
    struct trace expected, found;
    open_world(&w, setting, device_name(setting));
    w.graph.move_bytes_per_s = 1000000000;
    solve(&w, "keep-all", INT64_MAX, &keep_all);
    solve(&w, "chain", 0, &plan);
    train(&w, &keep_all, false, &expected);
    plan.budget_bytes = INT64_MAX;
    assert_true(moves_add(&w.graph, &plan, 5, 400, plan.arena_bytes) > 5);
    train(&w, &plan, true, &found);
    expect_same(&expected, &found, &plan);
    train_unobserved(&w, &plan, &expected);
    free(found.gradients);
    free(expected.gradients);
    remat_plan_free(&plan);
    remat_plan_free(&keep_all);
    close_world(&w);
}

static void test_gpt2_moved(void **state)
{
    (void)state;
    check_moved(&gpt2);
}

static void test_gpt2_accumulated_moved(void **state)
{
    (void)state;
    check_moved(&gpt2_clipped);
}

static void test_gpt2_offloaded(void **state)
{
    (void)state;
    check_offloaded(&gpt2);
}

static void test_gpt2_accumulated_offloaded(void **state)
{
    (void)state;
    check_offloaded(&gpt2_clipped);
}

static void test_gpt2_bf16_offloaded(void **state)
{
    (void)state;
    check_offloaded(&gpt2_bf16);
}

static void test_resnet18_offloaded(void **state)
{
    (void)state;
    check_offloaded(&resnet18);
}

static void test_resnet18_accumulated_offloaded(void **state)
{
    (void)state;
    check_offloaded(&resnet18_cifar);
}

static void test_gpt2_unobserved(void **state)
{
    (void)state;
    check_unobserved(&gpt2);
    check_unobserved(&gpt2_clipped);
}

/* --- against the reference --------------------------------------------------------------------------------------- */

/* One step: the optimizer's first moments then are the gradients, up to a factor. */
static void open_one_step(struct world *w, const struct setting *setting, const char *backend, struct support_run *run)
{
    const struct remat_exec_options options = {0};
    struct remat_plan plan;
    open_world(w, setting, backend);
    solve(w, "keep-all", INT64_MAX, &plan);
    open_run(w, &plan, &options, run);
    support_run_step(run, &w->graph, 0, NULL);
    remat_exec_destroy(run->exec);
    run->exec = NULL;
    remat_plan_free(&plan);
}

static double element(const struct remat_state_cell *cell, int64_t i)
{
    return cell->tensor.dtype == REMAT_F64 ? ((const double *)cell->data)[i] : (double)((const float *)cell->data)[i];
}

/* |a - b| / |b|, Euclidean. */
static double relative_distance(const struct remat_state_cell *a, const struct remat_state_cell *b)
{
    double difference = 0.0, norm = 0.0;
    for (int64_t i = 0; i < remat_tensor_elements(&a->tensor); i++) {
        double d = element(a, i) - element(b, i);
        difference += d * d;
        norm += element(b, i) * element(b, i);
    }
    return sqrt(difference) / (sqrt(norm) + 1e-30);
}

/* One step on a device against the same, in f32 perhaps, on ref. */
static void check_against_reference(const struct setting *setting, const struct setting *expectation, double tolerance)
{
    struct world tested = {0}, ref = {0};
    struct support_run a, b;
    struct remat_state found, expected;
    open_one_step(&tested, setting, device_name(setting), &a);
    open_one_step(&ref, expectation, "ref", &b);
    assert_int_equal(a.state.count, b.state.count);
    support_ok(remat_state_mirror(&a.state, &found, &tested.err), &tested.err);
    support_ok(remat_state_mirror(&b.state, &expected, &ref.err), &ref.err);
    for (int32_t i = 0; i < found.count; i++) {
        const struct remat_state_cell *other = remat_state_find(&expected, found.cells[i].name);
        double distance;
        assert_non_null(other);
        /* Adam's first update is the sign of the gradient: it turns rounding into whole steps where the gradient is 0.
         */
        if (setting->optimizer == REMAT_ADAMW && other->kind == REMAT_PARAMETER)
            continue;
        distance = relative_distance(&found.cells[i], other);
        if (!(distance <= tolerance))
            fail_msg("%s, cell %s: relative distance %g, tolerance %g", setting->model, other->name, distance,
                     tolerance);
    }
    remat_state_free(&found);
    remat_state_free(&expected);
    support_run_close(&a);
    support_run_close(&b);
    close_world(&tested);
    close_world(&ref);
}

static void test_resnet18_reference(void **state)
{
    (void)state;
    check_against_reference(&resnet18, &resnet18, 1e-3);
}

static void test_gpt2_reference(void **state)
{
    (void)state;
    check_against_reference(&gpt2, &gpt2, 1e-4);
}

/* A gradient in bf16 has passed some thirty roundings by up to 2^-8, which add up as their root: 1 to 2 %. */
static void test_gpt2_bf16_reference(void **state)
{
    struct setting f32 = gpt2_bf16;
    (void)state;
    f32.dtype = REMAT_F32;
    check_against_reference(&gpt2_bf16, &f32, 0.04);
    if (strcmp(device_name(&gpt2_bf16), "ref") != 0)
        check_against_reference(&gpt2_bf16, &gpt2_bf16, 0.04);
}

/* usage: test_exec_models [NAME PATTERN] */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet18_plans),
        cmocka_unit_test(test_resnet18_accumulated_plans),
        cmocka_unit_test(test_gpt2_plans),
        cmocka_unit_test(test_gpt2_clipped_plans),
        cmocka_unit_test(test_resnet152_plans),
        cmocka_unit_test(test_large_gpt2_plans),
        cmocka_unit_test(test_gpt2_reference),
        cmocka_unit_test(test_resnet18_reference),
        cmocka_unit_test(test_gpt2_unobserved),
        cmocka_unit_test(test_resnet18_bf16_plans),
        cmocka_unit_test(test_gpt2_bf16_plans),
        cmocka_unit_test(test_gpt2_bf16_long_plans),
        cmocka_unit_test(test_gpt2_bf16_clipped_plans),
        cmocka_unit_test(test_gpt2_bf16_reference),
        cmocka_unit_test(test_gpt2_moved),
        cmocka_unit_test(test_gpt2_accumulated_moved),
        cmocka_unit_test(test_gpt2_offloaded),
        cmocka_unit_test(test_gpt2_accumulated_offloaded),
        cmocka_unit_test(test_gpt2_bf16_offloaded),
        cmocka_unit_test(test_resnet18_offloaded),
        cmocka_unit_test(test_resnet18_accumulated_offloaded),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
