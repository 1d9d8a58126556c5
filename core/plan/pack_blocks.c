/* Ejection search with penalties (Nagata and Braysy, "A powerful route minimization heuristic for the vehicle routing
 * problem with time windows", Operations Research Letters 37, 2009), with offsets in the place of routes: blocks
 * without a place wait on a stack; the topmost is inserted where the weights of what it pushes out add up to least;
 * what is pushed out goes onto the stack. A block that had to push becomes heavier, so that no cycle lasts. */
#include "core/plan/pack_blocks.h"

#include "core/base/memory.h"
#include "core/base/rng.h"

#include <stdlib.h>
#include <string.h>

/* Pairs of blocks that share an instruction: more than this (64 MiB of lists) are not searched. */
enum { MAX_PAIRS = 1 << 24 };

struct edge {
    int64_t at, weight;
};

struct search {
    const struct remat_pack_task *task;
    struct remat_pack_block *blocks;
    int32_t *first, *rivals; /* the blocks that share an instruction with i: rivals[first[i] .. first[i + 1]) */
    int64_t *weights;
    int32_t *stack, stack_count;
    int64_t waiting_bytes; /* of the stack */
    int64_t *kept;         /* offsets when they were fewest: `least_bytes` */
    int64_t least_bytes;
    struct edge *bottoms, *tops; /* of the placed rivals of one block, ascending */
};

static int64_t count_pairs(const struct remat_pack_task *task)
{
    int64_t pairs = 0;
    int32_t i, k;
    for (i = 0; i < task->count && pairs <= MAX_PAIRS; i++)
        for (k = i + 1; k < task->count && task->blocks[k].begin <= task->blocks[i].end; k++)
            pairs += 2;
    return pairs;
}

static void list_rivals(struct search *search)
{
    const struct remat_pack_block *blocks = search->blocks;
    int32_t count = search->task->count, i, k;
    for (i = 0; i < count; i++)
        for (k = i + 1; k < count && blocks[k].begin <= blocks[i].end; k++) {
            search->first[i + 1]++;
            search->first[k + 1]++;
        }
    for (i = 0; i < count; i++)
        search->first[i + 1] += search->first[i];
    /* Filling moves each start to its end, which is the next block's start. */
    for (i = 0; i < count; i++)
        for (k = i + 1; k < count && blocks[k].begin <= blocks[i].end; k++) {
            search->rivals[search->first[i]++] = k;
            search->rivals[search->first[k]++] = i;
        }
    memmove(search->first + 1, search->first, (size_t)count * sizeof *search->first);
    search->first[0] = 0;
}

static enum remat_status make_room(struct search *search, int64_t pairs, struct remat_error *err)
{
    int64_t count = search->task->count;
    REMAT_TRY(REMAT_ALLOC(search->first, count + 1, err));
    REMAT_TRY(REMAT_ALLOC(search->rivals, pairs, err));
    REMAT_TRY(REMAT_ALLOC(search->weights, count, err));
    REMAT_TRY(REMAT_ALLOC(search->stack, count, err));
    REMAT_TRY(REMAT_ALLOC(search->kept, count, err));
    REMAT_TRY(REMAT_ALLOC(search->bottoms, count, err));
    REMAT_TRY(REMAT_ALLOC(search->tops, count, err));
    list_rivals(search);
    return REMAT_OK;
}

static void release(struct search *search)
{
    free(search->first);
    free(search->rivals);
    free(search->weights);
    free(search->stack);
    free(search->kept);
    free(search->bottoms);
    free(search->tops);
}

static bool stands_in(const struct remat_pack_block *other, int64_t offset, int64_t bytes)
{
    return other->offset >= 0 && other->offset < offset + bytes && offset < other->offset + other->bytes;
}

static int compare_edges(const void *left, const void *right)
{
    const struct edge *a = left, *b = right;
    return (a->at > b->at) - (a->at < b->at);
}

static int32_t list_edges(struct search *search, int32_t id)
{
    int32_t k, count = 0;
    for (k = search->first[id]; k < search->first[id + 1]; k++) {
        const struct remat_pack_block *rival = &search->blocks[search->rivals[k]];
        int64_t weight = search->weights[search->rivals[k]];
        if (rival->offset < 0)
            continue;
        search->bottoms[count] = (struct edge){rival->offset, weight};
        search->tops[count++] = (struct edge){rival->offset + rival->bytes, weight};
    }
    qsort(search->bottoms, (size_t)count, sizeof *search->bottoms, compare_edges);
    qsort(search->tops, (size_t)count, sizeof *search->tops, compare_edges);
    return count;
}

/* Offsets tried in ascending order, with the weight of what stands in [offset, offset + bytes): of all that begins
 * below its top less what ends at or below its bottom. */
struct sweep {
    const struct search *search;
    int32_t edges, begun, ended;
    int64_t bytes, weight;
    int64_t best, least;
    int32_t ties;
};

static void consider(struct sweep *sweep, int64_t offset)
{
    const struct remat_pack_task *task = sweep->search->task;
    if (offset < task->base || offset + sweep->bytes > task->target)
        return;
    while (sweep->begun < sweep->edges && sweep->search->bottoms[sweep->begun].at < offset + sweep->bytes)
        sweep->weight += sweep->search->bottoms[sweep->begun++].weight;
    while (sweep->ended < sweep->edges && sweep->search->tops[sweep->ended].at <= offset)
        sweep->weight -= sweep->search->tops[sweep->ended++].weight;
    if (sweep->weight > sweep->least || offset == sweep->best)
        return;
    sweep->ties = sweep->weight < sweep->least ? 1 : sweep->ties + 1;
    if (sweep->ties > 1 && remat_rng(0, REMAT_RNG_SHUFFLE, 0, 0, (*task->draws)++).word[0] % (uint32_t)sweep->ties != 0)
        return;
    sweep->least = sweep->weight;
    sweep->best = offset;
}

