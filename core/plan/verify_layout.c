#include "core/plan/verify.h"

#include <stdlib.h>
#include <string.h>

/* What the plan says of one space. */
struct claim {
    enum remat_space space;
    const char *what, *its;
    int64_t base, extent, budget, live_peak;
};

struct sweep {
    const struct remat_verify *verify;
    const struct claim *claim;
    int32_t *by_begin; /* buffers, those that begin first, first */
    int32_t *active;   /* buffers live now, by offset */
    int32_t active_count;
    int64_t live_bytes, peak_bytes, peak_claimed; /* peak_claimed: at the plan's peak instruction */
};

static enum remat_status check_life(const struct remat_verify *verify, int32_t b)
{
    const struct remat_plan *plan = verify->plan;
    const struct remat_buffer *buffer = &plan->buffers[b];
    if (buffer->space != REMAT_DEVICE && buffer->space != REMAT_HOST)
        return remat_fail(verify->err, REMAT_BAD_DATA,
                          "plan: buffer %d is in space %d, which is neither the device (%d) nor the host (%d)", b,
                          (int)buffer->space, (int)REMAT_DEVICE, (int)REMAT_HOST);
    if (buffer->begin < 0 || buffer->end < buffer->begin || buffer->end >= plan->instructions_count)
        return remat_fail(verify->err, REMAT_BAD_DATA, "plan: buffer %d lives over instructions %d to %d of %d", b,
                          buffer->begin, buffer->end, plan->instructions_count);
    return REMAT_OK;
}

static enum remat_status check_range(const struct remat_verify *verify, const struct claim *claim, int32_t b)
{
    const struct remat_buffer *buffer = &verify->plan->buffers[b];
    int64_t top;
    if (buffer->bytes < 0 || buffer->offset < claim->base ||
        __builtin_add_overflow(buffer->offset, buffer->bytes, &top) || top > claim->extent)
        return remat_fail(verify->err, REMAT_BAD_DATA,
                          "plan: buffer %d takes bytes %lld + %lld, outside %s %lld to %lld", b,
                          (long long)buffer->offset, (long long)buffer->bytes, claim->its, (long long)claim->base,
                          (long long)claim->extent);
    return REMAT_OK;
}

static enum remat_status check_extent(const struct remat_verify *verify, const struct claim *claim)
{
    int64_t extent = claim->base;
    int32_t b;
    for (b = 0; b < verify->plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &verify->plan->buffers[b];
        if (buffer->space != claim->space)
            continue;
        REMAT_TRY(check_range(verify, claim, b));
        if (buffer->offset + buffer->bytes > extent)
            extent = buffer->offset + buffer->bytes;
    }
    if (extent != claim->extent)
        return remat_fail(verify->err, REMAT_BAD_DATA, "plan: says %s of %lld bytes, but its buffers reach %lld",
                          claim->what, (long long)claim->extent, (long long)extent);
    if (claim->extent > claim->budget)
        return remat_fail(verify->err, REMAT_BAD_DATA, "plan: %s of %lld bytes exceeds its budget of %lld", claim->what,
                          (long long)claim->extent, (long long)claim->budget);
    return REMAT_OK;
}

static void drop_ended(struct sweep *sweep, int32_t instruction)
{
    const struct remat_buffer *buffers = sweep->verify->plan->buffers;
    int32_t i, kept = 0;
    for (i = 0; i < sweep->active_count; i++) {
        if (buffers[sweep->active[i]].end >= instruction)
            sweep->active[kept++] = sweep->active[i];
        else
            sweep->live_bytes -= buffers[sweep->active[i]].bytes;
    }
    sweep->active_count = kept;
}

static enum remat_status overlap(const struct sweep *sweep, int32_t a, int32_t b, int32_t instruction)
{
    const struct remat_buffer *x = &sweep->verify->plan->buffers[a], *y = &sweep->verify->plan->buffers[b];
    return remat_fail(sweep->verify->err, REMAT_BAD_DATA,
                      "plan: at instruction %d buffer %d (bytes %lld to %lld) overlaps buffer %d (bytes %lld to %lld)",
                      instruction, a, (long long)x->offset, (long long)(x->offset + x->bytes), b, (long long)y->offset,
                      (long long)(y->offset + y->bytes));
}

/* Active buffers are disjoint and sorted, so only the neighbours of a new one can overlap it. */
static enum remat_status activate(struct sweep *sweep, int32_t b, int32_t instruction)
{
    const struct remat_buffer *buffers = sweep->verify->plan->buffers;
    const struct remat_buffer *buffer = &buffers[b];
    int32_t at = sweep->active_count;
    if (buffer->bytes == 0)
        return REMAT_OK;
    while (at > 0 && buffers[sweep->active[at - 1]].offset > buffer->offset)
        at--;
    if (at > 0) {
        const struct remat_buffer *below = &buffers[sweep->active[at - 1]];
        if (below->offset + below->bytes > buffer->offset)
            return overlap(sweep, b, sweep->active[at - 1], instruction);
    }
    if (at < sweep->active_count && buffer->offset + buffer->bytes > buffers[sweep->active[at]].offset)
        return overlap(sweep, b, sweep->active[at], instruction);
    memmove(sweep->active + at + 1, sweep->active + at, (size_t)(sweep->active_count - at) * sizeof *sweep->active);
    sweep->active[at] = b;
    sweep->active_count++;
    sweep->live_bytes += buffer->bytes;
    return REMAT_OK;
}

