#include "bench/sweep.h"

#include "bench/earlier.h"
#include "bench/measurement.h"
#include "bench/results.h"
#include "bench/worker.h"
#include "core/base/file.h"
#include "core/base/json.h"
#include "runtime/backend/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_ALL "plans/keep-all.json"

enum { MOST_ROUNDS = 3, MAX_COMMAND = 64, PATH_BYTES = 512 };

/* Shorter than what slows a shared machine lasts, and so long that caches filled anew do not count. */
static const int64_t SLICE_NS = 200000000;

/* The plans of one method, one for each budget; empty where it knows none. */
struct curve {
    const struct remat_solver *solver;
    struct remat_plan *plans, smallest;
};

struct sweep {
    struct remat_workload *workload;
    const struct remat_sweep_config *config;
    struct remat_plan keep_all;
    struct curve *curves; /* the first is measured */
    int32_t curves_count;
    int64_t *budgets;
    int32_t budgets_count;
    struct remat_worker keep_all_worker;
    bool interleaving, failed; /* failed: at the last round, maybe for want of the keep-all worker */
    int64_t keep_all_ns;       /* of the last point that had keep-all steps between its own */
    json_t *points, *earlier;  /* earlier: what the folder held; NULL = nothing */
    int32_t done, total;
    bool exceeded;
};

static void tell(const struct sweep *sweep, const char *what)
{
    if (sweep->config->progress)
        sweep->config->progress(sweep->config->context, what, (double)sweep->done / sweep->total);
}

static enum remat_status start_worker(const struct sweep *sweep, const char *plan_path, struct remat_worker *out,
                                      struct remat_error *err)
{
    char *command[MAX_COMMAND];
    char path[PATH_BYTES];
    int count = 0;
    snprintf(path, sizeof path, "%s", plan_path);
    while (sweep->config->worker_command[count] && count < MAX_COMMAND - 2) {
        command[count] = sweep->config->worker_command[count];
        count++;
    }
    command[count] = path;
    command[count + 1] = NULL;
    return remat_worker_start(command, out, err);
}

/* Keep-all stays resident beside every point, so both must fit. */
static bool can_interleave(const struct sweep *sweep)
{
    const struct remat_backend *device = sweep->workload->backend;
    int64_t needed = 2 * (sweep->keep_all.arena_bytes + sweep->workload->graph.persistent_bytes);
    return sweep->config->interleave && sweep->config->steps > 0 &&
           needed <= device->ops->available_bytes(sweep->workload->device);
}

static void end_keep_all(struct sweep *sweep)
{
    struct remat_error ignored;
    enum remat_status ended = REMAT_OK;
    if (sweep->interleaving)
        ended = remat_worker_end(&sweep->keep_all_worker, NULL, &ignored);
    (void)ended; /* its steps were answered, or their failure was told */
    sweep->interleaving = false;
}

static enum remat_status start_keep_all(struct sweep *sweep, struct remat_error *err)
{
    char path[PATH_BYTES];
    int64_t ignored;
    snprintf(path, sizeof path, "%s/" KEEP_ALL, sweep->config->folder);
    REMAT_TRY(start_worker(sweep, path, &sweep->keep_all_worker, err));
    sweep->interleaving = true;
    return remat_worker_step(&sweep->keep_all_worker, &ignored, err);
}

static bool asked_to_stop(const struct sweep *sweep)
{
    return sweep->config->stop && *sweep->config->stop;
}

/* The times of a step's instructions, as last asked for. */
struct parts {
    int64_t *ns;
    int32_t count, capacity;
};

static enum remat_status add_step(struct remat_worker *worker, int64_t step_ns, struct parts *parts,
                                  struct remat_measured_steps *steps, struct remat_error *err)
{
    REMAT_TRY(remat_worker_parts(worker, &parts->ns, &parts->count, &parts->capacity, err));
    return remat_measured_add(steps, step_ns, parts->ns, parts->count, err);
}

