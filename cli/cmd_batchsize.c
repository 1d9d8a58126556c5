/* remat batchsize: the batch-size test. */
#include "bench/batchsize.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/worker_command.h"
#include "profiler/cache.h"
#include "report/report.h"
#include "trainer/planning.h"

#include <stdlib.h>

static enum remat_status search(const struct cli_args *args, const struct remat_workload_config *workload,
                                struct cli_worker_command *command, struct remat_error *err)
{
    char text[1024];
    struct remat_batchsize_result result;
    struct remat_batchsize_config config = {.folder = args->output,
                                            .command = text,
                                            .worker_command = command->argv,
                                            .memory = args->memory,
                                            .steps = args->steps ? (int32_t)args->steps : 3,
                                            .progress = cli_progress};
    enum remat_status status;
    cli_describe_command("batchsize", command, text, sizeof text);
    config.solve.seed = (uint64_t)args->seed;
    config.solve.host_budget_bytes = remat_planning_host_budget(&args->offload);
    config.solve.time_limit_seconds = args->time_limit_seconds;
    config.solve.gap = args->gap_percent / 100;
    REMAT_TRY(cli_solver(args, &config.solver, err));
    status = remat_batchsize(workload, &config, &result, err);
    cli_progress_end();
    REMAT_TRY(status);
    REMAT_TRY(remat_report(args->output, err));
    printf("best batch %lld (%.2f samples/s), largest that fits %lld\n%s/index.html\n", (long long)result.best_batch,
           result.best_samples_per_second, (long long)result.largest_batch, args->output);
    return REMAT_OK;
}

static enum remat_status run(const struct cli_args *given, struct remat_error *err)
{
    struct cli_args args = *given;
    struct remat_workload_config workload;
    struct cli_worker_command *command = NULL;
    char cache[512];
    enum remat_status status;
    if (!args.output || !args.memory_given)
        return remat_fail(err, REMAT_USAGE, "batchsize: expected --memory SIZE and -o DIR");
    args.batch = 0;
    REMAT_TRY(cli_workload_config(&args, &workload, err));
    REMAT_TRY(cli_cache_path(&workload.profile, cache, sizeof cache, err));
    REMAT_TRY(REMAT_ALLOC(command, 1, err));
    status = cli_worker_command(&args, command, err);
    if (status == REMAT_OK)
        status = search(&args, &workload, command, err);
    free(command);
    return status;
}

const struct cli_command cli_batchsize = {
    "batchsize",
    "MODEL --memory SIZE -o DIR",
    "Finds the batch with the highest throughput within a memory bound, and the largest that fits",
    "Sizes are exact for every batch; times are fitted through two profiled batches. The winners are then run.\n"
    "--memory bounds parameters, optimizer state and arena together; with --offload the two that are profiled must fit "
    "without.\n\n"
    "example:\n  remat batchsize resnet152 --image 64 --memory 8GiB -o out/batch\n",
    "output memory offload steps solver time-limit gap image seq classes stem layers width heads vocab dropout refresh "
    "cache " CLI_DEVICE_OPTIONS " " CLI_STEP_OPTIONS,
    1,
    1,
    run};
