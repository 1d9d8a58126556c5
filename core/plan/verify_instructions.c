/* Abstract execution: instead of bytes, each buffer holds a list of ranges with the value that was written there. */
#include "core/plan/verify.h"

#include <stdlib.h>
#include <string.h>

struct content {
    int64_t offset, bytes; /* inside the buffer */
    int32_t value, next;   /* next: content of the same buffer, or -1 */
};

struct machine {
    struct remat_verify *verify;
    int32_t *version;  /* per cell */
    int32_t *contents; /* per buffer: first content, or -1 */
    struct content *pool;
    int32_t pool_count, pool_capacity, free_list;
    int32_t next;        /* position in the order of the next first run */
    int32_t finish_seen; /* instruction that began the finish section, or -1 */
};

/* One operand's bytes. */
struct operand {
    int32_t buffer; /* -1 = none */
    int64_t offset, bytes;
};

struct operands {
    struct operand inputs[REMAT_MAX_INPUTS], outputs[REMAT_MAX_OUTPUTS], scratch;
};

static const struct remat_task *task_at(const struct machine *machine, int32_t at)
{
    return &machine->verify->graph->tasks[machine->verify->plan->instructions[at].task];
}

/* Starts every message about an instruction with its number and task. */
#define REFUSE(machine, at, ...)                                                          \
    (remat_fail((machine)->verify->err, REMAT_BAD_DATA, __VA_ARGS__),                     \
     remat_error_prefix((machine)->verify->err, "plan: instruction %d (task '%s')", (at), \
                        task_at((machine), (at))->name),                                  \
     REMAT_BAD_DATA)

static enum remat_status check_header(const struct machine *machine, int32_t at)
{
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_instruction *instruction = &machine->verify->plan->instructions[at];
    if (instruction->kind != REMAT_RUN && instruction->kind != REMAT_WAIT)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA, "plan: instruction %d is of unknown kind %d", at,
                          (int)instruction->kind);
    if (instruction->stream != 0)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA,
                          "plan: instruction %d is on stream %d; only stream 0 can be checked", at,
                          instruction->stream);
    if (instruction->kind == REMAT_WAIT) {
        if (instruction->event < 0 || instruction->event >= at)
            return remat_fail(machine->verify->err, REMAT_BAD_DATA,
                              "plan: instruction %d waits for instruction %d, which is not earlier", at,
                              instruction->event);
        return REMAT_OK;
    }
    if (instruction->task < 0 || instruction->task >= graph->tasks_count)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA,
                          "plan: instruction %d runs task %d, but the graph has %d tasks", at, instruction->task,
                          graph->tasks_count);
    return REMAT_OK;
}

static enum remat_status check_option(const struct machine *machine, int32_t at)
{
    const struct remat_task *task = task_at(machine, at);
    int32_t option = machine->verify->plan->instructions[at].option;
    if (option < 0 || option >= task->options_count)
        return REFUSE(machine, at, "uses option %d of %d", option, task->options_count);
    if (task->options[option].numerics != task->options[0].numerics)
        return REFUSE(machine, at, "uses option '%s' of numerics class %d, but the task was lowered for class %d",
                      task->options[option].name, task->options[option].numerics, task->options[0].numerics);
    return REMAT_OK;
}

static bool writes_cells(const struct remat_task *task)
{
    int32_t k;
    for (k = 0; k < task->cells_count; k++)
        if (task->cells[k].write)
            return true;
    return false;
}

/* First runs follow the order; other runs must be recomputations. Micro comes before finish. */
static enum remat_status check_turn(struct machine *machine, int32_t at)
{
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_task *task = task_at(machine, at);
    if (task->section == REMAT_FINISH && machine->finish_seen < 0)
        machine->finish_seen = at;
    if (task->section == REMAT_MICRO && machine->finish_seen >= 0)
        return REFUSE(machine, at, "is of the micro section but stands after the finish section began at %d",
                      machine->finish_seen);
    if (machine->next < graph->order_count && &graph->tasks[graph->order[machine->next]] == task) {
        machine->next++;
        return REMAT_OK;
    }
    if (task->position >= machine->next)
        return REFUSE(machine, at, "runs out of order: '%s' has not run yet",
                      graph->tasks[graph->order[machine->next]].name);
    if (writes_cells(task))
        return REFUSE(machine, at, "runs a second time, but it writes cells and so may run only once");
    return REMAT_OK;
}

