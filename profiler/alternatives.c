/* Implementations of several numerics classes, timed one by one: in steps they could not run side by side. */
#include "profiler/entries.h"
#include "profiler/isolated.h"
#include "profiler/profiler.h"

#include <stdio.h>

enum { REPEATS = 5, KEY_BYTES = 64 };

struct alternatives {
    struct remat_task_graph *graph;
    const struct remat_backend *backend;
    struct remat_device *device;
    const struct remat_profile_options *options;
    struct remat_profile_cache *cache;
    bool measured; /* something that the cache did not have */
};

static bool has_several_classes(const struct remat_task *task)
{
    for (int32_t k = 1; k < task->options_count; k++)
        if (task->options[k].numerics != task->options[0].numerics)
            return true;
    return false;
}

/* In the cache beside the times within steps, with which they cannot be compared. */
static const char *make_key(const struct remat_option *option, char *key)
{
    snprintf(key, KEY_BYTES, "%.48s alone", option->name);
    return key;
}

/* Lowering gives a task its options in the backend's order. */
static enum remat_status time_option(struct alternatives *a, const struct remat_task *task, int32_t k,
                                     struct remat_error *err)
{
    struct remat_option *option = &task->options[k];
    struct remat_kernel_spec spec = remat_task_spec(a->graph, task);
    struct remat_profile_entry entry = {0};
    int64_t samples_ns[REPEATS];
    char key[KEY_BYTES];
    if (a->cache && !a->options->refresh &&
        remat_profile_cache_get(a->cache, task->signature, make_key(option, key), &option->time_ns, &option->spread_ns))
        return REMAT_OK;
    REMAT_TRY(remat_time_isolated(a->backend, a->device, &spec, k, true, samples_ns, REPEATS, err));
    remat_profile_entry_set(&entry, samples_ns, REPEATS);
    option->time_ns = entry.time_ns;
    option->spread_ns = entry.spread_ns;
    a->measured = true;
    return a->cache ? remat_profile_cache_put(a->cache, task->signature, make_key(option, key), entry.time_ns,
                                              entry.spread_ns, err)
                    : REMAT_OK;
}

static const struct remat_task *find_equal(const struct remat_task_graph *graph, int32_t before)
{
    for (int32_t t = 0; t < before; t++)
        if (graph->tasks[t].signature == graph->tasks[before].signature) /* and so with the same options */
            return &graph->tasks[t];
    return NULL;
}

static enum remat_status time_task(struct alternatives *a, int32_t t, struct remat_error *err)
{
    const struct remat_task *task = &a->graph->tasks[t], *equal = find_equal(a->graph, t);
    for (int32_t k = 0; k < task->options_count; k++) {
        if (equal) {
            task->options[k].time_ns = equal->options[k].time_ns;
            task->options[k].spread_ns = equal->options[k].spread_ns;
        } else if (time_option(a, task, k, err) != REMAT_OK)
            return remat_error_prefix(err, "timing task %s, option %s", task->name, task->options[k].name);
    }
    return REMAT_OK;
}

static enum remat_status time_all(struct alternatives *a, struct remat_error *err)
{
    const struct remat_profile_options *options = a->options;
    for (int32_t t = 0; t < a->graph->tasks_count; t++) {
        if (!has_several_classes(&a->graph->tasks[t]))
            continue;
        REMAT_TRY(time_task(a, t, err));
        if (a->measured && options->progress)
            options->progress(options->context, "timing implementations", (double)t / a->graph->tasks_count);
    }
    return a->measured && a->cache ? remat_profile_cache_save(a->cache, options->cache_path, err) : REMAT_OK;
}

enum remat_status remat_profile_alternatives(struct remat_task_graph *graph, const struct remat_backend *backend,
                                             struct remat_device *device, const struct remat_profile_options *options,
                                             struct remat_error *err)
{
    struct alternatives a = {.graph = graph, .backend = backend, .device = device, .options = options};
    struct remat_profile_cache cache = {0};
    struct remat_device_info info;
    enum remat_status status = REMAT_OK;
    backend->describe(device, &info);
    if (options->cache_path) {
        status = remat_profile_cache_open(options->cache_path, info.fingerprint, &cache, err);
        a.cache = &cache;
    }
    if (status == REMAT_OK)
        status = time_all(&a, err);
    remat_profile_cache_close(&cache);
    return status;
}
