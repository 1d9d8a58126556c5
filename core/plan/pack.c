/* Dynamic storage allocation is NP-hard (Garey and Johnson, SR2), but for a given extent a packing is quickly found or
 * nearly found by working from the hottest instructions outwards (pack_levels.h). First fit gives an extent to fall
 * back on; extents between it and the bound are tried by bisection. */
#include "core/plan/pack.h"

#include "core/base/memory.h"
#include "core/base/number.h"
#include "core/plan/pack_levels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum key { KEY_SIZE, KEY_DURATION, KEY_AREA, KEY_COUNT };

/* Bisection stops at a thousandth of the bound; each extent gets an eighth of the effort. */
enum { BISECTIONS = 6, BISECTION_PRECISION = 1000, BISECTION_SHARE = 8 };

struct range {
    int64_t offset, top;
    int32_t begin, end;
};

struct ranked {
    double rank;
    int32_t id;
};

struct packer {
    struct remat_pack_item *items; /* those with bytes */
    int32_t count, length;         /* length: instructions */
    int64_t base;
    int64_t target; /* the largest sum of bytes at one instruction, base included */
    int64_t unit;   /* divides all sizes: so it does offsets and extents above the base */
    int64_t *sums;
    int64_t *offsets; /* of the best packing */
    int64_t extent;   /* of the best packing */
    struct range *placed;
    struct ranked *ranked;
    struct remat_pack_levels *levels;
    bool falls_back; /* on larger extents where the bound is not reached */
};

/* Keeps the offsets of the items if they are the best so far. */
static void keep(struct packer *packer)
{
    int64_t extent = packer->base;
    int32_t i;
    for (i = 0; i < packer->count; i++)
        if (packer->items[i].offset + packer->items[i].bytes > extent)
            extent = packer->items[i].offset + packer->items[i].bytes;
    if (extent >= packer->extent)
        return;
    packer->extent = extent;
    for (i = 0; i < packer->count; i++)
        packer->offsets[i] = packer->items[i].offset;
}

/* The lowest free offset for an item; `placed` is sorted by offset. */
static int64_t first_fit(const struct packer *packer, int32_t placed_count, const struct remat_pack_item *item)
{
    int64_t floor = packer->base;
    int32_t i;
    for (i = 0; i < placed_count; i++) {
        const struct range *range = &packer->placed[i];
        if (range->begin > item->end || range->end < item->begin)
            continue;
        if (range->offset - floor >= item->bytes)
            break;
        if (range->top > floor)
            floor = range->top;
    }
    return floor;
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

/* By descending rank. */
static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return a->id - b->id;
}

static double rank_of(const struct remat_pack_item *item, enum key key)
{
    double bytes = (double)item->bytes, duration = (double)item->end - item->begin + 1;
    return key == KEY_SIZE ? bytes : key == KEY_DURATION ? duration : bytes * duration;
}

static void fit_by(struct packer *packer, enum key key)
{
    int32_t i;
    for (i = 0; i < packer->count; i++)
        packer->ranked[i] = (struct ranked){rank_of(&packer->items[i], key), i};
    qsort(packer->ranked, (size_t)packer->count, sizeof *packer->ranked, compare_ranked);
    for (i = 0; i < packer->count; i++) {
        struct remat_pack_item *item = &packer->items[packer->ranked[i].id];
        item->offset = first_fit(packer, i, item);
        insert_range(packer, i, item);
    }
    keep(packer);
}

/* Tries a target up to `tries` times. */
static enum remat_status reach(struct packer *packer, int64_t target, int32_t tries, bool *reached,
                               struct remat_error *err)
{
    *reached = false;
    for (; tries > 0 && !*reached; tries--)
        REMAT_TRY(remat_pack_levels_try(packer->levels, target, reached, err));
    if (*reached)
        keep(packer);
    return REMAT_OK;
}

static enum remat_status bisect(struct packer *packer, int32_t effort, struct remat_error *err)
{
    int64_t low = packer->target, middle;
    int32_t k;
    bool reached;
    for (k = 0; k < BISECTIONS && packer->extent - low > packer->target / BISECTION_PRECISION; k++) {
        middle = low + (packer->extent - low) / packer->unit / 2 * packer->unit;
        if (middle == low)
            break;
        REMAT_TRY(reach(packer, middle, effort / BISECTION_SHARE, &reached, err));
        if (!reached)
            low = middle;
    }
    return REMAT_OK;
}

