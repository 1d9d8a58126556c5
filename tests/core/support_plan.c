#include "tests/core/support_plan.h"

#include "tests/core/support_moves.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* Frees the schedule. */
static void place(const struct remat_task_graph *graph, struct remat_schedule *schedule, struct remat_plan *plan)
{
    struct remat_error err = {0};
    if (remat_plan_place(graph, schedule, 20, plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    remat_schedule_free(schedule);
}

void plan_fixture(uint64_t seed, int32_t layers, int32_t repeats, struct remat_task_graph *graph,
                  struct remat_plan *plan)
{
    struct remat_schedule schedule;
    random_graph(graph, seed, layers);
    random_schedule(graph, seed, repeats, &schedule);
    place(graph, &schedule, plan);
}

void plan_fixture_copies(uint64_t seed, int32_t layers, int32_t repeats, struct remat_task_graph *graph,
                         struct remat_plan *plan)
{
    struct remat_schedule schedule;
    random_graph(graph, seed, layers);
    random_schedule(graph, seed, repeats, &schedule);
    random_copies(graph, seed, &schedule);
    place(graph, &schedule, plan);
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
        const struct remat_instruction *instruction = &plan->instructions[at];
        if (instruction->kind == REMAT_WAIT)
            instruction = &plan->instructions[instruction->event];
        for (k = 0; k < REMAT_MAX_INPUTS; k++)
            use(plan, instruction->inputs[k], at);
        for (k = 0; k < REMAT_MAX_OUTPUTS; k++)
            use(plan, instruction->outputs[k], at);
        use(plan, instruction->scratch, at);
    }
    plan->arena_bytes = plan->live_peak_bytes = graph->staging_bytes;
    plan->host_bytes = plan->host_live_peak_bytes = 0;
    for (b = 0; b < plan->buffers_count; b++) {
        int64_t *extent = plan->buffers[b].space == REMAT_HOST ? &plan->host_bytes : &plan->arena_bytes;
        if (plan->buffers[b].offset + plan->buffers[b].bytes > *extent)
            *extent = plan->buffers[b].offset + plan->buffers[b].bytes;
    }
}

static int64_t live_bytes(const struct remat_plan *plan, enum remat_space space, int32_t at)
{
    int64_t live = 0;
    int32_t b;
    for (b = 0; b < plan->buffers_count; b++)
        if (plan->buffers[b].space == space && plan->buffers[b].begin <= at && at <= plan->buffers[b].end)
            live += plan->buffers[b].bytes;
    if (space == REMAT_DEVICE && plan->instructions[at].kind == REMAT_MOVE) /* counts once */
        live -= plan->buffers[plan->views[plan->instructions[at].outputs[0]].buffer].bytes;
    return live;
}

void plan_rebook(const struct remat_task_graph *graph, struct remat_plan *plan)
{
    int32_t at;
    rebook_buffers(graph, plan);
    plan->finish_begin = plan->instructions_count;
    for (at = plan->instructions_count - 1; at >= 0; at--) {
        const struct remat_instruction *instruction = &plan->instructions[at];
        int64_t live = graph->staging_bytes + live_bytes(plan, REMAT_DEVICE, at);
        int64_t host = live_bytes(plan, REMAT_HOST, at);
        if (instruction->kind == REMAT_RUN && graph->tasks[instruction->task].section == REMAT_FINISH)
            plan->finish_begin = at;
        if (live >= plan->live_peak_bytes) {
            plan->live_peak_bytes = live;
            plan->peak_instruction = at;
        }
        if (host > plan->host_live_peak_bytes)
            plan->host_live_peak_bytes = host;
    }
    plan_book_times(graph, plan);
}
