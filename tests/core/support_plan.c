#include "tests/core/support_plan.h"

#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

void plan_fixture(uint64_t seed, int32_t layers, int32_t repeats, struct remat_task_graph *graph,
                  struct remat_plan *plan)
{
    struct remat_schedule schedule;
    struct remat_error err = {0};
    random_graph(graph, seed, layers);
    random_schedule(graph, seed, repeats, &schedule);
    if (remat_plan_place(graph, &schedule, 20, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    remat_schedule_free(&schedule);
}

static void *duplicate(const void *from, int32_t count, size_t size)
{
    void *to = calloc((size_t)count + 1, size);
    assert_non_null(to);
    return memcpy(to, from, (size_t)count * size);
}

struct remat_plan plan_copy(const struct remat_plan *plan)
{
    struct remat_plan copy = *plan;
    copy.instructions = duplicate(plan->instructions, plan->instructions_count, sizeof *plan->instructions);
    copy.buffers = duplicate(plan->buffers, plan->buffers_count, sizeof *plan->buffers);
    copy.views = duplicate(plan->views, plan->views_count, sizeof *plan->views);
    return copy;
}

static void use(struct remat_plan *plan, int32_t view, int32_t at)
{
    struct remat_buffer *buffer;
    if (view < 0)
        return;
    buffer = &plan->buffers[plan->views[view].buffer];
    if (buffer->begin < 0)
        buffer->begin = at;
    buffer->end = at;
}

static void rebook_buffers(const struct remat_task_graph *graph, struct remat_plan *plan)
{
    int32_t b, at, k;
    for (b = 0; b < plan->buffers_count; b++)
        plan->buffers[b].begin = plan->buffers[b].end = -1;
    for (at = 0; at < plan->instructions_count; at++) {
        for (k = 0; k < REMAT_MAX_INPUTS; k++)
            use(plan, plan->instructions[at].inputs[k], at);
        for (k = 0; k < REMAT_MAX_OUTPUTS; k++)
            use(plan, plan->instructions[at].outputs[k], at);
        use(plan, plan->instructions[at].scratch, at);
    }
    plan->arena_bytes = plan->live_peak_bytes = graph->staging_bytes;
    for (b = 0; b < plan->buffers_count; b++)
        if (plan->buffers[b].offset + plan->buffers[b].bytes > plan->arena_bytes)
            plan->arena_bytes = plan->buffers[b].offset + plan->buffers[b].bytes;
}

void plan_rebook(const struct remat_task_graph *graph, struct remat_plan *plan)
{
    int32_t at, b;
    rebook_buffers(graph, plan);
    plan->predicted_step_ns = 0;
    plan->finish_begin = plan->instructions_count;
    for (at = plan->instructions_count - 1; at >= 0; at--) {
        const struct remat_task *task = &graph->tasks[plan->instructions[at].task];
        int64_t live = graph->staging_bytes;
        plan->predicted_step_ns += task->options[plan->instructions[at].option].time_ns *
                                   (task->section == REMAT_MICRO ? graph->micro_count : 1);
        if (task->section == REMAT_FINISH)
            plan->finish_begin = at;
        for (b = 0; b < plan->buffers_count; b++)
            if (plan->buffers[b].begin <= at && at <= plan->buffers[b].end)
                live += plan->buffers[b].bytes;
        if (live >= plan->live_peak_bytes) {
            plan->live_peak_bytes = live;
            plan->peak_instruction = at;
        }
    }
}
