/* A workload: a model lowered for a device, with the times of its tasks. What every command starts from. */
#ifndef REMAT_TRAINER_WORKLOAD_H
#define REMAT_TRAINER_WORKLOAD_H

#include "models/models.h"
#include "profiler/profiler.h"
#include "runtime/lower/lower.h"

/* Where the times come from. */
enum remat_time_source {
    REMAT_TIMES_ROUGH,    /* lowering's round figures: enough to run a given plan */
    REMAT_TIMES_ROOFLINE, /* the machine's measured peaks, no task is run */
    REMAT_TIMES_MEASURED  /* the profiler, with its cache */
};

/* With lower.any_options, times that are not rough also choose among implementations: each distinct task keeps the
 * numerics class of the fastest (by the roofline the preferred one). Rough times leave that to the caller. */
struct remat_workload_config {
    const char *model;
    struct remat_model_options options;
    float feed_mean[4], feed_std[4]; /* std 0 = bytes / 255 only */
    const char *device;              /* "cpu", "cuda", "cuda:1" */
    struct remat_device_config device_config;
    struct remat_lower_options lower;
    enum remat_time_source times;
    struct remat_profile_options profile;
};

struct remat_workload {
    struct remat_layer_graph layers;
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_device_info info;
    struct remat_task_graph graph;
    int64_t keep_all_step_ns; /* measured while profiling; 0 if nothing ran */
};

/* The caller closes *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_workload_open(const struct remat_workload_config *config,
                                                       struct remat_workload *out, struct remat_error *err);
void remat_workload_close(struct remat_workload *workload);

#endif
