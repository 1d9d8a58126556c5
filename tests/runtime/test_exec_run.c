/* The executor on a hand-made graph: exactness under recomputation, measured memory, refusals. */
#include "runtime/backend/ref/ref.h"
#include "solver/offload.h"
#include "tests/core/support_moves.h"
#include "tests/runtime/support_exec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DEPTH = 4, ROWS = 24, COLUMNS = 16, STEPS = 3, EFFORT = 64 };

/* --- a backend that wraps ref, with scratch for linear kernels and a choice to tell less of it than is used ------- */

struct remat_kernel {
    struct remat_kernel *inner;
    int64_t scratch_bytes;
};

enum { LINEAR_SCRATCH = 8192 };
static int64_t untold_bytes;

static int64_t extra_scratch(const struct remat_kernel_spec *spec)
{
    return spec->op == REMAT_OP_LINEAR || spec->op == REMAT_OP_LINEAR_BWD_DATA ? LINEAR_SCRATCH : 0;
}

static enum remat_status fake_options(struct remat_device *device, const struct remat_kernel_spec *spec,
                                      struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                      struct remat_error *err)
{
    REMAT_TRY(remat_backend_ref.options(device, spec, out, count, err));
    for (int32_t i = 0; i < *count; i++)
        out[i].scratch_bytes += extra_scratch(spec);
    return REMAT_OK;
}

static enum remat_status fake_create(struct remat_device *device, const struct remat_kernel_spec *spec, int32_t option,
                                     struct remat_kernel **out, struct remat_error *err)
{
    struct remat_kernel *kernel = calloc(1, sizeof *kernel);
    assert_non_null(kernel);
    support_ok(remat_backend_ref.kernel_create(device, spec, option, &kernel->inner, err), err);
    kernel->scratch_bytes = remat_backend_ref.kernel_scratch_bytes(kernel->inner) + extra_scratch(spec);
    *out = kernel;
    return REMAT_OK;
}

static int64_t fake_scratch_bytes(const struct remat_kernel *kernel)
{
    return kernel->scratch_bytes >= LINEAR_SCRATCH ? kernel->scratch_bytes + untold_bytes : kernel->scratch_bytes;
}

static enum remat_status fake_run(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                  struct remat_error *err)
{
    if (kernel->scratch_bytes > 0)
        memset(args->scratch, 0x5A, (size_t)kernel->scratch_bytes);
    return remat_backend_ref.kernel_run(kernel->inner, args, err);
}

static void fake_destroy(struct remat_kernel *kernel)
{
    remat_backend_ref.kernel_destroy(kernel->inner);
    free(kernel);
}

static struct remat_backend fake_backend(void)
{
    struct remat_backend fake = remat_backend_ref;
    fake.name = "fake";
    fake.options = fake_options;
    fake.kernel_create = fake_create;
    fake.kernel_scratch_bytes = fake_scratch_bytes;
    fake.kernel_run = fake_run;
    fake.kernel_destroy = fake_destroy;
    return fake;
}

/* --- fixture ----------------------------------------------------------------------------------------------------- */

struct fixture {
    struct remat_backend backend;
    struct remat_device *device;
    struct remat_task_graph graph;
    struct remat_plan keep_all, recompute;
    struct remat_error err;
};

static void place(struct fixture *f, struct remat_schedule *schedule, struct remat_plan *plan)
{
    support_ok(remat_plan_place(&f->graph, schedule, EFFORT, plan, &f->err), &f->err);
    plan->budget_bytes = INT64_MAX;
    remat_schedule_free(schedule);
}

static int open_fixture(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    const struct remat_device_config config = {.threads = 1};
    struct remat_schedule base = {0}, again = {0};
    assert_non_null(f);
    f->backend = fake_backend();
    untold_bytes = 0;
    support_ok(f->backend.open(&config, &f->device, &f->err), &f->err);
    support_chain_graph(&f->backend, f->device, DEPTH, ROWS, COLUMNS, &f->graph);
    support_ok(remat_schedule_base(&f->graph, &base, &f->err), &f->err);
    place(f, &base, &f->keep_all);
    support_recompute_all(&f->graph, &again);
    place(f, &again, &f->recompute);
    *state = f;
    return 0;
}