/* Slices in proportion, so that both steps end at about the same time. Copies must not go on while their step waits. */
static enum remat_status step_both(struct sweep *sweep, struct remat_worker *worker, const struct remat_plan *plan,
                                   int64_t steps_ns[2], struct remat_error *err)
{
    struct remat_worker *const workers[2] = {&sweep->keep_all_worker, worker};
    double ratio = (double)plan->predicted_step_ns / (double)sweep->keep_all.predicted_step_ns;
    const int64_t slices_ns[2] = {SLICE_NS, (int64_t)((double)SLICE_NS * ratio)};
    if (plan->host_bytes == 0)
        return remat_workers_step_in_turn(workers, slices_ns, steps_ns, err);
    REMAT_TRY(remat_worker_step(workers[0], &steps_ns[0], err));
    return remat_worker_step(workers[1], &steps_ns[1], err);
}

static enum remat_status measure_step(struct sweep *sweep, struct remat_worker *worker, const struct remat_plan *plan,
                                      struct parts *parts, struct remat_measurement *m, struct remat_error *err)
{
    int64_t steps_ns[2];
    if (sweep->interleaving) {
        REMAT_TRY(step_both(sweep, worker, plan, steps_ns, err));
        REMAT_TRY(add_step(&sweep->keep_all_worker, steps_ns[0], parts, &m->keep_all, err));
    } else {
        REMAT_TRY(remat_worker_step(worker, &steps_ns[1], err));
    }
    return add_step(worker, steps_ns[1], parts, &m->plan, err);
}

/* The first step warms up. */
static enum remat_status measure_steps(struct sweep *sweep, struct remat_worker *worker, const struct remat_plan *plan,
                                       struct remat_measurement *m, struct remat_error *err)
{
    struct parts parts = {0};
    int64_t ignored;
    enum remat_status status = remat_worker_step(worker, &ignored, err);
    for (int32_t i = 0; i < sweep->config->steps && status == REMAT_OK; i++) {
        if (asked_to_stop(sweep))
            status = remat_fail(err, REMAT_INTERRUPTED, "stopped");
        if (status == REMAT_OK)
            status = measure_step(sweep, worker, plan, &parts, m, err);
    }
    free(parts.ns);
    return status;
}

/* Each in a process of its own, and after the first, or a failure, with a new one of keep-all. */
static enum remat_status measure_round(struct sweep *sweep, const char *plan_path, const struct remat_plan *plan,
                                       int32_t round, struct remat_measurement *m, struct remat_worker_report *report,
                                       struct remat_error *err)
{
    struct remat_worker worker;
    struct remat_error ignored;
    enum remat_status status, ended;
    if (round > 0 || sweep->failed) {
        end_keep_all(sweep);
        REMAT_TRY(start_keep_all(sweep, err));
        sweep->failed = false;
    }
    REMAT_TRY(start_worker(sweep, plan_path, &worker, err));
    status = measure_steps(sweep, &worker, plan, m, err);
    if (status == REMAT_OK)
        return remat_worker_end(&worker, report, err);
    sweep->failed = sweep->interleaving;
    ended = remat_worker_end(&worker, NULL, &ignored);
    (void)ended; /* the step's failure is what to tell */
    return status;
}

static json_t *list(const int64_t *values, int32_t count)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(array, json_integer(values[i]));
    return array;
}

static double relative_step(const struct sweep *sweep, const struct remat_measurement *m)
{
    return sweep->interleaving ? remat_measurement_relative(m)
                               : (double)remat_measured_ns(&m->plan) / (double)sweep->keep_all_ns;
}

static void describe_spread(const struct sweep *sweep, const struct remat_measurement *m, json_t *json)
{
    double base = (double)sweep->keep_all_ns;
    json_object_set_new(json, "relative_low", json_real(remat_measured_quantile_ns(&m->plan, 0.25) / base));
    json_object_set_new(json, "relative_high", json_real(remat_measured_quantile_ns(&m->plan, 0.75) / base));
}

