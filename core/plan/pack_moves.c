/* Each try has wishes where items would stand: those of a packing below the target that leaves a few items out
 * (pack_levels.h), or what was learned from the best try so far. Passes over the instructions (pack_sweep.h) fulfil
 * them as long as nothing came into the way, and move items where they must. */
#include "core/plan/pack_moves.h"

#include "core/base/memory.h"
#include "core/plan/pack_levels.h"
#include "core/plan/pack_sweep.h"

#include <stdlib.h>
#include <string.h>

/* Of so many tries in a row the first ones draw new wishes, the others learn. */
enum { TURN = 4, TURN_ANEW = 2 };

struct packer {
    struct remat_pack_item *items; /* those with bytes */
    int32_t *ids;                  /* their numbers among all */
    int32_t count, length;         /* length: instructions */
    struct remat_pack_sweep task;
    struct remat_pack_pin *pins;
    int64_t *sums, *wishes;
    int32_t *by_begin;
    struct remat_pack_levels *levels;
    struct remat_pack_segments best;
    int64_t work;       /* of all tries */
    int64_t best_bytes; /* moved; INT64_MAX: none was found */
    struct remat_error *err;
};

struct ranked {
    int32_t begin, id;
    int64_t bytes;
};

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a->id - b->id;
}

static enum remat_status sort_by_begin(struct packer *packer)
{
    struct ranked *ranked;
    int32_t i;
    REMAT_TRY(REMAT_ALLOC(ranked, packer->count, packer->err));
    for (i = 0; i < packer->count; i++)
        ranked[i] = (struct ranked){packer->items[i].begin, i, packer->items[i].bytes};
    qsort(ranked, (size_t)packer->count, sizeof *ranked, compare_ranked);
    for (i = 0; i < packer->count; i++)
        packer->by_begin[i] = ranked[i].id;
    free(ranked);
    return REMAT_OK;
}

static enum remat_status sum_bytes(struct packer *packer)
{
    int32_t i;
    for (i = 0; i < packer->count; i++)
        if (packer->items[i].end >= packer->length)
            packer->length = packer->items[i].end + 1;
    REMAT_TRY(REMAT_ALLOC(packer->sums, (int64_t)packer->length + 1, packer->err));
    packer->sums[0] = packer->task.base;
    for (i = 0; i < packer->count; i++) {
        packer->sums[packer->items[i].begin] += packer->items[i].bytes;
        packer->sums[packer->items[i].end + 1] -= packer->items[i].bytes;
    }
    for (i = 1; i < packer->length; i++)
        packer->sums[i] += packer->sums[i - 1];
    return REMAT_OK;
}

/* Items without bytes lie at the base, in nobody's way. */
static enum remat_status gather(struct packer *packer, struct remat_pack_item *items, int32_t count)
{
    int32_t i;
    REMAT_TRY(REMAT_ALLOC(packer->items, count, packer->err));
    REMAT_TRY(REMAT_ALLOC(packer->ids, count, packer->err));
    for (i = 0; i < count; i++) {
        items[i].offset = packer->task.base;
        if (items[i].bytes == 0)
            continue;
        packer->items[packer->count] = items[i];
        packer->ids[packer->count++] = i;
    }
    return REMAT_OK;
}

static int compare_pins(const void *left, const void *right)
{
    const struct remat_pack_pin *a = left, *b = right;
    return a->begin != b->begin ? (a->begin < b->begin ? -1 : 1) : a->item - b->item;
}

/* By begin, with the numbers of items with bytes. */
static enum remat_status copy_pins(struct packer *packer, const struct remat_pack_pin *pins, int32_t pins_count,
                                   int32_t items_count)
{
    int32_t *number, i;
    REMAT_TRY(REMAT_ALLOC(packer->pins, pins_count, packer->err));
    REMAT_TRY(REMAT_ALLOC(number, items_count, packer->err));
    memset(number, 0xff, (size_t)items_count * sizeof *number);
    for (i = 0; i < packer->count; i++)
        number[packer->ids[i]] = i;
    for (i = 0; i < pins_count; i++)
        if (number[pins[i].item] >= 0)
            packer->pins[packer->task.pins_count++] =
                (struct remat_pack_pin){number[pins[i].item], pins[i].begin, pins[i].end};
    qsort(packer->pins, (size_t)packer->task.pins_count, sizeof *packer->pins, compare_pins);
    free(number);
    return REMAT_OK;
}

static enum remat_status prepare(struct packer *packer)
{
    int64_t count = packer->count;
    REMAT_TRY(REMAT_ALLOC(packer->wishes, count, packer->err));
    REMAT_TRY(REMAT_ALLOC(packer->by_begin, count, packer->err));
    REMAT_TRY(sort_by_begin(packer));
    REMAT_TRY(sum_bytes(packer));
    packer->task.items = packer->items;
    packer->task.wishes = packer->wishes;
    packer->task.by_begin = packer->by_begin;
    packer->task.count = packer->count;
    packer->task.work = &packer->work;
    packer->task.pins = packer->pins;
    return remat_pack_levels_make(packer->items, packer->count, packer->task.base, packer->sums, packer->length,
                                  &packer->levels, packer->err);
}

