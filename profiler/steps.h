/* Real steps of the executor, timed instruction by instruction. */
#ifndef REMAT_PROFILER_STEPS_H
#define REMAT_PROFILER_STEPS_H

#include "core/graph/layer_graph.h"
#include "core/plan/plan.h"
#include "runtime/exec/exec.h"

/* Where steps run; all borrowed. */
struct remat_profile_stage {
    const struct remat_backend *backend;
    struct remat_device *device;
    const struct remat_task_graph *graph;
    const struct remat_layer_graph *layers;
    struct remat_state *state;
};

/* One unmeasured step, then `steps` measured ones (0 = chosen by the step's time, not below least_steps) on synthetic
 * data with a learning rate of 0. *times_ns[i * *steps + s] is instruction i in measured step s; i = instructions_count
 * gives whole steps. The caller frees it. */
REMAT_MUST_CHECK enum remat_status remat_profile_steps(const struct remat_profile_stage *stage,
                                                       const struct remat_plan *plan, int32_t least_steps,
                                                       int32_t *steps, int64_t **times_ns, struct remat_error *err);

#endif
