/* Only where memory is hot does it matter where an item lies, and seen from the few hottest instructions alone most
 * items look the same: they are live at the same ones. So the items are first packed as if only the four hottest
 * instructions existed, those with equal lifetimes in one block. Then two or three times as many are looked at: blocks
 * fall apart into the items that now differ, each where its block stood, and items that were not seen before join. The
 * last level sees everything. A level that the ejection search cannot finish ends the try; the next one draws other
 * orders.
 *
 * Instructions between which no lifetime ends and then another begins are one: the largest set of items live at once
 * among them (a maximal clique) says all. */
#include "core/plan/pack_levels.h"

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "core/plan/pack_blocks.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CLIQUES = 4, EJECTIONS = 300, WEIGHT_SCALE = 64 };

/* An item as one level sees it. */
struct piece {
    int32_t begin, end; /* in cliques */
    int32_t parent;     /* its block in the level before, -1 = none */
    int32_t id;
};

struct remat_pack_levels {
    struct remat_pack_item *items;
    int32_t count, cliques;
    int64_t base;
    int64_t *sums;          /* of each clique: the largest of its instructions */
    int64_t *hottest;       /* the same, descending */
    int32_t *begin, *end;   /* of each item, in cliques */
    double *height;         /* of each item: the largest sum in its life by the largest of all */
    int32_t *before;        /* how many cliques before this one the level sees */
    int32_t *parent;        /* of each item: its block in the level before, or -1 */
    int64_t *parent_offset; /* of each block of the level before */
    struct piece *pieces;   /* of this level, by block */
    int32_t pieces_count;
    struct remat_pack_block *blocks; /* of this level */
    int32_t *family;                 /* of each block: its parent */
    int32_t blocks_count;
    int32_t tries;
    bool leaves_out; /* in this try */
    uint64_t draws;
};

struct mark {
    bool begins, ends;
};

/* Numbers the maximal cliques among `length` points: a new one where a lifetime begins after one has ended. */
static int32_t number_cliques(const struct mark *marks, int32_t length, int32_t *number)
{
    int32_t i, last = -1;
    bool ended = true;
    for (i = 0; i < length; i++) {
        if (marks[i].begins && ended) {
            last++;
            ended = false;
        }
        number[i] = last < 0 ? 0 : last;
        ended = ended || marks[i].ends;
    }
    return last + 1;
}

static int compare_descending(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a < *b) - (*a > *b);
}