static void keep(struct packer *packer, struct remat_pack_segments *found, bool placed)
{
    int64_t bytes = remat_pack_segments_moved(found);
    if (placed && bytes < packer->best_bytes) {
        struct remat_pack_segments worse = packer->best;
        packer->best = *found;
        packer->best_bytes = bytes;
        *found = worse;
    }
    remat_pack_segments_free(found);
}

/* The offset at which an item stood longest, of the chain of segments that begins with `id`. */
static int64_t usual_offset(const struct remat_pack_segments *segments, int32_t id)
{
    int64_t longest = -1, offset = -1;
    for (; id >= 0; id = segments->list[id].after) {
        const struct remat_pack_segment *segment = &segments->list[id];
        if (segment->to - segment->from <= longest)
            continue;
        longest = segment->to - segment->from;
        offset = segment->offset;
    }
    return offset;
}

/* Either a packing that leaves few items out, or where items stood longest when the fewest bytes were moved. */
static enum remat_status make_wishes(struct packer *packer, bool anew)
{
    const struct remat_pack_segments *best = &packer->best;
    int32_t i;
    if (anew)
        REMAT_TRY(remat_pack_levels_most(packer->levels, packer->task.target, packer->err));
    for (i = 0; anew && i < packer->count; i++)
        packer->wishes[i] = packer->items[i].offset;
    for (i = 0; !anew && i < best->count; i++)
        if (best->list[i].item >= 0 && best->list[i].before < 0)
            packer->wishes[best->list[i].item] = usual_offset(best, i);
    return REMAT_OK;
}

static enum remat_status try_once(struct packer *packer, int32_t try)
{
    struct remat_pack_segments found = {0};
    enum remat_status status;
    bool placed = false;
    REMAT_TRY(make_wishes(packer, try % TURN < TURN_ANEW || packer->best_bytes == INT64_MAX));
    packer->task.seed = (uint64_t)try;
    packer->task.limit_bytes = packer->best_bytes;
    status = remat_pack_sweep(&packer->task, &found, &placed, packer->err);
    if (status == REMAT_OK && placed)
        status = remat_pack_segments_join(&found, packer->task.base, packer->task.target, packer->err);
    keep(packer, &found, placed && status == REMAT_OK);
    return status;
}

struct moved {
    int64_t tick;
    struct remat_pack_move move;
};

static int compare_moved(const void *left, const void *right)
{
    const struct moved *a = left, *b = right;
    return (a->tick > b->tick) - (a->tick < b->tick);
}

static enum remat_status list_moves(const struct packer *packer, struct remat_pack_item *items,
                                    struct remat_pack_moves *out)
{
    const struct remat_pack_segments *segments = &packer->best;
    struct moved *moved;
    int32_t i;
    REMAT_TRY(REMAT_ALLOC(moved, segments->count, packer->err));
    for (i = 0; i < segments->count; i++) {
        const struct remat_pack_segment *segment = &segments->list[i];
        if (segment->item >= 0 && segment->before < 0)
            items[packer->ids[segment->item]].offset = segment->offset;
        else if (segment->item >= 0)
            moved[out->count++] = (struct moved){
                segment->from, {packer->ids[segment->item], remat_instruction_of_tick(segment->from), segment->offset}};
    }
    qsort(moved, (size_t)out->count, sizeof *moved, compare_moved);
    if (REMAT_ALLOC(out->list, out->count, packer->err) != REMAT_OK) {
        free(moved);
        return REMAT_OUT_OF_MEMORY;
    }
    for (i = 0; i < out->count; i++)
        out->list[i] = moved[i].move;
    free(moved);
    return REMAT_OK;
}

static enum remat_status pack(struct packer *packer, struct remat_pack_item *items, int32_t count,
                              const struct remat_pack_pin *pins, int32_t pins_count, int32_t tries)
{
    int32_t k;
    packer->task.once = tries == 1;
    REMAT_TRY(gather(packer, items, count));
    REMAT_TRY(copy_pins(packer, pins, pins_count, count));
    if (packer->count == 0)
        packer->best_bytes = 0;
    else
        REMAT_TRY(prepare(packer));
    for (k = 0; k < tries && packer->best_bytes > 0 && (k == 0 || packer->work <= REMAT_PACK_MOST_WORK); k++)
        REMAT_TRY(try_once(packer, k));
    return REMAT_OK;
}

enum remat_status remat_pack_with_moves(struct remat_pack_item *items, int32_t count, int64_t base_bytes,
                                        int64_t target, const struct remat_pack_pin *pins, int32_t pins_count,
                                        int32_t tries, struct remat_pack_moves *out, bool *placed,
                                        struct remat_error *err)
{
    struct packer packer = {.task = {.base = base_bytes, .target = target}, .best_bytes = INT64_MAX, .err = err};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = pack(&packer, items, count, pins, pins_count, tries);
    *placed = status == REMAT_OK && packer.best_bytes < INT64_MAX;
    if (*placed)
        status = list_moves(&packer, items, out);
    remat_pack_levels_free(packer.levels);
    remat_pack_segments_free(&packer.best);
    free(packer.items);
    free(packer.ids);
    free(packer.pins);
    free(packer.sums);
    free(packer.wishes);
    free(packer.by_begin);
    return status;
}
