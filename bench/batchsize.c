#include "bench/batchsize.h"

#include "bench/results.h"
#include "bench/worker.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/quantile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t LONG_STEP_NS = 60000000000;
enum { PATH_BYTES = 512, MAX_COMMAND = 64, MAX_STEPS = 64, GRID_POINTS = 12, MAX_BATCH = 1 << 20, MAX_SMALLEST = 64 };
/* How good a plan must be: any tells whether a batch fits, a fair one how fast about it is. */
static const double ANY_PLAN = 1e9, FAIR_PLAN = 0.01;

struct search {
    const struct remat_workload_config *workload;
    const struct remat_batchsize_config *config;
    struct remat_workload low, high; /* profiled at two batches */
    int64_t low_batch, high_batch;
    int64_t smallest_batch; /* that the model can be built with */
    int64_t memory_bytes;   /* persistent + arena; 0 = not known yet */
    bool host;              /* the device's memory is the host's */
    bool profiled;          /* low and high are there */
    json_t *points;
};

static void tell(const struct search *search, const char *what, int64_t batch, double fraction)
{
    char text[96];
    snprintf(text, sizeof text, "%s batch %lld", what, (long long)batch);
    if (search->config->progress)
        search->config->progress(search->config->context, text, fraction);
}

static enum remat_status open_batch(const struct search *search, int64_t batch, enum remat_time_source times,
                                    struct remat_workload *out, struct remat_error *err)
{
    struct remat_workload_config config = *search->workload;
    config.options.batch = batch;
    config.times = times;
    config.profile.memory_limit_bytes = search->memory_bytes;
    return remat_workload_open(&config, out, err);
}

/* The line through the two profiled batches, never below the smaller measurement's share. */
static int64_t fit_time(const struct search *search, int64_t low_ns, int64_t high_ns, int64_t batch)
{
    double slope = (double)(high_ns - low_ns) / (double)(search->high_batch - search->low_batch);
    double fixed = (double)low_ns - slope * (double)search->low_batch;
    double time = fixed + slope * (double)batch;
    double floor = 0.1 * (double)low_ns;
    return (int64_t)(time > floor ? time : floor);
}

/* Structure is the same at every batch; an option that only some batches have keeps lowering's estimate. */
static void fit_times(const struct search *search, struct remat_task_graph *graph, int64_t batch)
{
    const struct remat_task_graph *low = &search->low.graph, *high = &search->high.graph;
    graph->to_host_bytes_per_s = low->to_host_bytes_per_s;
    graph->to_device_bytes_per_s = low->to_device_bytes_per_s;
    graph->move_bytes_per_s = low->move_bytes_per_s;
    for (int32_t t = 0; t < graph->tasks_count && t < low->tasks_count && t < high->tasks_count; t++) {
        struct remat_task *task = &graph->tasks[t];
        for (int32_t k = 0; k < task->options_count; k++)
            if (k < low->tasks[t].options_count && k < high->tasks[t].options_count)
                task->options[k].time_ns =
                    fit_time(search, low->tasks[t].options[k].time_ns, high->tasks[t].options[k].time_ns, batch);
    }
}

/* Lowers the batch, fits its times (once two batches are profiled) and solves for what the memory bound leaves. */
static enum remat_status solve_batch(const struct search *search, int64_t batch, double gap,
                                     struct remat_workload *workload, struct remat_plan *plan, struct remat_error *err)
{
    struct remat_solve_options options = search->config->solve;
    options.without_bound = true;
    options.gap = gap;
    REMAT_TRY(open_batch(search, batch, REMAT_TIMES_ROUGH, workload, err));
    if (search->profiled)
        fit_times(search, &workload->graph, batch);
    else
        options.host_budget_bytes = 0; /* rates are measured with the times */
    options.budget_bytes = search->memory_bytes - workload->graph.persistent_bytes;
    if (options.budget_bytes <= 0)
        return remat_fail(err, REMAT_INFEASIBLE, "parameters and optimizer state alone take %lld of %lld bytes",
                          (long long)workload->graph.persistent_bytes, (long long)search->memory_bytes);
    return remat_solve(&workload->graph, search->config->solver, &options, plan, err);
}

