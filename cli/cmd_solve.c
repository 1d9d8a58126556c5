/* remat solve: a plan for a budget, without running it. */
#include "bench/results.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "core/base/json.h"
#include "core/plan/explain.h"
#include "trainer/interrupt.h"

#include <string.h>

/* The graph to solve: --graph, --profile, or a model that is lowered and profiled here. */
static enum remat_status open_graph(const struct cli_args *args, struct remat_workload *workload,
                                    struct remat_error *err)
{
    const char *path = args->graph ? args->graph : args->profile;
    json_t *json = NULL;
    enum remat_status status;
    if (args->positionals_count + (args->graph != NULL) + (args->profile != NULL) != 1)
        return remat_fail(err, REMAT_USAGE, "solve: expected one of MODEL, --profile FILE and --graph FILE");
    if (!path)
        return cli_open_workload(args, args->analytic ? REMAT_TIMES_ROOFLINE : REMAT_TIMES_MEASURED, workload, err);
    memset(workload, 0, sizeof *workload);
    remat_layer_graph_init(&workload->layers, path);
    remat_task_graph_init(&workload->graph);
    REMAT_TRY(remat_json_load(path, &json, err));
    status = args->graph ? remat_task_graph_import(json, path, &workload->graph, err)
                         : remat_task_graph_from_json(json, path, &workload->graph, err);
    json_decref(json);
    return status;
}

/* One C line a run, and an F line where a value's last reader has run (format of docs/formats.md). */
static void write_frees(FILE *file, const struct remat_liveness *liveness, int32_t run)
{
    for (int32_t i = 0; i < liveness->instances_count; i++)
        if (liveness->instances[i].end == run)
            fprintf(file, "F %d\n", liveness->instances[i].value);
}

static enum remat_status write_schedule(const char *path, const struct remat_task_graph *graph,
                                        const struct remat_plan *plan, struct remat_error *err)
{
    struct remat_schedule schedule = {0};
    struct remat_liveness liveness = {0};
    FILE *file = NULL;
    enum remat_status status;
    if (plan->host_bytes > 0)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "%s: C and F lines cannot tell of copies to the host, which this plan has; leave out "
                          "--offload or --schedule, or write the plan with -o",
                          path);
    REMAT_TRY_GOTO(remat_plan_schedule(plan, &schedule, err), done);
    REMAT_TRY_GOTO(remat_liveness(graph, &schedule, &liveness, err), done);
    file = fopen(path, "w");
    if (!file) {
        status = remat_fail(err, REMAT_IO, "%s: cannot write the schedule", path);
        goto done;
    }
    for (int32_t r = 0; r < schedule.count; r++) {
        fprintf(file, "C %d\n", schedule.entries[r].task);
        write_frees(file, &liveness, r);
    }
    if (fclose(file) != 0)
        status = remat_fail(err, REMAT_IO, "%s: writing the schedule failed; is the disk full?", path);
done:
    remat_liveness_free(&liveness);
    remat_schedule_free(&schedule);
    return status;
}

static double gap(const struct remat_plan *plan)
{
    return plan->lower_bound_ns > 0 ? (double)plan->predicted_step_ns / (double)plan->lower_bound_ns - 1 : 0;
}

static json_t *summary(const struct remat_task_graph *graph, const struct remat_plan *plan)
{
    struct remat_plan_moves moves = remat_plan_count_moves(graph, plan);
    json_t *budget = plan->budget_bytes == INT64_MAX ? json_null() : json_integer(plan->budget_bytes);
    json_t *json =
        json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:I}", "status", "ok", "solver", plan->solver,
                  "budget_bytes", budget, "planned_peak_bytes", (json_int_t)plan->arena_bytes, "planned_live_bytes",
                  (json_int_t)plan->live_peak_bytes, "predicted_step_ns", (json_int_t)plan->predicted_step_ns,
                  "keep_all_step_ns", (json_int_t)plan->keep_all_step_ns, "lower_bound_ns",
                  (json_int_t)plan->lower_bound_ns, "gap", gap(plan), "solve_ns", (json_int_t)plan->solve_ns);
    if (plan->host_bytes > 0)
        json_object_set_new(json, "planned_host_bytes", json_integer(plan->host_bytes));
    if (moves.count > 0)
        json_object_set_new(json, "moved_bytes", json_integer(moves.bytes));
    json_object_set_new(json, "plan_hash", remat_json_from_hash(remat_plan_hash(plan)));
    return json;
}

/* ", 12.5 MiB moved in 1.2 ms"; without the time where it is not known; nothing without moves. */
static void describe_moves(const struct remat_task_graph *graph, const struct remat_plan *plan, char *out,
                           size_t capacity)
{
    struct remat_plan_moves moves = remat_plan_count_moves(graph, plan);
    char size[32];
    int used;
    *out = '\0';
    if (moves.count == 0)
        return;
    used = snprintf(out, capacity, ", %s moved", remat_size_format(moves.bytes, size, sizeof size));
    if (graph->move_bytes_per_s > 0)
        snprintf(out + used, capacity - (size_t)used, " in %.1f ms", (double)moves.time_ns / 1e6);
}

static void print_summary(const struct remat_task_graph *graph, const struct remat_plan *plan)
{
    char peak[32], host[48] = "", moved[80], size[32];
    double keep_all = plan->keep_all_step_ns > 0 ? (double)plan->keep_all_step_ns : 1;
    if (plan->host_bytes > 0)
        snprintf(host, sizeof host, ", host %s", remat_size_format(plan->host_bytes, size, sizeof size));
    describe_moves(graph, plan, moved, sizeof moved);
    printf(
        "%-8s peak %s (%lld bytes)%s%s, step %.3f ms predicted, %+.2f %% to keep-all, gap %.2f %%, solved in %.3f s\n",
        plan->solver, remat_size_format(plan->arena_bytes, peak, sizeof peak), (long long)plan->arena_bytes, host,
        moved, (double)plan->predicted_step_ns / 1e6, 100 * ((double)plan->predicted_step_ns / keep_all - 1),
        100 * gap(plan), (double)plan->solve_ns / 1e9);
}