static enum remat_status search(struct packer *packer, int32_t effort, struct remat_error *err)
{
    bool reached;
    int key;
    REMAT_TRY(reach(packer, packer->target, 1, &reached, err));
    if (!packer->falls_back)
        return reached ? REMAT_OK : reach(packer, packer->target, effort, &reached, err);
    for (key = 0; key < KEY_COUNT && packer->extent > packer->target; key++)
        fit_by(packer, (enum key)key);
    if (packer->extent > packer->target)
        REMAT_TRY(reach(packer, packer->target, effort, &reached, err));
    return packer->extent > packer->target ? bisect(packer, effort, err) : REMAT_OK;
}

static enum remat_status measure(struct packer *packer, struct remat_error *err)
{
    int64_t total = packer->base;
    int32_t i;
    for (i = 0; i < packer->count; i++) {
        const struct remat_pack_item *item = &packer->items[i];
        packer->unit = remat_common_divisor(packer->unit, item->bytes);
        if (item->end >= packer->length)
            packer->length = item->end + 1;
        if (__builtin_add_overflow(total, item->bytes, &total))
            return remat_fail(err, REMAT_BAD_DATA, "packing: the sizes of %d buffers add up to more than 2^63 bytes",
                              packer->count);
    }
    REMAT_TRY(REMAT_ALLOC(packer->sums, (int64_t)packer->length + 1, err));
    packer->sums[0] = packer->base;
    for (i = 0; i < packer->count; i++) {
        packer->sums[packer->items[i].begin] += packer->items[i].bytes;
        packer->sums[packer->items[i].end + 1] -= packer->items[i].bytes;
    }
    for (i = 0; i < packer->length; i++) {
        packer->sums[i] += i ? packer->sums[i - 1] : 0;
        if (packer->sums[i] > packer->target)
            packer->target = packer->sums[i];
    }
    return REMAT_OK;
}

/* Items without bytes lie at the base, in nobody's way. */
static enum remat_status gather(struct packer *packer, struct remat_pack_item *items, int32_t count,
                                struct remat_error *err)
{
    int32_t i;
    REMAT_TRY(REMAT_ALLOC(packer->items, count, err));
    for (i = 0; i < count; i++) {
        items[i].offset = packer->base;
        if (items[i].bytes < 0)
            return remat_fail(err, REMAT_BAD_DATA, "packing: buffer %d has %lld bytes", i, (long long)items[i].bytes);
        if (items[i].bytes > 0)
            packer->items[packer->count++] = items[i];
    }
    return REMAT_OK;
}

static enum remat_status pack(struct packer *packer, struct remat_pack_item *items, int32_t count, int32_t effort,
                              struct remat_error *err)
{
    int32_t i, k = 0;
    REMAT_TRY(gather(packer, items, count, err));
    if (packer->count == 0)
        return REMAT_OK;
    REMAT_TRY(measure(packer, err));
    REMAT_TRY(REMAT_ALLOC(packer->offsets, packer->count, err));
    REMAT_TRY(REMAT_ALLOC(packer->placed, packer->count, err));
    REMAT_TRY(REMAT_ALLOC(packer->ranked, packer->count, err));
    REMAT_TRY(remat_pack_levels_make(packer->items, packer->count, packer->base, packer->sums, packer->length,
                                     &packer->levels, err));
    packer->extent = INT64_MAX;
    REMAT_TRY(search(packer, effort, err));
    for (i = 0; i < count; i++)
        if (items[i].bytes > 0)
            items[i].offset = packer->offsets[k++];
    return REMAT_OK;
}

static enum remat_status run(struct packer *packer, struct remat_pack_item *items, int32_t count, int32_t effort,
                             struct remat_error *err)
{
    enum remat_status status = pack(packer, items, count, effort, err);
    remat_pack_levels_free(packer->levels);
    free(packer->items);
    free(packer->sums);
    free(packer->offsets);
    free(packer->placed);
    free(packer->ranked);
    return status;
}

enum remat_status remat_pack(struct remat_pack_item *items, int32_t count, int64_t base_bytes, int32_t effort,
                             int64_t *extent, struct remat_error *err)
{
    struct packer packer = {.base = base_bytes, .target = base_bytes, .extent = base_bytes, .falls_back = true};
    enum remat_status status = run(&packer, items, count, effort, err);
    *extent = packer.extent;
    return status;
}

enum remat_status remat_pack_tightly(struct remat_pack_item *items, int32_t count, int64_t base_bytes, int32_t effort,
                                     bool *placed, struct remat_error *err)
{
    struct packer packer = {.base = base_bytes, .target = base_bytes, .extent = base_bytes};
    enum remat_status status = run(&packer, items, count, effort, err);
    *placed = status == REMAT_OK && packer.extent == packer.target;
    return status;
}
