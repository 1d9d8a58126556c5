#include "core/plan/pack_segments.h"

#include "core/base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { TICK_BITS = 20 };
/* Joining ends after so many segments looked at: only large sets of items come to that. */
enum { MOST_WORK = 30000000 };
static const int64_t LAST_TICK = ((int64_t)1 << TICK_BITS) - 1;

int64_t remat_tick_of_instruction(int32_t instruction)
{
    return ((int64_t)instruction << TICK_BITS) + LAST_TICK;
}

int64_t remat_tick_of_move(int32_t instruction, int32_t turn)
{
    return turn < LAST_TICK ? ((int64_t)instruction << TICK_BITS) + turn : -1;
}

int32_t remat_instruction_of_tick(int64_t tick)
{
    return (int32_t)(tick >> TICK_BITS);
}

void remat_pack_segments_free(struct remat_pack_segments *segments)
{
    free(segments->list);
    memset(segments, 0, sizeof *segments);
}

enum remat_status remat_pack_segments_add(struct remat_pack_segments *segments,
                                          const struct remat_pack_segment *segment, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(segments->list, segments->capacity, segments->count + 1, err));
    segments->list[segments->count++] = *segment;
    return REMAT_OK;
}

static bool meet(const struct remat_pack_segment *segment, int32_t item, int64_t from, int64_t to)
{
    return segment->item >= 0 && segment->item != item && segment->from <= to && segment->to >= from;
}

bool remat_pack_segments_free_at(const struct remat_pack_segments *segments, int32_t id, int64_t offset)
{
    const struct remat_pack_segment *own = &segments->list[id];
    int32_t i;
    for (i = segments->count - 1; i >= 0; i--) {
        const struct remat_pack_segment *other = &segments->list[i];
        if (other->offset < offset + own->bytes && offset < other->offset + other->bytes &&
            meet(other, own->item, own->from, own->to))
            return false;
    }
    return true;
}

/* Makes segment `late` the end of segment `early`. */
static void merge(struct remat_pack_segments *segments, int32_t early, int32_t late)
{
    struct remat_pack_segment *first = &segments->list[early], *second = &segments->list[late];
    second->from = first->from;
    second->before = first->before;
    if (first->before >= 0)
        segments->list[first->before].after = late;
    first->item = -1;
}

void remat_pack_segments_shift(struct remat_pack_segments *segments, int32_t id, int64_t offset)
{
    struct remat_pack_segment *segment = &segments->list[id];
    segment->offset = offset;
    if (segment->before >= 0 && segments->list[segment->before].offset == offset)
        merge(segments, segment->before, id);
    if (segment->after >= 0 && segments->list[segment->after].offset == offset)
        merge(segments, id, segment->after);
}

struct span {
    int64_t offset, top;
};

static int compare_spans(const void *left, const void *right)
{
    const struct span *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* The lowest offset at which `bytes` find room between spans, or -1. */
static int64_t find_gap(struct span *spans, int32_t count, int64_t bytes, int64_t base, int64_t target)
{
    int64_t floor = base;
    int32_t i;
    qsort(spans, (size_t)count, sizeof *spans, compare_spans);
    for (i = 0; i < count && spans[i].offset - floor < bytes; i++)
        floor = spans[i].top > floor ? spans[i].top : floor;
    return i < count || target - floor >= bytes ? floor : -1;
}

/* An offset at which a segment and the one after it could both stand, or -1. */
static int64_t find_common(const struct remat_pack_segments *segments, int32_t id, struct span *spans, int64_t base,
                           int64_t target)
{
    const struct remat_pack_segment *own = &segments->list[id];
    int64_t to = segments->list[own->after].to;
    int32_t i, count = 0;
    for (i = 0; i < segments->count; i++)
        if (meet(&segments->list[i], own->item, own->from, to))
            spans[count++] =
                (struct span){segments->list[i].offset, segments->list[i].offset + segments->list[i].bytes};
    return find_gap(spans, count, own->bytes, base, target);
}

enum remat_status remat_pack_segments_join(struct remat_pack_segments *segments, int64_t base, int64_t target,
                                           struct remat_error *err)
{
    struct span *spans;
    int64_t work = 0;
    int32_t i;
    bool joined = true;
    REMAT_TRY(REMAT_ALLOC(spans, segments->count, err));
    while (joined) {
        joined = false;
        for (i = 0; i < segments->count && work < MOST_WORK; i++) {
            int32_t after = segments->list[i].after;
            int64_t offset;
            if (segments->list[i].item < 0 || after < 0)
                continue;
            work += segments->count;
            offset = find_common(segments, i, spans, base, target);
            if (offset < 0)
                continue;
            remat_pack_segments_shift(segments, after, offset);
            if (segments->list[i].item >= 0)
                remat_pack_segments_shift(segments, i, offset);
            joined = true;
        }
    }
    free(spans);
    return REMAT_OK;
}

int64_t remat_pack_segments_moved(const struct remat_pack_segments *segments)
{
    int64_t bytes = 0;
    int32_t i;
    for (i = 0; i < segments->count; i++)
        if (segments->list[i].item >= 0 && segments->list[i].after >= 0)
            bytes += segments->list[i].bytes;
    return bytes;
}