static enum remat_status check_cells(struct machine *machine, int32_t at)
{
    const struct remat_task *task = task_at(machine, at);
    int32_t k;
    for (k = 0; k < task->cells_count; k++)
        if (machine->version[task->cells[k].cell] != task->cells[k].version)
            return REFUSE(machine, at, "uses version %d of cell '%s', which holds version %d", task->cells[k].version,
                          machine->verify->graph->cells[task->cells[k].cell].name,
                          machine->version[task->cells[k].cell]);
    for (k = 0; k < task->cells_count; k++)
        if (task->cells[k].write)
            machine->version[task->cells[k].cell]++;
    return REMAT_OK;
}

/* Resolves a view to bytes of a live buffer. `what` names the operand for messages. */
static enum remat_status resolve(struct machine *machine, int32_t at, const char *what, int32_t k, int32_t view_id,
                                 int32_t value, int64_t bytes, struct operand *out)
{
    struct remat_verify *verify = machine->verify;
    const struct remat_plan *plan = verify->plan;
    const struct remat_view *view;
    const struct remat_buffer *buffer;
    if (view_id < 0 || view_id >= plan->views_count)
        return REFUSE(machine, at, "%s %d is view %d, but the plan has %d views", what, k, view_id, plan->views_count);
    view = &plan->views[view_id];
    if (view->value != value)
        return REFUSE(machine, at, "%s %d should be value %d ('%s'), but view %d is of value %d", what, k, value,
                      value >= 0 ? verify->graph->values[value].name : "scratch", view_id, view->value);
    if (view->buffer < 0 || view->buffer >= plan->buffers_count)
        return REFUSE(machine, at, "%s %d is in buffer %d, but the plan has %d buffers", what, k, view->buffer,
                      plan->buffers_count);
    buffer = &plan->buffers[view->buffer];
    if (at < buffer->begin || at > buffer->end)
        return REFUSE(machine, at, "%s %d is in buffer %d, which lives only from instruction %d to %d", what, k,
                      view->buffer, buffer->begin, buffer->end);
    if (view->offset < 0 || view->offset > buffer->bytes || bytes > buffer->bytes - view->offset)
        return REFUSE(machine, at, "%s %d needs %lld bytes at %lld of buffer %d, which has %lld", what, k,
                      (long long)bytes, (long long)view->offset, view->buffer, (long long)buffer->bytes);
    if (verify->aligned && (buffer->offset + view->offset) % REMAT_ALIGNMENT != 0)
        return REFUSE(machine, at, "%s %d is at address %lld, which is not a multiple of %d", what, k,
                      (long long)(buffer->offset + view->offset), (int)REMAT_ALIGNMENT);
    *out = (struct operand){view->buffer, view->offset, bytes};
    if (verify->first_use[view->buffer] < 0)
        verify->first_use[view->buffer] = at;
    verify->last_use[view->buffer] = at;
    if (view->offset + bytes > verify->used_bytes[view->buffer])
        verify->used_bytes[view->buffer] = view->offset + bytes;
    return REMAT_OK;
}

static enum remat_status check_unused(const struct machine *machine, int32_t at, const char *what, const int32_t *views,
                                      int32_t count, int32_t room)
{
    int32_t k;
    for (k = count; k < room; k++)
        if (views[k] != -1)
            return REFUSE(machine, at, "has view %d as %s %d, but the task has %d", views[k], what, k, count);
    return REMAT_OK;
}

