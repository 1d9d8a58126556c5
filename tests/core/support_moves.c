#include "tests/core/support_moves.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static void *grown(void *array, int32_t count, size_t size)
{
    void *larger = realloc(array, (size_t)count * size);
    assert_non_null(larger);
    return larger;
}

/* The view that a buffer holds right before an instruction. */
static int32_t held(const struct remat_plan *plan, int32_t at, int32_t buffer)
{
    int32_t i, k, view = -1;
    for (i = 0; i < at; i++)
        for (k = 0; k < REMAT_MAX_OUTPUTS; k++) {
            int32_t made = plan->instructions[i].outputs[k];
            view = made >= 0 && plan->views[made].buffer == buffer ? made : view;
        }
    return view;
}

static void open_gap(struct remat_plan *plan, int32_t at)
{
    int32_t i;
    plan->instructions = grown(plan->instructions, plan->instructions_count + 2, sizeof *plan->instructions);
    memmove(plan->instructions + at + 1, plan->instructions + at,
            (size_t)(plan->instructions_count - at) * sizeof *plan->instructions);
    plan->instructions_count++;
    for (i = 0; i < plan->instructions_count; i++)
        plan->instructions[i].event += plan->instructions[i].event >= at;
    for (i = 0; i < plan->buffers_count; i++) {
        plan->buffers[i].begin += plan->buffers[i].begin >= at;
        plan->buffers[i].end += plan->buffers[i].end >= at;
    }
    plan->finish_begin += plan->finish_begin >= at;
    plan->peak_instruction += plan->peak_instruction >= at;
}

/* Who used the buffer after the move uses the new one. */
static void redirect(struct remat_plan *plan, int32_t at, int32_t old, int32_t from, int32_t to)
{
    int32_t i, k;
    for (i = at + 1; i < plan->instructions_count; i++) {
        for (k = 0; k < REMAT_MAX_INPUTS; k++)
            if (plan->instructions[i].inputs[k] == from)
                plan->instructions[i].inputs[k] = to;
        for (k = 0; k < REMAT_MAX_OUTPUTS; k++)
            if (plan->instructions[i].outputs[k] >= 0 && plan->views[plan->instructions[i].outputs[k]].buffer == old)
                plan->views[plan->instructions[i].outputs[k]].buffer = plan->views[to].buffer;
    }
}

void plan_book_times(const struct remat_task_graph *graph, struct remat_plan *plan)
{
    int64_t *done_ns = calloc((size_t)plan->instructions_count + 1, sizeof *done_ns);
    struct remat_error err = {0};
    int32_t finish = plan->finish_begin, count = plan->instructions_count;
    assert_non_null(done_ns);
    assert_int_equal(remat_plan_times(graph, plan, done_ns, &err), REMAT_OK);
    plan->predicted_step_ns = finish > 0 ? done_ns[finish - 1] * graph->micro_count : 0;
    plan->predicted_step_ns += count > finish ? done_ns[count - 1] : 0;
    free(done_ns);
}

void moves_insert(const struct remat_task_graph *graph, struct remat_plan *plan, int32_t at, int32_t buffer,
                  int64_t offset)
{
    int32_t view = held(plan, at, buffer), b;
    struct remat_instruction *move;
    open_gap(plan, at);
    plan->buffers = grown(plan->buffers, plan->buffers_count + 2, sizeof *plan->buffers);
    plan->views = grown(plan->views, plan->views_count + 2, sizeof *plan->views);
    plan->buffers[plan->buffers_count] = plan->buffers[buffer];
    plan->buffers[plan->buffers_count].offset = offset;
    plan->buffers[plan->buffers_count++].begin = plan->buffers[buffer].end = at;
    plan->views[plan->views_count] = plan->views[view];
    plan->views[plan->views_count++].buffer = plan->buffers_count - 1;
    move = &plan->instructions[at];
    memset(move, 0xff, sizeof *move);
    move->kind = REMAT_MOVE;
    move->inputs[0] = view;
    move->outputs[0] = plan->views_count - 1;
    redirect(plan, at, buffer, view, plan->views_count - 1);
    plan->arena_bytes = graph->staging_bytes;
    for (b = 0; b < plan->buffers_count; b++)
        if (plan->buffers[b].space == REMAT_DEVICE &&
            plan->buffers[b].offset + plan->buffers[b].bytes > plan->arena_bytes)
            plan->arena_bytes = plan->buffers[b].offset + plan->buffers[b].bytes;
    plan_book_times(graph, plan);
}

struct drawing {
    uint64_t state;
};

static int64_t draw_below(struct drawing *drawing, int64_t below)
{
    drawing->state = drawing->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int64_t)((drawing->state >> 33) % (uint64_t)below);
}

static void *duplicate(const void *from, int32_t count, size_t size)
{
    void *to = calloc((size_t)count + 1, size);
    assert_non_null(to);
    return memcpy(to, from, (size_t)count * size);
}

static struct remat_plan copy_of(const struct remat_plan *plan)
{
    struct remat_plan copy = *plan;
    copy.instructions = duplicate(plan->instructions, plan->instructions_count, sizeof *plan->instructions);
    copy.buffers = duplicate(plan->buffers, plan->buffers_count, sizeof *plan->buffers);
    copy.views = duplicate(plan->views, plan->views_count, sizeof *plan->views);
    return copy;
}

static int64_t draw_offset(const struct remat_task_graph *graph, struct drawing *drawing, int64_t extent,
                           const struct remat_buffer *buffer)
{
    int64_t lines = buffer->bytes / 64, by = 64 * (1 + draw_below(drawing, lines > 1 ? lines - 1 : 1));
    int64_t offset = buffer->offset + (draw_below(drawing, 2) ? by : -by);
    if (draw_below(drawing, 2))
        offset = graph->staging_bytes + 64 * draw_below(drawing, extent / 64 + 1);
    if (offset > extent - buffer->bytes)
        offset = extent - buffer->bytes;
    return offset < graph->staging_bytes ? graph->staging_bytes : offset;
}

int32_t moves_add(const struct remat_task_graph *graph, struct remat_plan *plan, uint64_t seed, int32_t tries,
                  int64_t extent_bytes)
{
    struct drawing drawing = {seed * 77 + 1};
    int32_t added = 0;
    for (; tries > 0; tries--) {
        int32_t b = (int32_t)draw_below(&drawing, plan->buffers_count);
        const struct remat_buffer *buffer = &plan->buffers[b];
        struct remat_plan changed;
        struct remat_error err = {0};
        if (buffer->space != REMAT_DEVICE || buffer->bytes == 0 || buffer->begin == buffer->end)
            continue;
        changed = copy_of(plan);
        moves_insert(graph, &changed, buffer->begin + 1 + (int32_t)draw_below(&drawing, buffer->end - buffer->begin), b,
                     draw_offset(graph, &drawing, extent_bytes, buffer));
        if (remat_plan_verify(graph, &changed, &err) == REMAT_OK) {
            struct remat_plan old = *plan;
            *plan = changed;
            changed = old;
            added++;
        }
        remat_plan_free(&changed);
    }
    return added;
}