static void describe_steps(struct sweep *sweep, const struct remat_measurement *m, json_t *json)
{
    if (sweep->interleaving && m->plan.count > 0)
        sweep->keep_all_ns = remat_measured_ns(&m->keep_all);
    json_object_set_new(json, "measured_step_ns", json_integer(remat_measured_step_ns(&m->plan)));
    json_object_set_new(json, "undisturbed_step_ns", json_integer(remat_measured_ns(&m->plan)));
    json_object_set_new(json, "steps_ns", list(m->plan.step_ns, m->plan.count));
    if (sweep->keep_all_ns == 0 || m->plan.count == 0)
        return;
    json_object_set_new(json, "relative_step", json_real(relative_step(sweep, m)));
    describe_spread(sweep, m, json);
    json_object_set_new(json, "keep_all_undisturbed_step_ns", json_integer(sweep->keep_all_ns));
    json_object_set_new(json, "keep_all_steps_ns", list(m->keep_all.step_ns, m->keep_all.count));
}

static void describe_memory(struct sweep *sweep, const struct remat_plan *plan,
                            const struct remat_worker_report *report, json_t *json)
{
    json_object_set_new(json, "measured_peak_bytes", json_integer(report->peak_bytes));
    json_object_set_new(json, "measured_live_bytes", json_integer(report->live_bytes));
    if (report->process_peak_bytes >= 0)
        json_object_set_new(json, "process_peak_bytes", json_integer(report->process_peak_bytes));
    json_object_set_new(json, "state_hash", remat_json_from_hash(report->state_hash));
    if (plan->host_bytes > 0)
        json_object_set_new(json, "measured_host_bytes", json_integer(report->host_peak_bytes));
    if (report->peak_bytes != plan->arena_bytes || report->live_bytes != plan->live_peak_bytes ||
        report->peak_bytes > plan->budget_bytes || report->host_peak_bytes != plan->host_bytes ||
        report->host_live_bytes != plan->host_live_peak_bytes)
        sweep->exceeded = true;
}

/* Relative to keep-all; 0 where the profile's times are no measured ones. */
static double predicted_step(const struct sweep *sweep, const struct remat_plan *plan)
{
    const struct remat_task_graph *graph = &sweep->workload->graph;
    return graph->measured ? (double)plan->predicted_step_ns / (double)remat_task_graph_base_time_ns(graph) : 0;
}

static enum remat_status measure_point(struct sweep *sweep, const char *plan_path, const struct remat_plan *plan,
                                       json_t *json, struct remat_error *err)
{
    struct remat_measurement m = {0};
    struct remat_worker_report report;
    int32_t round = 0, count = sweep->config->steps;
    enum remat_status status;
    /* Where others disturb the machine, or a process was given slow pages, a point is measured again; all steps count.
     */
    do
        status = measure_round(sweep, plan_path, plan, round, &m, &report, err);
    while (status == REMAT_OK && sweep->interleaving && ++round < MOST_ROUNDS &&
           m.plan.count + count <= REMAT_MOST_STEPS && !remat_measurement_settles(&m, predicted_step(sweep, plan)));
    if (status == REMAT_OK) {
        describe_memory(sweep, plan, &report, json);
        describe_steps(sweep, &m, json);
    }
    remat_measurement_free(&m);
    return status;
}

static void describe_plan(const struct sweep *sweep, const struct remat_plan *plan, json_t *json)
{
    double base = (double)remat_task_graph_base_time_ns(&sweep->workload->graph);
    json_object_set_new(json, "planned_peak_bytes", json_integer(plan->arena_bytes));
    json_object_set_new(json, "planned_live_bytes", json_integer(plan->live_peak_bytes));
    if (plan->host_bytes > 0)
        json_object_set_new(json, "planned_host_bytes", json_integer(plan->host_bytes));
    json_object_set_new(json, "predicted_step_ns", json_integer(plan->predicted_step_ns));
    json_object_set_new(json, "predicted_relative_step", json_real((double)plan->predicted_step_ns / base));
    json_object_set_new(json, "lower_bound_ns", json_integer(plan->lower_bound_ns));
    json_object_set_new(json, "gap", json_real((double)plan->predicted_step_ns / (double)plan->lower_bound_ns - 1));
    json_object_set_new(json, "solve_ns", json_integer(plan->solve_ns));
    json_object_set_new(json, "plan_hash", remat_json_from_hash(remat_plan_hash(plan)));
}

static const char *status_text(enum remat_status status)
{
    return status == REMAT_OK              ? "ok"
           : status == REMAT_INFEASIBLE    ? "infeasible"
           : status == REMAT_OUT_OF_MEMORY ? "out_of_memory"
                                           : "error";
}

