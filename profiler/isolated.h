/* One kernel alone, on buffers of its own: for tasks and options that no step ran, and for the machine's peaks. */
#ifndef REMAT_PROFILER_ISOLATED_H
#define REMAT_PROFILER_ISOLATED_H

#include "runtime/backend/backend.h"

/* Runs the kernel once unmeasured, then `count` times. `cold` evicts the caches before each run, as in a step where
 * other tasks have run between. */
REMAT_MUST_CHECK enum remat_status remat_time_isolated(const struct remat_backend *backend, struct remat_device *device,
                                                       const struct remat_kernel_spec *spec, int32_t option, bool cold,
                                                       int64_t *samples_ns, int32_t count, struct remat_error *err);

#endif
