/* Dynamic storage allocation is NP-hard (Garey and Johnson, SR2), but lifetimes of training steps are nearly nested:
 * what forward keeps dies in reverse order. Placing one item after the other at its first fit is optimal for some order
 * of items, so the search is over orders: a few good ones first, then repairs of the best by moving the items that
 * stick out of the lower bound. */
#include "core/plan/pack.h"

#include "core/base/memory.h"
#include "core/base/rng.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum fit {
    FIT_FIRST, /* lowest hole that is large enough */
    FIT_BEST,  /* smallest hole that is large enough */
    FIT_ENDS,  /* short-lived items from the top of the lower bound downwards, others from the bottom */
    FIT_COUNT
};

enum key {
    KEY_SIZE,
    KEY_DURATION,
    KEY_AREA,
    KEY_BEGIN,
    KEY_END,
    KEY_SIZE_LEVEL, /* by size in powers of two, then duration */
    KEY_COUNT
};

enum { SHORT_LIVED = 8, MAX_VIOLATORS = 64 };

struct range {
    int64_t offset, top;
    int32_t begin, end;
};

struct ranked {
    double major, minor;
    int32_t id;
};

struct packer {
    struct remat_pack_item *items;
    int32_t count;
    int64_t base, target; /* target: the largest sum of bytes at one instruction, base included */
    int32_t hottest;      /* an instruction where it is reached */
    int64_t *height;      /* per item: the largest sum of bytes during its life */
    struct range *placed; /* by offset */
    struct ranked *ranked;
    int32_t *order, *trial; /* best order so far; the one being tried */
    int64_t *offsets;       /* of the best */
    int64_t extent;         /* of the best */
    enum fit fit;           /* of the best */
    uint64_t draws;
};

/* The offset for an item among the placed ranges that share an instruction with it. */
static int64_t find_hole(const struct packer *packer, int32_t placed_count, const struct remat_pack_item *item,
                         enum fit fit)
{
    int64_t floor = packer->base, found = -1, smallest = INT64_MAX;
    bool from_top = fit == FIT_ENDS && item->end - item->begin <= SHORT_LIVED;
    int32_t i;
    for (i = 0; i < placed_count; i++) {
        const struct range *range = &packer->placed[i];
        int64_t hole = range->offset - floor;
        if (range->begin > item->end || range->end < item->begin)
            continue;
        if (hole >= item->bytes) {
            if (from_top) {
                found = range->offset - item->bytes;
            } else if (fit != FIT_BEST) {
                return floor;
            } else if (hole < smallest) {
                smallest = hole;
                found = floor;
            }
        }
        if (range->top > floor)
            floor = range->top;
    }
    if (from_top && packer->target - floor >= item->bytes)
        return packer->target - item->bytes;
    return found >= 0 ? found : floor;
}

static void insert_range(struct packer *packer, int32_t placed_count, const struct remat_pack_item *item)
{
    int32_t low = 0, high = placed_count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (packer->placed[middle].offset < item->offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(&packer->placed[low + 1], &packer->placed[low], (size_t)(placed_count - low) * sizeof *packer->placed);
    packer->placed[low] = (struct range){item->offset, item->offset + item->bytes, item->begin, item->end};
}

/* Places all items in the order of `trial`; keeps the result if its extent is at most the best one. */
static void try_order(struct packer *packer, enum fit fit)
{
    int64_t extent = packer->base;
    int32_t i;
    for (i = 0; i < packer->count; i++) {
        struct remat_pack_item *item = &packer->items[packer->trial[i]];
        item->offset = find_hole(packer, i, item, fit);
        if (item->offset + item->bytes > extent)
            extent = item->offset + item->bytes;
        if (extent > packer->extent)
            return;
        insert_range(packer, i, item);
    }
    packer->extent = extent;
    packer->fit = fit;
    memcpy(packer->order, packer->trial, (size_t)packer->count * sizeof *packer->order);
    for (i = 0; i < packer->count; i++)
        packer->offsets[i] = packer->items[i].offset;
}

static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->major != b->major)
        return a->major < b->major ? -1 : 1;
    if (a->minor != b->minor)
        return a->minor < b->minor ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static double key_of(const struct remat_pack_item *item, enum key key, double *minor)
{
    double bytes = (double)item->bytes, duration = (double)item->end - item->begin + 1, level = 0;
    *minor = -bytes;
    switch (key) {
    case KEY_SIZE:
        return -bytes;
    case KEY_DURATION:
        return -duration;
    case KEY_AREA:
        return -bytes * duration;
    case KEY_BEGIN:
        return item->begin;
    case KEY_END:
        return -item->end;
    default:
        while (bytes >= 2) {
            bytes /= 2;
            level++;
        }
        *minor = -duration;
        return -level;
    }
}

