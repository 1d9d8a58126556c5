/* remat train and remat eval. */
#include "bench/results.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/recipe.h"
#include "core/base/json.h"
#include "profiler/cache.h"
#include "report/report.h"
#include "trainer/evaluate.h"
#include "trainer/interrupt.h"
#include "trainer/train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- train ------------------------------------------------------------------------------------------------------- */

static void set_data(const struct cli_args *args, struct remat_data_config *data)
{
    if (strcmp(args->data, "synthetic") == 0)
        data->kind = "synthetic";
    else
        data->path = args->data;
    data->seed = (uint64_t)args->seed;
}

/* One line for the ladder of a device with memory of its own. */
static void print_ladder(const struct remat_memory_ladder *ladder)
{
    char plan[32], arena[32], pool[32], process[32];
    if (ladder->pool_bytes < 0)
        return;
    printf("device memory: plan %s <= arena %s <= pool %s <= process %s%s%s\n",
           remat_size_format(ladder->plan_bytes, plan, sizeof plan),
           remat_size_format(ladder->arena_bytes, arena, sizeof arena),
           remat_size_format(ladder->pool_bytes, pool, sizeof pool),
           ladder->process_bytes < 0 ? "unknown" : remat_size_format(ladder->process_bytes, process, sizeof process),
           ladder->device.note[0] ? ": " : "", ladder->device.note);
}

static void print_result(const struct remat_train_result *result)
{
    char planned[32], measured[32], persistent[32];
    printf("steps %lld, epochs %lld, train loss %.4f, test loss %.4f, test accuracy %.2f %%\n",
           (long long)result->steps, (long long)result->epochs, result->train_loss, result->test_loss,
           100 * result->test_accuracy);
    printf("arena: planned %s, measured %s (%lld and %lld bytes); persistent %s; state %016llx\n",
           remat_size_format(result->planned_bytes, planned, sizeof planned),
           remat_size_format(result->measured_bytes, measured, sizeof measured), (long long)result->planned_bytes,
           (long long)result->measured_bytes,
           remat_size_format(result->persistent_bytes, persistent, sizeof persistent),
           (unsigned long long)result->state_hash);
    if (result->planned_host_bytes > 0)
        printf("host memory: planned %s, measured %s (%lld and %lld bytes)\n",
               remat_size_format(result->planned_host_bytes, planned, sizeof planned),
               remat_size_format(result->measured_host_bytes, measured, sizeof measured),
               (long long)result->planned_host_bytes, (long long)result->measured_host_bytes);
    print_ladder(&result->memory);
}

/* JSON has no number for "none". */
static void set_real(json_t *json, const char *name, double value)
{
    json_object_set_new(json, name, isfinite(value) ? json_real(value) : json_null());
}

static json_t *result_json(const struct remat_train_result *result)
{
    json_t *json = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f}", "steps", (json_int_t)result->steps, "epochs",
                             (json_int_t)result->epochs, "planned_peak_bytes", (json_int_t)result->planned_bytes,
                             "measured_peak_bytes", (json_int_t)result->measured_bytes, "persistent_bytes",
                             (json_int_t)result->persistent_bytes, "seconds", result->seconds);
    json_object_set_new(json, "planned_host_bytes", json_integer(result->planned_host_bytes));
    json_object_set_new(json, "measured_host_bytes", json_integer(result->measured_host_bytes));
    set_real(json, "train_loss", result->train_loss);
    set_real(json, "test_loss", result->test_loss);
    set_real(json, "test_accuracy", result->test_accuracy);
    json_object_set_new(json, "state_hash", remat_json_from_hash(result->state_hash));
    json_object_set_new(json, "memory", remat_memory_ladder_json(&result->memory));
    return json;
}

static enum remat_status train(const struct cli_args *args, struct remat_train_config *config, struct remat_error *err)
{
    struct remat_train_result result;
    enum remat_status status, report_status = REMAT_OK;
    config->stop = remat_interrupt_install();
    status = remat_train(config, &result, err);
    remat_interrupt_remove();
    if (status != REMAT_OK && status != REMAT_INTERRUPTED)
        return status;
    if (args->json)
        REMAT_TRY(cli_print_json(result_json(&result), err));
    else
        print_result(&result);
    if (args->output)
        report_status = remat_report(args->output, status == REMAT_OK ? err : NULL);
    if (args->output && report_status == REMAT_OK && !args->json)
        printf("%s/index.html\n", args->output);
    return status == REMAT_OK ? report_status : status;
}

static enum remat_status run_train(const struct cli_args *args, struct remat_error *err)
{
    struct remat_train_config config = {0};
    struct remat_task_graph graph;
    struct remat_plan plan = {0};
    char cache[512];
    enum remat_status status = REMAT_OK;
    if (!args->data)
        return remat_fail(err, REMAT_USAGE, "train: expected --data DIR, --data FILE or --data synthetic");
    remat_task_graph_init(&graph);
    REMAT_TRY(cli_workload_config(args, &config.workload, err));
    REMAT_TRY(cli_recipe(args, &config.recipe, err));
    set_data(args, &config.data);
    REMAT_TRY(cli_cache_path(&config.workload.profile, cache, sizeof cache, err));
    config.workload.times = args->analytic ? REMAT_TIMES_ROOFLINE : REMAT_TIMES_MEASURED;
    config.planning = (struct remat_planning){.budget = args->budget_given ? &args->budget : NULL,
                                              .memory = args->memory_given ? &args->memory : NULL,
                                              .offload = args->offload,
                                              .solver = args->solver,
                                              .time_limit_seconds = args->time_limit_seconds,
                                              .gap = args->gap_percent / 100,
                                              .seed = (uint64_t)args->seed,
                                              .threads = (int32_t)args->threads};
    config.micro_count = (int32_t)args->accumulate;
    config.seed = (uint64_t)args->seed;
    config.folder = args->output;
    config.save_epochs = args->save_every ? (int32_t)args->save_every : 1;
    config.keep = args->keep_all_checkpoints ? 0 : 2;
    config.log_steps = (int32_t)args->log_every;
    config.resume = args->resume;
    config.progress = args->json ? NULL : stderr;
    if (args->plan) {
        status = remat_load_plan(args->plan, &graph, &plan, err);
        config.planning.plan = &plan;
        config.planning.plan_graph = &graph;
    }
    if (status == REMAT_OK)
        status = train(args, &config, err);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    return status;
}