static json_t *describe_point(int64_t batch, const struct remat_workload *workload, const struct remat_plan *plan,
                              enum remat_status status, const struct remat_error *err)
{
    json_t *json = json_pack("{s:I, s:s}", "batch", (json_int_t)batch, "status",
                             status == REMAT_OK           ? "ok"
                             : status == REMAT_INFEASIBLE ? "infeasible"
                                                          : "error");
    if (status != REMAT_OK) {
        json_object_set_new(json, "message", json_string(err->message));
        return json;
    }
    json_object_set_new(json, "persistent_bytes", json_integer(workload->graph.persistent_bytes));
    json_object_set_new(json, "planned_peak_bytes", json_integer(plan->arena_bytes));
    if (plan->host_bytes > 0)
        json_object_set_new(json, "planned_host_bytes", json_integer(plan->host_bytes));
    json_object_set_new(json, "predicted_step_ns", json_integer(plan->predicted_step_ns));
    json_object_set_new(json, "predicted_samples_per_second",
                        json_real(1e9 * (double)batch / (double)plan->predicted_step_ns));
    return json;
}

/* Predicted samples a second; 0 if the batch does not fit. Records the point. */
static enum remat_status try_batch(struct search *search, int64_t batch, double gap, double *samples_per_second,
                                   struct remat_error *err)
{
    struct remat_workload workload;
    struct remat_plan plan = {0};
    enum remat_status status = solve_batch(search, batch, gap, &workload, &plan, err);
    *samples_per_second = 0;
    if (status == REMAT_OK)
        *samples_per_second = 1e9 * (double)batch / (double)plan.predicted_step_ns;
    if (status == REMAT_OK || status == REMAT_INFEASIBLE)
        json_array_append_new(search->points, describe_point(batch, &workload, &plan, status, err));
    remat_plan_free(&plan);
    remat_workload_close(&workload);
    return status == REMAT_INFEASIBLE ? REMAT_OK : status;
}

/* Small images need some batch for their variances: the least of 1, 2, 4.. that the model can be built with. It must
 * fit, which lowering tells before anything is timed. */
static enum remat_status find_smallest(struct search *search, struct remat_error *err)
{
    struct remat_workload workload;
    struct remat_plan plan = {0};
    enum remat_status status = REMAT_USAGE;
    int64_t batch = 0;
    while (status == REMAT_USAGE && batch < MAX_SMALLEST) {
        batch = batch > 0 ? 2 * batch : 1;
        status = open_batch(search, batch, REMAT_TIMES_ROUGH, &workload, err);
        if (status == REMAT_OK) {
            const struct remat_device_ops *ops = workload.backend->ops;
            search->memory_bytes = remat_size_resolve(search->config->memory, ops->available_bytes(workload.device));
            search->host = ops->host;
        }
        remat_workload_close(&workload);
    }
    REMAT_TRY(status);
    search->smallest_batch = batch;
    status = solve_batch(search, batch, ANY_PLAN, &workload, &plan, err);
    remat_plan_free(&plan);
    remat_workload_close(&workload);
    if (status == REMAT_INFEASIBLE)
        remat_error_prefix(err, "not even a batch of %lld fits into %lld bytes", (long long)batch,
                           (long long)search->memory_bytes);
    return status;
}

