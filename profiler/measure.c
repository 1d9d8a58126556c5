#include "core/base/quantile.h"
#include "profiler/entries.h"
#include "profiler/isolated.h"
#include "profiler/profiler.h"
#include "profiler/steps.h"
#include "runtime/exec/call.h"
#include "solver/solver.h"

#include <stdlib.h>
#include <string.h>

/* Keep-all tells of nearly everything, so its medians are to be good ones: a plan that runs the forward pass seven
 * times makes an error of its share of a step six times as large. */
enum { PLACE_EFFORT = 1, ISOLATED_REPEATS = 7, KEEP_ALL_STEPS = 9, OTHER_STEPS = 3 };
static const double MINOR_SHARE = 0.03;

struct profile {
    struct remat_profile_stage stage;
    const struct remat_profile_options *options;
    struct remat_profile_entries entries;
    int64_t limit_bytes;
};

static void report(const struct profile *profile, const char *what, double fraction)
{
    if (profile->options->progress)
        profile->options->progress(profile->options->context, what, fraction);
}

static bool fits(const struct profile *profile, const struct remat_plan *plan)
{
    return profile->stage.graph->persistent_bytes + plan->arena_bytes <= profile->limit_bytes;
}

/* Runs a plan and takes what no step ran before from it, and the median step unless `step_ns` is NULL. */
static enum remat_status learn_from(struct profile *profile, const struct remat_plan *plan, int32_t least_steps,
                                    int64_t *step_ns, struct remat_error *err)
{
    int32_t steps = profile->options->steps;
    int64_t *times_ns = NULL;
    enum remat_status status;
    REMAT_TRY(remat_profile_steps(&profile->stage, plan, least_steps, &steps, &times_ns, err));
    status = remat_profile_entries_fill(&profile->entries, plan, times_ns, steps, err);
    if (step_ns)
        *step_ns = (int64_t)remat_quantile_ns(times_ns + (int64_t)plan->instructions_count * steps, steps, 0.5);
    free(times_ns);
    return status;
}

/* Keep-all with the option-th implementation wherever there is one. */
static enum remat_status place_keep_all(const struct remat_task_graph *graph, int32_t option, struct remat_plan *plan,
                                        struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    enum remat_status status = remat_schedule_base(graph, &schedule, err);
    for (int32_t i = 0; status == REMAT_OK && i < schedule.count; i++)
        if (graph->tasks[schedule.entries[i].task].options_count > option)
            schedule.entries[i].option = option;
    if (status == REMAT_OK)
        status = remat_plan_place(graph, &schedule, PLACE_EFFORT, plan, err);
    remat_schedule_free(&schedule);
    return status;
}

static int32_t most_options(const struct remat_task_graph *graph)
{
    int32_t most = 0;
    for (int32_t i = 0; i < graph->order_count; i++) {
        int32_t count = graph->tasks[graph->order[i]].options_count;
        most = count > most ? count : most;
    }
    return most;
}

static enum remat_status learn_keep_all(struct profile *profile, struct remat_error *err)
{
    int32_t most = most_options(profile->stage.graph);
    for (int32_t option = 0; option < most; option++) {
        struct remat_plan plan = {0};
        enum remat_status status = place_keep_all(profile->stage.graph, option, &plan, err);
        report(profile, "profiling under keep-all", 0.5 * option / most);
        if (status == REMAT_OK && fits(profile, &plan))
            status = learn_from(profile, &plan, KEEP_ALL_STEPS, option == 0 ? profile->options->keep_all_step_ns : NULL,
                                err);
        remat_plan_free(&plan);
        REMAT_TRY(status);
    }
    return REMAT_OK;
}

/* Unless the method cannot do the graph. */
static enum remat_status learn_from_smallest(struct profile *profile, const char *method, struct remat_error *err)
{
    const struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    const struct remat_solver *solver;
    struct remat_plan plan = {0};
    enum remat_status status;
    REMAT_TRY(remat_solver_find(method, &solver, err));
    status = remat_solve_smallest(profile->stage.graph, solver, &options, &plan, err);
    if (status == REMAT_OK && fits(profile, &plan))
        status = learn_from(profile, &plan, OTHER_STEPS, NULL, err);
    remat_plan_free(&plan);
    return status == REMAT_INFEASIBLE ? REMAT_OK : status;
}

static enum remat_status time_alone(const struct profile *profile, struct remat_profile_entry *entry,
                                    struct remat_error *err)
{
    const struct remat_profile_stage *stage = &profile->stage;
    const struct remat_task *task = &stage->graph->tasks[entry->task];
    struct remat_kernel_spec spec = remat_task_spec(stage->graph, task);
    int64_t samples[ISOLATED_REPEATS];
    int32_t option = 0;
    REMAT_TRY(remat_find_option(stage->backend, stage->device, &spec, task->options[entry->option].name, &option, err));
    REMAT_TRY(remat_time_isolated(stage->backend, stage->device, &spec, option, true, samples, ISOLATED_REPEATS, err));
    remat_profile_entry_set(entry, samples, ISOLATED_REPEATS);
    return REMAT_OK;
}