static enum remat_status solve_curve(const struct cli_args *args, const struct remat_task_graph *graph,
                                     const struct remat_solver *solver, struct remat_solve_options options,
                                     struct remat_error *err)
{
    json_t *points = json_array();
    struct remat_plan smallest = {0}, largest = {0}, plans[15] = {0};
    struct remat_solving solving = {.graph = graph};
    int64_t low, high, budgets[15];
    const struct remat_solver *keep_all;
    enum remat_status status;
    options.budget_bytes = INT64_MAX;
    status = remat_solver_find("keep-all", &keep_all, err);
    if (status == REMAT_OK)
        status = remat_solve_smallest(graph, keep_all, &options, &largest, err);
    options.solving = &solving;
    if (status == REMAT_OK)
        status = remat_solve_smallest(graph, solver, &options, &smallest, err);
    low = smallest.arena_bytes;
    high = largest.arena_bytes;
    remat_plan_free(&smallest);
    remat_plan_free(&largest);
    for (int32_t i = 0; i < 15; i++)
        budgets[i] = i == 14 ? high : low + (high - low) / 14 * i;
    if (status == REMAT_OK)
        status = remat_solve_curve(graph, solver, &options, budgets, 15, plans, err);
    cli_progress_end();
    remat_solving_end(&solving);
    for (int32_t i = 0; i < 15; i++) {
        if (status == REMAT_OK && !args->json)
            print_summary(graph, &plans[i]);
        if (status == REMAT_OK)
            json_array_append_new(points, summary(graph, &plans[i]));
        remat_plan_free(&plans[i]);
    }
    if (status == REMAT_OK && args->json)
        return cli_print_json(points, err);
    json_decref(points);
    return status;
}

static enum remat_status report_plan(const struct cli_args *args, const struct remat_task_graph *graph,
                                     const struct remat_plan *plan, struct remat_error *err)
{
    if (args->output)
        REMAT_TRY(remat_save_plan(args->output, graph, plan, err));
    if (args->schedule)
        REMAT_TRY(write_schedule(args->schedule, graph, plan, err));
    if (args->json)
        return cli_print_json(summary(graph, plan), err);
    print_summary(graph, plan);
    return REMAT_OK;
}

static enum remat_status solve(const struct cli_args *args, const struct remat_task_graph *graph,
                               const struct remat_solver *solver, const struct remat_solve_options *options,
                               struct remat_error *err)
{
    struct remat_plan plan = {0};
    enum remat_status status = remat_solve(graph, solver, options, &plan, err);
    cli_progress_end();
    if (status == REMAT_OK)
        status = report_plan(args, graph, &plan, err);
    remat_plan_free(&plan);
    return status;
}

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    struct remat_workload workload = {0};
    struct remat_solve_options options;
    const struct remat_solver *solver;
    enum remat_status status;
    REMAT_TRY_GOTO(cli_solver(args, &solver, err), done);
    REMAT_TRY_GOTO(open_graph(args, &workload, err), done);
    REMAT_TRY_GOTO(cli_solve_options(args, &workload, &options, err), done);
    if (solver->anytime)
        options.stop = remat_interrupt_install();
    options.report = cli_progress_search;
    status = args->curve ? solve_curve(args, &workload.graph, solver, options, err)
                         : solve(args, &workload.graph, solver, &options, err);
    remat_interrupt_remove();
done:
    remat_workload_close(&workload);
    return status;
}

const struct cli_command cli_solve = {
    "solve",
    "MODEL|--profile FILE|--graph FILE [--budget SIZE] [-o PLAN.json]",
    "Finds the fastest plan that fits a budget",
    "The model is lowered for the device and its tasks are timed (or taken from the cache); the plan is placed\n"
    "and verified. An infeasible budget is answered with the smallest feasible one and the task that sets it.\n"
    "Ctrl-C ends a search with the best plan so far.\n\n"
    "examples:\n"
    "  remat solve resnet50 --batch 32 --budget 40% -o plan.json\n"
    "  remat solve gpt2-medium --analytic --curve\n"
    "  remat solve resnet50 --batch 32 --budget 30% --offload 2GiB\n"
    "  remat solve --graph unet.json --budget 5GiB --schedule unet.txt\n",
    "budget memory offload solver time-limit gap profile graph schedule curve output json " CLI_MODEL_OPTIONS
    " " CLI_DEVICE_OPTIONS " " CLI_PROFILE_OPTIONS " " CLI_STEP_OPTIONS,
    0,
    1,
    run};

static enum remat_status run_explain(const struct cli_args *args, struct remat_error *err)
{
    struct remat_task_graph graph;
    struct remat_plan plan;
    struct remat_explain_options options = {.instructions = args->instructions};
    enum remat_status status = remat_load_plan(args->positionals[0], &graph, &plan, err);
    if (status == REMAT_OK)
        status = remat_plan_explain(&graph, &plan, &options, stdout, err);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    return status;
}

const struct cli_command cli_explain = {
    "explain",
    "PLAN.json [--instructions]",
    "Shows a plan: what is kept, recomputed or offloaded and at which price, where the peak is",
    "Reads a plan written by remat solve or remat sweep and verifies it first.\n\n"
    "example:\n  remat explain plan.json --instructions | less\n",
    "instructions",
    1,
    1,
    run_explain};
