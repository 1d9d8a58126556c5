#include "runtime/exec/exec.h"

#include "runtime/exec/call.h"
#include "runtime/exec/poison.h"
#include "runtime/exec/tracker.h"

#include <stdlib.h>
#include <string.h>

/* What is run, and recorded, as a whole. */
enum section { MICRO_SLOT_0, MICRO_SLOT_1, FINISH, SECTIONS };
/* Of the whole step: set at the beginning and at the end of the last micro step and of the finish section. */
enum { MICRO_BEGIN, MICRO_END, FINISH_BEGIN, FINISH_END, STEP_MARKS };

struct remat_exec {
    const struct remat_backend *backend;
    const struct remat_device_ops *ops;
    struct remat_device *device;
    const struct remat_task_graph *graph;
    const struct remat_plan *plan;
    unsigned char *arena;
    struct remat_exec_options options;
    struct remat_kernel_set kernels;
    struct remat_call *calls;                          /* one an instruction */
    int64_t *times_ns;                                 /* one an instruction */
    struct remat_tracker *trackers[REMAT_SPACE_COUNT]; /* both or none */
    struct remat_memory host;                          /* of offloaded values */
    struct remat_copies *copies;
    struct remat_memory record;  /* a struct remat_step_record, where kernels read it */
    struct remat_memory staging; /* the loader's side of both slots, unless the arena is the host's own memory */
    struct remat_marks *step_marks, *instruction_marks; /* the latter two an instruction */
    struct remat_recording *recordings[SECTIONS];
    bool has_run[SECTIONS], micro_done, finish_done;
    bool staged[2]; /* the slot's batch is on its way */
};

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

static enum remat_status create_trackers(struct remat_exec *exec, struct remat_error *err)
{
    int64_t per_instruction = REMAT_MAX_INPUTS + REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 1;
    int32_t count = exec->plan->instructions_count;
    REMAT_TRY(remat_tracker_create(count * per_instruction, count, exec->arena, staging_bytes(exec->graph),
                                   &exec->trackers[REMAT_DEVICE], err));
    /* a record at each copy and at the wait for it */
    return remat_tracker_create(2 * (int64_t)remat_count_copies(exec->plan), count, exec->host.base, 0,
                                &exec->trackers[REMAT_HOST], err);
}

static enum remat_status open_copies(struct remat_exec *exec, struct remat_error *err)
{
    int32_t count = remat_count_copies(exec->plan);
    if (count == 0)
        return REMAT_OK;
    REMAT_TRY(exec->ops->pinned_open(exec->device, exec->plan->host_bytes, "offloaded values", &exec->host, err));
    return exec->ops->copies_open(exec->device, count, &exec->copies, err);
}

/* What an executor has beside the arena: the record, marks, and the host's side of the staging slots. */
static enum remat_status open_memory(struct remat_exec *exec, struct remat_error *err)
{
    const struct remat_device_ops *ops = exec->ops;
    int64_t record_bytes = remat_align_up((int64_t)sizeof(struct remat_step_record));
    REMAT_TRY(ops->memory_open(exec->device, record_bytes, "the step record", &exec->record, err));
    if (!ops->host)
        REMAT_TRY(
            ops->pinned_open(exec->device, exec->graph->staging_bytes, "batches on the host", &exec->staging, err));
    REMAT_TRY(ops->marks_open(exec->device, STEP_MARKS, &exec->step_marks, err));
    if (exec->options.time)
        REMAT_TRY(ops->marks_open(exec->device, 2 * exec->plan->instructions_count, &exec->instruction_marks, err));
    return REMAT_OK;
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
    exec->ops = backend->ops;
    exec->device = device;
    exec->graph = graph;
    exec->plan = plan;
    exec->arena = arena->base;
    exec->options = *options;
    exec->kernels.backend = backend;
    exec->kernels.device = device;
    REMAT_TRY_GOTO(open_memory(exec, err), fail);
    REMAT_TRY_GOTO(open_copies(exec, err), fail);
    memory = (struct remat_call_memory){{arena->base, exec->host.base}, state, (const void *)exec->record.base};
    REMAT_TRY_GOTO(REMAT_ALLOC(exec->calls, plan->instructions_count, err), fail);
    REMAT_TRY_GOTO(REMAT_ALLOC(exec->times_ns, plan->instructions_count, err), fail);
    REMAT_TRY_GOTO(remat_calls_bind(graph, plan, &memory, &exec->kernels, exec->calls, err), fail);
    if (options->track)
        REMAT_TRY_GOTO(create_trackers(exec, err), fail);
    *out = exec;
    return REMAT_OK;
fail:
    remat_exec_destroy(exec);
    return status;
}

