/* Times the tasks of a lowered graph.
 *
 * Times are taken where they count: inside real steps of the executor, under a keep-all plan where it fits into memory
 * and under small ones (which run the alternates too), by medians and spread per distinct signature; a small rest that
 * these did not run is timed task by task. What was measured is kept in a cache by (signature, option, device
 * fingerprint). */
#ifndef REMAT_PROFILER_PROFILER_H
#define REMAT_PROFILER_PROFILER_H

#include "core/graph/layer_graph.h"
#include "runtime/backend/backend.h"

struct remat_profile_options {
    int32_t steps;              /* measured steps a plan; 0 = chosen */
    int64_t memory_limit_bytes; /* for persistent + arena while profiling; 0 = what is available */
    const char *cache_path;     /* JSON file; NULL = no cache */
    bool refresh;               /* measure even what the cache has */
    void (*progress)(void *context, const char *what, double fraction);
    void *context;
    int64_t *keep_all_step_ns; /* filled in unless NULL: the median keep-all step that was run, 0 if none was */
};

/* Fills in time_ns and spread_ns of all options of `graph` by measuring. If the cache has them all, nothing runs; else
 * all are measured anew, since times of one run belong together. What fits into memory neither under keep-all nor under
 * a small plan is timed task by task. */
REMAT_MUST_CHECK enum remat_status
remat_profile_measure(struct remat_task_graph *graph, const struct remat_layer_graph *layers,
                      const struct remat_backend *backend, struct remat_device *device,
                      const struct remat_profile_options *options, struct remat_error *err);

/* Times, task by task, the options of those tasks that have several numerics classes: what
 * remat_task_graph_keep_fastest() needs to choose before the graph is measured. Uses the cache as
 * remat_profile_measure() does, so that a choice once made stays. */
REMAT_MUST_CHECK enum remat_status remat_profile_alternatives(struct remat_task_graph *graph,
                                                              const struct remat_backend *backend,
                                                              struct remat_device *device,
                                                              const struct remat_profile_options *options,
                                                              struct remat_error *err);

/* Where the cache is kept unless told otherwise: $XDG_CACHE_HOME/remat/profile.json or ~/.cache/remat/profile.json. */
REMAT_MUST_CHECK enum remat_status remat_profile_cache_path(char *buffer, int capacity, struct remat_error *err);

/* The machine's peaks: large matrix products, in f32 and, where a card has it, in bf16 (else 0), and memory copy. */
struct remat_machine_peaks {
    double gflop_per_second, gbyte_per_second;
    double bf16_gflop_per_second;
};
/* The peak that a kernel's arithmetic is to be compared with. */
double remat_compute_peak(const struct remat_machine_peaks *peaks, const struct remat_kernel_spec *spec);
/* Measures them. With a cache they are taken from there unless `refresh`; the highest ever measured is kept, since a
 * busy machine shows less than it has. options may be NULL: no cache. */
REMAT_MUST_CHECK enum remat_status remat_profile_peaks(const struct remat_backend *backend, struct remat_device *device,
                                                       const struct remat_profile_options *options,
                                                       struct remat_machine_peaks *out, struct remat_error *err);

/* How fast values go to host memory and back beside the kernels, and to another place on the device. */
struct remat_copy_rates {
    int64_t to_host_bytes_per_s, to_device_bytes_per_s, move_bytes_per_s;
};
/* Measures them, the median of some copies each, and sets them in `graph`. With a cache they are taken from there
 * unless `refresh`. */
REMAT_MUST_CHECK enum remat_status remat_profile_copies(const struct remat_backend *backend,
                                                        struct remat_device *device,
                                                        const struct remat_profile_options *options,
                                                        struct remat_task_graph *graph, struct remat_error *err);

/* Roofline: max(flop / peak, traffic / bandwidth) for every option. */
void remat_profile_estimate(struct remat_task_graph *graph, const struct remat_machine_peaks *peaks);

#endif