const struct cli_command cli_train = {
    "train",
    "MODEL --data DIR|FILE|synthetic [--budget SIZE|--memory SIZE] [-o DIR] ...",
    "Trains a model within a memory budget",
    "The step is profiled (or taken from the cache), the fastest plan within the budget is found, placed and "
    "verified,\n"
    "and only then the first step runs; the result is bitwise that of training without a budget. DIR gets the log, "
    "the\n"
    "plan, checkpoints and charts. SIGINT and SIGTERM finish the step, save and exit; --resume continues bit for bit.\n"
    "A recipe is a named set of options; options given beside it change it.\n\n"
    "examples:\n"
    "  remat train resnet18 --data data/cifar10 --recipe reference --budget 50% -o out/cifar\n"
    "  remat train gpt2 --layers 4 --width 128 --heads 4 --seq 64 --data text.txt --recipe char --budget 60% -o "
    "out/text\n"
    "  remat train resnet18 --data data/cifar10 --recipe reference --budget 40% --resume -o out/cifar\n"
    "(it must be the same model, recipe and seed; the budget may be another)\n",
    "data recipe budget memory offload solver time-limit gap plan optimizer lr lr-schedule milestones period gamma "
    "warmup "
    "min-lr "
    "momentum "
    "nesterov weight-decay smoothing clip accumulate no-augment epochs steps save-every log-every keep-checkpoints "
    "resume "
    "output json " CLI_MODEL_OPTIONS " " CLI_DEVICE_OPTIONS " " CLI_PROFILE_OPTIONS,
    1,
    1,
    run_train};

/* --- eval -------------------------------------------------------------------------------------------------------- */

static void note(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "remat: %s\n", text);
}

static void collect(void *context, const struct remat_evaluation *evaluation)
{
    json_array_append_new(context, json_pack("{s:I, s:I, s:f, s:f, s:I}", "step", (json_int_t)evaluation->step, "epoch",
                                             (json_int_t)evaluation->epoch, "loss", evaluation->loss, "accuracy",
                                             evaluation->accuracy, "rows", (json_int_t)evaluation->rows));
}

static void print_evaluations(const json_t *list)
{
    const json_t *row;
    size_t i;
    json_array_foreach(list, i, row)
    {
        printf("step %8lld  epoch %4lld  loss %.4f  accuracy %.2f %%\n",
               (long long)json_integer_value(json_object_get(row, "step")),
               (long long)json_integer_value(json_object_get(row, "epoch")),
               json_real_value(json_object_get(row, "loss")), 100 * json_real_value(json_object_get(row, "accuracy")));
    }
}

static enum remat_status save_evaluations(const struct cli_args *args, json_t *list, struct remat_error *err)
{
    char path[512];
    json_t *json = json_pack("{s:s, s:i, s:O}", "format", "remat-evaluation", "version", 1, "checkpoints", list);
    enum remat_status status;
    snprintf(path, sizeof path, "%s/evaluation.json", args->output);
    status = remat_json_save(path, json, err);
    json_decref(json);
    return status == REMAT_OK ? remat_report(args->output, err) : status;
}

static enum remat_status run_eval(const struct cli_args *args, struct remat_error *err)
{
    struct remat_evaluate_config config = {.checkpoint = args->checkpoint,
                                           .device = args->device,
                                           .device_config = cli_device_config(args),
                                           .batch = args->batch,
                                           .all = args->all,
                                           .notes = {note, NULL}};
    json_t *list;
    enum remat_status status;
    if (!args->checkpoint || !args->data)
        return remat_fail(err, REMAT_USAGE, "eval: expected --checkpoint DIR and --data DIR");
    REMAT_TRY(cli_precision(args, &config.precision, err));
    set_data(args, &config.data);
    list = json_array();
    status = remat_evaluate(&config, collect, list, err);
    if (status == REMAT_OK && args->output)
        status = save_evaluations(args, list, err);
    if (status == REMAT_OK && args->json)
        return cli_print_json(list, err);
    if (status == REMAT_OK)
        print_evaluations(list);
    json_decref(list);
    return status;
}

const struct cli_command cli_eval = {
    "eval",
    "--checkpoint DIR --data DIR [--all] [-o DIR]",
    "Loss and accuracy of checkpoints on the whole test set",
    "DIR is a run's folder, a folder of checkpoints or one checkpoint; the newest valid one is taken, with --all "
    "each.\n"
    "With -o, evaluation.json and the chart of accuracy over epochs are written there.\n\n"
    "example:\n  remat eval --checkpoint out/cifar --data data/cifar10 --all -o out/cifar\n",
    "checkpoint data all batch device precision threads seed output json",
    0,
    0,
    run_eval};