void remat_exec_destroy(struct remat_exec *exec)
{
    struct remat_error ignored;
    if (!exec)
        return;
    for (int32_t slot = 0; slot < 2; slot++) /* a batch still on its way reads the slot's memory */
        if (exec->staged[slot] && exec->ops->upload_done(exec->device, slot, &ignored) != REMAT_OK)
            exec->staged[slot] = false;
    if (exec->copies) {
        (void)exec->ops->synchronise(exec->device, &ignored); /* replays copy, too */
        exec->ops->copies_close(exec->copies);
    }
    for (int32_t i = 0; i < SECTIONS; i++)
        if (exec->recordings[i])
            exec->ops->recording_close(exec->recordings[i]);
    exec->ops->marks_close(exec->step_marks);
    exec->ops->marks_close(exec->instruction_marks);
    remat_memory_close(&exec->record);
    remat_memory_close(&exec->staging);
    remat_memory_close(&exec->host);
    for (int space = 0; space < REMAT_SPACE_COUNT; space++)
        remat_tracker_destroy(exec->trackers[space]);
    remat_kernel_set_free(&exec->kernels);
    free(exec->calls);
    free(exec->times_ns);
    free(exec);
}

void *remat_exec_staging(struct remat_exec *exec, int32_t slot, const char *name, struct remat_tensor *tensor)
{
    const struct remat_task_graph *graph = exec->graph;
    unsigned char *base = exec->ops->host ? exec->arena : exec->staging.base;
    for (int32_t i = 0; i < graph->cells_count; i++) {
        if (graph->cells[i].kind != REMAT_STAGING_SLOT || strcmp(graph->cells[i].name, name) != 0)
            continue;
        if (tensor)
            *tensor = graph->cells[i].tensor;
        return base + slot * (graph->staging_bytes / 2) + remat_staging_offset(graph, i);
    }
    return NULL;
}

