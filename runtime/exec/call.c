#include "runtime/exec/call.h"

#include <stdlib.h>
#include <string.h>

void remat_kernel_set_free(struct remat_kernel_set *set)
{
    for (int32_t i = 0; i < set->count; i++)
        set->backend->kernel_destroy(set->kernels[i].kernel);
    free(set->kernels);
    set->kernels = NULL;
    set->count = set->capacity = 0;
}

enum remat_status remat_find_option(const struct remat_backend *backend, struct remat_device *device,
                                    const struct remat_kernel_spec *spec, const char *name, int32_t *out,
                                    struct remat_error *err)
{
    struct remat_kernel_option found[REMAT_MAX_OPTIONS];
    int32_t count = 0;
    REMAT_TRY(backend->options(device, spec, found, &count, err));
    for (int32_t i = 0; i < count; i++)
        if (strcmp(found[i].name, name) == 0) {
            *out = i;
            return REMAT_OK;
        }
    return remat_fail(err, REMAT_UNAVAILABLE, "backend %s has no implementation \"%s\" of %s", backend->name, name,
                      remat_op_text(spec->op));
}

static enum remat_status find_kernel(struct remat_kernel_set *set, const struct remat_task *task, int32_t option,
                                     const struct remat_kernel_spec *spec, struct remat_kernel **out,
                                     struct remat_error *err)
{
    struct remat_made_kernel *made;
    int32_t implementation = 0;
    for (int32_t i = 0; i < set->count; i++)
        if (set->kernels[i].signature == task->signature && set->kernels[i].option == option) {
            *out = set->kernels[i].kernel;
            return REMAT_OK;
        }
    REMAT_TRY(REMAT_GROW(set->kernels, set->capacity, set->count + 1, err));
    made = &set->kernels[set->count];
    if (remat_find_option(set->backend, set->device, spec, task->options[option].name, &implementation, err) !=
            REMAT_OK ||
        set->backend->kernel_create(set->device, spec, implementation, &made->kernel, err) != REMAT_OK)
        return remat_error_prefix(err, "task %s, option %d", task->name, option);
    made->signature = task->signature;
    made->option = option;
    set->count++;
    *out = made->kernel;
    return REMAT_OK;
}

int64_t remat_staging_offset(const struct remat_task_graph *graph, int32_t cell)
{
    int64_t offset = 0;
    if (graph->cells[cell].kind != REMAT_STAGING_SLOT)
        return -1;
    for (int32_t i = 0; i < cell; i++)
        if (graph->cells[i].kind == REMAT_STAGING_SLOT)
            offset += graph->cells[i].bytes;
    return offset;
}

static enum remat_status bind_cell(const struct remat_task_graph *graph, const struct remat_call_memory *memory,
                                   int32_t cell, int64_t *staging, void **address, struct remat_error *err)
{
    const struct remat_cell *wanted = &graph->cells[cell];
    const struct remat_state_cell *found;
    *staging = remat_staging_offset(graph, cell);
    if (*staging >= 0) {
        *address = memory->spaces[REMAT_DEVICE] + *staging;
        return REMAT_OK;
    }
    found = remat_state_find(memory->state, wanted->name);
    if (!found)
        return remat_fail(err, REMAT_BAD_DATA, "graph %s needs the cell %s, which the training state does not have",
                          graph->name, wanted->name);
    if (!remat_tensor_equal(&found->tensor, &wanted->tensor))
        return remat_fail(err, REMAT_BAD_DATA,
                          "cell %s: graph %s expects %s of %lld elements, the training state has %s of %lld",
                          wanted->name, graph->name, remat_dtype_text(wanted->tensor.dtype),
                          (long long)remat_tensor_elements(&wanted->tensor), remat_dtype_text(found->tensor.dtype),
                          (long long)remat_tensor_elements(&found->tensor));
    *address = found->data;
    return REMAT_OK;
}

static void *view_address(const struct remat_plan *plan, int32_t view, const struct remat_call_memory *memory)
{
    const struct remat_buffer *buffer;
    if (view < 0)
        return NULL;
    buffer = &plan->buffers[plan->views[view].buffer];
    return memory->spaces[buffer->space] + buffer->offset + plan->views[view].offset;
}

static int64_t operand_bytes(const struct remat_tensor *tensor)
{
    return remat_align_up(remat_tensor_bytes(tensor));
}

