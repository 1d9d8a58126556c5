#include "runtime/exec/exec.h"

#include "runtime/exec/call.h"
#include "runtime/exec/poison.h"
#include "runtime/exec/tracker.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct remat_exec {
    const struct remat_backend *backend;
    const struct remat_task_graph *graph;
    const struct remat_plan *plan;
    unsigned char *arena;
    struct remat_exec_options options;
    struct remat_kernel_set kernels;
    struct remat_call *calls; /* one an instruction */
    int64_t *times_ns;        /* one an instruction */
    struct remat_tracker *tracker;
    struct remat_step_record record;
    int64_t micro_ns, finish_ns;
};

static int64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static enum remat_status check_plan(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                    const struct remat_memory *arena, struct remat_error *err)
{
    uint64_t hash = remat_task_graph_hash(graph);
    if (plan->graph_hash != hash)
        return remat_fail(err, REMAT_BAD_DATA,
                          "this plan was made for another task graph (hash %016llx) than %s (hash %016llx); model, "
                          "batch, sizes, optimizer, device, threads and library versions must be those it was solved "
                          "for: solve again",
                          (unsigned long long)plan->graph_hash, graph->name, (unsigned long long)hash);
    REMAT_TRY(remat_plan_verify(graph, plan, err));
    if (arena->bytes < plan->arena_bytes)
        return remat_fail(err, REMAT_INTERNAL, "the plan needs an arena of %lld bytes, this one has %lld",
                          (long long)plan->arena_bytes, (long long)arena->bytes);
    for (int32_t i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space != REMAT_DEVICE)
            return remat_fail(err, REMAT_UNAVAILABLE,
                              "buffer %d of the plan lies outside the device's memory, which this executor does not do",
                              i);
    return REMAT_OK;
}

/* What the loader may fill at any time: both slots, from the tensors' own sizes. */
static int64_t staging_bytes(const struct remat_task_graph *graph)
{
    int64_t slot = 0;
    for (int32_t i = 0; i < graph->cells_count; i++)
        if (graph->cells[i].kind == REMAT_STAGING_SLOT)
            slot += remat_align_up(remat_tensor_bytes(&graph->cells[i].tensor));
    return 2 * slot;
}

static enum remat_status create_tracker(struct remat_exec *exec, struct remat_error *err)
{
    int64_t per_instruction = REMAT_MAX_INPUTS + REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 1;
    return remat_tracker_create(exec->plan->instructions_count * per_instruction, exec->plan->instructions_count,
                                exec->arena, staging_bytes(exec->graph), &exec->tracker, err);
}