static void track(const struct remat_exec *exec, int32_t index, const struct remat_call *call)
{
    struct remat_tracker *tracker = exec->trackers[REMAT_DEVICE];
    if (!tracker)
        return;
    for (int32_t k = 0; k < call->task->cells_count; k++)
        if (call->staging[k] >= 0)
            remat_tracker_record(tracker, index, call->args.cells[k], call->cell_bytes[k], REMAT_ACCESS_READ);
    for (int32_t k = 0; k < call->task->inputs_count; k++)
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

static enum remat_status mark_instruction(const struct remat_exec *exec, int32_t mark, struct remat_error *err)
{
    return exec->options.time ? exec->ops->mark(exec->instruction_marks, mark, err) : REMAT_OK;
}

static enum remat_status poison(const struct remat_exec *exec, int32_t index, remat_poison_function *fill,
                                struct remat_error *err)
{
    unsigned char *const spaces[REMAT_SPACE_COUNT] = {exec->arena, exec->host.base};
    return fill(exec->ops, exec->device, exec->plan, index, spaces, err);
}

static enum remat_status run_call(struct remat_exec *exec, int32_t index, int32_t slot, struct remat_error *err)
{
    struct remat_call *call = &exec->calls[index];
    const struct remat_exec_options *options = &exec->options;
    select_slot(exec, call, slot);
    if (options->poison)
        REMAT_TRY(poison(exec, index, remat_poison_before, err));
    track(exec, index, call);
    REMAT_TRY(mark_instruction(exec, 2 * index, err));
    if (exec->backend->kernel_run(call->kernel, &call->args, err) != REMAT_OK)
        return remat_error_prefix(err, "instruction %d, task %s", index, call->task->name);
    REMAT_TRY(mark_instruction(exec, 2 * index + 1, err));
    if (options->observe)
        options->observe(options->context, index, call->task, &call->args);
    if (options->poison)
        REMAT_TRY(poison(exec, index, remat_poison_after, err));
    return REMAT_OK;
}

/* Both ranges, at the copy and at its wait: until then they are not free. */
static void track_copy(const struct remat_exec *exec, int32_t index, const struct remat_call_copy *copy)
{
    enum remat_instruction_kind kind = exec->plan->instructions[index].kind;
    if (!exec->trackers[REMAT_DEVICE])
        return;
    remat_tracker_record(exec->trackers[REMAT_DEVICE], index, copy->device, copy->bytes,
                         kind == REMAT_FETCH ? REMAT_ACCESS_WRITE : REMAT_ACCESS_READ);
    remat_tracker_record(exec->trackers[REMAT_HOST], index, copy->host, copy->bytes,
                         kind == REMAT_STORE ? REMAT_ACCESS_WRITE : REMAT_ACCESS_READ);
}

/* A store, a fetch or a wait. */
static enum remat_status run_copy(struct remat_exec *exec, int32_t index, struct remat_error *err)
{
    const struct remat_call_copy *copy = &exec->calls[index].copy;
    enum remat_instruction_kind kind = exec->plan->instructions[index].kind;
    enum remat_status status;
    if (exec->options.poison)
        REMAT_TRY(poison(exec, index, remat_poison_before, err));
    track_copy(exec, index, copy);
    if (kind == REMAT_WAIT)
        status = exec->ops->copy_await(exec->copies, copy->index, err);
    else if (kind == REMAT_STORE)
        status = exec->ops->copy_beside(exec->copies, REMAT_TO_HOST, copy->index, copy->host, copy->device, copy->bytes,
                                        err);
    else
        status = exec->ops->copy_beside(exec->copies, REMAT_TO_DEVICE, copy->index, copy->device, copy->host,
                                        copy->bytes, err);
    if (status != REMAT_OK)
        return remat_error_prefix(err, "instruction %d", index);
    return exec->options.poison ? poison(exec, index, remat_poison_after, err) : REMAT_OK;
}

/* Both ranges; what they share is there once. */
static void track_move(const struct remat_exec *exec, int32_t index, const struct remat_call_move *move)
{
    struct remat_tracker *tracker = exec->trackers[REMAT_DEVICE];
    if (!tracker)
        return;
    remat_tracker_record(tracker, index, move->from, move->bytes, REMAT_ACCESS_READ);
    remat_tracker_record(tracker, index, move->to, move->bytes, REMAT_ACCESS_WRITE);
    remat_tracker_share(tracker, index, move->from, move->to, move->bytes);
}

static enum remat_status run_move(struct remat_exec *exec, int32_t index, struct remat_error *err)
{
    const struct remat_call_move *move = &exec->calls[index].move;
    if (exec->options.poison)
        REMAT_TRY(poison(exec, index, remat_poison_before, err));
    track_move(exec, index, move);
    REMAT_TRY(mark_instruction(exec, 2 * index, err));
    if (exec->ops->copy(exec->device, move->to, move->from, move->bytes, err) != REMAT_OK)
        return remat_error_prefix(err, "instruction %d, a move", index);
    REMAT_TRY(mark_instruction(exec, 2 * index + 1, err));
    return exec->options.poison ? poison(exec, index, remat_poison_after, err) : REMAT_OK;
}

/* How many instructions from `index` on the device can do at once; what is looked at between them is run alone. */
static int32_t count_joined(const struct remat_exec *exec, int32_t index, int32_t end)
{
    const struct remat_exec_options *options = &exec->options;
    const struct remat_call *first = &exec->calls[index];
    int32_t count = 1;
    if (!exec->backend->kernel_joins || options->time || options->poison || options->observe)
        return 1;
    while (count < REMAT_MAX_JOINED && index + count < end && exec->calls[index + count].task &&
           exec->backend->kernel_joins(first->kernel, exec->calls[index + count].kernel))
        count++;
    return count;
}

static enum remat_status run_joined(struct remat_exec *exec, int32_t index, int32_t count, int32_t slot,
                                    struct remat_error *err)
{
    const struct remat_kernel *kernels[REMAT_MAX_JOINED];
    const struct remat_kernel_args *args[REMAT_MAX_JOINED];
    for (int32_t i = 0; i < count; i++) {
        struct remat_call *call = &exec->calls[index + i];
        select_slot(exec, call, slot);
        track(exec, index + i, call);
        kernels[i] = call->kernel;
        args[i] = &call->args;
    }
    if (exec->backend->kernel_run_joined(kernels, args, count, err) == REMAT_OK)
        return REMAT_OK;
    return remat_error_prefix(err, "instructions %d to %d, task %s and more", index, index + count - 1,
                              exec->calls[index].task->name);
}

/* Instructions of a section, in order. */
static enum remat_status run_calls(struct remat_exec *exec, enum section section, struct remat_error *err)
{
    int32_t begin = section == FINISH ? exec->plan->finish_begin : 0;
    int32_t end = section == FINISH ? exec->plan->instructions_count : exec->plan->finish_begin;
    for (int32_t i = begin, count; i < end; i += count) {
        count = exec->calls[i].task ? count_joined(exec, i, end) : 1;
        if (count > 1)
            REMAT_TRY(run_joined(exec, i, count, section == MICRO_SLOT_1, err));
        else if (exec->calls[i].task)
            REMAT_TRY(run_call(exec, i, section == MICRO_SLOT_1, err));
        else if (exec->plan->instructions[i].kind == REMAT_MOVE)
            REMAT_TRY(run_move(exec, i, err));
        else
            REMAT_TRY(run_copy(exec, i, err));
    }
    return REMAT_OK;
}

static enum remat_status record(struct remat_exec *exec, enum section section, struct remat_error *err)
{
    struct remat_error ignored;
    enum remat_status status;
    REMAT_TRY(exec->ops->record_begin(exec->device, err));
    status = run_calls(exec, section, err);
    if (status == REMAT_OK)
        return exec->ops->record_end(exec->device, &exec->recordings[section], err);
    /* The device must leave its recording state, whatever comes of it. */
    if (exec->ops->record_end(exec->device, &exec->recordings[section], &ignored) == REMAT_OK)
        exec->ops->recording_close(exec->recordings[section]);
    exec->recordings[section] = NULL;
    return status;
}

/* The first run is plain: libraries may still load code then, which no recording allows. */
static enum remat_status run_section(struct remat_exec *exec, enum section section, struct remat_error *err)
{
    const struct remat_exec_options *options = &exec->options;
    bool records = exec->ops->record_begin && !options->time && !options->poison && !options->observe;
    bool first = !exec->has_run[section];
    exec->has_run[section] = true;
    if (!records || first)
        return run_calls(exec, section, err);
    if (!exec->recordings[section])
        REMAT_TRY(record(exec, section, err));
    return exec->ops->replay(exec->recordings[section], err);
}

static enum remat_status upload_record(const struct remat_exec *exec, const struct remat_step_record *step,
                                       struct remat_error *err)
{
    return exec->ops->upload(exec->device, exec->record.base, step, (int64_t)sizeof *step, err);
}

static bool uploads(const struct remat_exec *exec)
{
    return !exec->ops->host && exec->graph->staging_bytes > 0;
}

static enum remat_status check_slot(int32_t slot, struct remat_error *err)
{
    if (slot == 0 || slot == 1)
        return REMAT_OK;
    return remat_fail(err, REMAT_INTERNAL, "there are staging slots 0 and 1, not %d", slot);
}

enum remat_status remat_exec_stage(struct remat_exec *exec, int32_t slot, struct remat_error *err)
{
    int64_t bytes = exec->graph->staging_bytes / 2, offset = slot * bytes;
    REMAT_TRY(check_slot(slot, err));
    if (!uploads(exec) || exec->staged[slot])
        return REMAT_OK;
    REMAT_TRY(
        exec->ops->upload_ahead(exec->device, slot, exec->arena + offset, exec->staging.base + offset, bytes, err));
    exec->staged[slot] = true;
    return REMAT_OK;
}

static enum remat_status await_slot(struct remat_exec *exec, int32_t slot, struct remat_error *err)
{
    REMAT_TRY(remat_exec_stage(exec, slot, err));
    return uploads(exec) ? exec->ops->upload_arrived(exec->device, slot, err) : REMAT_OK;
}

static enum remat_status release_slot(struct remat_exec *exec, int32_t slot, struct remat_error *err)
{
    exec->staged[slot] = false;
    if (!uploads(exec))
        return REMAT_OK;
    REMAT_TRY(exec->ops->upload_used(exec->device, slot, err));
    return exec->ops->upload_done(exec->device, slot, err);
}

enum remat_status remat_exec_micro(struct remat_exec *exec, int32_t slot, const struct remat_step_record *step,
                                   struct remat_error *err)
{
    const struct remat_device_ops *ops = exec->ops;
    REMAT_TRY(check_slot(slot, err));
    for (int space = 0; space < REMAT_SPACE_COUNT; space++)
        if (exec->trackers[space] && !exec->recordings[slot])
            remat_tracker_begin(exec->trackers[space]);
    exec->finish_done = false;
    REMAT_TRY(upload_record(exec, step, err));
    REMAT_TRY(ops->mark(exec->step_marks, MICRO_BEGIN, err));
    REMAT_TRY(await_slot(exec, slot, err));
    REMAT_TRY(run_section(exec, slot == 0 ? MICRO_SLOT_0 : MICRO_SLOT_1, err));
    REMAT_TRY(ops->mark(exec->step_marks, MICRO_END, err));
    exec->micro_done = true;
    return release_slot(exec, slot, err);
}

enum remat_status remat_exec_finish(struct remat_exec *exec, const struct remat_step_record *step,
                                    struct remat_error *err)
{
    if (exec->plan->finish_begin == exec->plan->instructions_count)
        return REMAT_OK;
    REMAT_TRY(upload_record(exec, step, err));
    REMAT_TRY(exec->ops->mark(exec->step_marks, FINISH_BEGIN, err));
    REMAT_TRY(run_section(exec, FINISH, err));
    REMAT_TRY(exec->ops->mark(exec->step_marks, FINISH_END, err));
    exec->finish_done = true;
    return REMAT_OK;
}

enum remat_status remat_exec_measured(const struct remat_exec *exec, struct remat_exec_measure *out,
                                      struct remat_error *err)
{
    int64_t finish_ns = 0;
    memset(out, 0, sizeof *out);
    if (exec->micro_done)
        REMAT_TRY(exec->ops->marks_elapsed(exec->step_marks, MICRO_BEGIN, MICRO_END, &out->step_ns, err));
    if (exec->finish_done)
        REMAT_TRY(exec->ops->marks_elapsed(exec->step_marks, FINISH_BEGIN, FINISH_END, &finish_ns, err));
    out->step_ns += finish_ns;
    if (exec->trackers[REMAT_DEVICE]) {
        out->peak_bytes = remat_tracker_extent_bytes(exec->trackers[REMAT_DEVICE]);
        out->live_peak_bytes = remat_tracker_live_peak_bytes(exec->trackers[REMAT_DEVICE]);
        out->host_peak_bytes = remat_tracker_extent_bytes(exec->trackers[REMAT_HOST]);
        out->host_live_peak_bytes = remat_tracker_live_peak_bytes(exec->trackers[REMAT_HOST]);
    }
    return REMAT_OK;
}

enum remat_status remat_exec_times_ns(struct remat_exec *exec, const int64_t **out, struct remat_error *err)
{
    *out = exec->times_ns;
    for (int32_t i = 0; exec->options.time && i < exec->plan->instructions_count; i++)
        if (exec->calls[i].task || exec->plan->instructions[i].kind == REMAT_MOVE)
            REMAT_TRY(exec->ops->marks_elapsed(exec->instruction_marks, 2 * i, 2 * i + 1, &exec->times_ns[i], err));
    return REMAT_OK;
}
