#include "runtime/backend/cpu/conv_spans.h"

#include "runtime/backend/cpu/share.h"

#include <stdbool.h>

/* Appends a target to the last span if it continues it, else starts a new one. */
static void add_target(struct remat_spans *spans, int64_t target, int64_t source, int64_t first, int64_t positions)
{
    struct remat_span *last = spans->spans_count ? &spans->spans[spans->spans_count - 1] : NULL;
    struct remat_span next = {target, 1, source, (int32_t)first, (int32_t)positions};
    bool follows = last && last->positions == positions && last->target + last->count * spans->target_step == target;
    bool same_reads =
        positions == 0 || (last && last->first == first && last->source + last->count * spans->source_step == source);
    if (follows && same_reads) {
        last->count++;
        return;
    }
    spans->spans[spans->spans_count++] = next;
}

/* Takes the positions that no span uses out of the list. A span's own positions stay consecutive. */
static void drop_dead_positions(struct remat_spans *spans, int32_t *renumbered)
{
    int32_t live = 0;
    for (int32_t i = 0; i < spans->positions_count; i++) {
        bool used = false;
        for (int32_t j = 0; j < spans->spans_count; j++)
            used |= i >= spans->spans[j].first && i < spans->spans[j].first + spans->spans[j].positions;
        renumbered[i] = live;
        if (used)
            spans->positions[live++] = spans->positions[i];
    }
    for (int32_t j = 0; j < spans->spans_count; j++)
        spans->spans[j].first = spans->spans[j].positions ? renumbered[spans->spans[j].first] : 0;
    spans->positions_count = live;
}

static enum remat_status allocate(const struct remat_axis *axis, int64_t targets, struct remat_pool *pool,
                                  struct remat_spans *out, int32_t **renumbered, struct remat_error *err)
{
    *out = (struct remat_spans){0};
    REMAT_TRY(REMAT_POOL_ALLOC(pool, out->spans, targets, err));
    REMAT_TRY(REMAT_POOL_ALLOC(pool, out->positions, axis->kernel, err));
    return REMAT_POOL_ALLOC(pool, *renumbered, axis->kernel, err);
}

enum remat_status remat_spans_forward(const struct remat_axis *axis, struct remat_pool *pool, struct remat_spans *out,
                                      struct remat_error *err)
{
    int32_t *renumbered;
    REMAT_TRY(allocate(axis, axis->out, pool, out, &renumbered, err));
    out->target_step = 1;
    out->source_step = axis->stride;
    out->positions_count = (int32_t)axis->kernel;
    for (int32_t r = 0; r < out->positions_count; r++)
        out->positions[r] = r;
    for (int64_t i = 0; i < axis->out; i++) {
        int64_t base = i * axis->stride - axis->pad;
        int64_t begin = remat_at_least(-base, 0), end = remat_at_most(axis->in - base, axis->kernel);
        add_target(out, i, base + begin, begin, remat_at_least(end - begin, 0));
    }
    drop_dead_positions(out, renumbered);
    return REMAT_OK;
}

/* The phase of inputs i = phase, phase + stride, ...: its positions, r descending, go to the list from `listed` on;
 * input i reads outputs (i + pad - r) / stride, which ascend by one as r descends by the stride. */
static int32_t add_phase(const struct remat_axis *axis, int64_t phase, int32_t listed, struct remat_spans *out)
{
    int32_t count = 0;
    int64_t highest = -1;
    for (int64_t r = axis->kernel - 1; r >= 0; r--) {
        if ((phase + axis->pad - r) % axis->stride != 0)
            continue;
        highest = remat_at_least(highest, r);
        out->positions[listed + count++] = (int32_t)r;
    }
    for (int64_t i = phase; i < axis->in; i += axis->stride) {
        int64_t base = count ? (i + axis->pad - highest) / axis->stride : 0;
        int64_t begin = remat_at_least(-base, 0), end = remat_at_most(axis->out - base, count);
        add_target(out, i, base + begin, listed + begin, remat_at_least(end - begin, 0));
    }
    return count;
}

enum remat_status remat_spans_backward(const struct remat_axis *axis, struct remat_pool *pool, struct remat_spans *out,
                                       struct remat_error *err)
{
    int32_t *renumbered;
    REMAT_TRY(allocate(axis, axis->in, pool, out, &renumbered, err));
    out->target_step = axis->stride;
    out->source_step = 1;
    for (int64_t phase = 0; phase < axis->stride; phase++)
        out->positions_count += add_phase(axis, phase, out->positions_count, out);
    drop_dead_positions(out, renumbered);
    return REMAT_OK;
}