enum remat_status remat_exec_create(const struct remat_backend *backend, struct remat_device *device,
                                    const struct remat_task_graph *graph, const struct remat_plan *plan,
                                    struct remat_state *state, const struct remat_memory *arena,
                                    const struct remat_exec_options *options, struct remat_exec **out,
                                    struct remat_error *err)
{
    struct remat_exec *exec;
    struct remat_call_memory memory;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(check_plan(graph, plan, arena, err));
    REMAT_TRY(REMAT_ALLOC(exec, 1, err));
    exec->backend = backend;
    exec->graph = graph;
    exec->plan = plan;
    exec->arena = arena->base;
    exec->options = *options;
    exec->kernels.backend = backend;
    exec->kernels.device = device;
    memory = (struct remat_call_memory){arena->base, state, &exec->record};
    REMAT_TRY_GOTO(REMAT_ALLOC(exec->calls, plan->instructions_count, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(exec->times_ns, plan->instructions_count, err), fail);
    REMAT_TRY_GOTO(remat_calls_bind(graph, plan, &memory, &exec->kernels, exec->calls, err), fail);
    if (options->track)
        REMAT_TRY_GOTO(create_tracker(exec, err), fail);
    *out = exec;
    return REMAT_OK;
fail:
    remat_exec_destroy(exec);
    return status;
}

void remat_exec_destroy(struct remat_exec *exec)
{
    if (!exec)
        return;
    remat_tracker_destroy(exec->tracker);
    remat_kernel_set_free(&exec->kernels);
    free(exec->calls);
    free(exec->times_ns);
    free(exec);
}

void *remat_exec_staging(struct remat_exec *exec, int32_t slot, const char *name, struct remat_tensor *tensor)
{
    const struct remat_task_graph *graph = exec->graph;
    for (int32_t i = 0; i < graph->cells_count; i++) {
        if (graph->cells[i].kind != REMAT_STAGING_SLOT || strcmp(graph->cells[i].name, name) != 0)
            continue;
        if (tensor)
            *tensor = graph->cells[i].tensor;
        return exec->arena + slot * (graph->staging_bytes / 2) + remat_staging_offset(graph, i);
    }
    return NULL;
}

static void track(struct remat_tracker *tracker, int32_t index, const struct remat_call *call)
{
    for (int32_t k = 0; k < call->task->cells_count; k++)
        if (call->staging[k] >= 0)
            remat_tracker_record(tracker, index, call->args.cells[k], call->cell_bytes[k], REMAT_ACCESS_READ);
    for (int32_t k = 0; k < REMAT_MAX_INPUTS; k++)
        remat_tracker_record(tracker, index, call->args.inputs[k], call->input_bytes[k], REMAT_ACCESS_READ);
    for (int32_t k = 0; k < REMAT_MAX_OUTPUTS; k++)
        remat_tracker_record(tracker, index, call->args.outputs[k], call->output_bytes[k], REMAT_ACCESS_WRITE);
    remat_tracker_record(tracker, index, call->args.scratch, call->scratch_bytes, REMAT_ACCESS_SCRATCH);
}

/* Points the call's staging cells at the slot. */
static void select_slot(const struct remat_exec *exec, struct remat_call *call, int32_t slot)
{
    int64_t slot_offset = slot * (exec->graph->staging_bytes / 2);
    for (int32_t k = 0; k < call->task->cells_count; k++)
        if (call->staging[k] >= 0)
            call->args.cells[k] = exec->arena + slot_offset + call->staging[k];
}

static enum remat_status run_call(struct remat_exec *exec, int32_t index, int32_t slot, struct remat_error *err)
{
    struct remat_call *call = &exec->calls[index];
    const struct remat_exec_options *options = &exec->options;
    int64_t begin;
    select_slot(exec, call, slot);
    if (options->poison)
        remat_poison_before(exec->plan, index, exec->arena);
    if (exec->tracker)
        track(exec->tracker, index, call);
    begin = options->time ? now_ns() : 0;
    if (exec->backend->kernel_run(call->kernel, &call->args, err) != REMAT_OK)
        return remat_error_prefix(err, "instruction %d, task %s", index, call->task->name);
    if (options->time)
        exec->times_ns[index] = now_ns() - begin;
    if (options->observe)
        options->observe(options->context, index, call->task, &call->args);
    if (options->poison)
        remat_poison_after(exec->plan, index, exec->arena);
    return REMAT_OK;
}

/* Instructions [begin, end). One stream on the host: what a wait asks for has completed already. */
static enum remat_status run_range(struct remat_exec *exec, int32_t begin, int32_t end, int32_t slot,
                                   const struct remat_step_record *record, int64_t *time_ns, struct remat_error *err)
{
    int64_t start = now_ns();
    exec->record = *record;
    for (int32_t i = begin; i < end; i++)
        if (exec->calls[i].task)
            REMAT_TRY(run_call(exec, i, slot, err));
    *time_ns = now_ns() - start;
    return REMAT_OK;
}

enum remat_status remat_exec_micro(struct remat_exec *exec, int32_t slot, const struct remat_step_record *record,
                                   struct remat_error *err)
{
    if (slot != 0 && slot != 1)
        return remat_fail(err, REMAT_INTERNAL, "there are staging slots 0 and 1, not %d", slot);
    if (exec->tracker)
        remat_tracker_begin(exec->tracker);
    exec->finish_ns = 0;
    return run_range(exec, 0, exec->plan->finish_begin, slot, record, &exec->micro_ns, err);
}

enum remat_status remat_exec_finish(struct remat_exec *exec, const struct remat_step_record *record,
                                    struct remat_error *err)
{
    return run_range(exec, exec->plan->finish_begin, exec->plan->instructions_count, 0, record, &exec->finish_ns, err);
}

void remat_exec_measured(const struct remat_exec *exec, struct remat_exec_measure *out)
{
    memset(out, 0, sizeof *out);
    out->step_ns = exec->micro_ns + exec->finish_ns;
    if (exec->tracker) {
        out->peak_bytes = remat_tracker_extent_bytes(exec->tracker);
        out->live_peak_bytes = remat_tracker_live_peak_bytes(exec->tracker);
    }
}

const int64_t *remat_exec_times_ns(const struct remat_exec *exec)
{
    return exec->times_ns;
}
