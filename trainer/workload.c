#include "trainer/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum remat_status fill_times(const struct remat_workload_config *config, struct remat_workload *workload,
                                    struct remat_error *err)
{
    struct remat_profile_options profile = config->profile;
    struct remat_machine_peaks peaks;
    switch (config->times) {
    case REMAT_TIMES_ROUGH:
        return REMAT_OK;
    case REMAT_TIMES_ROOFLINE:
        REMAT_TRY(remat_profile_peaks(workload->backend, workload->device, &config->profile, &peaks, err));
        remat_profile_estimate(&workload->graph, &peaks);
        remat_task_graph_keep_fastest(&workload->graph);
        break;
    case REMAT_TIMES_MEASURED:
        REMAT_TRY(remat_profile_alternatives(&workload->graph, workload->backend, workload->device, &profile, err));
        remat_task_graph_keep_fastest(&workload->graph);
        profile.keep_all_step_ns = &workload->keep_all_step_ns;
        REMAT_TRY(remat_profile_measure(&workload->graph, &workload->layers, workload->backend, workload->device,
                                        &profile, err));
    }
    return remat_profile_copies(workload->backend, workload->device, &config->profile, &workload->graph, err);
}

/* "name" or "name:number". */
static enum remat_status open_device(const struct remat_workload_config *config, struct remat_workload *out,
                                     struct remat_error *err)
{
    struct remat_device_config device = config->device_config;
    const char *colon = strchr(config->device, ':');
    char name[64], *end;
    snprintf(name, sizeof name, "%.*s", colon ? (int)(colon - config->device) : 63, config->device);
    if (colon) {
        long number = strtol(colon + 1, &end, 10);
        if (end == colon + 1 || *end || number < 0 || number > 1024)
            return remat_fail(err, REMAT_USAGE, "device '%.64s': expected a number after the colon, as in cuda:0",
                              config->device);
        device.ordinal = (int32_t)number;
    }
    REMAT_TRY(remat_backend_find(name, &out->backend, err));
    REMAT_TRY(out->backend->open(&device, &out->device, err));
    out->backend->describe(out->device, &out->info);
    return REMAT_OK;
}

enum remat_status remat_workload_open(const struct remat_workload_config *config, struct remat_workload *out,
                                      struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    remat_task_graph_init(&out->graph);
    REMAT_TRY(remat_model_build(config->model, &config->options, &out->layers, err));
    memcpy(out->layers.feed_mean, config->feed_mean, sizeof config->feed_mean);
    memcpy(out->layers.feed_std, config->feed_std, sizeof config->feed_std);
    REMAT_TRY(open_device(config, out, err));
    REMAT_TRY(remat_lower(&out->layers, out->backend, out->device, &config->lower, &out->graph, err));
    return fill_times(config, out, err);
}

void remat_workload_close(struct remat_workload *workload)
{
    remat_task_graph_free(&workload->graph);
    remat_layer_graph_free(&workload->layers);
    if (workload->device)
        workload->backend->close(workload->device);
    memset(workload, 0, sizeof *workload);
}