static enum remat_status save_and_measure(struct sweep *sweep, const struct remat_plan *plan, bool measure,
                                          json_t *json, struct remat_error *err)
{
    char name[96], path[PATH_BYTES];
    snprintf(name, sizeof name, "plans/%s-%lld.json", plan->solver, (long long)plan->budget_bytes);
    snprintf(path, sizeof path, "%s/%s", sweep->config->folder, name);
    REMAT_TRY(remat_save_plan(path, &sweep->workload->graph, plan, err));
    json_object_set_new(json, "plan", json_string(name));
    if (measure && remat_earlier_point(sweep->earlier, json))
        return REMAT_OK;
    return measure ? measure_point(sweep, path, plan, json, err) : REMAT_OK;
}

static enum remat_status use_plan(struct sweep *sweep, const struct curve *curve, int32_t at, json_t *json,
                                  struct remat_error *err)
{
    const struct remat_plan *plan = &curve->plans[at];
    char least[32];
    if (plan->instructions_count == 0)
        return remat_fail(err, REMAT_INFEASIBLE, "not feasible with solver %s, which needs at least %s (%lld bytes)",
                          curve->solver->name, remat_size_format(curve->smallest.arena_bytes, least, sizeof least),
                          (long long)curve->smallest.arena_bytes);
    describe_plan(sweep, plan, json);
    return save_and_measure(sweep, plan, curve == sweep->curves && sweep->config->steps > 0, json, err);
}

/* A point cut short by a stop is not recorded. */
static void run_point(struct sweep *sweep, const struct curve *curve, int32_t at)
{
    struct remat_error err = {REMAT_OK, ""};
    int64_t budget = sweep->budgets[at];
    json_t *json = json_pack("{s:s, s:I}", "solver", curve->solver->name, "budget_bytes", (json_int_t)budget);
    char what[64];
    enum remat_status status = REMAT_INTERRUPTED;
    snprintf(what, sizeof what, "%s at %.0f MiB", curve->solver->name, (double)budget / (1 << 20));
    tell(sweep, what);
    if (!asked_to_stop(sweep))
        status = use_plan(sweep, curve, at, json, &err);
    json_object_set_new(json, "status", json_string(status_text(status)));
    if (status != REMAT_OK)
        json_object_set_new(json, "message", json_string(err.message));
    if (status != REMAT_INTERRUPTED) {
        json_array_append(sweep->points, json);
        sweep->done++;
    }
    json_decref(json);
}

/* From the smallest that the measured method can do to the largest, then the absolute ones. */
static enum remat_status list_budgets(struct sweep *sweep, struct remat_error *err)
{
    const struct remat_sweep_config *config = sweep->config;
    int64_t feasible = sweep->curves[0].smallest.arena_bytes, all = sweep->keep_all.arena_bytes;
    int64_t smallest = remat_size_resolve(config->smallest, all), largest = remat_size_resolve(config->largest, all);
    int32_t last = config->budgets - 1, i;
    smallest = smallest > feasible ? smallest : feasible;
    largest = largest > 0 ? largest : all;
    if (largest < smallest)
        return remat_fail(err, REMAT_INFEASIBLE,
                          "sweep: the largest budget is %lld bytes, the smallest %lld (feasible: %lld); give a larger "
                          "one",
                          (long long)largest, (long long)smallest, (long long)feasible);
    sweep->budgets_count = config->budgets + config->extra_count;
    REMAT_TRY(REMAT_ALLOC(sweep->budgets, sweep->budgets_count, err));
    for (i = 0; i < last; i++)
        sweep->budgets[i] = smallest + (int64_t)((double)(largest - smallest) * i / last);
    sweep->budgets[last] = largest;
    for (i = 0; i < config->extra_count; i++)
        sweep->budgets[config->budgets + i] = config->extra_budgets[i];
    return REMAT_OK;
}