static void bind_operands(const struct remat_plan *plan, const struct remat_instruction *instruction,
                          const struct remat_kernel_spec *spec, const struct remat_call_memory *memory,
                          struct remat_call *call)
{
    for (int32_t k = 0; k < spec->inputs_count; k++) {
        call->args.inputs[k] = view_address(plan, instruction->inputs[k], memory);
        call->input_bytes[k] = operand_bytes(&spec->inputs[k]);
    }
    for (int32_t k = 0; k < spec->outputs_count; k++) {
        call->args.outputs[k] = view_address(plan, instruction->outputs[k], memory);
        call->output_bytes[k] = operand_bytes(&spec->outputs[k]);
    }
    call->args.scratch = view_address(plan, instruction->scratch, memory);
}

static enum remat_status bind_scratch(const struct remat_kernel_set *set, struct remat_call *call,
                                      struct remat_error *err)
{
    call->scratch_bytes = remat_align_up(set->backend->kernel_scratch_bytes(call->kernel));
    if (call->scratch_bytes > 0 && !call->args.scratch)
        return remat_fail(err, REMAT_INTERNAL, "task %s: its kernel needs %lld bytes of scratch, the plan gives none",
                          call->task->name, (long long)call->scratch_bytes);
    return REMAT_OK;
}

static enum remat_status bind_call(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                   const struct remat_call_memory *memory, int32_t index, struct remat_kernel_set *set,
                                   struct remat_call *call, struct remat_error *err)
{
    const struct remat_instruction *instruction = &plan->instructions[index];
    const struct remat_task *task = &graph->tasks[instruction->task];
    struct remat_kernel_spec spec = remat_task_spec(graph, task);
    call->task = task;
    call->args.record = memory->record;
    bind_operands(plan, instruction, &spec, memory, call);
    for (int32_t k = 0; k < task->cells_count; k++) {
        REMAT_TRY(bind_cell(graph, memory, task->cells[k].cell, &call->staging[k], &call->args.cells[k], err));
        call->cell_bytes[k] = operand_bytes(&spec.cells[k]);
    }
    REMAT_TRY(find_kernel(set, task, instruction->option, &spec, &call->kernel, err));
    return bind_scratch(set, call, err);
}

int32_t remat_count_copies(const struct remat_plan *plan)
{
    int32_t count = 0;
    for (int32_t i = 0; i < plan->instructions_count; i++)
        count += plan->instructions[i].kind == REMAT_STORE || plan->instructions[i].kind == REMAT_FETCH;
    return count;
}

static void bind_copy(const struct remat_task_graph *graph, const struct remat_plan *plan,
                      const struct remat_call_memory *memory, const struct remat_instruction *instruction,
                      int32_t index, struct remat_call_copy *out)
{
    bool stores = instruction->kind == REMAT_STORE;
    out->device = view_address(plan, stores ? instruction->inputs[0] : instruction->outputs[0], memory);
    out->host = view_address(plan, stores ? instruction->outputs[0] : instruction->inputs[0], memory);
    out->bytes = operand_bytes(&graph->values[plan->views[instruction->inputs[0]].value].tensor);
    out->index = index;
}

static void bind_move(const struct remat_task_graph *graph, const struct remat_plan *plan,
                      const struct remat_call_memory *memory, const struct remat_instruction *instruction,
                      struct remat_call_move *out)
{
    out->to = view_address(plan, instruction->outputs[0], memory);
    out->from = view_address(plan, instruction->inputs[0], memory);
    out->bytes = operand_bytes(&graph->values[plan->views[instruction->inputs[0]].value].tensor);
}

enum remat_status remat_calls_bind(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                   const struct remat_call_memory *memory, struct remat_kernel_set *set,
                                   struct remat_call *calls, struct remat_error *err)
{
    for (int32_t i = 0, copies = 0; i < plan->instructions_count; i++) {
        const struct remat_instruction *instruction = &plan->instructions[i];
        if (instruction->kind == REMAT_RUN)
            REMAT_TRY(bind_call(graph, plan, memory, i, set, &calls[i], err));
        else if (instruction->kind == REMAT_MOVE)
            bind_move(graph, plan, memory, instruction, &calls[i].move);
        else if (instruction->kind == REMAT_WAIT)
            calls[i].copy = calls[instruction->event].copy;
        else
            bind_copy(graph, plan, memory, instruction, copies++, &calls[i].copy);
    }
    return REMAT_OK;
}
