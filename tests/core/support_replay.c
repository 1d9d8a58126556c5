#include "tests/core/support_random_graph.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64 };

struct replay {
    const struct remat_task_graph *graph;
    const struct remat_plan *plan;
    uint64_t *spaces[REMAT_SPACE_COUNT]; /* a tag for each 64 bytes */
    int32_t copies;                      /* not waited for */
    int32_t *version;
    bool finish;
    const char *problem;
};

static uint64_t tag(int32_t value, int64_t line)
{
    return ((uint64_t)(value + 1) << 32) + (uint64_t)line;
}

static uint64_t *first_line(const struct replay *replay, int32_t view)
{
    const struct remat_view *v = &replay->plan->views[view];
    const struct remat_buffer *buffer = &replay->plan->buffers[v->buffer];
    return replay->spaces[buffer->space] + (buffer->offset + v->offset) / LINE;
}

static void fill(struct replay *replay, int32_t view, int64_t bytes, int32_t value)
{
    uint64_t *lines = first_line(replay, view);
    int64_t i;
    for (i = 0; i < bytes / LINE; i++)
        lines[i] = value < 0 ? 0 : tag(value, i);
}

static bool holds(const struct replay *replay, int32_t view, int64_t bytes, int32_t value)
{
    const uint64_t *lines = first_line(replay, view);
    int64_t i;
    for (i = 0; i < bytes / LINE; i++)
        if (lines[i] != tag(value, i))
            return false;
    return true;
}

/* Whether output j lies exactly over an input that it may overwrite. */
static bool in_place(const struct replay *replay, const struct remat_instruction *instruction, int32_t j)
{
    const struct remat_task *task = &replay->graph->tasks[instruction->task];
    int32_t k;
    for (k = 0; k < task->in_place_count; k++)
        if (task->in_place[k].output == j && first_line(replay, instruction->inputs[task->in_place[k].input]) ==
                                                 first_line(replay, instruction->outputs[j]))
            return true;
    return false;
}

static void fail_if(struct replay *replay, bool condition, const char *problem)
{
    if (condition && !replay->problem)
        replay->problem = problem;
}

/* A kernel may write outputs (but permitted in-place ones) and scratch before it reads its last input byte, and
 * scratch after its last output byte. */
static void run(struct replay *replay, const struct remat_instruction *instruction)
{
    const struct remat_value *values = replay->graph->values;
    const struct remat_task *task = &replay->graph->tasks[instruction->task];
    int64_t scratch = task->options[instruction->option].scratch_bytes;
    int32_t k;
    for (k = 0; k < task->outputs_count; k++)
        if (!in_place(replay, instruction, k))
            fill(replay, instruction->outputs[k], values[task->outputs[k]].bytes, -1);
    if (scratch > 0)
        fill(replay, instruction->scratch, scratch, -1);
    for (k = 0; k < task->inputs_count; k++)
        fail_if(replay, !holds(replay, instruction->inputs[k], values[task->inputs[k]].bytes, task->inputs[k]),
                "a read finds other bytes");
    for (k = 0; k < task->outputs_count; k++)
        fill(replay, instruction->outputs[k], values[task->outputs[k]].bytes, task->outputs[k]);
    if (scratch > 0)
        fill(replay, instruction->scratch, scratch, -1);
    for (k = 0; k < task->outputs_count; k++)
        fail_if(replay, !holds(replay, instruction->outputs[k], values[task->outputs[k]].bytes, task->outputs[k]),
                "an output was overwritten while it was written");
    for (k = 0; k < task->cells_count; k++)
        fail_if(replay, replay->version[task->cells[k].cell] != task->cells[k].version, "a cell has another version");
    for (k = 0; k < task->cells_count; k++)
        replay->version[task->cells[k].cell] += task->cells[k].write;
}

/* A copy may read until its wait and write from its beginning on. */
static void copy(struct replay *replay, const struct remat_instruction *instruction, bool done)
{
    int32_t from = instruction->inputs[0], to = instruction->outputs[0], value = replay->plan->views[from].value;
    int64_t bytes = replay->graph->values[value].bytes;
    fail_if(replay, !holds(replay, from, bytes, value), "a copy finds other bytes");
    fill(replay, to, bytes, done ? value : -1);
    replay->copies += done ? -1 : 1;
}

