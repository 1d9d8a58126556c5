/* How fast values go to host memory and back beside the kernels, and to another place on the device: one copy at a
 * time, with nothing else to do. */
#include "core/base/memory.h"
#include "core/base/quantile.h"
#include "profiler/cache.h"
#include "profiler/entries.h"
#include "profiler/profiler.h"

/* As large as activations; on a GPU large enough that starting a copy takes no share of it. */
enum { HOST_BYTES = 16 << 20, DEVICE_BYTES = 64 << 20, REPEATS = 5 };

struct bench {
    const struct remat_device_ops *ops;
    struct remat_device *device;
    struct remat_memory there, here; /* twice a copy's bytes on the device, once on the host */
    struct remat_copies *copies;
    struct remat_marks *marks;
};

static enum remat_status time_copy(const struct bench *bench, enum remat_lane lane, int64_t *time_ns,
                                   struct remat_error *err)
{
    const struct remat_device_ops *ops = bench->ops;
    unsigned char *from = lane == REMAT_TO_HOST ? bench->there.base : bench->here.base;
    unsigned char *to = lane == REMAT_TO_HOST ? bench->here.base : bench->there.base;
    REMAT_TRY(ops->mark(bench->marks, 0, err));
    REMAT_TRY(ops->copy_beside(bench->copies, lane, 0, to, from, bench->here.bytes, err));
    REMAT_TRY(ops->copy_await(bench->copies, 0, err));
    REMAT_TRY(ops->mark(bench->marks, 1, err));
    return ops->marks_elapsed(bench->marks, 0, 1, time_ns, err);
}

static enum remat_status time_move(const struct bench *bench, int64_t *time_ns, struct remat_error *err)
{
    const struct remat_device_ops *ops = bench->ops;
    int64_t bytes = bench->here.bytes;
    REMAT_TRY(ops->mark(bench->marks, 0, err));
    REMAT_TRY(ops->copy(bench->device, bench->there.base + bytes, bench->there.base, bytes, err));
    REMAT_TRY(ops->mark(bench->marks, 1, err));
    return ops->marks_elapsed(bench->marks, 0, 1, time_ns, err);
}

/* REMAT_LANE_COUNT: a move. */
static enum remat_status time_one(const struct bench *bench, enum remat_lane lane, int64_t *time_ns,
                                  struct remat_error *err)
{
    return lane == REMAT_LANE_COUNT ? time_move(bench, time_ns, err) : time_copy(bench, lane, time_ns, err);
}

/* The median, after one copy that nobody times. */
static enum remat_status measure_lane(const struct bench *bench, enum remat_lane lane, int64_t *bytes_per_s,
                                      struct remat_error *err)
{
    int64_t samples[REPEATS];
    double median;
    REMAT_TRY(time_one(bench, lane, &samples[0], err));
    for (int i = 0; i < REPEATS; i++)
        REMAT_TRY(time_one(bench, lane, &samples[i], err));
    median = remat_quantile_ns(samples, REPEATS, 0.5);
    *bytes_per_s = (int64_t)((double)bench->here.bytes * 1e9 / (median > 1 ? median : 1));
    *bytes_per_s = *bytes_per_s < REMAT_LEAST_COPY_RATE ? REMAT_LEAST_COPY_RATE : *bytes_per_s;
    return REMAT_OK;
}

static enum remat_status measure(const struct remat_backend *backend, struct remat_device *device,
                                 struct remat_copy_rates *out, struct remat_error *err)
{
    struct bench bench = {.ops = backend->ops, .device = device};
    int64_t bytes = backend->ops->host ? HOST_BYTES : DEVICE_BYTES;
    enum remat_status status;
    REMAT_TRY_GOTO(bench.ops->memory_open(device, 2 * bytes, "timing copies", &bench.there, err), done);
    REMAT_TRY_GOTO(bench.ops->pinned_open(device, bytes, "timing copies", &bench.here, err), done);
    REMAT_TRY_GOTO(bench.ops->copies_open(device, 1, &bench.copies, err), done);
    REMAT_TRY_GOTO(bench.ops->marks_open(device, 2, &bench.marks, err), done);
    REMAT_TRY_GOTO(measure_lane(&bench, REMAT_TO_HOST, &out->to_host_bytes_per_s, err), done);
    REMAT_TRY_GOTO(measure_lane(&bench, REMAT_TO_DEVICE, &out->to_device_bytes_per_s, err), done);
    status = measure_lane(&bench, REMAT_LANE_COUNT, &out->move_bytes_per_s, err);
done:
    bench.ops->marks_close(bench.marks);
    bench.ops->copies_close(bench.copies);
    remat_memory_close(&bench.here);
    remat_memory_close(&bench.there);
    return status;
}

enum remat_status remat_profile_copies(const struct remat_backend *backend, struct remat_device *device,
                                       const struct remat_profile_options *options, struct remat_task_graph *graph,
                                       struct remat_error *err)
{
    struct remat_device_info info;
    struct remat_profile_cache cache = {0};
    struct remat_copy_rates rates = {0};
    enum remat_status status = REMAT_OK;
    bool cached = options->cache_path != NULL;
    backend->describe(device, &info);
    if (cached)
        status = remat_profile_cache_open(options->cache_path, info.fingerprint, &cache, err);
    if (status == REMAT_OK && !(cached && !options->refresh && remat_profile_cache_get_copies(&cache, &rates))) {
        status = measure(backend, device, &rates, err);
        if (status == REMAT_OK && cached)
            status = remat_profile_cache_put_copies(&cache, &rates, err);
        if (status == REMAT_OK && cached)
            status = remat_profile_cache_save(&cache, options->cache_path, err);
    }
    remat_profile_cache_close(&cache);
    graph->to_host_bytes_per_s = rates.to_host_bytes_per_s;
    graph->to_device_bytes_per_s = rates.to_device_bytes_per_s;
    graph->move_bytes_per_s = rates.move_bytes_per_s;
    return status;
}