/* The measured method, and beside it the quick others. */
static enum remat_status choose_methods(struct sweep *sweep, struct remat_error *err)
{
    const struct remat_solver *other;
    int32_t count = 0;
    for (other = remat_solvers; other->name; other++)
        count++;
    REMAT_TRY(REMAT_ALLOC(sweep->curves, count + 1, err));
    sweep->curves[sweep->curves_count++].solver = sweep->config->solver;
    for (other = remat_solvers; other->name; other++)
        if (other != sweep->config->solver && strcmp(other->name, "keep-all") != 0 && !other->anytime)
            sweep->curves[sweep->curves_count++].solver = other;
    return REMAT_OK;
}

static enum remat_status plan_curve(struct sweep *sweep, struct curve *curve, struct remat_error *err)
{
    const struct remat_task_graph *graph = &sweep->workload->graph;
    struct remat_solving solving = {.graph = graph};
    struct remat_solve_options options = sweep->config->solve;
    enum remat_status status;
    options.budget_bytes = INT64_MAX;
    options.stop = sweep->config->stop;
    options.solving = &solving;
    REMAT_TRY_GOTO(remat_solve_smallest(graph, curve->solver, &options, &curve->smallest, err), done);
    if (!sweep->budgets)
        REMAT_TRY_GOTO(list_budgets(sweep, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(curve->plans, sweep->budgets_count, err), done);
    status = remat_solve_curve(graph, curve->solver, &options, sweep->budgets, sweep->budgets_count, curve->plans, err);
done:
    remat_solving_end(&solving);
    return status;
}

static enum remat_status plan_curves(struct sweep *sweep, struct remat_error *err)
{
    REMAT_TRY(choose_methods(sweep, err));
    for (int32_t k = 0; k < sweep->curves_count; k++) {
        tell(sweep, sweep->curves[k].solver->name);
        REMAT_TRY(plan_curve(sweep, &sweep->curves[k], err));
    }
    sweep->total = sweep->curves_count * sweep->budgets_count;
    return REMAT_OK;
}

static void free_curves(struct sweep *sweep)
{
    for (int32_t k = 0; k < sweep->curves_count; k++) {
        struct curve *curve = &sweep->curves[k];
        for (int32_t i = 0; curve->plans && i < sweep->budgets_count; i++)
            remat_plan_free(&curve->plans[i]);
        free(curve->plans);
        remat_plan_free(&curve->smallest);
    }
    free(sweep->curves);
    free(sweep->budgets);
}

static void csv_number(FILE *file, const json_t *point, const char *key)
{
    const json_t *value = json_object_get(point, key);
    if (json_is_integer(value))
        fprintf(file, ",%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        fprintf(file, ",%.6f", json_real_value(value));
    else
        fputc(',', file);
}

static enum remat_status write_csv(const struct sweep *sweep, struct remat_error *err)
{
    static const char *const keys[] = {"planned_peak_bytes",
                                       "measured_peak_bytes",
                                       "process_peak_bytes",
                                       "predicted_step_ns",
                                       "measured_step_ns",
                                       "relative_step",
                                       "predicted_relative_step",
                                       "lower_bound_ns",
                                       "gap",
                                       "solve_ns"};
    char *text = NULL;
    size_t bytes = 0, i;
    FILE *file = open_memstream(&text, &bytes);
    const json_t *point;
    char path[PATH_BYTES];
    enum remat_status status;
    if (!file)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of memory while writing sweep.csv");
    fputs("solver,budget_bytes,status", file);
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        fprintf(file, ",%s", keys[k]);
    json_array_foreach(sweep->points, i, point)
    {
        fprintf(file, "\n%s,%lld,%s", json_string_value(json_object_get(point, "solver")),
                (long long)json_integer_value(json_object_get(point, "budget_bytes")),
                json_string_value(json_object_get(point, "status")));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            csv_number(file, point, keys[k]);
    }
    fputc('\n', file);
    fclose(file);
    snprintf(path, sizeof path, "%s/sweep.csv", sweep->config->folder);
    status = remat_file_write(path, text, bytes, err);
    free(text);
    return status;
}

static enum remat_status write_results(const struct sweep *sweep, struct remat_error *err)
{
    const struct remat_task_graph *graph = &sweep->workload->graph;
    json_t *json = remat_results_header("remat-sweep", sweep->workload, sweep->config->command);
    char path[PATH_BYTES];
    enum remat_status status;
    json_object_set_new(json, "base_time_ns", json_integer(remat_task_graph_base_time_ns(graph)));
    json_object_set_new(json, "measured_times", json_boolean(graph->measured));
    json_object_set_new(json, "keep_all_peak_bytes", json_integer(sweep->keep_all.arena_bytes));
    json_object_set_new(json, "smallest_peak_bytes", json_integer(sweep->curves[0].smallest.arena_bytes));
    if (sweep->config->reference)
        json_object_set(json, "reference", sweep->config->reference);
    json_object_set(json, "points", sweep->points);
    snprintf(path, sizeof path, "%s/sweep.json", sweep->config->folder);
    status = remat_json_save(path, json, err);
    json_decref(json);
    return status == REMAT_OK ? write_csv(sweep, err) : status;
}

/* Results are written after each budget: what was measured outlives a crash. */
static enum remat_status run_points(struct sweep *sweep, struct remat_error *err)
{
    for (int32_t i = 0; i < sweep->budgets_count; i++) {
        for (int32_t k = 0; k < sweep->curves_count; k++)
            run_point(sweep, &sweep->curves[k], i);
        REMAT_TRY(write_results(sweep, err));
    }
    return REMAT_OK;
}

static enum remat_status save_keep_all(const struct sweep *sweep, struct remat_error *err)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "%s/" KEEP_ALL, sweep->config->folder);
    return remat_save_plan(path, &sweep->workload->graph, &sweep->keep_all, err);
}

