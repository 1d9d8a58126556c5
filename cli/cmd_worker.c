/* remat worker: one measurement in its own process, driven by remat sweep and remat batchsize through pipes. */
#include "bench/results.h"
#include "bench/worker.h"
#include "cli/commands.h"
#include "cli/common.h"

#include <unistd.h>

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    struct remat_workload workload = {0};
    struct remat_task_graph graph;
    struct remat_plan plan;
    enum remat_status status = remat_load_plan(args->positionals[1], &graph, &plan, err);
    if (status == REMAT_OK)
        status = cli_open_workload(args, REMAT_TIMES_ROUGH, &workload, err);
    if (status == REMAT_OK)
        status = remat_task_graph_adopt_times(&workload.graph, &graph, err);
    if (status == REMAT_OK)
        status = remat_worker_serve(&workload, &plan, STDIN_FILENO, STDOUT_FILENO, err);
    remat_plan_free(&plan);
    remat_task_graph_free(&graph);
    remat_workload_close(&workload);
    return status;
}

const struct cli_command cli_worker = {"worker",
                                       "MODEL PLAN.json",
                                       "Runs a plan step by step on request (used by sweep and batchsize)",
                                       "Reads \"step\", \"step N\", \"steps N\", \"parts\" and \"end\" lines.\n",
                                       CLI_MODEL_OPTIONS " " CLI_DEVICE_OPTIONS " " CLI_STEP_OPTIONS " options",
                                       2,
                                       2,
                                       run};
