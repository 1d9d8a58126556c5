/* Abstract execution: instead of bytes, each buffer holds a list of ranges with the value that was written there. */
#include "core/plan/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct content {
    int64_t offset, bytes; /* inside the buffer */
    int32_t value, next;   /* next: content of the same buffer, or -1 */
    int32_t arriving;      /* the copy that brings it and was not waited for yet, or -1 */
};

struct machine {
    struct remat_verify *verify;
    int32_t *version;  /* per cell */
    int32_t *contents; /* per buffer: first content, or -1 */
    struct content *pool;
    int32_t pool_count, pool_capacity, free_list;
    int32_t next;        /* position in the order of the next first run */
    int32_t finish_seen; /* instruction that began the finish section, or -1 */
    struct flight *flights;
    int32_t flights_count, flights_capacity;
};

/* One operand's bytes. */
struct operand {
    int32_t buffer; /* -1 = none */
    int64_t offset, bytes;
};

/* A copy that has been asked for and not waited for: its bytes may be read and written at any moment. */
struct flight {
    int32_t at; /* the instruction */
    struct operand from, to;
};

struct operands {
    struct operand inputs[REMAT_MAX_INPUTS], outputs[REMAT_MAX_OUTPUTS], scratch;
};

static const struct remat_task *task_at(const struct machine *machine, int32_t at)
{
    return &machine->verify->graph->tasks[machine->verify->plan->instructions[at].task];
}

/* "task 'NAME'", or what else an instruction is. */
static const char *text_at(const struct machine *machine, int32_t at, char *text, size_t capacity)
{
    static const char *const kinds[] = {"task", "store", "fetch", "wait", "move"};
    enum remat_instruction_kind kind = machine->verify->plan->instructions[at].kind;
    if (kind == REMAT_RUN)
        snprintf(text, capacity, "task '%s'", task_at(machine, at)->name);
    else
        snprintf(text, capacity, "%s", kinds[kind]);
    return text;
}

/* Starts every message about an instruction with its number and task. */
#define REFUSE(machine, at, ...)                                                   \
    (remat_fail((machine)->verify->err, REMAT_BAD_DATA, __VA_ARGS__),              \
     remat_error_prefix((machine)->verify->err, "plan: instruction %d (%s)", (at), \
                        text_at((machine), (at), (char[160]){0}, 160)),            \
     REMAT_BAD_DATA)

