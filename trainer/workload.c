#include "trainer/workload.h"

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
        return REMAT_OK;
    case REMAT_TIMES_MEASURED:
        profile.keep_all_step_ns = &workload->keep_all_step_ns;
        return remat_profile_measure(&workload->graph, &workload->layers, workload->backend, workload->device, &profile,
                                     err);
    }
    return REMAT_OK;
}

enum remat_status remat_workload_open(const struct remat_workload_config *config, struct remat_workload *out,
                                      struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    remat_task_graph_init(&out->graph);
    REMAT_TRY(remat_backend_find(config->device, &out->backend, err));
    REMAT_TRY(remat_model_build(config->model, &config->options, &out->layers, err));
    memcpy(out->layers.feed_mean, config->feed_mean, sizeof config->feed_mean);
    memcpy(out->layers.feed_std, config->feed_std, sizeof config->feed_std);
    REMAT_TRY(out->backend->open(&config->device_config, &out->device, err));
    out->backend->describe(out->device, &out->info);
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