/* Tasks and options that no step ran. */
static enum remat_status learn_alone(struct profile *profile, struct remat_error *err)
{
    for (int32_t e = 0; e < profile->entries.count; e++) {
        struct remat_profile_entry *entry = &profile->entries.entries[e];
        if (entry->known)
            continue;
        report(profile, "profiling tasks alone", 0.6 + 0.05 * e / profile->entries.count);
        if (time_alone(profile, entry, err) != REMAT_OK)
            return remat_error_prefix(err, "profiling task %s", profile->stage.graph->tasks[entry->task].name);
    }
    return REMAT_OK;
}

/* Plans that recompute run the alternates, too. The one by sqrt recomputes nearly everything once; chain's smallest the
 * rest, but it may take many times as long as keep-all: what little is left is timed alone instead. */
static enum remat_status learn_recomputing(struct profile *profile, struct remat_error *err)
{
    if (remat_profile_entries_unknown(&profile->entries) == 0)
        return REMAT_OK;
    report(profile, "profiling under a small plan", 0.5);
    REMAT_TRY(learn_from_smallest(profile, "sqrt", err));
    REMAT_TRY(learn_alone(profile, err));
    if (remat_profile_entries_alone_share(&profile->entries) <= MINOR_SHARE)
        return REMAT_OK;
    report(profile, "profiling under the smallest plan", 0.65);
    return learn_from_smallest(profile, "chain", err);
}

static enum remat_status learn_in_steps(struct profile *profile, struct remat_error *err)
{
    struct remat_state state;
    enum remat_status status;
    if (profile->stage.graph->persistent_bytes > profile->limit_bytes)
        return REMAT_OK;
    REMAT_TRY(remat_state_create(profile->stage.backend, profile->stage.device, profile->stage.graph, &state, err));
    profile->stage.state = &state;
    status = remat_state_init_parameters(&state, profile->stage.layers, 1, err);
    if (status == REMAT_OK)
        status = learn_keep_all(profile, err);
    if (status == REMAT_OK)
        status = learn_recomputing(profile, err);
    remat_state_free(&state);
    return status;
}

static enum remat_status measure(struct profile *profile, const struct remat_task_graph *graph,
                                 struct remat_profile_cache *cache, struct remat_error *err)
{
    const char *path = profile->options->cache_path;
    if (path && !profile->options->refresh)
        remat_profile_entries_load(&profile->entries, graph, cache);
    if (remat_profile_entries_unknown(&profile->entries) == 0)
        return REMAT_OK;
    /* Times of one run belong together: what the cache knew is measured again with the rest. */
    for (int32_t e = 0; e < profile->entries.count; e++)
        profile->entries.entries[e].known = false;
    REMAT_TRY(learn_in_steps(profile, err));
    REMAT_TRY(learn_alone(profile, err));
    report(profile, "profiling done", 1.0);
    if (!path)
        return REMAT_OK;
    REMAT_TRY(remat_profile_entries_store(&profile->entries, graph, cache, err));
    return remat_profile_cache_save(cache, path, err);
}

/* A part of the available memory is left for everything that is not ours. */
static int64_t memory_limit(const struct remat_profile_options *options, const struct remat_backend *backend,
                            struct remat_device *device)
{
    int64_t available = backend->ops->available_bytes(device);
    if (options->memory_limit_bytes > 0)
        return options->memory_limit_bytes;
    return available < 0 ? INT64_MAX : available - available / 16;
}

enum remat_status remat_profile_measure(struct remat_task_graph *graph, const struct remat_layer_graph *layers,
                                        const struct remat_backend *backend, struct remat_device *device,
                                        const struct remat_profile_options *options, struct remat_error *err)
{
    struct profile profile = {.stage = {backend, device, graph, layers, NULL}, .options = options};
    struct remat_profile_cache cache = {0};
    struct remat_device_info info;
    enum remat_status status;
    backend->describe(device, &info);
    profile.limit_bytes = memory_limit(options, backend, device);
    if (options->keep_all_step_ns)
        *options->keep_all_step_ns = 0;
    status = remat_profile_entries_collect(graph, &profile.entries, err);
    if (status == REMAT_OK && options->cache_path)
        status = remat_profile_cache_open(options->cache_path, info.fingerprint, &cache, err);
    if (status == REMAT_OK)
        status = measure(&profile, graph, &cache, err);
    if (status == REMAT_OK)
        remat_profile_entries_apply(&profile.entries, graph);
    remat_profile_cache_close(&cache);
    remat_profile_entries_free(&profile.entries);
    return status;
}