enum focus {
    FOCUS_NONE,
    FOCUS_PEAK,   /* what is live at the peak first, so that it tiles without holes; the rest by size */
    FOCUS_HEIGHT, /* the same, but the rest by the height of the memory around it */
    FOCUS_COUNT
};

static void rank(struct packer *packer, enum key key, enum focus focus)
{
    int32_t i;
    for (i = 0; i < packer->count; i++) {
        const struct remat_pack_item *item = &packer->items[i];
        struct ranked *ranked = &packer->ranked[i];
        ranked->id = i;
        ranked->major = key_of(item, key, &ranked->minor);
        if (focus == FOCUS_NONE)
            continue;
        if (item->begin <= packer->hottest && packer->hottest <= item->end) {
            ranked->minor = ranked->major;
            ranked->major = -1e30;
        } else {
            ranked->major = -(double)(focus == FOCUS_PEAK ? item->bytes : packer->height[i]);
            ranked->minor = -(double)item->bytes;
        }
    }
    qsort(packer->ranked, (size_t)packer->count, sizeof *packer->ranked, compare_ranked);
    for (i = 0; i < packer->count; i++)
        packer->trial[i] = packer->ranked[i].id;
}

static void try_fixed_orders(struct packer *packer)
{
    int key, focus, fit;
    for (focus = FOCUS_NONE; focus < FOCUS_COUNT; focus++)
        for (key = 0; key < KEY_COUNT; key++) {
            rank(packer, (enum key)key, (enum focus)focus);
            for (fit = 0; fit < FIT_COUNT; fit++) {
                if (packer->extent == packer->target)
                    return;
                try_order(packer, (enum fit)fit);
            }
        }
}

static int32_t draw(struct packer *packer, int32_t below)
{
    return (int32_t)(remat_rng(0, REMAT_RNG_SHUFFLE, 0, 0, packer->draws++).word[0] % (uint32_t)below);
}

static void move(int32_t *order, int32_t from, int32_t to)
{
    int32_t id = order[from];
    if (to < from)
        memmove(order + to + 1, order + to, (size_t)(from - to) * sizeof *order);
    else
        memmove(order + from, order + from + 1, (size_t)(to - from) * sizeof *order);
    order[to] = id;
}

/* A place before `at` in the trial order whose item shares an instruction with the item there; -1 = none. */
static int32_t draw_rival(struct packer *packer, int32_t at)
{
    const struct remat_pack_item *item = &packer->items[packer->trial[at]];
    int32_t i, rivals = 0, chosen = -1;
    for (i = 0; i < at; i++) {
        const struct remat_pack_item *other = &packer->items[packer->trial[i]];
        if (other->begin <= item->end && item->begin <= other->end && draw(packer, ++rivals) == 0)
            chosen = i;
    }
    return chosen;
}

/* Changes the trial order so that items above the target are placed earlier, or what is in their way later. */
static void repair(struct packer *packer)
{
    int32_t violators[MAX_VIOLATORS], violators_count = 0, i, at, rival, how = draw(packer, 4);
    for (i = 0; i < packer->count && violators_count < MAX_VIOLATORS; i++)
        if (packer->offsets[packer->trial[i]] + packer->items[packer->trial[i]].bytes > packer->target)
            violators[violators_count++] = i;
    if (how == 0) {
        for (i = 0; i < violators_count; i++)
            move(packer->trial, violators[i], 0);
        return;
    }
    at = violators[draw(packer, violators_count)];
    rival = how == 1 ? draw(packer, at + 1) : draw_rival(packer, at);
    if (rival < 0)
        return;
    if (how == 3)
        move(packer->trial, rival, at);
    else
        move(packer->trial, at, rival);
}

