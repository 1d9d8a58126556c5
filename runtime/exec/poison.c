#include "runtime/exec/poison.h"

#include <string.h>

static bool overlap(const struct remat_buffer *a, const struct remat_buffer *b)
{
    return a->space == b->space && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

/* Whether the operands' buffers, `buffer` itself apart, share bytes with it. */
static bool shares_bytes(const struct remat_plan *plan, const struct remat_buffer *buffer, const int32_t *views,
                         int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const struct remat_buffer *other;
        if (views[i] < 0)
            continue;
        other = &plan->buffers[plan->views[views[i]].buffer];
        if (other != buffer && overlap(other, buffer))
            return true;
    }
    return false;
}

static enum remat_status fill_range(const struct remat_device_ops *ops, struct remat_device *device,
                                    unsigned char *arena, int64_t from, int64_t to, struct remat_error *err)
{
    return from < to ? ops->fill(device, arena + from, 0xFF, to - from, err) : REMAT_OK;
}

/* Fills what `buffer` does not share with the other buffer of a move. */
static enum remat_status fill_outside(const struct remat_device_ops *ops, struct remat_device *device,
                                      unsigned char *arena, const struct remat_buffer *buffer,
                                      const struct remat_buffer *other, struct remat_error *err)
{
    int64_t top = buffer->offset + buffer->bytes, below = other->offset < top ? other->offset : top;
    int64_t above = other->offset + other->bytes;
    REMAT_TRY(fill_range(ops, device, arena, buffer->offset, below, err));
    return fill_range(ops, device, arena, above > buffer->offset ? above : buffer->offset, top, err);
}

static const struct remat_buffer *buffer_of(const struct remat_plan *plan, int32_t view)
{
    return &plan->buffers[plan->views[view].buffer];
}

/* Host memory is filled by the host, when what came before is done. */
static enum remat_status fill(const struct remat_device_ops *ops, struct remat_device *device,
                              const struct remat_buffer *buffer, unsigned char *const spaces[REMAT_SPACE_COUNT],
                              struct remat_error *err)
{
    unsigned char *at = spaces[buffer->space] + buffer->offset;
    if (buffer->space == REMAT_DEVICE)
        return ops->fill(device, at, 0xFF, buffer->bytes, err);
    REMAT_TRY(ops->synchronise(device, err));
    memset(at, 0xFF, (size_t)buffer->bytes);
    return REMAT_OK;
}

enum remat_status remat_poison_before(const struct remat_device_ops *ops, struct remat_device *device,
                                      const struct remat_plan *plan, int32_t instruction,
                                      unsigned char *const spaces[REMAT_SPACE_COUNT], struct remat_error *err)
{
    const struct remat_instruction *now = &plan->instructions[instruction];
    if (now->kind == REMAT_MOVE)
        return fill_outside(ops, device, spaces[REMAT_DEVICE], buffer_of(plan, now->outputs[0]),
                            buffer_of(plan, now->inputs[0]), err);
    for (int32_t b = 0; b < plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &plan->buffers[b];
        if (buffer->begin == instruction && !shares_bytes(plan, buffer, now->inputs, REMAT_MAX_INPUTS))
            REMAT_TRY(fill(ops, device, buffer, spaces, err));
    }
    return REMAT_OK;
}

enum remat_status remat_poison_after(const struct remat_device_ops *ops, struct remat_device *device,
                                     const struct remat_plan *plan, int32_t instruction,
                                     unsigned char *const spaces[REMAT_SPACE_COUNT], struct remat_error *err)
{
    const struct remat_instruction *now = &plan->instructions[instruction];
    if (now->kind == REMAT_MOVE)
        return fill_outside(ops, device, spaces[REMAT_DEVICE], buffer_of(plan, now->inputs[0]),
                            buffer_of(plan, now->outputs[0]), err);
    for (int32_t b = 0; b < plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &plan->buffers[b];
        if (buffer->end == instruction && !shares_bytes(plan, buffer, now->outputs, REMAT_MAX_OUTPUTS))
            REMAT_TRY(fill(ops, device, buffer, spaces, err));
    }
    return REMAT_OK;
}
