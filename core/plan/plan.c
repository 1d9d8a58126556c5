#include "core/plan/plan.h"

#include "core/base/hash.h"

#include <stdlib.h>
#include <string.h>

void remat_plan_free(struct remat_plan *plan)
{
    free(plan->instructions);
    free(plan->buffers);
    free(plan->views);
    memset(plan, 0, sizeof *plan);
}

/* Of a copy or a move its own value, of a wait the copy's. */
static int32_t copied_value(const struct remat_plan *plan, const struct remat_instruction *instruction)
{
    if (instruction->kind == REMAT_WAIT)
        instruction = &plan->instructions[instruction->event];
    return plan->views[instruction->inputs[0]].value;
}

enum remat_status remat_plan_schedule(const struct remat_plan *plan, struct remat_schedule *out,
                                      struct remat_error *err)
{
    int32_t i;
    memset(out, 0, sizeof *out);
    for (i = 0; i < plan->instructions_count; i++) {
        const struct remat_instruction *instruction = &plan->instructions[i];
        if (instruction->kind == REMAT_RUN)
            REMAT_TRY(remat_schedule_push(out, instruction->task, instruction->option, err));
        else if (instruction->kind != REMAT_MOVE)
            REMAT_TRY(remat_schedule_push_copy(out, instruction->kind, copied_value(plan, instruction), err));
    }
    return REMAT_OK;
}

/* The plan was verified: no sum is too large. */
static void take_time(const struct remat_task_graph *graph, const struct remat_plan *plan, int32_t at,
                      struct remat_lanes *lanes, int64_t *ends_ns)
{
    const struct remat_instruction *instruction = &plan->instructions[at];
    int64_t bytes;
    switch (instruction->kind) {
    case REMAT_RUN:
        lanes->kernel_ns += graph->tasks[instruction->task].options[instruction->option].time_ns;
        break;
    case REMAT_STORE:
    case REMAT_FETCH:
        bytes = graph->values[copied_value(plan, instruction)].bytes;
        (void)remat_lanes_copy(lanes, instruction->kind, remat_copy_ns(graph, instruction->kind, bytes), &ends_ns[at]);
        break;
    case REMAT_WAIT:
        if (ends_ns[instruction->event] > lanes->kernel_ns)
            lanes->kernel_ns = ends_ns[instruction->event];
        break;
    case REMAT_MOVE:
        bytes = graph->values[copied_value(plan, instruction)].bytes;
        lanes->kernel_ns += remat_copy_ns(graph, REMAT_MOVE, bytes);
    }
}

enum remat_status remat_plan_times(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                   int64_t *done_ns, struct remat_error *err)
{
    struct remat_lanes lanes = {0};
    int64_t *ends_ns;
    int32_t at;
    REMAT_TRY(REMAT_ALLOC(ends_ns, plan->instructions_count, err));
    for (at = 0; at < plan->instructions_count; at++) {
        if (at == plan->finish_begin)
            lanes = (struct remat_lanes){0};
        take_time(graph, plan, at, &lanes, ends_ns);
        done_ns[at] = lanes.kernel_ns;
    }
    free(ends_ns);
    return REMAT_OK;
}

struct remat_plan_moves remat_plan_count_moves(const struct remat_task_graph *graph, const struct remat_plan *plan)
{
    struct remat_plan_moves moves = {0};
    int32_t at;
    for (at = 0; at < plan->instructions_count; at++) {
        const struct remat_instruction *instruction = &plan->instructions[at];
        int64_t bytes;
        if (instruction->kind != REMAT_MOVE)
            continue;
        bytes = graph->values[copied_value(plan, instruction)].bytes;
        moves.count++;
        moves.bytes += bytes;
        moves.time_ns += remat_copy_ns(graph, REMAT_MOVE, bytes);
    }
    return moves;
}

/* The 0 keeps the hashes by which recorded results name plans without copies. */
static uint64_t hash_instruction(const struct remat_instruction *instruction, uint64_t seed)
{
    int64_t head[6] = {(int64_t)instruction->kind, 0, instruction->task, instruction->option, instruction->event,
                       instruction->scratch};
    seed = remat_hash(head, sizeof head, seed);
    seed = remat_hash(instruction->inputs, sizeof instruction->inputs, seed);
    return remat_hash(instruction->outputs, sizeof instruction->outputs, seed);
}

/* Field by field: structs may have padding. */
uint64_t remat_plan_hash(const struct remat_plan *plan)
{
    int64_t head[] = {plan->instructions_count, plan->buffers_count, plan->views_count, plan->finish_begin,
                      plan->arena_bytes};
    uint64_t hash = remat_hash(head, sizeof head, plan->graph_hash);
    int32_t i;
    for (i = 0; i < plan->instructions_count; i++)
        hash = hash_instruction(&plan->instructions[i], hash);
    for (i = 0; i < plan->buffers_count; i++) {
        const struct remat_buffer *buffer = &plan->buffers[i];
        int64_t words[] = {(int64_t)buffer->space, buffer->offset, buffer->bytes, buffer->begin, buffer->end};
        hash = remat_hash(words, sizeof words, hash);
    }
    for (i = 0; i < plan->views_count; i++) {
        const struct remat_view *view = &plan->views[i];
        int64_t words[] = {view->value, view->buffer, view->offset};
        hash = remat_hash(words, sizeof words, hash);
    }
    return hash;
}
