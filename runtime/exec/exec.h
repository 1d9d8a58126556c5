/* The executor: runs a verified plan, one call an instruction: address = base + offset. Values that the plan offloads
 * go to host memory of its own, of exactly plan->host_bytes, and back beside the kernels. It allocates nothing during
 * steps. Where a device can record work (a CUDA graph), each section runs once as it stands, is then recorded,
 * and from there on replayed with one call; what varies from step to step is in the step record, in device memory.
 *
 * Measured is measured: with `track`, the ranges and scratch sizes that are really handed to each kernel and copy are
 * recorded (from the kernel's own descriptors, not the plan's numbers) and their high-water marks, of the device and of
 * the host, are computed from that record.
 */
#ifndef REMAT_RUNTIME_EXEC_EXEC_H
#define REMAT_RUNTIME_EXEC_EXEC_H

#include "core/plan/plan.h"
#include "runtime/backend/backend.h"
#include "runtime/exec/state.h"

struct remat_exec;

struct remat_exec_options {
    bool track;  /* record ranges: measured peaks */
    bool time;   /* record each instruction's time */
    bool poison; /* fill a buffer with NaN when it begins and when it ends: tests */
    /* Called after each run instruction of a task, outside its time, with the addresses, in the device's memory, of its
     * outputs (tests copy gradients before use; measurements let another process have its turn). */
    void (*observe)(void *context, int32_t instruction, const struct remat_task *task,
                    const struct remat_kernel_args *args);
    void *context;
};

/* Verifies the plan, binds cells by name, makes one kernel a distinct (signature, option). Borrows all of them; `arena`
 * has at least plan->arena_bytes and may be shared with other executors, if the device is idle when another one begins.
 */
REMAT_MUST_CHECK enum remat_status remat_exec_create(const struct remat_backend *backend, struct remat_device *device,
                                                     const struct remat_task_graph *graph,
                                                     const struct remat_plan *plan, struct remat_state *state,
                                                     const struct remat_memory *arena,
                                                     const struct remat_exec_options *options, struct remat_exec **out,
                                                     struct remat_error *err);
void remat_exec_destroy(struct remat_exec *exec);

/* The host memory of a staging cell (name "staging.<input>") in slot 0 or 1; written by the data loader before a micro
 * step, which takes it to the device where that has memory of its own. */
void *remat_exec_staging(struct remat_exec *exec, int32_t slot, const char *name, struct remat_tensor *tensor);

/* Begins to take the slot's batch to the device, beside what that does; the slot must then stay as it is until its
 * micro step has been called. Nothing where the device has no memory of its own. */
REMAT_MUST_CHECK enum remat_status remat_exec_stage(struct remat_exec *exec, int32_t slot, struct remat_error *err);
/* One micro step, reading the batch in `slot`, which the loader may change when this returns. */
REMAT_MUST_CHECK enum remat_status remat_exec_micro(struct remat_exec *exec, int32_t slot,
                                                    const struct remat_step_record *record, struct remat_error *err);
/* The finish section (nothing if it is empty). */
REMAT_MUST_CHECK enum remat_status remat_exec_finish(struct remat_exec *exec, const struct remat_step_record *record,
                                                     struct remat_error *err);

struct remat_exec_measure {
    int64_t peak_bytes;      /* highest extent handed to a kernel or copy, staging included (track) */
    int64_t live_peak_bytes; /* largest sum of live ranges and scratch (track) */
    int64_t host_peak_bytes; /* the same two of host memory that copies were handed (track) */
    int64_t host_live_peak_bytes;
    int64_t step_ns; /* last micro step + finish */
};
/* Waits for the end of the last step. */
REMAT_MUST_CHECK enum remat_status remat_exec_measured(const struct remat_exec *exec, struct remat_exec_measure *out,
                                                       struct remat_error *err);
/* Time of each instruction in the last step (time), instructions_count entries, 0 for copies and waits; borrowed. */
REMAT_MUST_CHECK enum remat_status remat_exec_times_ns(struct remat_exec *exec, const int64_t **out,
                                                       struct remat_error *err);

#endif