static enum remat_status resolve_all(struct machine *machine, int32_t at, struct operands *out)
{
    const struct remat_value *values = machine->verify->graph->values;
    const struct remat_instruction *instruction = &machine->verify->plan->instructions[at];
    const struct remat_task *task = task_at(machine, at);
    int64_t scratch = task->options[instruction->option].scratch_bytes;
    int32_t k;
    for (k = 0; k < task->inputs_count; k++)
        REMAT_TRY(resolve(machine, at, "input", k, instruction->inputs[k], task->inputs[k],
                          values[task->inputs[k]].bytes, &out->inputs[k]));
    for (k = 0; k < task->outputs_count; k++)
        REMAT_TRY(resolve(machine, at, "output", k, instruction->outputs[k], task->outputs[k],
                          values[task->outputs[k]].bytes, &out->outputs[k]));
    REMAT_TRY(check_unused(machine, at, "input", instruction->inputs, task->inputs_count, REMAT_MAX_INPUTS));
    REMAT_TRY(check_unused(machine, at, "output", instruction->outputs, task->outputs_count, REMAT_MAX_OUTPUTS));
    out->scratch.buffer = -1;
    if (scratch > 0)
        return resolve(machine, at, "scratch", 0, instruction->scratch, -1, scratch, &out->scratch);
    if (instruction->scratch != -1)
        return REFUSE(machine, at, "has view %d as scratch, but its option needs none", instruction->scratch);
    return REMAT_OK;
}