static void search(struct packer *packer, int32_t effort)
{
    for (; effort > 0 && packer->extent > packer->target; effort--) {
        memcpy(packer->trial, packer->order, (size_t)packer->count * sizeof *packer->trial);
        repair(packer);
        try_order(packer, packer->fit);
    }
}

/* Largest of sums[begin..end] for every item, through a sparse table: level k holds maxima of 2^k neighbours. */
static enum remat_status measure_heights(struct packer *packer, const int64_t *sums, int32_t length,
                                         struct remat_error *err)
{
    int64_t *table, *level;
    int32_t levels = 1, k, i;
    while ((1 << levels) <= length && levels < 30)
        levels++;
    REMAT_TRY(REMAT_ALLOC(table, (int64_t)levels * length, err));
    memcpy(table, sums, (size_t)length * sizeof *table);
    for (k = 1; k < levels; k++) {
        level = table + (size_t)k * length;
        for (i = 0; i + (1 << k) <= length; i++) {
            int64_t a = level[i - length], b = level[i - length + (1 << (k - 1))];
            level[i] = a > b ? a : b;
        }
    }
    for (i = 0; i < packer->count; i++) {
        const struct remat_pack_item *item = &packer->items[i];
        for (k = 0; (2 << k) <= item->end - item->begin + 1;)
            k++;
        level = table + (size_t)k * length;
        packer->height[i] =
            level[item->begin] > level[item->end + 1 - (1 << k)] ? level[item->begin] : level[item->end + 1 - (1 << k)];
    }
    free(table);
    return REMAT_OK;
}

/* Finds the target, where it is reached, and the height of each item. */
static enum remat_status measure(struct packer *packer, struct remat_error *err)
{
    int64_t *sums, total = packer->base;
    int32_t length = 1, i;
    enum remat_status status;
    for (i = 0; i < packer->count; i++) {
        const struct remat_pack_item *item = &packer->items[i];
        if (item->end >= length)
            length = item->end + 1;
        if (item->bytes < 0 || __builtin_add_overflow(total, item->bytes, &total))
            return remat_fail(err, REMAT_BAD_DATA, "packing: the sizes of %d buffers add up to more than 2^63 bytes",
                              packer->count);
    }
    REMAT_TRY(REMAT_ALLOC(sums, (int64_t)length + 1, err));
    for (i = 0; i < packer->count; i++) {
        sums[packer->items[i].begin] += packer->items[i].bytes;
        sums[packer->items[i].end + 1] -= packer->items[i].bytes;
    }
    sums[0] += packer->base;
    for (i = 0; i < length; i++) {
        sums[i] += i ? sums[i - 1] : 0;
        if (sums[i] > packer->target) {
            packer->target = sums[i];
            packer->hottest = i;
        }
    }
    status = measure_heights(packer, sums, length, err);
    free(sums);
    return status;
}

static enum remat_status make_room(struct packer *packer, struct remat_error *err)
{
    int64_t count = packer->count;
    REMAT_TRY(REMAT_ALLOC(packer->height, count, err));
    REMAT_TRY(REMAT_ALLOC(packer->placed, count, err));
    REMAT_TRY(REMAT_ALLOC(packer->ranked, count, err));
    REMAT_TRY(REMAT_ALLOC(packer->order, count, err));
    REMAT_TRY(REMAT_ALLOC(packer->trial, count, err));
    REMAT_TRY(REMAT_ALLOC(packer->offsets, count, err));
    return measure(packer, err);
}

static void release(struct packer *packer)
{
    free(packer->height);
    free(packer->placed);
    free(packer->ranked);
    free(packer->order);
    free(packer->trial);
    free(packer->offsets);
}

enum remat_status remat_pack(struct remat_pack_item *items, int32_t count, int64_t base_bytes, int32_t effort,
                             int64_t *extent, struct remat_error *err)
{
    struct packer packer = {.items = items, .count = count, .base = base_bytes, .target = base_bytes};
    enum remat_status status = make_room(&packer, err);
    int32_t i;
    *extent = base_bytes;
    if (status == REMAT_OK && count > 0) {
        packer.extent = INT64_MAX;
        try_fixed_orders(&packer);
        search(&packer, effort);
        for (i = 0; i < count; i++)
            items[i].offset = packer.offsets[i];
        *extent = packer.extent;
    }
    release(&packer);
    return status;
}
