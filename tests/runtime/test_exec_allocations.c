/* Steps allocate nothing. This program stands between every library and the C library's allocator and counts what is
 * asked for while steps run. Kernels, executor and the OpenMP runtime under them must ask for nothing, with two
 * exceptions, both freed at once: oneDNN's bookkeeping when a primitive starts, in blocks below 1 KiB, and the team of
 * 1.5 KiB that GCC's runtime makes for each parallel region if there is only one thread. */
#include "models/models.h"
#include "runtime/lower/lower.h"
#include "solver/solver.h"
#include "tests/core/support_moves.h"
#include "tests/runtime/support_exec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- counting ---------------------------------------------------------------------------------------------------- */

static atomic_bool counting;
static atomic_llong blocks, blocks_freed, largest_bytes;

static void count_block(size_t bytes)
{
    long long largest = atomic_load(&largest_bytes);
    if (!atomic_load(&counting))
        return;
    atomic_fetch_add(&blocks, 1);
    while ((long long)bytes > largest && !atomic_compare_exchange_weak(&largest_bytes, &largest, (long long)bytes))
        continue;
}

static void count_free(const volatile void *block)
{
    if (block && atomic_load(&counting))
        atomic_fetch_add(&blocks_freed, 1);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER
#endif

#ifdef ADDRESS_SANITIZER
/* The sanitizer's own allocator stands there already; it calls back. Declared here, since GCC 12 comes without the
 * header sanitizer/allocator_interface.h. */
int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                              void (*free_hook)(const volatile void *));

static void sanitizer_block(const volatile void *block, size_t bytes)
{
    (void)block;
    count_block(bytes);
}

static void stand_between(void)
{
    assert_true(__sanitizer_install_malloc_and_free_hooks(sanitizer_block, count_free) > 0);
}

#else
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

/* The C library's functions, found at the first call. Looking them up may itself ask for a little memory, which comes
 * from `early` and is never given back. */
static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    bool looking;
} real;
static _Alignas(64) unsigned char early[8192];
static size_t early_used;