static int close_fixture(void **state)
{
    struct fixture *f = *state;
    remat_plan_free(&f->keep_all);
    remat_plan_free(&f->recompute);
    remat_task_graph_free(&f->graph);
    f->backend.close(f->device);
    free(f);
    return 0;
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static uint64_t train(struct fixture *f, const struct remat_plan *plan, const struct remat_exec_options *options,
                      struct remat_exec_measure *measure)
{
    struct support_run run;
    uint64_t hash;
    support_run_open(&f->backend, f->device, &f->graph, plan, options, &run);
    for (int64_t step = 0; step < STEPS; step++)
        support_run_step(&run, &f->graph, step, NULL);
    support_ok(remat_exec_measured(run.exec, measure, &f->err), &f->err);
    support_ok(remat_state_hash(&run.state, &hash, &f->err), &f->err);
    assert_true(((double *)remat_state_find(&run.state, "metrics")->data)[1] == (double)(STEPS * ROWS));
    support_run_close(&run);
    return hash;
}

static void test_recomputing_changes_no_bit(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options plain = {0}, poison = {.poison = true};
    struct remat_exec_measure measure;
    uint64_t expected = train(f, &f->keep_all, &plain, &measure);
    assert_true(f->recompute.instructions_count > f->keep_all.instructions_count);
    assert_true(f->recompute.live_peak_bytes < f->keep_all.live_peak_bytes);
    assert_true(train(f, &f->recompute, &plain, &measure) == expected);
    assert_true(train(f, &f->keep_all, &poison, &measure) == expected);
    assert_true(train(f, &f->recompute, &poison, &measure) == expected);
}

/* Keep-all at 7/8 of its memory, the rest on the host. */
static void place_offloaded(struct fixture *f, struct remat_plan *plan)
{
    struct remat_schedule base = {0}, offloaded = {0};
    bool found;
    f->graph.to_host_bytes_per_s = f->graph.to_device_bytes_per_s = 1000000000;
    support_ok(remat_schedule_base(&f->graph, &base, &f->err), &f->err);
    support_ok(
        remat_offload(&f->graph, &base, f->keep_all.live_peak_bytes * 7 / 8, INT64_MAX, &offloaded, &found, &f->err),
        &f->err);
    assert_true(found && offloaded.count > base.count);
    remat_schedule_free(&base);
    place(f, &offloaded, plan);
}

static void test_offloading_changes_no_bit(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options plain = {0}, both = {.track = true, .poison = true}, timed = {.time = true};
    struct remat_exec_measure measure;
    struct remat_plan plan;
    uint64_t expected = train(f, &f->keep_all, &plain, &measure);
    place_offloaded(f, &plan);
    assert_true(train(f, &plan, &plain, &measure) == expected);
    assert_true(train(f, &plan, &timed, &measure) == expected);
    assert_true(train(f, &plan, &both, &measure) == expected);
    assert_int_equal(measure.peak_bytes, plan.arena_bytes);
    assert_int_equal(measure.live_peak_bytes, plan.live_peak_bytes);
    assert_int_equal(measure.host_peak_bytes, plan.host_bytes);
    assert_int_equal(measure.host_live_peak_bytes, plan.host_live_peak_bytes);
    assert_true(plan.host_bytes > 0);
    remat_plan_free(&plan);
}

/* The recomputing plan with values moved here and there, some over themselves. */
static void test_moving_changes_no_bit(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options plain = {0}, both = {.track = true, .poison = true}, timed = {.time = true};
    struct remat_exec_measure measure;
    uint64_t expected = train(f, &f->keep_all, &plain, &measure);
    f->graph.move_bytes_per_s = 1000000000;
    assert_true(moves_add(&f->graph, &f->recompute, 1, 300, f->recompute.arena_bytes * 3 / 2) > 20);
    assert_true(train(f, &f->recompute, &plain, &measure) == expected);
    assert_true(train(f, &f->recompute, &timed, &measure) == expected);
    assert_true(train(f, &f->recompute, &both, &measure) == expected);
    assert_int_equal(measure.peak_bytes, f->recompute.arena_bytes);
    assert_true(measure.live_peak_bytes >= f->recompute.live_peak_bytes);
    assert_true(measure.live_peak_bytes <= f->recompute.arena_bytes);
}

static void expect_measured(const struct remat_plan *plan, const struct remat_exec_measure *measure)
{
    assert_int_equal(measure->peak_bytes, plan->arena_bytes);
    assert_int_equal(measure->live_peak_bytes, plan->live_peak_bytes);
    assert_true(measure->step_ns > 0);
}

static void test_planned_is_measured(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options options = {.track = true, .poison = true};
    struct remat_exec_measure measure;
    train(f, &f->keep_all, &options, &measure);
    expect_measured(&f->keep_all, &measure);
    train(f, &f->recompute, &options, &measure);
    expect_measured(&f->recompute, &measure);
}

/* The scratch of the peak's task is larger by 64 bytes than the plan knows. */
static void test_undercount_shows(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options options = {.track = true};
    const struct remat_instruction *peak = &f->recompute.instructions[f->recompute.peak_instruction];
    struct remat_exec_measure measure;
    assert_true(peak->scratch >= 0);
    untold_bytes = 64;
    train(f, &f->recompute, &options, &measure);
    untold_bytes = 0;
    assert_int_equal(measure.live_peak_bytes, f->recompute.live_peak_bytes + 64);
}

static void test_other_graph_refused(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options options = {0};
    struct remat_task_graph other;
    struct remat_state training;
    struct remat_memory arena;
    struct remat_exec *exec;
    support_chain_graph(&f->backend, f->device, DEPTH, ROWS + 1, COLUMNS, &other);
    support_ok(remat_state_create(&f->backend, f->device, &other, &training, &f->err), &f->err);
    support_ok(remat_memory_open(f->keep_all.arena_bytes, "a test", &arena, &f->err), &f->err);
    assert_int_equal(
        remat_exec_create(&f->backend, f->device, &other, &f->keep_all, &training, &arena, &options, &exec, &f->err),
        REMAT_BAD_DATA);
    assert_non_null(strstr(f->err.message, "another task graph"));
    assert_null(exec);
    remat_memory_close(&arena);
    remat_state_free(&training);
    remat_task_graph_free(&other);
}

static enum remat_status try_state(struct fixture *f, int64_t arena_bytes, const char *renamed)
{
    const struct remat_exec_options options = {0};
    struct remat_state training;
    struct remat_memory arena;
    struct remat_exec *exec;
    enum remat_status status;
    support_ok(remat_state_create(&f->backend, f->device, &f->graph, &training, &f->err), &f->err);
    support_ok(remat_memory_open(arena_bytes, "a test", &arena, &f->err), &f->err);
    if (renamed)
        remat_state_find(&training, renamed)->name = "other";
    status =
        remat_exec_create(&f->backend, f->device, &f->graph, &f->keep_all, &training, &arena, &options, &exec, &f->err);
    remat_exec_destroy(exec);
    remat_memory_close(&arena);
    remat_state_free(&training);
    return status;
}

static void test_bad_surroundings_refused(void **state)
{
    struct fixture *f = *state;
    int64_t arena = f->keep_all.arena_bytes;
    assert_int_equal(try_state(f, arena, NULL), REMAT_OK);
    assert_int_equal(try_state(f, arena - 64, NULL), REMAT_INTERNAL);
    assert_int_equal(try_state(f, arena, "w02"), REMAT_BAD_DATA);
    assert_non_null(strstr(f->err.message, "w02"));
    f->keep_all.live_peak_bytes += 64;
    assert_int_equal(try_state(f, arena, NULL), REMAT_BAD_DATA);
    f->keep_all.live_peak_bytes -= 64;
}

struct seen {
    int32_t count, last;
    bool ordered, finite;
};

static void observe(void *context, int32_t instruction, const struct remat_task *task,
                    const struct remat_kernel_args *args)
{
    struct seen *seen = context;
    seen->count++;
    seen->ordered &= instruction > seen->last;
    seen->last = instruction;
    if (task->op == REMAT_OP_LINEAR_BWD_WEIGHTS)
        for (int i = 0; i < COLUMNS * 4; i++)
            seen->finite &= ((const float *)args->outputs[0])[i] < 1e9f;
}

static void test_observer_sees_every_run(void **state)
{
    struct fixture *f = *state;
    struct seen seen = {0, -1, true, true};
    const struct remat_exec_options options = {.observe = observe, .context = &seen, .time = true, .poison = true};
    struct support_run run;
    const int64_t *times_ns;
    support_run_open(&f->backend, f->device, &f->graph, &f->recompute, &options, &run);
    support_run_step(&run, &f->graph, 0, NULL);
    assert_int_equal(seen.count, f->recompute.instructions_count);
    assert_true(seen.ordered && seen.finite);
    support_ok(remat_exec_times_ns(run.exec, &times_ns, &f->err), &f->err);
    for (int32_t i = 0; i < f->recompute.instructions_count; i++)
        assert_true(times_ns[i] > 0);
    support_run_close(&run);
}

static void test_slots_are_apart(void **state)
{
    struct fixture *f = *state;
    const struct remat_exec_options options = {0};
    struct remat_step_record record = {.micro_count = 1, .loss_scale = 1.0f};
    struct support_run run;
    struct remat_tensor tensor;
    unsigned char *slots[2];
    support_run_open(&f->backend, f->device, &f->graph, &f->keep_all, &options, &run);
    slots[0] = remat_exec_staging(run.exec, 0, "staging.labels", &tensor);
    slots[1] = remat_exec_staging(run.exec, 1, "staging.labels", NULL);
    assert_int_equal(remat_tensor_elements(&tensor), ROWS);
    assert_int_equal(slots[1] - slots[0], f->graph.staging_bytes / 2);
    assert_null(remat_exec_staging(run.exec, 0, "staging.none", NULL));
    /* Rows without a label are not counted: slot 1 alone has labels. */
    memset(slots[0], 0xFF, ROWS * sizeof(int32_t));
    support_ok(remat_exec_micro(run.exec, 0, &record, &f->err), &f->err);
    assert_true(((double *)remat_state_find(&run.state, "metrics")->data)[1] == 0.0);
    support_ok(remat_exec_micro(run.exec, 1, &record, &f->err), &f->err);
    assert_true(((double *)remat_state_find(&run.state, "metrics")->data)[1] == (double)ROWS);
    assert_int_equal(remat_exec_micro(run.exec, 2, &record, &f->err), REMAT_INTERNAL);
    support_run_close(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recomputing_changes_no_bit, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_offloading_changes_no_bit, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_moving_changes_no_bit, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_planned_is_measured, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_undercount_shows, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_other_graph_refused, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_bad_surroundings_refused, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_observer_sees_every_run, open_fixture, close_fixture),
        cmocka_unit_test_setup_teardown(test_slots_are_apart, open_fixture, close_fixture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