/* The buffer of a move's operand, or -1 if that is none; whether the move is right is seen later. */
static int32_t buffer_of(const struct remat_plan *plan, int32_t view)
{
    if (view < 0 || view >= plan->views_count || plan->views[view].buffer < 0 ||
        plan->views[view].buffer >= plan->buffers_count)
        return -1;
    return plan->views[view].buffer;
}

/* At a move its two buffers count once, and may overlap each other: the old one makes way for the new one at once. */
static void drop_moved(struct sweep *sweep, int32_t instruction)
{
    const struct remat_plan *plan = sweep->verify->plan;
    const struct remat_instruction *move = &plan->instructions[instruction];
    int32_t old = move->kind == REMAT_MOVE ? buffer_of(plan, move->inputs[0]) : -1;
    int32_t new = move->kind == REMAT_MOVE ? buffer_of(plan, move->outputs[0]) : -1;
    int32_t i = 0;
    if (old < 0 || new < 0 || plan->buffers[old].end != instruction || plan->buffers[new].begin != instruction)
        return;
    while (i < sweep->active_count && sweep->active[i] != old)
        i++;
    if (i == sweep->active_count)
        return;
    sweep->active_count--;
    memmove(sweep->active + i, sweep->active + i + 1, (size_t)(sweep->active_count - i) * sizeof *sweep->active);
    sweep->live_bytes -= plan->buffers[old].bytes;
}

/* Counting sort by begin, of all spaces. */
static enum remat_status sort_by_begin(struct sweep *sweep)
{
    const struct remat_plan *plan = sweep->verify->plan;
    int32_t *start, b, i;
    REMAT_TRY(REMAT_ALLOC(start, (int64_t)plan->instructions_count + 1, sweep->verify->err));
    for (b = 0; b < plan->buffers_count; b++)
        start[plan->buffers[b].begin + 1]++;
    for (i = 0; i < plan->instructions_count; i++)
        start[i + 1] += start[i];
    for (b = 0; b < plan->buffers_count; b++)
        sweep->by_begin[start[plan->buffers[b].begin]++] = b;
    free(start);
    return REMAT_OK;
}

static enum remat_status sweep_instructions(struct sweep *sweep)
{
    const struct remat_plan *plan = sweep->verify->plan;
    int32_t instruction, next = 0;
    REMAT_TRY(REMAT_ALLOC(sweep->by_begin, plan->buffers_count, sweep->verify->err));
    REMAT_TRY(REMAT_ALLOC(sweep->active, plan->buffers_count, sweep->verify->err));
    REMAT_TRY(sort_by_begin(sweep));
    sweep->live_bytes = sweep->peak_bytes = sweep->claim->base;
    for (instruction = 0; instruction < plan->instructions_count; instruction++) {
        drop_ended(sweep, instruction);
        drop_moved(sweep, instruction);
        for (; next < plan->buffers_count && plan->buffers[sweep->by_begin[next]].begin == instruction; next++)
            if (plan->buffers[sweep->by_begin[next]].space == sweep->claim->space)
                REMAT_TRY(activate(sweep, sweep->by_begin[next], instruction));
        if (sweep->live_bytes > sweep->peak_bytes)
            sweep->peak_bytes = sweep->live_bytes;
        if (instruction == plan->peak_instruction)
            sweep->peak_claimed = sweep->live_bytes;
    }
    return REMAT_OK;
}

static enum remat_status check_peak(const struct sweep *sweep)
{
    const struct remat_plan *plan = sweep->verify->plan;
    if (sweep->peak_bytes != sweep->claim->live_peak)
        return remat_fail(sweep->verify->err, REMAT_BAD_DATA,
                          "plan: says a live peak of %lld bytes in %s, but its buffers add up to %lld",
                          (long long)sweep->claim->live_peak, sweep->claim->what, (long long)sweep->peak_bytes);
    if (sweep->claim->space == REMAT_DEVICE && sweep->peak_claimed != sweep->peak_bytes)
        return remat_fail(
            sweep->verify->err, REMAT_BAD_DATA,
            "plan: says that instruction %d has the live peak, but %lld bytes are live there and the peak "
            "is %lld",
            plan->peak_instruction, (long long)sweep->peak_claimed, (long long)sweep->peak_bytes);
    return REMAT_OK;
}

static enum remat_status check_space(const struct remat_verify *verify, const struct claim *claim)
{
    struct sweep sweep = {.verify = verify, .claim = claim, .peak_claimed = -1};
    enum remat_status status;
    REMAT_TRY(check_extent(verify, claim));
    status = sweep_instructions(&sweep);
    if (status == REMAT_OK)
        status = check_peak(&sweep);
    free(sweep.by_begin);
    free(sweep.active);
    return status;
}

enum remat_status remat_verify_layout(const struct remat_verify *verify)
{
    const struct remat_plan *plan = verify->plan;
    const struct claim device = {
        REMAT_DEVICE,      "an arena",         "the arena's",        verify->graph->staging_bytes,
        plan->arena_bytes, plan->budget_bytes, plan->live_peak_bytes};
    const struct claim host = {REMAT_HOST,       "host memory",           "host memory's",           0,
                               plan->host_bytes, plan->host_budget_bytes, plan->host_live_peak_bytes};
    int32_t b;
    for (b = 0; b < plan->buffers_count; b++)
        REMAT_TRY(check_life(verify, b));
    REMAT_TRY(check_space(verify, &device));
    return check_space(verify, &host);
}