static bool overlaps(const struct operand *a, const struct operand *b)
{
    return a->buffer >= 0 && a->buffer == b->buffer && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

static enum remat_status check_read(const struct machine *machine, int32_t at, int32_t k, const struct operand *input)
{
    int32_t value = task_at(machine, at)->inputs[k], found = -1, c;
    if (input->bytes == 0)
        return REMAT_OK;
    for (c = machine->contents[input->buffer]; c >= 0; c = machine->pool[c].next) {
        const struct content *content = &machine->pool[c];
        struct operand held = {input->buffer, content->offset, content->bytes};
        if (content->value == value && content->offset == input->offset && content->bytes == input->bytes)
            return REMAT_OK;
        if (overlaps(&held, input))
            found = content->value;
    }
    return REFUSE(machine, at, "reads value '%s' (input %d) from buffer %d, which holds %s%s%s there",
                  machine->verify->graph->values[value].name, k, input->buffer, found >= 0 ? "'" : "",
                  found >= 0 ? machine->verify->graph->values[found].name : "nothing", found >= 0 ? "'" : "");
}

static bool permitted(const struct remat_task *task, int32_t output, int32_t input)
{
    int32_t k;
    for (k = 0; k < task->in_place_count; k++)
        if (task->in_place[k].output == output && task->in_place[k].input == input)
            return true;
    return false;
}

/* An output may cover exactly one input, wholly, if the task permits the pair; otherwise operands that are written
 * overlap nothing. That the input dies follows: its content is replaced, so a later read of it is refused. */
static enum remat_status check_output(const struct machine *machine, int32_t at, const struct operands *operands,
                                      int32_t j)
{
    const struct remat_task *task = task_at(machine, at);
    const struct operand *output = &operands->outputs[j];
    int32_t i, over = -1;
    for (i = 0; i < task->inputs_count; i++) {
        const struct operand *input = &operands->inputs[i];
        if (!overlaps(output, input))
            continue;
        if (!permitted(task, j, i) || output->offset != input->offset || output->bytes != input->bytes)
            return REFUSE(machine, at, "writes output %d over input %d, which its operation does not permit", j, i);
        if (over >= 0)
            return REFUSE(machine, at, "writes output %d over inputs %d and %d, which are the same bytes", j, over, i);
        over = i;
    }
    for (i = 0; i < j; i++)
        if (overlaps(output, &operands->outputs[i]))
            return REFUSE(machine, at, "writes outputs %d and %d over each other", i, j);
    if (overlaps(output, &operands->scratch))
        return REFUSE(machine, at, "writes output %d over its scratch memory", j);
    return REMAT_OK;
}

static enum remat_status check_writes(const struct machine *machine, int32_t at, const struct operands *operands)
{
    const struct remat_task *task = task_at(machine, at);
    int32_t k;
    for (k = 0; k < task->outputs_count; k++)
        REMAT_TRY(check_output(machine, at, operands, k));
    for (k = 0; k < task->inputs_count; k++)
        if (overlaps(&operands->inputs[k], &operands->scratch))
            return REFUSE(machine, at, "has its scratch memory over input %d", k);
    return REMAT_OK;
}

/* Forgets whatever the range overlaps. */
static void destroy(struct machine *machine, const struct operand *range)
{
    int32_t *link;
    if (range->buffer < 0)
        return;
    link = &machine->contents[range->buffer];
    while (*link >= 0) {
        int32_t c = *link;
        struct operand held = {range->buffer, machine->pool[c].offset, machine->pool[c].bytes};
        if (overlaps(&held, range)) {
            *link = machine->pool[c].next;
            machine->pool[c].next = machine->free_list;
            machine->free_list = c;
        } else {
            link = &machine->pool[c].next;
        }
    }
}

static enum remat_status store(struct machine *machine, const struct operand *range, int32_t value)
{
    int32_t c = machine->free_list;
    if (c >= 0) {
        machine->free_list = machine->pool[c].next;
    } else {
        REMAT_TRY(REMAT_GROW(machine->pool, machine->pool_capacity, machine->pool_count + 1, machine->verify->err));
        c = machine->pool_count++;
    }
    machine->pool[c] = (struct content){range->offset, range->bytes, value, machine->contents[range->buffer]};
    machine->contents[range->buffer] = c;
    return REMAT_OK;
}

static enum remat_status execute(struct machine *machine, int32_t at)
{
    struct operands operands;
    const struct remat_task *task;
    int32_t k;
    memset(&operands, 0, sizeof operands);
    REMAT_TRY(check_header(machine, at));
    if (machine->verify->plan->instructions[at].kind == REMAT_WAIT)
        return REMAT_OK;
    task = task_at(machine, at);
    REMAT_TRY(check_option(machine, at));
    REMAT_TRY(check_turn(machine, at));
    REMAT_TRY(check_cells(machine, at));
    REMAT_TRY(resolve_all(machine, at, &operands));
    for (k = 0; k < task->inputs_count; k++)
        REMAT_TRY(check_read(machine, at, k, &operands.inputs[k]));
    REMAT_TRY(check_writes(machine, at, &operands));
    destroy(machine, &operands.scratch);
    for (k = 0; k < task->outputs_count; k++) {
        destroy(machine, &operands.outputs[k]);
        REMAT_TRY(store(machine, &operands.outputs[k], task->outputs[k]));
    }
    return REMAT_OK;
}

static enum remat_status execute_all(struct machine *machine)
{
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_plan *plan = machine->verify->plan;
    int32_t at, finish;
    REMAT_TRY(REMAT_ALLOC(machine->version, graph->cells_count, machine->verify->err));
    REMAT_TRY(REMAT_ALLOC(machine->contents, plan->buffers_count, machine->verify->err));
    memset(machine->contents, 0xff, (size_t)plan->buffers_count * sizeof *machine->contents);
    for (at = 0; at < plan->instructions_count; at++)
        REMAT_TRY(execute(machine, at));
    if (machine->next < graph->order_count)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA, "plan: task '%s' of the order never runs",
                          graph->tasks[graph->order[machine->next]].name);
    finish = machine->finish_seen >= 0 ? machine->finish_seen : plan->instructions_count;
    if (plan->finish_begin != finish)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA,
                          "plan: says that the finish section begins at instruction %d, but it does at %d",
                          plan->finish_begin, finish);
    return REMAT_OK;
}

enum remat_status remat_verify_instructions(struct remat_verify *verify)
{
    struct machine machine = {.verify = verify, .free_list = -1, .finish_seen = -1};
    enum remat_status status = execute_all(&machine);
    free(machine.version);
    free(machine.contents);
    free(machine.pool);
    return status;
}
