/* Profiling small models for real. Times on a shared machine are noisy, so none is asserted: that entries add up to a
 * step is tested on made-up samples (test_profile_entries.c) and measured by the bench. */
#include "models/models.h"
#include "profiler/profiler.h"
#include "runtime/lower/lower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_layer_graph layers;
    struct remat_task_graph graph;
    struct remat_error err;
    int reports;
    int64_t step_ns;
};

static void ok(struct world *w, enum remat_status status)
{
    if (status != REMAT_OK)
        fail_msg("%s", w->err.message);
}

static void open_world_with(struct world *w, const char *model, bool any_options)
{
    const struct remat_device_config config = {.threads = 2};
    const struct remat_model_options image = {.batch = 4, .image = 64, .classes = 10};
    const struct remat_model_options text = {
        .batch = 4, .length = 32, .positions = 32, .vocabulary = 97, .layers = 2, .width = 64, .heads = 4};
    const struct remat_model_options *options = strcmp(model, "resnet18") == 0 ? &image : &text;
    struct remat_lower_options lowering = remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW);
    lowering.any_options = any_options;
    memset(w, 0, sizeof *w);
    ok(w, remat_backend_find("cpu", &w->backend, &w->err));
    ok(w, w->backend->open(&config, &w->device, &w->err));
    ok(w, remat_model_build(model, options, &w->layers, &w->err));
    ok(w, remat_lower(&w->layers, w->backend, w->device, &lowering, &w->graph, &w->err));
}

static void open_world(struct world *w, const char *model)
{
    open_world_with(w, model, false);
}

static void close_world(struct world *w)
{
    remat_task_graph_free(&w->graph);
    remat_layer_graph_free(&w->layers);
    w->backend->close(w->device);
}

static void report(void *context, const char *what, double fraction)
{
    struct world *w = context;
    assert_true(what[0] != '\0' && fraction >= 0.0 && fraction <= 1.0);
    w->reports++;
}

static void profile(struct world *w, const char *cache, int64_t limit, bool refresh)
{
    const struct remat_profile_options options = {.steps = 2,
                                                  .memory_limit_bytes = limit,
                                                  .cache_path = cache,
                                                  .refresh = refresh,
                                                  .progress = report,
                                                  .context = w,
                                                  .keep_all_step_ns = &w->step_ns};
    w->reports = 0;
    ok(w, remat_profile_measure(&w->graph, &w->layers, w->backend, w->device, &options, &w->err));
}

static void expect_all_timed(const struct world *w)
{
    assert_true(w->graph.measured);
    for (int32_t t = 0; t < w->graph.tasks_count; t++)
        for (int32_t k = 0; k < w->graph.tasks[t].options_count; k++) {
            assert_true(w->graph.tasks[t].options[k].time_ns > 0);
            assert_true(w->graph.tasks[t].options[k].spread_ns >= 0);
        }
}

static void check_model(const char *model)
{
    struct world w;
    open_world(&w, model);
    profile(&w, NULL, 0, false);
    assert_true(w.reports > 0);
    expect_all_timed(&w);
    assert_true(w.step_ns > 0);
    close_world(&w);
}

static void test_resnet18(void **state)
{
    (void)state;
    check_model("resnet18");
}

static void test_gpt2(void **state)
{
    (void)state;
    check_model("gpt2");
}

/* Nothing fits: every task is timed alone. */
static void test_alone(void **state)
{
    struct world w;
    (void)state;
    open_world(&w, "gpt2");
    profile(&w, NULL, 64, false);
    expect_all_timed(&w);
    close_world(&w);
}

static void test_cache_saves_the_run(void **state)
{
    char path[] = "/tmp/remat-profile-XXXXXX";
    struct world first, second;
    int file = mkstemp(path);
    (void)state;
    assert_true(file >= 0);
    close(file);
    unlink(path);
    open_world(&first, "gpt2");
    profile(&first, path, 0, false);
    assert_true(first.reports > 0);
    open_world(&second, "gpt2");
    profile(&second, path, 0, false);
    assert_int_equal(second.reports, 0);
    assert_int_equal(second.step_ns, 0);
    for (int32_t t = 0; t < first.graph.tasks_count; t++)
        assert_int_equal(first.graph.tasks[t].options[0].time_ns, second.graph.tasks[t].options[0].time_ns);
    profile(&second, path, 0, true);
    assert_true(second.reports > 0);
    unlink(path);
    close_world(&first);
    close_world(&second);
}

/* Convolutions have options of several classes; tasks that another one recomputes keep the preferred class. */
static int count_choices(const struct world *w)
{
    int choices = 0;
    for (int32_t t = 0; t < w->graph.tasks_count; t++) {
        const struct remat_task *task = &w->graph.tasks[t];
        int32_t last = task->options_count - 1;
        assert_true(task->position >= 0 || task->options[last].numerics == task->options[0].numerics);
        choices += task->options[last].numerics != task->options[0].numerics;
    }
    return choices;
}

static void test_alternatives(void **state)
{
    char path[] = "/tmp/remat-alternatives-XXXXXX";
    struct remat_profile_options options = {.cache_path = path, .progress = report};
    struct world first, second;
    (void)state;
    close(mkstemp(path));
    unlink(path);
    open_world_with(&first, "resnet18", true);
    open_world_with(&second, "resnet18", true);
    assert_true(count_choices(&first) > 0);
    options.context = &first;
    ok(&first, remat_profile_alternatives(&first.graph, first.backend, first.device, &options, &first.err));
    assert_true(first.reports > 0);
    options.context = &second;
    ok(&second, remat_profile_alternatives(&second.graph, second.backend, second.device, &options, &second.err));
    assert_int_equal(second.reports, 0); /* chosen once */
    remat_task_graph_keep_fastest(&first.graph);
    remat_task_graph_keep_fastest(&second.graph);
    assert_int_equal(count_choices(&first), 0);
    assert_true(remat_task_graph_hash(&first.graph) == remat_task_graph_hash(&second.graph));
    profile(&first, path, 0, false);
    expect_all_timed(&first);
    unlink(path);
    close_world(&first);
    close_world(&second);
}

static void test_peaks(void **state)
{
    struct world w;
    struct remat_machine_peaks peaks, again;
    char path[] = "/tmp/remat-peaks-XXXXXX";
    struct remat_profile_options options = {.cache_path = path};
    (void)state;
    close(mkstemp(path));
    unlink(path);
    open_world(&w, "gpt2");
    ok(&w, remat_profile_peaks(w.backend, w.device, &options, &peaks, &w.err));
    ok(&w, remat_profile_peaks(w.backend, w.device, &options, &again, &w.err));
    assert_true(again.gflop_per_second == peaks.gflop_per_second && again.gbyte_per_second == peaks.gbyte_per_second);
    options.refresh = true;
    ok(&w, remat_profile_peaks(w.backend, w.device, &options, &again, &w.err));
    assert_true(again.gflop_per_second >= peaks.gflop_per_second);
    unlink(path);
    assert_true(peaks.gflop_per_second > 0.1 && peaks.gflop_per_second < 1e6);
    assert_true(peaks.gbyte_per_second > 0.1 && peaks.gbyte_per_second < 1e5);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet18),     cmocka_unit_test(test_gpt2),
        cmocka_unit_test(test_alone),        cmocka_unit_test(test_cache_saves_the_run),
        cmocka_unit_test(test_alternatives), cmocka_unit_test(test_peaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
