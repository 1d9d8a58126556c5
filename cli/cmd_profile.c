/* remat profile: what every task costs. */
#include "cli/commands.h"
#include "cli/common.h"
#include "core/base/json.h"
#include "profiler/table.h"

#include <stdlib.h>

static void print_row(const struct remat_profile_row *row)
{
    printf("%-20s %-36.36s %5d %10.3f %6.1f %9.1f %5.0f %8.2f %5.0f %10.2f %10.2f\n", remat_op_text(row->op),
           row->shapes, row->count, (double)row->time_ns / 1e6,
           row->time_ns > 0 ? 100.0 * (double)row->spread_ns / (double)row->time_ns : 0.0, row->gflop_per_second,
           100 * row->compute_share, row->gbyte_per_second, 100 * row->memory_share,
           (double)row->kept_bytes / (1 << 20), (double)row->scratch_bytes / (1 << 20));
}

static enum remat_status print_table(const struct remat_workload *workload, const struct remat_machine_peaks *peaks,
                                     struct remat_error *err)
{
    struct remat_profile_row *rows = NULL;
    int32_t count = 0;
    enum remat_status status = remat_profile_table(&workload->graph, peaks, &rows, &count, err);
    if (status == REMAT_OK) {
        printf("%s on %s\n", workload->layers.name, workload->info.description);
        if (peaks->bf16_gflop_per_second > 0)
            printf("machine peak in bf16: %.1f GFLOP/s\n", peaks->bf16_gflop_per_second);
        printf("machine peaks: %.1f GFLOP/s, %.1f GB/s; sum of the tasks: %.3f ms; persistent: %.1f MiB\n",
               peaks->gflop_per_second, peaks->gbyte_per_second,
               (double)remat_task_graph_base_time_ns(&workload->graph) / 1e6,
               (double)workload->graph.persistent_bytes / (1 << 20));
        printf("copies beside the kernels: %.1f GB/s to the host, %.1f GB/s back; moves on the device: %.1f GB/s\n",
               (double)workload->graph.to_host_bytes_per_s / 1e9, (double)workload->graph.to_device_bytes_per_s / 1e9,
               (double)workload->graph.move_bytes_per_s / 1e9);
        if (workload->keep_all_step_ns > 0)
            printf("measured keep-all step: %.3f ms, the tasks' sum is %.3f of it\n",
                   (double)workload->keep_all_step_ns / 1e6,
                   (double)remat_task_graph_base_time_ns(&workload->graph) / (double)workload->keep_all_step_ns);
        printf("\n%-20s %-36s %5s %10s %6s %9s %5s %8s %5s %10s %10s\n", "op", "shapes", "count", "ms", "+-%",
               "GFLOP/s", "%", "GB/s", "%", "kept MiB", "scratch MiB");
        for (int32_t i = 0; i < count; i++)
            print_row(&rows[i]);
    }
    free(rows);
    return status;
}

static enum remat_status save(const struct cli_args *args, const struct remat_workload *workload,
                              struct remat_error *err)
{
    json_t *json = remat_task_graph_to_json(&workload->graph);
    enum remat_status status = remat_json_save(args->output, json, err);
    json_decref(json);
    return status;
}

static enum remat_status get_peaks(const struct cli_args *args, struct remat_workload *workload,
                                   struct remat_machine_peaks *out, struct remat_error *err)
{
    /* The roofline has refreshed them already. */
    struct remat_profile_options options = {.cache_path = args->cache, .refresh = args->refresh && !args->analytic};
    char cache[512];
    REMAT_TRY(cli_cache_path(&options, cache, sizeof cache, err));
    return remat_profile_peaks(workload->backend, workload->device, &options, out, err);
}

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    struct remat_workload workload;
    struct remat_machine_peaks peaks;
    enum remat_status status =
        cli_open_workload(args, args->analytic ? REMAT_TIMES_ROOFLINE : REMAT_TIMES_MEASURED, &workload, err);
    if (status == REMAT_OK && args->output)
        status = save(args, &workload, err);
    if (status == REMAT_OK && args->json)
        status = cli_print_json(remat_task_graph_to_json(&workload.graph), err);
    else if (status == REMAT_OK)
        status = get_peaks(args, &workload, &peaks, err);
    if (status == REMAT_OK && !args->json)
        status = print_table(&workload, &peaks, err);
    remat_workload_close(&workload);
    return status;
}

const struct cli_command cli_profile = {
    "profile",
    "MODEL [-o PROFILE.json]",
    "Times every task of a training step",
    "One row a distinct task: how often it runs, median and spread of its time, the share of the machine's measured\n"
    "peaks, bytes that it makes, scratch. Times are taken inside real steps and cached; --refresh measures again,\n"
    "--analytic estimates from the roofline for sizes that this machine cannot run.\n\n"
    "examples:\n  remat profile resnet50 --batch 16\n  remat profile gpt2-xl --analytic -o gpt2-xl.json\n",
    "output json " CLI_MODEL_OPTIONS " " CLI_DEVICE_OPTIONS " " CLI_PROFILE_OPTIONS " " CLI_STEP_OPTIONS,
    1,
    1,
    run};