/* Doubles until a batch does not fit, then halves the interval. The larger neighbour of the result is infeasible. */
static enum remat_status find_largest(struct search *search, int64_t *out, struct remat_error *err)
{
    int64_t fits = search->smallest_batch, fails = 2 * fits;
    double speed = 1;
    while (speed > 0 && fails <= MAX_BATCH) {
        tell(search, "does it fit?", fails, 0.5);
        REMAT_TRY(try_batch(search, fails, ANY_PLAN, &speed, err));
        if (speed > 0) {
            fits = fails;
            fails *= 2;
        }
    }
    while (fails - fits > 1) {
        int64_t middle = fits + (fails - fits) / 2;
        tell(search, "does it fit?", middle, 0.6);
        REMAT_TRY(try_batch(search, middle, ANY_PLAN, &speed, err));
        *(speed > 0 ? &fits : &fails) = middle;
    }
    *out = fits;
    return REMAT_OK;
}

/* The fastest of an even grid of batches. */
static enum remat_status find_best(struct search *search, int64_t largest, int64_t *out, struct remat_error *err)
{
    double best_speed = 0, speed;
    int64_t step = largest / GRID_POINTS > 0 ? largest / GRID_POINTS : 1;
    int64_t first = step > search->smallest_batch ? step : search->smallest_batch;
    *out = largest;
    for (int64_t batch = first; batch <= largest; batch += step) {
        tell(search, "how fast?", batch, 0.7);
        REMAT_TRY(try_batch(search, batch, FAIR_PLAN, &speed, err));
        if (speed > best_speed) {
            best_speed = speed;
            *out = batch;
        }
    }
    return REMAT_OK;
}

static enum remat_status start_worker(const struct search *search, int64_t batch, const char *plan_path,
                                      struct remat_worker *out, struct remat_error *err)
{
    char *command[MAX_COMMAND];
    char number[32], path[PATH_BYTES], option[] = "--batch";
    int count = 0;
    snprintf(number, sizeof number, "%lld", (long long)batch);
    snprintf(path, sizeof path, "%s", plan_path);
    while (search->config->worker_command[count] && count < MAX_COMMAND - 4) {
        command[count] = search->config->worker_command[count];
        count++;
    }
    command[count++] = option;
    command[count++] = number;
    command[count++] = path;
    command[count] = NULL;
    return remat_worker_start(command, out, err);
}

/* A warm-up step and the measured ones; of steps that take a minute one is enough. */
static enum remat_status run_steps(const struct search *search, struct remat_worker *worker, int64_t *median_ns,
                                   struct remat_worker_report *report, struct remat_error *err)
{
    int64_t steps[MAX_STEPS];
    enum remat_status status = remat_worker_step(worker, median_ns, err);
    int32_t count = status == REMAT_OK && *median_ns > LONG_STEP_NS ? 0 : search->config->steps;
    for (int32_t i = 0; i < count && status == REMAT_OK; i++)
        status = remat_worker_step(worker, &steps[i], err);
    if (status != REMAT_OK)
        return remat_worker_end(worker, NULL, NULL) == REMAT_OK ? status : REMAT_FAILED;
    if (count > 0)
        *median_ns = (int64_t)remat_quantile_ns(steps, count, 0.5);
    return remat_worker_end(worker, report, err);
}

static enum remat_status confirm(struct search *search, int64_t batch, double *samples_per_second,
                                 struct remat_error *err)
{
    struct remat_workload workload;
    struct remat_plan plan = {0};
    struct remat_worker worker;
    struct remat_worker_report report;
    char path[PATH_BYTES];
    int64_t median_ns = 0;
    json_t *point = NULL;
    enum remat_status status;
    tell(search, "running", batch, 0.9);
    REMAT_TRY_GOTO(solve_batch(search, batch, search->config->solve.gap, &workload, &plan, err), done);
    snprintf(path, sizeof path, "%s/plans/batch-%lld.json", search->config->folder, (long long)batch);
    REMAT_TRY_GOTO(remat_save_plan(path, &workload.graph, &plan, err), done);
    point = describe_point(batch, &workload, &plan, REMAT_OK, err);
    *samples_per_second = 1e9 * (double)batch / (double)plan.predicted_step_ns;
    if (search->config->steps == 0)
        goto done;
    REMAT_TRY_GOTO(start_worker(search, batch, path, &worker, err), done);
    REMAT_TRY_GOTO(run_steps(search, &worker, &median_ns, &report, err), done);
    *samples_per_second = 1e9 * (double)batch / (double)median_ns;
    json_object_set_new(point, "measured_peak_bytes", json_integer(report.peak_bytes));
    json_object_set_new(point, "measured_step_ns", json_integer(median_ns));
    json_object_set_new(point, "samples_per_second", json_real(*samples_per_second));
done:
    if (point)
        json_array_append_new(search->points, point);
    remat_plan_free(&plan);
    remat_workload_close(&workload);
    return status;
}

