/* Internal to runtime/exec and profiler: the calls of a plan, ready to be made. */
#ifndef REMAT_RUNTIME_EXEC_CALL_H
#define REMAT_RUNTIME_EXEC_CALL_H

#include "core/plan/plan.h"
#include "runtime/backend/backend.h"
#include "runtime/exec/state.h"

/* A store or a fetch, with its addresses, its number among the plan's copies, and the tensor's own bytes. */
struct remat_call_copy {
    void *device, *host;
    int64_t bytes;
    int32_t index;
};

/* A move, with the tensor's own bytes. */
struct remat_call_move {
    void *to;
    const void *from;
    int64_t bytes;
};

/* One instruction with its addresses. Of a wait `copy` is what it waits for. `staging[k]` is the offset of cell k in a
 * staging slot, or -1: its address changes from slot to slot, all others stay. Sizes come from the kernel's spec and
 * from the kernel, not from the plan.
 */
struct remat_call {
    const struct remat_task *task; /* NULL: a copy, a wait or a move */
    struct remat_call_copy copy;
    struct remat_call_move move;
    struct remat_kernel *kernel; /* borrows from the kernel set */
    struct remat_kernel_args args;
    int64_t staging[REMAT_MAX_CELLS];
    int64_t input_bytes[REMAT_MAX_INPUTS], output_bytes[REMAT_MAX_OUTPUTS], cell_bytes[REMAT_MAX_CELLS], scratch_bytes;
};

/* One kernel per distinct (signature, option). */
struct remat_made_kernel {
    uint64_t signature;
    int32_t option;
    struct remat_kernel *kernel;
};

struct remat_kernel_set {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_made_kernel *kernels;
    int32_t count, capacity;
};

/* The backend's number of the implementation `name`: a graph may leave out options that a backend has. */
REMAT_MUST_CHECK enum remat_status remat_find_option(const struct remat_backend *backend, struct remat_device *device,
                                                     const struct remat_kernel_spec *spec, const char *name,
                                                     int32_t *out, struct remat_error *err);

void remat_kernel_set_free(struct remat_kernel_set *set);

/* Where calls find their memory. */
struct remat_call_memory {
    unsigned char *spaces[REMAT_SPACE_COUNT]; /* the arena, and what the plan has on the host */
    struct remat_state *state;
    const struct remat_step_record *record;
};

/* How many stores and fetches a plan has. */
int32_t remat_count_copies(const struct remat_plan *plan);

/* Fills in calls[0 .. instructions_count) of `plan`. */
REMAT_MUST_CHECK enum remat_status remat_calls_bind(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                                    const struct remat_call_memory *memory,
                                                    struct remat_kernel_set *set, struct remat_call *calls,
                                                    struct remat_error *err);

/* Offset of a staging cell in its slot, or -1: slots hold the staging cells in the order of the graph. */
int64_t remat_staging_offset(const struct remat_task_graph *graph, int32_t cell);

#endif