static void *find(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

static bool found(void)
{
    if (real.memalign)
        return true;
    if (real.looking)
        return false;
    real.looking = true;
    *(void **)&real.malloc = find("malloc");
    *(void **)&real.calloc = find("calloc");
    *(void **)&real.realloc = find("realloc");
    *(void **)&real.free = find("free");
    *(void **)&real.memalign = find("memalign");
    return true;
}

static void *early_block(size_t bytes)
{
    size_t begin = early_used;
    early_used += (bytes + 63) / 64 * 64;
    return early_used <= sizeof early ? early + begin : NULL;
}

static bool is_early(const void *block)
{
    const unsigned char *byte = block;
    return byte >= early && byte < early + sizeof early;
}

void *malloc(size_t bytes)
{
    count_block(bytes);
    return found() ? real.malloc(bytes) : early_block(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    count_block(count * bytes);
    return found() ? real.calloc(count, bytes) : early_block(count * bytes);
}

void *realloc(void *block, size_t bytes)
{
    count_free(block);
    count_block(bytes);
    return found() && !is_early(block) ? real.realloc(block, bytes) : NULL;
}

void free(void *block)
{
    count_free(block);
    if (!is_early(block) && found())
        real.free(block);
}

void *memalign(size_t alignment, size_t bytes)
{
    count_block(bytes);
    return found() ? real.memalign(alignment, bytes) : NULL;
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    return memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    void *block = memalign(alignment, bytes);
    if (!block)
        return ENOMEM;
    *out = block;
    return 0;
}

static void stand_between(void)
{
}
#endif

struct counts {
    long long blocks, freed, largest_bytes;
};

static struct counts counts_now(void)
{
    return (struct counts){atomic_load(&blocks), atomic_load(&blocks_freed), atomic_load(&largest_bytes)};
}

static void start_counting(void)
{
    atomic_store(&blocks, 0);
    atomic_store(&blocks_freed, 0);
    atomic_store(&largest_bytes, 0);
    atomic_store(&counting, true);
}

/* --- training ---------------------------------------------------------------------------------------------------- */

enum { STEPS = 2, BOOKKEEPING_BYTES = 1023, TEAM_BYTES = 2048 };

/* Counts are taken from task to task. */
struct watch {
    const struct remat_plan *plan;
    long long region_bytes; /* what a block of a parallel region may have */
    long long onednn_blocks;
    const struct remat_task *culprit; /* the first task that asked for more than it may */
    struct counts seen;
};

static void observe(void *context, int32_t instruction, const struct remat_task *task,
                    const struct remat_kernel_args *args)
{
    struct watch *watch = context;
    bool onednn = strcmp(task->options[watch->plan->instructions[instruction].option].name, "onednn") == 0;
    long long allowed_bytes = onednn ? BOOKKEEPING_BYTES : 0;
    (void)args;
    if (watch->culprit || !atomic_load(&counting))
        return;
    watch->seen = counts_now();
    if (allowed_bytes < watch->region_bytes)
        allowed_bytes = watch->region_bytes;
    if (watch->seen.largest_bytes > allowed_bytes || (onednn && watch->seen.blocks != watch->seen.freed))
        watch->culprit = task;
    watch->onednn_blocks += onednn ? watch->seen.blocks : 0;
    start_counting();
}

struct setting {
    const char *model;
    struct remat_model_options options;
    enum remat_optimizer optimizer;
    int32_t micro_count;
    float max_norm;
};

static void check_plan(const struct remat_backend *backend, struct remat_device *device,
                       const struct remat_task_graph *graph, const struct remat_plan *plan, int32_t threads)
{
    struct watch watch = {.plan = plan, .region_bytes = threads == 1 ? TEAM_BYTES : 0};
    const struct remat_exec_options options = {.track = true, .time = true, .observe = observe, .context = &watch};
    struct support_run run;
    struct counts end;
    support_run_open(backend, device, graph, plan, &options, &run);
    support_run_step(&run, graph, 0, NULL);
    start_counting();
    for (int64_t step = 1; step <= STEPS; step++)
        support_run_step(&run, graph, step, NULL);
    atomic_store(&counting, false);
    end = counts_now();
    if (watch.culprit)
        fail_msg("%s, %s: task %s (%s) allocated: %lld blocks, %lld freed, the largest of %lld bytes", graph->name,
                 plan->solver, watch.culprit->name, remat_op_text(watch.culprit->op), watch.seen.blocks,
                 watch.seen.freed, watch.seen.largest_bytes);
    assert_int_equal(end.blocks, 0);
    if (watch.onednn_blocks > 0)
        print_message("%s, %s: %lld blocks in %d steps, all of oneDNN\n", graph->name, plan->solver,
                      watch.onednn_blocks, STEPS);
    support_run_close(&run);
}

/* Keep-all in 9/10 of its memory, the rest on the host: copies and their threads ask for nothing either. */
static void check_offloaded(const struct remat_backend *backend, struct remat_device *device,
                            struct remat_task_graph *graph, int32_t threads)
{
    struct remat_solve_options solve = {.budget_bytes = INT64_MAX, .threads = 1};
    const struct remat_solver *keep_all;
    struct remat_plan plan;
    struct remat_error err;
    support_ok(remat_solver_find("keep-all", &keep_all, &err), &err);
    support_ok(remat_solve_smallest(graph, keep_all, &solve, &plan, &err), &err);
    graph->to_host_bytes_per_s = graph->to_device_bytes_per_s = 1000000000;
    solve.budget_bytes = plan.arena_bytes * 9 / 10;
    solve.host_budget_bytes = INT64_MAX;
    remat_plan_free(&plan);
    support_ok(remat_solve(graph, keep_all, &solve, &plan, &err), &err);
    assert_true(plan.host_bytes > 0);
    check_plan(backend, device, graph, &plan, threads);
    remat_plan_free(&plan);
}

/* With the smallest plan of `only`, or of every method if that is NULL, and with values on the host. */
static void check_model(const struct setting *setting, int32_t threads, const char *only)
{
    const struct remat_device_config config = {.threads = threads};
    const struct remat_solve_options solve = {.budget_bytes = INT64_MAX, .threads = 1};
    struct remat_lower_options options = remat_lower_defaults(REMAT_TRAIN, setting->optimizer);
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_layer_graph layers;
    struct remat_task_graph graph;
    struct remat_error err;
    options.micro_count = setting->micro_count;
    options.max_norm = setting->max_norm;
    support_ok(remat_backend_find("cpu", &backend, &err), &err);
    support_ok(backend->open(&config, &device, &err), &err);
    support_ok(remat_model_build(setting->model, &setting->options, &layers, &err), &err);
    support_ok(remat_lower(&layers, backend, device, &options, &graph, &err), &err);
    for (const struct remat_solver *solver = remat_solvers; solver->name; solver++) {
        struct remat_plan plan;
        if (only && strcmp(only, solver->name) != 0)
            continue;
        support_ok(remat_solve_smallest(&graph, solver, &solve, &plan, &err), &err);
        check_plan(backend, device, &graph, &plan, threads);
        plan.budget_bytes = INT64_MAX;
        assert_true(moves_add(&graph, &plan, 3, 40, plan.arena_bytes * 3 / 2) > 0);
        check_plan(backend, device, &graph, &plan, threads);
        remat_plan_free(&plan);
    }
    check_offloaded(backend, device, &graph, threads);
    remat_task_graph_free(&graph);
    remat_layer_graph_free(&layers);
    backend->close(device);
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

/* An allocation on another thread, as a library would make it. */
static void test_allocations_are_seen(void **state)
{
    void *volatile block = NULL;
    struct counts seen;
    (void)state;
    start_counting();
#pragma omp parallel num_threads(2)
#pragma omp single
    block = calloc(3, 1000);
    free(block);
    if (posix_memalign((void **)&block, 64, 5000) == 0)
        free(block);
    atomic_store(&counting, false);
    seen = counts_now();
    assert_true(seen.blocks >= 2);
    assert_true(seen.freed >= 2);
    assert_true(seen.largest_bytes >= 5000);
}

static void test_resnet18(void **state)
{
    const struct setting setting = {"resnet18", {.batch = 4, .image = 32, .classes = 10}, REMAT_SGD, 1, 0.0f};
    (void)state;
    check_model(&setting, 2, NULL);
    check_model(&setting, 1, NULL);
}

/* Large enough for the convolutions that oneDNN does. */
static void test_resnet50(void **state)
{
    const struct setting setting = {"resnet50", {.batch = 1, .image = 224, .classes = 10}, REMAT_SGD, 1, 0.0f};
    (void)state;
    check_model(&setting, 2, "chain");
}

static void test_gpt2(void **state)
{
    struct setting setting = {"gpt2",
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
                              0.0f};
    (void)state;
    check_model(&setting, 2, NULL);
    setting.micro_count = 2;
    setting.max_norm = 0.5f;
    check_model(&setting, 2, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocations_are_seen),
        cmocka_unit_test(test_resnet18),
        cmocka_unit_test(test_resnet50),
        cmocka_unit_test(test_gpt2),
    };
    stand_between();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