static enum remat_status write_results(const struct search *search, const struct remat_batchsize_result *result,
                                       struct remat_error *err)
{
    json_t *json = remat_results_header("remat-batchsize", &search->low, search->config->command);
    char path[PATH_BYTES];
    enum remat_status status;
    json_object_set_new(json, "memory_bytes", json_integer(search->memory_bytes));
    json_object_set_new(json, "best_batch", json_integer(result->best_batch));
    json_object_set_new(json, "largest_batch", json_integer(result->largest_batch));
    json_object_set(json, "points", search->points);
    snprintf(path, sizeof path, "%s/batchsize.json", search->config->folder);
    status = remat_json_save(path, json, err);
    json_decref(json);
    return status;
}

/* On a GPU a small batch tells little of a large one: it is profiled at a share of what fits. */
static enum remat_status choose_batches(struct search *search, struct remat_error *err)
{
    int64_t largest = 0;
    if (search->host)
        return REMAT_OK;
    REMAT_TRY(find_largest(search, &largest, err));
    search->low_batch = largest / 8 > search->smallest_batch ? largest / 8 : search->smallest_batch;
    search->high_batch = largest / 3 > search->low_batch ? largest / 3 : search->low_batch + 1;
    json_array_clear(search->points); /* their times were rough */
    return REMAT_OK;
}

static enum remat_status profile(struct search *search, struct remat_error *err)
{
    REMAT_TRY(choose_batches(search, err));
    tell(search, "profiling", search->low_batch, 0);
    REMAT_TRY(open_batch(search, search->low_batch, REMAT_TIMES_MEASURED, &search->low, err));
    tell(search, "profiling", search->high_batch, 0.2);
    REMAT_TRY(open_batch(search, search->high_batch, REMAT_TIMES_MEASURED, &search->high, err));
    search->profiled = true;
    return REMAT_OK;
}

static enum remat_status run_search(struct search *search, struct remat_batchsize_result *out, struct remat_error *err)
{
    double ignored;
    char path[PATH_BYTES];
    REMAT_TRY(find_smallest(search, err));
    snprintf(path, sizeof path, "%s/plans", search->config->folder);
    REMAT_TRY(remat_make_folders(path, err));
    REMAT_TRY(profile(search, err));
    REMAT_TRY(find_largest(search, &out->largest_batch, err));
    REMAT_TRY(find_best(search, out->largest_batch, &out->best_batch, err));
    REMAT_TRY(confirm(search, out->best_batch, &out->best_samples_per_second, err));
    if (out->largest_batch != out->best_batch)
        REMAT_TRY(confirm(search, out->largest_batch, &ignored, err));
    return write_results(search, out, err);
}

enum remat_status remat_batchsize(const struct remat_workload_config *workload,
                                  const struct remat_batchsize_config *config, struct remat_batchsize_result *out,
                                  struct remat_error *err)
{
    struct search search = {
        .workload = workload, .config = config, .low_batch = 8, .high_batch = 32, .points = json_array()};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    if (config->steps < 0 || config->steps > MAX_STEPS) {
        json_decref(search.points);
        return remat_fail(err, REMAT_USAGE, "batchsize: expected at most %d steps", MAX_STEPS);
    }
    status = run_search(&search, out, err);
    remat_workload_close(&search.low);
    remat_workload_close(&search.high);
    json_decref(search.points);
    return status;
}