static enum remat_status find_cliques(struct remat_pack_levels *levels, const int64_t *sums, int32_t length,
                                      struct remat_error *err)
{
    struct mark *marks = NULL;
    int32_t *number = NULL, i, k;
    enum remat_status status;
    REMAT_TRY_GOTO(REMAT_ALLOC(marks, length, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(number, length, err), done);
    for (i = 0; i < levels->count; i++) {
        marks[levels->items[i].begin].begins = true;
        marks[levels->items[i].end].ends = true;
    }
    levels->cliques = number_cliques(marks, length, number);
    for (i = 0; i < length; i++)
        if (sums[i] > levels->sums[number[i]])
            levels->sums[number[i]] = sums[i];
    memcpy(levels->hottest, levels->sums, (size_t)levels->cliques * sizeof *levels->hottest);
    qsort(levels->hottest, (size_t)levels->cliques, sizeof *levels->hottest, compare_descending);
    for (i = 0; i < levels->count; i++) {
        int64_t height = 1;
        levels->begin[i] = number[levels->items[i].begin];
        levels->end[i] = number[levels->items[i].end];
        for (k = levels->begin[i]; k <= levels->end[i]; k++)
            if (levels->sums[k] > height)
                height = levels->sums[k];
        levels->height[i] = (double)height / (double)levels->hottest[0];
    }
done:
    free(marks);
    free(number);
    return status;
}

static enum remat_status make_room(struct remat_pack_levels *levels, int32_t length, struct remat_error *err)
{
    int64_t count = levels->count;
    REMAT_TRY(REMAT_ALLOC(levels->sums, length, err));
    REMAT_TRY(REMAT_ALLOC(levels->hottest, length, err));
    REMAT_TRY(REMAT_ALLOC(levels->before, (int64_t)length + 1, err));
    REMAT_TRY(REMAT_ALLOC(levels->begin, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->end, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->height, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->parent, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->parent_offset, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->pieces, count, err));
    REMAT_TRY(REMAT_ALLOC(levels->blocks, count, err));
    return REMAT_ALLOC(levels->family, count, err);
}

enum remat_status remat_pack_levels_make(struct remat_pack_item *items, int32_t count, int64_t base_bytes,
                                         const int64_t *sums, int32_t length, struct remat_pack_levels **out,
                                         struct remat_error *err)
{
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->items = items;
    (*out)->count = count;
    (*out)->base = base_bytes;
    REMAT_TRY(make_room(*out, length, err));
    return find_cliques(*out, sums, length, err);
}

void remat_pack_levels_free(struct remat_pack_levels *levels)
{
    if (!levels)
        return;
    free(levels->sums);
    free(levels->hottest);
    free(levels->before);
    free(levels->begin);
    free(levels->end);
    free(levels->height);
    free(levels->parent);
    free(levels->parent_offset);
    free(levels->pieces);
    free(levels->blocks);
    free(levels->family);
    free(levels);
}

static int compare_pieces(const void *left, const void *right)
{
    const struct piece *a = left, *b = right;
    if (a->begin != b->begin)
        return a->begin - b->begin;
    if (a->end != b->end)
        return a->end - b->end;
    if (a->parent != b->parent)
        return a->parent - b->parent;
    return a->id - b->id;
}

/* The items that live at a clique whose sum is at least `threshold`, their lifetimes counted in such cliques. */
static enum remat_status see(struct remat_pack_levels *levels, int64_t threshold, struct remat_error *err)
{
    struct mark *marks = NULL;
    int32_t *number = NULL, i, seen;
    enum remat_status status;
    for (i = 0; i < levels->cliques; i++)
        levels->before[i + 1] = levels->before[i] + (levels->sums[i] >= threshold);
    seen = levels->before[levels->cliques];
    REMAT_TRY_GOTO(REMAT_ALLOC(marks, seen, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(number, seen, err), done);
    levels->pieces_count = 0;
    for (i = 0; i < levels->count; i++) {
        int32_t begin = levels->before[levels->begin[i]], end = levels->before[levels->end[i] + 1] - 1;
        if (begin > end)
            continue;
        marks[begin].begins = true;
        marks[end].ends = true;
        levels->pieces[levels->pieces_count++] = (struct piece){begin, end, levels->parent[i], i};
    }
    number_cliques(marks, seen, number);
    for (i = 0; i < levels->pieces_count; i++) {
        levels->pieces[i].begin = number[levels->pieces[i].begin];
        levels->pieces[i].end = number[levels->pieces[i].end];
    }
done:
    free(marks);
    free(number);
    return status;
}

/* Random from 0.5 to 2.5 from the second try on, to try other orders. */
static double draw_factor(struct remat_pack_levels *levels)
{
    if (levels->tries == 0)
        return 1;
    return 0.5 + remat_rng(0, REMAT_RNG_SHUFFLE, 1, 0, levels->draws++).word[0] / 2147483648.0;
}

/* Blocks at hot instructions have few places to go, so they are heavy. Long and large blocks are placed first. */
static void weigh(struct remat_pack_levels *levels, struct remat_pack_block *block, double height)
{
    double duration = (double)block->end - block->begin + 1, power = height * height;
    power *= power;
    block->weight = 1 + (int64_t)(WEIGHT_SCALE * power * power);
    block->rank = duration * duration * (double)block->bytes * draw_factor(levels);
    block->wish = -1;
}

/* Pieces with the same lifetime and the same parent become one block. */
static void form_blocks(struct remat_pack_levels *levels)
{
    int32_t i = 0;
    qsort(levels->pieces, (size_t)levels->pieces_count, sizeof *levels->pieces, compare_pieces);
    levels->blocks_count = 0;
    while (i < levels->pieces_count) {
        const struct piece *first = &levels->pieces[i];
        struct remat_pack_block *block = &levels->blocks[levels->blocks_count];
        double height = 0;
        *block = (struct remat_pack_block){.begin = first->begin, .end = first->end};
        for (; i < levels->pieces_count; i++) {
            const struct piece *piece = &levels->pieces[i];
            if (piece->begin != first->begin || piece->end != first->end || piece->parent != first->parent)
                break;
            block->bytes += levels->items[piece->id].bytes;
            if (levels->height[piece->id] > height)
                height = levels->height[piece->id];
            levels->parent[piece->id] = levels->blocks_count;
        }
        weigh(levels, block, height);
        levels->family[levels->blocks_count++] = first->parent;
    }
}

struct heir {
    int32_t parent, duration, id;
};

static int compare_heirs(const void *left, const void *right)
{
    const struct heir *a = left, *b = right;
    if (a->parent != b->parent)
        return a->parent - b->parent;
    return a->duration != b->duration ? b->duration - a->duration : a->id - b->id;
}

/* What a block fell apart into wishes to stand where the block stood, the longest at the bottom. */
static enum remat_status inherit(struct remat_pack_levels *levels, struct remat_error *err)
{
    struct heir *heirs;
    int32_t i, count = 0;
    int64_t offset = 0;
    REMAT_TRY(REMAT_ALLOC(heirs, levels->blocks_count, err));
    for (i = 0; i < levels->blocks_count; i++)
        if (levels->family[i] >= 0)
            heirs[count++] = (struct heir){levels->family[i], levels->blocks[i].end - levels->blocks[i].begin, i};
    qsort(heirs, (size_t)count, sizeof *heirs, compare_heirs);
    for (i = 0; i < count; i++) {
        if (levels->parent_offset[heirs[i].parent] < 0)
            continue; /* left out */
        if (i == 0 || heirs[i].parent != heirs[i - 1].parent)
            offset = levels->parent_offset[heirs[i].parent];
        levels->blocks[heirs[i].id].wish = offset;
        offset += levels->blocks[heirs[i].id].bytes;
    }
    free(heirs);
    return REMAT_OK;
}

static void leave(struct remat_pack_levels *levels)
{
    int32_t i;
    for (i = 0; i < levels->blocks_count; i++)
        levels->parent_offset[i] = levels->blocks[i].offset;
}

static enum remat_status pack_level(struct remat_pack_levels *levels, int64_t threshold, int64_t target, bool *placed,
                                    struct remat_error *err)
{
    struct remat_pack_task task = {.blocks = levels->blocks,
                                   .base = levels->base,
                                   .target = target,
                                   .ejections = EJECTIONS,
                                   .draws = &levels->draws,
                                   .leaves_out = levels->leaves_out};
    REMAT_TRY(see(levels, threshold, err));
    form_blocks(levels);
    REMAT_TRY(inherit(levels, err));
    task.count = levels->blocks_count;
    REMAT_TRY(remat_pack_blocks(&task, placed, err));
    leave(levels);
    return REMAT_OK;
}

/* Items of one block lie on top of each other; those of one that was left out nowhere. */
static void set_offsets(struct remat_pack_levels *levels)
{
    int32_t i;
    for (i = 0; i < levels->pieces_count; i++) {
        struct remat_pack_item *item = &levels->items[levels->pieces[i].id];
        int64_t *offset = &levels->parent_offset[levels->parent[levels->pieces[i].id]];
        item->offset = *offset;
        *offset += *offset < 0 ? 0 : item->bytes;
    }
}

static enum remat_status pack_levels(struct remat_pack_levels *levels, int64_t target, bool *placed,
                                     struct remat_error *err)
{
    int64_t cliques = FIRST_CLIQUES, growth = 2 + levels->tries % 2;
    int32_t i;
    bool last = false;
    *placed = true;
    for (i = 0; i < levels->count; i++)
        levels->parent[i] = -1;
    while ((*placed || levels->leaves_out) && !last) {
        last = cliques >= levels->cliques;
        REMAT_TRY(pack_level(levels, last ? 0 : levels->hottest[cliques - 1], target, placed, err));
        cliques *= growth;
    }
    levels->tries++;
    if (*placed || levels->leaves_out)
        set_offsets(levels);
    return REMAT_OK;
}

enum remat_status remat_pack_levels_try(struct remat_pack_levels *levels, int64_t target, bool *placed,
                                        struct remat_error *err)
{
    levels->leaves_out = false;
    return pack_levels(levels, target, placed, err);
}

enum remat_status remat_pack_levels_most(struct remat_pack_levels *levels, int64_t target, struct remat_error *err)
{
    bool placed;
    levels->leaves_out = true;
    return pack_levels(levels, target, &placed, err);
}
