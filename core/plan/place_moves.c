#include "core/plan/place_moves.h"

#include <stdlib.h>
#include <string.h>

struct inserting {
    const struct remat_task_graph *graph;
    const struct remat_liveness *live;
    const struct remat_pack_moves *moves;
    struct remat_plan *plan;
    struct remat_instruction *instructions; /* the new ones */
    int32_t *shifted;                       /* per old instruction, and for their number: its new index */
    int32_t *home;                          /* per instance: its buffer before */
    int32_t *view;                          /* per instance: where it is now */
    int32_t *buffer, *holds;                /* per buffer before: where it is now, and the instance in it */
    int32_t count;                          /* new instructions so far */
    struct remat_error *err;
};

static enum remat_status resize(void **array, int64_t count, size_t size, struct remat_error *err)
{
    void *larger = realloc(*array, (size_t)count * size);
    if (!larger)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "plan: no memory for %lld entries", (long long)count);
    *array = larger;
    return REMAT_OK;
}

static enum remat_status make_room(struct inserting *in)
{
    struct remat_plan *plan = in->plan;
    int64_t more = in->moves->count;
    if (plan->instructions_count + more > INT32_MAX || plan->views_count + more > INT32_MAX)
        return remat_fail(in->err, REMAT_OUT_OF_MEMORY, "plan: %lld moves are too many", (long long)more);
    REMAT_TRY(REMAT_ALLOC(in->instructions, plan->instructions_count + more, in->err));
    REMAT_TRY(REMAT_ALLOC(in->shifted, (int64_t)plan->instructions_count + 1, in->err));
    REMAT_TRY(REMAT_ALLOC(in->home, in->live->instances_count, in->err));
    REMAT_TRY(REMAT_ALLOC(in->view, in->live->instances_count, in->err));
    REMAT_TRY(REMAT_ALLOC(in->buffer, plan->buffers_count, in->err));
    REMAT_TRY(REMAT_ALLOC(in->holds, plan->buffers_count, in->err));
    REMAT_TRY(resize((void **)&plan->buffers, plan->buffers_count + more, sizeof *plan->buffers, in->err));
    return resize((void **)&plan->views, plan->views_count + more, sizeof *plan->views, in->err);
}

/* All that is told by instruction numbers gets the new ones. */
static void shift(struct inserting *in)
{
    struct remat_plan *plan = in->plan;
    int32_t at, i, next = 0;
    for (at = 0; at <= plan->instructions_count; at++) {
        while (next < in->moves->count && in->moves->list[next].at <= at)
            next++;
        in->shifted[at] = at + next;
    }
    for (i = 0; i < plan->buffers_count; i++) {
        plan->buffers[i].begin = in->shifted[plan->buffers[i].begin];
        plan->buffers[i].end = in->shifted[plan->buffers[i].end];
        in->buffer[i] = i;
        in->holds[i] = -1;
    }
    for (i = 0; i < in->live->instances_count; i++) {
        in->home[i] = plan->views[i].buffer;
        in->view[i] = i;
    }
    plan->finish_begin = in->shifted[plan->finish_begin];
    plan->peak_instruction = in->shifted[plan->peak_instruction];
}

static void insert_move(struct inserting *in, const struct remat_pack_move *move)
{
    struct remat_plan *plan = in->plan;
    struct remat_instruction *instruction = &in->instructions[in->count];
    struct remat_buffer *old = &plan->buffers[in->buffer[move->item]], *new = &plan->buffers[plan->buffers_count];
    int32_t instance = in->holds[move->item];
    memset(instruction, 0xff, sizeof *instruction);
    instruction->kind = REMAT_MOVE;
    instruction->inputs[0] = in->view[instance];
    instruction->outputs[0] = in->view[instance] = plan->views_count;
    *new = (struct remat_buffer){REMAT_DEVICE, move->offset, old->bytes, in->count, old->end};
    old->end = in->count++;
    in->buffer[move->item] = plan->buffers_count;
    plan->views[plan->views_count++] = (struct remat_view){in->live->instances[instance].value, plan->buffers_count, 0};
    plan->buffers_count++;
}

/* Operands are where they were moved to last; what is made, where its buffer was. */
static void keep_instruction(struct inserting *in, int32_t at)
{
    struct remat_instruction *instruction = &in->instructions[in->count++];
    int32_t k;
    *instruction = in->plan->instructions[at];
    if (instruction->kind == REMAT_WAIT)
        instruction->event = in->shifted[instruction->event];
    for (k = 0; k < REMAT_MAX_INPUTS; k++)
        if (instruction->inputs[k] >= 0)
            instruction->inputs[k] = in->view[instruction->inputs[k]];
    for (k = 0; k < REMAT_MAX_OUTPUTS; k++) {
        int32_t made = instruction->outputs[k];
        if (made < 0)
            continue;
        in->plan->views[made].buffer = in->buffer[in->home[made]];
        in->holds[in->home[made]] = made;
    }
}

static void insert_all(struct inserting *in)
{
    struct remat_plan *plan = in->plan;
    int32_t at, next = 0;
    shift(in);
    for (at = 0; at < plan->instructions_count; at++) {
        for (; next < in->moves->count && in->moves->list[next].at == at; next++)
            insert_move(in, &in->moves->list[next]);
        keep_instruction(in, at);
    }
    free(plan->instructions);
    plan->instructions = in->instructions;
    plan->instructions_count = in->count;
    in->instructions = NULL;
}

/* Waits may hide a move's time. Sums cannot overflow if that of all times does not. */
static enum remat_status add_times(struct inserting *in)
{
    struct remat_plan *plan = in->plan;
    int64_t moved_ns = remat_plan_count_moves(in->graph, plan).time_ns, sum, *done_ns;
    int32_t finish = plan->finish_begin, count = plan->instructions_count;
    enum remat_status status;
    if (__builtin_mul_overflow(moved_ns, (int64_t)in->graph->micro_count, &moved_ns) ||
        __builtin_add_overflow(plan->predicted_step_ns, moved_ns, &sum))
        return remat_fail(in->err, REMAT_BAD_DATA, "plan: the times of its moves add up to more than 2^63 ns");
    REMAT_TRY(REMAT_ALLOC(done_ns, count, in->err));
    status = remat_plan_times(in->graph, plan, done_ns, in->err);
    if (status == REMAT_OK) {
        plan->predicted_step_ns = finish > 0 ? done_ns[finish - 1] * in->graph->micro_count : 0;
        plan->predicted_step_ns += finish < count ? done_ns[count - 1] : 0;
    }
    free(done_ns);
    return status;
}

enum remat_status remat_place_moves(const struct remat_task_graph *graph, const struct remat_liveness *live,
                                    const struct remat_pack_moves *moves, struct remat_plan *plan,
                                    struct remat_error *err)
{
    struct inserting in = {.graph = graph, .live = live, .moves = moves, .plan = plan, .err = err};
    enum remat_status status = make_room(&in);
    if (status == REMAT_OK) {
        insert_all(&in);
        status = add_times(&in);
    }
    free(in.instructions);
    free(in.shifted);
    free(in.home);
    free(in.view);
    free(in.buffer);
    free(in.holds);
    return status;
}