/* The cheapest offset for a block: the lowest free one, or else on top of a rival or right below one. */
static int64_t find_place(struct search *search, int32_t id, int64_t *cost)
{
    const struct remat_pack_task *task = search->task;
    struct sweep sweep = {.search = search, .bytes = search->blocks[id].bytes, .best = -1, .least = INT64_MAX};
    int32_t k;
    sweep.edges = list_edges(search, id);
    consider(&sweep, task->base);
    for (k = 0; k < sweep.edges && sweep.least > 0; k++)
        consider(&sweep, search->tops[k].at);
    sweep.begun = sweep.ended = 0;
    sweep.weight = 0;
    for (k = 0; k < sweep.edges && sweep.least > 0; k++)
        consider(&sweep, search->bottoms[k].at - sweep.bytes);
    if (sweep.least > 0)
        consider(&sweep, task->target - sweep.bytes);
    *cost = sweep.least;
    return sweep.best;
}

static void push_waiting(struct search *search, int32_t id)
{
    search->stack[search->stack_count++] = id;
    search->waiting_bytes += search->blocks[id].bytes;
}

static void push_out(struct search *search, int32_t id, int64_t offset)
{
    int32_t k;
    for (k = search->first[id]; k < search->first[id + 1]; k++) {
        struct remat_pack_block *rival = &search->blocks[search->rivals[k]];
        if (stands_in(rival, offset, search->blocks[id].bytes)) {
            rival->offset = -1;
            push_waiting(search, search->rivals[k]);
        }
    }
}

struct ranked {
    double rank;
    int32_t id;
};

/* By descending rank. */
static int compare_ranked(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->rank != b->rank)
        return a->rank > b->rank ? -1 : 1;
    return a->id - b->id;
}

static bool is_free(const struct search *search, int32_t id, int64_t offset)
{
    int32_t k;
    for (k = search->first[id]; k < search->first[id + 1]; k++)
        if (stands_in(&search->blocks[search->rivals[k]], offset, search->blocks[id].bytes))
            return false;
    return true;
}

/* Heavy blocks get their wish first; those without a place go onto the stack, the highest rank on top. */
static enum remat_status begin(struct search *search, struct remat_error *err)
{
    struct ranked *ranked;
    int32_t i, count = 0, waiting = 0;
    REMAT_TRY(REMAT_ALLOC(ranked, search->task->count, err));
    for (i = 0; i < search->task->count; i++) {
        search->weights[i] = search->blocks[i].weight;
        search->blocks[i].offset = -1;
        if (search->blocks[i].wish >= 0)
            ranked[count++] = (struct ranked){(double)search->blocks[i].weight, i};
    }
    qsort(ranked, (size_t)count, sizeof *ranked, compare_ranked);
    for (i = 0; i < count; i++) {
        struct remat_pack_block *block = &search->blocks[ranked[i].id];
        if (is_free(search, ranked[i].id, block->wish))
            block->offset = block->wish;
    }
    for (i = 0; i < search->task->count; i++)
        if (search->blocks[i].offset < 0)
            ranked[waiting++] = (struct ranked){search->blocks[i].rank, i};
    qsort(ranked, (size_t)waiting, sizeof *ranked, compare_ranked);
    while (waiting > 0)
        push_waiting(search, ranked[--waiting].id);
    free(ranked);
    return REMAT_OK;
}

/* Keeps the offsets if they leave fewer bytes without a place than ever. */
static void keep_fewest(struct search *search)
{
    int32_t i;
    if (!search->task->leaves_out || search->waiting_bytes >= search->least_bytes)
        return;
    search->least_bytes = search->waiting_bytes;
    for (i = 0; i < search->task->count; i++)
        search->kept[i] = search->blocks[i].offset;
}

static void insert_all(struct search *search)
{
    int32_t left = search->task->ejections;
    while (search->stack_count > 0 && left > 0) {
        int32_t id = search->stack[search->stack_count - 1];
        int64_t cost, offset = find_place(search, id, &cost);
        if (cost > 0)
            keep_fewest(search);
        search->stack_count--;
        search->waiting_bytes -= search->blocks[id].bytes;
        if (cost > 0) {
            push_out(search, id, offset);
            search->weights[id] += 1 + search->blocks[id].weight / 3;
            left--;
        }
        search->blocks[id].offset = offset;
    }
}

/* What was kept, and of the others those that find a free place after all. */
static void leave_out(struct search *search)
{
    int32_t i;
    keep_fewest(search);
    for (i = 0; i < search->task->count; i++)
        search->blocks[i].offset = search->kept[i];
    for (i = 0; i < search->task->count; i++) {
        int64_t cost = 0, offset = search->blocks[i].offset < 0 ? find_place(search, i, &cost) : -1;
        if (offset >= 0 && cost == 0)
            search->blocks[i].offset = offset;
    }
}

enum remat_status remat_pack_blocks(const struct remat_pack_task *task, bool *placed, struct remat_error *err)
{
    struct search search = {.task = task, .blocks = task->blocks, .least_bytes = INT64_MAX};
    int64_t pairs = count_pairs(task);
    enum remat_status status;
    int32_t i;
    *placed = false;
    if (pairs > MAX_PAIRS) {
        for (i = 0; i < task->count; i++)
            task->blocks[i].offset = -1;
        return REMAT_OK;
    }
    status = make_room(&search, pairs, err);
    if (status == REMAT_OK)
        status = begin(&search, err);
    if (status == REMAT_OK) {
        insert_all(&search);
        *placed = search.stack_count == 0;
        if (!*placed && task->leaves_out)
            leave_out(&search);
    }
    release(&search);
    return status;
}
