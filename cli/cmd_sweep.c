/* remat sweep: the solver test. */
#include "bench/published.h"
#include "bench/sweep.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/worker_command.h"
#include "report/report.h"
#include "trainer/interrupt.h"

#include <stdlib.h>
#include <string.h>

enum { REFERENCE_POINTS = 15 };

/* The sizes of the reference system's solver test. */
static void reference_sizes(struct cli_args *args)
{
    if (strcmp(args->positionals[0], "resnet50") == 0 && args->batch == 0)
        args->batch = 128;
    if (strcmp(args->positionals[0], "gpt2-medium") == 0 && args->batch == 0)
        args->batch = 8;
}

/* What it published for this size, or NULL; sizes that were not given are the model's. */
static json_t *published(const struct cli_args *args)
{
    const struct remat_model *model;
    struct remat_error ignored;
    int64_t size = args->image > 0 ? args->image : args->length;
    if (remat_model_find(args->positionals[0], &model, &ignored) != REMAT_OK)
        return NULL;
    if (size == 0)
        size = model->kind == REMAT_TEXT_MODEL ? model->defaults.length : model->defaults.image;
    return remat_published_points(args->positionals[0], args->batch, size);
}

/* Its absolute budgets: 15 evenly spaced ones up to 11,000 or 56,000 MiB. */
static int32_t reference_budgets(const char *model, int64_t *out)
{
    bool text = strncmp(model, "gpt2", 4) == 0;
    double last = text ? 56000.0 : 11000.0, first = last / (text ? 10 : 4);
    for (int32_t i = 0; i < REFERENCE_POINTS; i++)
        out[i] = (int64_t)((first + (last - first) * i / (REFERENCE_POINTS - 1)) * (1 << 20));
    return REFERENCE_POINTS;
}

static enum remat_status sweep(const struct cli_args *args, struct remat_workload *workload,
                               struct cli_worker_command *command, struct remat_error *err)
{
    char text[1024];
    int64_t extra[REFERENCE_POINTS];
    struct remat_sweep_config config = {.folder = args->output,
                                        .command = text,
                                        .worker_command = command->argv,
                                        .budgets = args->budgets ? (int32_t)args->budgets : 15,
                                        .steps = args->steps      ? (int32_t)args->steps
                                                 : args->analytic ? 0
                                                                  : 5,
                                        .interleave = !args->interleave_off,
                                        .resume = args->resume,
                                        .smallest = args->smallest,
                                        .largest = args->largest,
                                        .extra_budgets = extra,
                                        .progress = cli_progress};
    enum remat_status status, report_status;
    cli_describe_command("sweep", command, text, sizeof text);
    REMAT_TRY(cli_solver(args, &config.solver, err));
    REMAT_TRY(cli_solve_options(args, workload, &config.solve, err));
    if (args->reference_budgets)
        config.extra_count = reference_budgets(args->positionals[0], extra);
    config.reference = published(args);
    config.stop = remat_interrupt_install();
    status = remat_sweep(workload, &config, err);
    json_decref(config.reference);
    remat_interrupt_remove();
    cli_progress_end();
    if (status != REMAT_OK && status != REMAT_INTERNAL && status != REMAT_INTERRUPTED)
        return status;
    report_status = remat_report(args->output, status == REMAT_OK ? err : NULL);
    return status == REMAT_OK ? report_status : status;
}

static enum remat_status run(const struct cli_args *given, struct remat_error *err)
{
    struct cli_args args = *given;
    struct remat_workload workload = {0};
    struct cli_worker_command *command = NULL;
    enum remat_status status;
    if (!args.output)
        return remat_fail(err, REMAT_USAGE, "sweep: expected -o DIR, the folder for results and charts");
    reference_sizes(&args);
    REMAT_TRY(REMAT_ALLOC(command, 1, err));
    REMAT_TRY_GOTO(cli_worker_command(&args, command, err), done);
    REMAT_TRY_GOTO(
        cli_open_workload(&args, args.analytic ? REMAT_TIMES_ROOFLINE : REMAT_TIMES_MEASURED, &workload, err), done);
    status = sweep(&args, &workload, command, err);
    if (status == REMAT_OK)
        printf("%s/index.html\n", args.output);
done:
    free(command);
    remat_workload_close(&workload);
    return status;
}

const struct cli_command cli_sweep = {
    "sweep",
    "MODEL -o DIR [--budgets N] [--steps N]",
    "Measures peak memory and step time over a range of budgets",
    "Budgets go from the smallest feasible one to keep-all. Each point runs in its own process, its steps alternating\n"
    "with keep-all steps in another, and must not exceed its budget. DIR gets sweep.json and sweep.csv after each\n"
    "budget, the plans, charts and index.html; --resume measures only what a stopped sweep left out. With --analytic\n"
    "nothing runs, unless --steps asks for it. Default sizes are the reference system's: resnet50 at batch 128,\n"
    "gpt2-medium at 8 x 1024.\n\n"
    "examples:\n  remat sweep resnet18 --batch 100 --image 32 -o out/sweep\n"
    "  remat sweep resnet50 --reference-budgets -o out/resnet50\n"
    "  remat sweep gpt2-medium --budgets 3 --smallest 10% --largest 40% --steps 2 -o out/medium\n",
    "output budgets smallest largest steps offload solver time-limit gap reference-budgets "
    "no-interleave resume " CLI_MODEL_OPTIONS " " CLI_DEVICE_OPTIONS " " CLI_PROFILE_OPTIONS " " CLI_STEP_OPTIONS,
    1,
    1,
    run};