/* Of the two places nothing is left but the value in the new one. */
static void move(struct replay *replay, const struct remat_instruction *instruction)
{
    int32_t from = instruction->inputs[0], to = instruction->outputs[0], value = replay->plan->views[from].value;
    int64_t bytes = replay->graph->values[value].bytes;
    fail_if(replay, !holds(replay, from, bytes, value), "a move finds other bytes");
    fill(replay, from, bytes, -1);
    fill(replay, to, bytes, value);
}

static void step(struct replay *replay, const struct remat_instruction *instruction)
{
    if (instruction->kind == REMAT_WAIT) {
        copy(replay, &replay->plan->instructions[instruction->event], true);
    } else if (instruction->kind == REMAT_MOVE) {
        move(replay, instruction);
    } else if (instruction->kind != REMAT_RUN) {
        copy(replay, instruction, false);
    } else {
        bool finish = replay->graph->tasks[instruction->task].section == REMAT_FINISH;
        fail_if(replay, finish && !replay->finish && replay->copies > 0, "a copy passes from section to section");
        replay->finish |= finish;
        run(replay, instruction);
    }
}

/* Memory outside its buffer's life belongs to others: make it unreadable. */
static void poison_bounds(struct replay *replay, int32_t at, bool before)
{
    int32_t b;
    for (b = 0; b < replay->plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &replay->plan->buffers[b];
        if ((before ? buffer->begin : buffer->end) == at)
            memset(replay->spaces[buffer->space] + buffer->offset / LINE, 0,
                   (size_t)(buffer->bytes / LINE) * sizeof **replay->spaces);
    }
}

/* The highest end of a buffer in a space. */
static int64_t extent_of(const struct remat_plan *plan, enum remat_space space, int64_t extent)
{
    int32_t b;
    for (b = 0; b < plan->buffers_count; b++)
        if (plan->buffers[b].space == space && plan->buffers[b].offset + plan->buffers[b].bytes > extent)
            extent = plan->buffers[b].offset + plan->buffers[b].bytes;
    return extent;
}

static void step_all(struct replay *replay)
{
    const struct remat_plan *plan = replay->plan;
    int32_t at, next = 0;
    for (at = 0; at < plan->instructions_count; at++) {
        if (plan->instructions[at].kind == REMAT_RUN) {
            int32_t position = replay->graph->tasks[plan->instructions[at].task].position;
            fail_if(replay, position > next, "a task runs before its turn");
            next += position == next;
        }
        if (plan->instructions[at].kind != REMAT_MOVE) /* whose two places may overlap */
            poison_bounds(replay, at, true);
        step(replay, &plan->instructions[at]);
        if (plan->instructions[at].kind != REMAT_MOVE)
            poison_bounds(replay, at, false);
    }
    fail_if(replay, next != replay->graph->order_count, "a task never runs");
    fail_if(replay, replay->copies > 0, "a copy is never waited for");
}

const char *replay_plan(const struct remat_task_graph *graph, const struct remat_plan *plan)
{
    struct replay replay = {.graph = graph, .plan = plan};
    int64_t arena = extent_of(plan, REMAT_DEVICE, graph->staging_bytes), host = extent_of(plan, REMAT_HOST, 0);
    if (arena != plan->arena_bytes || host != plan->host_bytes)
        return "a space is not what the buffers take";
    replay.spaces[REMAT_DEVICE] = calloc((size_t)(arena / LINE) + 1, sizeof **replay.spaces);
    replay.spaces[REMAT_HOST] = calloc((size_t)(host / LINE) + 1, sizeof **replay.spaces);
    replay.version = calloc((size_t)graph->cells_count + 1, sizeof *replay.version);
    if (replay.spaces[REMAT_DEVICE] && replay.spaces[REMAT_HOST] && replay.version)
        step_all(&replay);
    free(replay.spaces[REMAT_DEVICE]);
    free(replay.spaces[REMAT_HOST]);
    free(replay.version);
    return replay.problem;
}