static enum remat_status run_sweep(struct sweep *sweep, struct remat_error *err)
{
    const struct remat_task_graph *graph = &sweep->workload->graph;
    struct remat_solve_options options = sweep->config->solve;
    const struct remat_solver *keep_all;
    options.budget_bytes = INT64_MAX;
    REMAT_TRY(remat_solver_find("keep-all", &keep_all, err));
    REMAT_TRY(remat_solve(graph, keep_all, &options, &sweep->keep_all, err));
    REMAT_TRY(plan_curves(sweep, err));
    REMAT_TRY(save_keep_all(sweep, err));
    if (can_interleave(sweep))
        REMAT_TRY(start_keep_all(sweep, err));
    return run_points(sweep, err);
}

static enum remat_status save_profile(const struct sweep *sweep, struct remat_error *err)
{
    char path[PATH_BYTES];
    json_t *profile;
    enum remat_status status;
    snprintf(path, sizeof path, "%s/plans", sweep->config->folder);
    REMAT_TRY(remat_make_folders(path, err));
    snprintf(path, sizeof path, "%s/profile.json", sweep->config->folder);
    profile = remat_task_graph_to_json(&sweep->workload->graph);
    status = remat_json_save(path, profile, err);
    json_decref(profile);
    return status;
}

enum remat_status remat_sweep(struct remat_workload *workload, const struct remat_sweep_config *config,
                              struct remat_error *err)
{
    struct sweep sweep = {.workload = workload, .config = config, .total = 1};
    enum remat_status status;
    if (config->budgets < 2 || config->steps < 0 || config->steps > REMAT_MOST_STEPS)
        return remat_fail(err, REMAT_USAGE, "sweep: expected at least 2 budgets and at most %d steps",
                          REMAT_MOST_STEPS);
    sweep.points = json_array();
    status = config->resume ? remat_earlier_sweep(config->folder, workload, &sweep.earlier, err) : REMAT_OK;
    if (status == REMAT_OK)
        status = save_profile(&sweep, err);
    if (status == REMAT_OK)
        status = run_sweep(&sweep, err);
    end_keep_all(&sweep);
    remat_plan_free(&sweep.keep_all);
    free_curves(&sweep);
    json_decref(sweep.points);
    json_decref(sweep.earlier);
    if (status == REMAT_OK && asked_to_stop(&sweep))
        return remat_fail(err, REMAT_INTERRUPTED, "stopped after %d of %d points, which %s/sweep.json holds",
                          sweep.done, sweep.total, config->folder);
    if (status == REMAT_OK && sweep.exceeded)
        return remat_fail(err, REMAT_INTERNAL, "%s/sweep.json: a measured peak differs from the planned one",
                          config->folder);
    return status;
}
