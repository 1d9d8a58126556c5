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

enum remat_status remat_plan_schedule(const struct remat_plan *plan, struct remat_schedule *out,
                                      struct remat_error *err)
{
    int32_t i;
    memset(out, 0, sizeof *out);
    for (i = 0; i < plan->instructions_count; i++)
        if (plan->instructions[i].kind == REMAT_RUN)
            REMAT_TRY(remat_schedule_push(out, plan->instructions[i].task, plan->instructions[i].option, err));
    return REMAT_OK;
}

static uint64_t hash_instruction(const struct remat_instruction *instruction, uint64_t seed)
{
    int64_t head[6] = {(int64_t)instruction->kind, instruction->stream, instruction->task,
                       instruction->option,        instruction->event,  instruction->scratch};
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