static enum remat_status check_header(const struct machine *machine, int32_t at)
{
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_instruction *instruction = &machine->verify->plan->instructions[at];
    if ((unsigned)instruction->kind > REMAT_MOVE)
        return remat_fail(machine->verify->err, REMAT_BAD_DATA, "plan: instruction %d is of unknown kind %d", at,
                          (int)instruction->kind);
    if (instruction->kind == REMAT_RUN && (instruction->task < 0 || instruction->task >= graph->tasks_count))
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

/* At the end of a section: what is recorded, and repeated, by itself must not leave work behind. */
static enum remat_status check_landed(const struct machine *machine)
{
    if (machine->flights_count > 0)
        return REFUSE(machine, machine->flights[0].at, "is not waited for in its section");
    return REMAT_OK;
}

/* First runs follow the order; other runs must be recomputations. Micro comes before finish. */
static enum remat_status check_turn(struct machine *machine, int32_t at)
{
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_task *task = task_at(machine, at);
    if (task->section == REMAT_FINISH && machine->finish_seen < 0) {
        machine->finish_seen = at;
        REMAT_TRY(check_landed(machine));
    }
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

static void use(struct remat_verify *verify, const struct operand *operand, int32_t at)
{
    if (verify->first_use[operand->buffer] < 0)
        verify->first_use[operand->buffer] = at;
    verify->last_use[operand->buffer] = at;
    if (operand->offset + operand->bytes > verify->used_bytes[operand->buffer])
        verify->used_bytes[operand->buffer] = operand->offset + operand->bytes;
}

/* Resolves a view to bytes of a live buffer. `what` names the operand for messages. */
static enum remat_status resolve(struct machine *machine, int32_t at, const char *what, int32_t k, int32_t view_id,
                                 enum remat_space space, int32_t value, int64_t bytes, struct operand *out)
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
    if (buffer->space != space)
        return REFUSE(machine, at, "%s %d is in buffer %d, which is in %s memory", what, k, view->buffer,
                      buffer->space == REMAT_HOST ? "host" : "device");
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
    use(verify, out, at);
    return REMAT_OK;
}

static enum remat_status check_unused(const struct machine *machine, int32_t at, const char *what, const int32_t *views,
                                      int32_t count, int32_t room)
{
    int32_t k;
    for (k = count; k < room; k++)
        if (views[k] != -1)
            return REFUSE(machine, at, "has view %d as %s %d, but takes %d", views[k], what, k, count);
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
        REMAT_TRY(resolve(machine, at, "input", k, instruction->inputs[k], REMAT_DEVICE, task->inputs[k],
                          values[task->inputs[k]].bytes, &out->inputs[k]));
    for (k = 0; k < task->outputs_count; k++)
        REMAT_TRY(resolve(machine, at, "output", k, instruction->outputs[k], REMAT_DEVICE, task->outputs[k],
                          values[task->outputs[k]].bytes, &out->outputs[k]));
    REMAT_TRY(check_unused(machine, at, "input", instruction->inputs, task->inputs_count, REMAT_MAX_INPUTS));
    REMAT_TRY(check_unused(machine, at, "output", instruction->outputs, task->outputs_count, REMAT_MAX_OUTPUTS));
    out->scratch.buffer = -1;
    if (scratch > 0)
        return resolve(machine, at, "scratch", 0, instruction->scratch, REMAT_DEVICE, -1, scratch, &out->scratch);
    if (instruction->scratch != -1)
        return REFUSE(machine, at, "has view %d as scratch, but its option needs none", instruction->scratch);
    return REMAT_OK;
}

static bool overlaps(const struct operand *a, const struct operand *b)
{
    return a->buffer >= 0 && a->buffer == b->buffer && a->offset < b->offset + b->bytes &&
           b->offset < a->offset + a->bytes;
}

/* The content of exactly these bytes, or -1; *other: a value that lies there instead, or -1. */
static int32_t find_content(const struct machine *machine, const struct operand *at, int32_t value, int32_t *other)
{
    int32_t c;
    *other = -1;
    for (c = machine->contents[at->buffer]; c >= 0; c = machine->pool[c].next) {
        const struct content *content = &machine->pool[c];
        struct operand held = {at->buffer, content->offset, content->bytes};
        if (content->value == value && content->offset == at->offset && content->bytes == at->bytes)
            return c;
        if (overlaps(&held, at))
            *other = content->value;
    }
    return -1;
}

static enum remat_status check_read(const struct machine *machine, int32_t at, int32_t k, int32_t value,
                                    const struct operand *input)
{
    const struct remat_value *values = machine->verify->graph->values;
    int32_t other, c;
    if (input->bytes == 0)
        return REMAT_OK;
    c = find_content(machine, input, value, &other);
    if (c < 0)
        return REFUSE(machine, at, "reads value '%s' (input %d) from buffer %d, which holds %s%s%s there",
                      values[value].name, k, input->buffer, other >= 0 ? "'" : "",
                      other >= 0 ? values[other].name : "nothing", other >= 0 ? "'" : "");
    if (machine->pool[c].arriving >= 0)
        return REFUSE(machine, at, "reads value '%s' (input %d) before the wait for its copy by instruction %d",
                      values[value].name, k, machine->pool[c].arriving);
    return REMAT_OK;
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

/* What a copy may still read or write is not to be written by others. */
static enum remat_status check_flights(const struct machine *machine, int32_t at, const struct operand *written)
{
    int32_t i;
    for (i = 0; i < machine->flights_count; i++)
        if (overlaps(written, &machine->flights[i].from) || overlaps(written, &machine->flights[i].to))
            return REFUSE(machine, at, "writes over bytes that instruction %d copies, before the wait for it",
                          machine->flights[i].at);
    return REMAT_OK;
}

static enum remat_status check_writes(const struct machine *machine, int32_t at, const struct operands *operands)
{
    const struct remat_task *task = task_at(machine, at);
    int32_t k;
    for (k = 0; k < task->outputs_count; k++) {
        REMAT_TRY(check_output(machine, at, operands, k));
        REMAT_TRY(check_flights(machine, at, &operands->outputs[k]));
    }
    REMAT_TRY(check_flights(machine, at, &operands->scratch));
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

static enum remat_status hold(struct machine *machine, const struct operand *range, int32_t value, int32_t arriving)
{
    int32_t c = machine->free_list;
    destroy(machine, range);
    if (c >= 0) {
        machine->free_list = machine->pool[c].next;
    } else {
        REMAT_TRY(REMAT_GROW(machine->pool, machine->pool_capacity, machine->pool_count + 1, machine->verify->err));
        c = machine->pool_count++;
    }
    machine->pool[c] = (struct content){range->offset, range->bytes, value, machine->contents[range->buffer], arriving};
    machine->contents[range->buffer] = c;
    return REMAT_OK;
}

static enum remat_status execute_run(struct machine *machine, int32_t at)
{
    struct operands operands;
    const struct remat_task *task = task_at(machine, at);
    int32_t k;
    memset(&operands, 0, sizeof operands);
    REMAT_TRY(check_option(machine, at));
    REMAT_TRY(check_turn(machine, at));
    REMAT_TRY(check_cells(machine, at));
    REMAT_TRY(resolve_all(machine, at, &operands));
    for (k = 0; k < task->inputs_count; k++)
        REMAT_TRY(check_read(machine, at, k, task->inputs[k], &operands.inputs[k]));
    REMAT_TRY(check_writes(machine, at, &operands));
    destroy(machine, &operands.scratch);
    for (k = 0; k < task->outputs_count; k++)
        REMAT_TRY(hold(machine, &operands.outputs[k], task->outputs[k], -1));
    return REMAT_OK;
}

/* The value of a copy or a move: that of the view that it reads. */
static enum remat_status check_copy(const struct machine *machine, int32_t at, int32_t *value)
{
    const struct remat_plan *plan = machine->verify->plan;
    const struct remat_task_graph *graph = machine->verify->graph;
    const struct remat_instruction *copy = &plan->instructions[at];
    if (copy->kind != REMAT_MOVE && (graph->to_host_bytes_per_s == 0 || graph->to_device_bytes_per_s == 0))
        return REFUSE(machine, at, "is a copy, but the graph does not say how fast copies are");
    REMAT_TRY(check_unused(machine, at, "input", copy->inputs, 1, REMAT_MAX_INPUTS));
    REMAT_TRY(check_unused(machine, at, "output", copy->outputs, 1, REMAT_MAX_OUTPUTS));
    REMAT_TRY(check_unused(machine, at, "scratch", &copy->scratch, 0, 1));
    if (copy->inputs[0] < 0 || copy->inputs[0] >= plan->views_count)
        return REFUSE(machine, at, "input 0 is view %d, but the plan has %d views", copy->inputs[0], plan->views_count);
    *value = plan->views[copy->inputs[0]].value;
    if (*value < 0 || *value >= graph->values_count)
        return REFUSE(machine, at, "copies view %d, which is of no value", copy->inputs[0]);
    return REMAT_OK;
}

/* From here to the wait the copy reads and writes its bytes. */
static enum remat_status execute_copy(struct machine *machine, int32_t at)
{
    const struct remat_instruction *copy = &machine->verify->plan->instructions[at];
    enum remat_space from = copy->kind == REMAT_STORE ? REMAT_DEVICE : REMAT_HOST;
    enum remat_space to = copy->kind == REMAT_STORE ? REMAT_HOST : REMAT_DEVICE;
    struct flight flight = {.at = at};
    int64_t bytes;
    int32_t value;
    REMAT_TRY(check_copy(machine, at, &value));
    bytes = machine->verify->graph->values[value].bytes;
    REMAT_TRY(resolve(machine, at, "input", 0, copy->inputs[0], from, value, bytes, &flight.from));
    REMAT_TRY(resolve(machine, at, "output", 0, copy->outputs[0], to, value, bytes, &flight.to));
    REMAT_TRY(check_read(machine, at, 0, value, &flight.from));
    REMAT_TRY(check_flights(machine, at, &flight.to));
    REMAT_TRY(
        REMAT_GROW(machine->flights, machine->flights_capacity, machine->flights_count + 1, machine->verify->err));
    machine->flights[machine->flights_count++] = flight;
    return hold(machine, &flight.to, value, at);
}

static enum remat_status execute_wait(struct machine *machine, int32_t at)
{
    const struct remat_instruction *wait = &machine->verify->plan->instructions[at];
    struct flight landed;
    int32_t i = 0, c;
    REMAT_TRY(check_unused(machine, at, "input", wait->inputs, 0, REMAT_MAX_INPUTS));
    REMAT_TRY(check_unused(machine, at, "output", wait->outputs, 0, REMAT_MAX_OUTPUTS));
    REMAT_TRY(check_unused(machine, at, "scratch", &wait->scratch, 0, 1));
    while (i < machine->flights_count && machine->flights[i].at != wait->event)
        i++;
    if (i == machine->flights_count)
        return REFUSE(machine, at, "waits for instruction %d, which is no earlier copy, or was waited for",
                      wait->event);
    landed = machine->flights[i];
    machine->flights[i] = machine->flights[--machine->flights_count];
    use(machine->verify, &landed.from, at);
    use(machine->verify, &landed.to, at);
    for (c = machine->contents[landed.to.buffer]; c >= 0; c = machine->pool[c].next)
        if (machine->pool[c].arriving == landed.at)
            machine->pool[c].arriving = -1;
    return REMAT_OK;
}

/* A move takes all of a buffer, which ends there, to all of another one, which begins there. */
static enum remat_status check_whole(const struct machine *machine, int32_t at, const struct operand *from,
                                     const struct operand *to)
{
    const struct remat_buffer *old = &machine->verify->plan->buffers[from->buffer];
    const struct remat_buffer *new = &machine->verify->plan->buffers[to->buffer];
    if (from->buffer == to->buffer)
        return REFUSE(machine, at, "moves within buffer %d, but a move takes a value to a buffer of its own",
                      from->buffer);
    if (from->bytes == 0 || from->bytes != old->bytes || to->bytes != new->bytes)
        return REFUSE(machine, at, "moves %lld bytes from buffer %d of %lld to buffer %d of %lld, but moves whole ones",
                      (long long)from->bytes, from->buffer, (long long)old->bytes, to->buffer, (long long)new->bytes);
    if (old->end != at || new->begin != at)
        return REFUSE(machine, at, "moves from buffer %d, which ends at %d, to buffer %d, which begins at %d",
                      from->buffer, old->end, to->buffer, new->begin);
    return REMAT_OK;
}

static enum remat_status execute_move(struct machine *machine, int32_t at)
{
    const struct remat_instruction *move = &machine->verify->plan->instructions[at];
    struct operand from, to;
    int64_t bytes;
    int32_t value, i;
    REMAT_TRY(check_copy(machine, at, &value));
    bytes = machine->verify->graph->values[value].bytes;
    REMAT_TRY(resolve(machine, at, "input", 0, move->inputs[0], REMAT_DEVICE, value, bytes, &from));
    REMAT_TRY(resolve(machine, at, "output", 0, move->outputs[0], REMAT_DEVICE, value, bytes, &to));
    REMAT_TRY(check_whole(machine, at, &from, &to));
    for (i = 0; i < machine->flights_count; i++)
        if (overlaps(&from, &machine->flights[i].from) || overlaps(&from, &machine->flights[i].to))
            return REFUSE(machine, at, "moves bytes that instruction %d copies, before the wait for it",
                          machine->flights[i].at);
    REMAT_TRY(check_read(machine, at, 0, value, &from));
    destroy(machine, &from);
    return hold(machine, &to, value, -1);
}

static enum remat_status execute(struct machine *machine, int32_t at)
{
    REMAT_TRY(check_header(machine, at));
    switch (machine->verify->plan->instructions[at].kind) {
    case REMAT_RUN:
        return execute_run(machine, at);
    case REMAT_STORE:
    case REMAT_FETCH:
        return execute_copy(machine, at);
    case REMAT_WAIT:
        return execute_wait(machine, at);
    case REMAT_MOVE:
        return execute_move(machine, at);
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
    REMAT_TRY(check_landed(machine));
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
    free(machine.flights);
    return status;
}
