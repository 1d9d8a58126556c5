#include "tests/core/support_random_graph.h"

#include <stdlib.h>
#include <string.h>

enum { LINE = 64 };

struct replay {
    const struct remat_task_graph *graph;
    const struct remat_plan *plan;
    uint64_t *lines; /* a tag for each 64 bytes of the arena */
    int32_t *version;
    const char *problem;
};

static uint64_t tag(int32_t value, int64_t line)
{
    return ((uint64_t)(value + 1) << 32) + (uint64_t)line;
}

static int64_t first_line(const struct replay *replay, int32_t view)
{
    const struct remat_view *v = &replay->plan->views[view];
    return (replay->plan->buffers[v->buffer].offset + v->offset) / LINE;
}

static void fill(struct replay *replay, int32_t view, int64_t bytes, int32_t value)
{
    int64_t i, first = first_line(replay, view);
    for (i = 0; i < bytes / LINE; i++)
        replay->lines[first + i] = value < 0 ? 0 : tag(value, i);
}

static bool holds(const struct replay *replay, int32_t view, int64_t bytes, int32_t value)
{
    int64_t i, first = first_line(replay, view);
    for (i = 0; i < bytes / LINE; i++)
        if (replay->lines[first + i] != tag(value, i))
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

/* Memory outside its buffer's life belongs to others: make it unreadable. */
static void poison_bounds(struct replay *replay, int32_t at, bool before)
{
    int32_t b;
    for (b = 0; b < replay->plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &replay->plan->buffers[b];
        if ((before ? buffer->begin : buffer->end) == at)
            memset(replay->lines + buffer->offset / LINE, 0, (size_t)(buffer->bytes / LINE) * sizeof *replay->lines);
    }
}

const char *replay_plan(const struct remat_task_graph *graph, const struct remat_plan *plan)
{
    struct replay replay = {.graph = graph, .plan = plan};
    int32_t at, next = 0, b;
    int64_t extent = graph->staging_bytes;
    for (b = 0; b < plan->buffers_count; b++)
        if (plan->buffers[b].offset + plan->buffers[b].bytes > extent)
            extent = plan->buffers[b].offset + plan->buffers[b].bytes;
    if (extent != plan->arena_bytes)
        return "the arena is not what the buffers take";
    replay.lines = calloc((size_t)(extent / LINE) + 1, sizeof *replay.lines);
    replay.version = calloc((size_t)graph->cells_count + 1, sizeof *replay.version);
    for (at = 0; at < plan->instructions_count && replay.lines && replay.version; at++) {
        int32_t position = graph->tasks[plan->instructions[at].task].position;
        fail_if(&replay, position > next, "a task runs before its turn");
        next += position == next;
        poison_bounds(&replay, at, true);
        run(&replay, &plan->instructions[at]);
        poison_bounds(&replay, at, false);
    }
    fail_if(&replay, next != graph->order_count, "a task never runs");
    free(replay.lines);
    free(replay.version);
    return replay.problem;
}
