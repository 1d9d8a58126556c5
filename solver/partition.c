#include "solver/partition.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_BLOCKS = 96,   /* longer chains are merged: the dynamic program is cubic */
    TINY_PARTS = 50000, /* a value below this part of the keep-all peak is not worth a decision */
};

void remat_partition_free(struct remat_partition *partition)
{
    free(partition->forward);
    free(partition->backward);
    free(partition->producer);
    free(partition->forward_end);
    free(partition->last_use);
    free(partition->block);
    free(partition->forward_last);
    free(partition->pinned);
    memset(partition, 0, sizeof *partition);
}

static const struct remat_task *task_at(const struct remat_task_graph *graph, int32_t position)
{
    return &graph->tasks[graph->order[position]];
}

static bool is_backward(const struct remat_task_graph *graph, const struct remat_task *task)
{
    int32_t k;
    if (task->phase != REMAT_FORWARD)
        return true;
    for (k = 0; k < task->cells_count; k++)
        if (task->cells[k].write && graph->cells[task->cells[k].cell].kind == REMAT_METRICS)
            return true;
    return false;
}

/* The first task of another phase; in a graph without phases, the one with the most bytes live in keep-all. */
static enum remat_status find_turn(const struct remat_task_graph *graph, struct remat_partition *p, int64_t *peak,
                                   struct remat_error *err)
{
    struct remat_schedule base = {0};
    struct remat_liveness live = {0};
    enum remat_status status = remat_schedule_base(graph, &base, err);
    if (status == REMAT_OK)
        status = remat_liveness(graph, &base, &live, err);
    p->stages_count = graph->order_count;
    for (p->turn = 0; p->turn < p->stages_count && !is_backward(graph, task_at(graph, p->turn));)
        p->turn++;
    if (status == REMAT_OK && p->turn == p->stages_count)
        p->turn = live.peak_entry;
    *peak = live.peak_bytes;
    remat_schedule_free(&base);
    remat_liveness_free(&live);
    return status;
}

static enum remat_status find_uses(const struct remat_task_graph *graph, struct remat_partition *p,
                                   struct remat_error *err)
{
    int32_t v, t, k;
    REMAT_TRY(REMAT_ALLOC(p->producer, graph->values_count, err));
    REMAT_TRY(REMAT_ALLOC(p->forward_end, graph->values_count, err));
    REMAT_TRY(REMAT_ALLOC(p->last_use, graph->values_count, err));
    for (v = 0; v < graph->values_count; v++)
        p->producer[v] = p->forward_end[v] = p->last_use[v] = graph->tasks[graph->values[v].producer].position;
    for (t = 0; t < graph->order_count; t++)
        for (k = 0; k < task_at(graph, t)->inputs_count; k++) {
            v = task_at(graph, t)->inputs[k];
            p->last_use[v] = t;
            if (t < p->turn)
                p->forward_end[v] = t;
        }
    return REMAT_OK;
}

/* tag[position] of the forward part: from the tasks, ascending. Returns how many blocks that makes. */
static int32_t tags_from_tasks(const struct remat_task_graph *graph, const struct remat_partition *p, int32_t *tag)
{
    int32_t count = 0, highest = -1, t;
    for (t = 0; t < p->turn; t++) {
        if (task_at(graph, t)->block > highest || t == 0) {
            highest = task_at(graph, t)->block;
            count++;
        }
        tag[t] = count - 1;
    }
    return count;
}

/* The same from cuts: a new block begins where at most one value passes on to later forward tasks. */
static int32_t tags_from_cuts(const struct remat_task_graph *graph, const struct remat_partition *p, int32_t *tag)
{
    int32_t passing = 0, count = 0, t, k, v;
    for (t = 0; t < p->turn; t++) {
        tag[t] = count;
        for (k = 0; k < task_at(graph, t)->outputs_count; k++)
            passing += p->forward_end[task_at(graph, t)->outputs[k]] > t;
        for (k = 0; k < task_at(graph, t)->inputs_count; k++) {
            v = task_at(graph, t)->inputs[k];
            if (p->forward_end[v] == t && p->producer[v] < t) {
                int32_t earlier = 0;
                while (task_at(graph, t)->inputs[earlier] != v)
                    earlier++;
                passing -= earlier == k;
            }
        }
        if (passing <= 1 && t + 1 < p->turn)
            count++;
    }
    return p->turn > 0 ? count + 1 : 0;
}

static enum remat_status split_forward(const struct remat_task_graph *graph, struct remat_partition *p,
                                       struct remat_error *err)
{
    int32_t *tag, count, merge, t;
    REMAT_TRY(REMAT_ALLOC(tag, p->turn, err));
    count = tags_from_tasks(graph, p, tag);
    if (count <= 1)
        count = tags_from_cuts(graph, p, tag);
    merge = (count + MOST_BLOCKS - 1) / MOST_BLOCKS;
    p->count = count > 0 ? (count + merge - 1) / merge : 1;
    if (remat_alloc((void **)&p->forward, p->count + 1, sizeof *p->forward, err) != REMAT_OK) {
        free(tag);
        return REMAT_OUT_OF_MEMORY;
    }
    for (t = p->turn - 1; t >= 0; t--)
        p->forward[tag[t] / merge] = t;
    p->forward[p->count] = p->turn;
    p->forward[0] = 0;
    free(tag);
    return REMAT_OK;
}

static int32_t forward_block(const struct remat_partition *p, int32_t position)
{
    int32_t low = 0, high = p->count - 1;
    while (low < high) {
        int32_t middle = (low + high + 1) / 2;
        if (p->forward[middle] <= position)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static enum remat_status find_blocks(const struct remat_task_graph *graph, struct remat_partition *p,
                                     struct remat_error *err)
{
    int32_t v;
    REMAT_TRY(REMAT_ALLOC(p->block, graph->values_count, err));
    REMAT_TRY(REMAT_ALLOC(p->forward_last, graph->values_count, err));
    for (v = 0; v < graph->values_count; v++) {
        p->block[v] = p->producer[v] < p->turn ? forward_block(p, p->producer[v]) : p->count;
        p->forward_last[v] = forward_block(p, p->forward_end[v] < p->turn ? p->forward_end[v] : p->turn - 1);
    }
    return REMAT_OK;
}

/* The lowest block whose backward part may hold the task at position t, going by the forward values that it reads: what
 * a block hands on is read by the backward part of the next one. */
static int32_t backward_block(const struct remat_task_graph *graph, const struct remat_partition *p, int32_t t)
{
    int32_t lowest = p->count - 1, k;
    for (k = 0; k < task_at(graph, t)->inputs_count; k++) {
        int32_t v = task_at(graph, t)->inputs[k], b;
        if (p->producer[v] >= p->turn)
            continue;
        b = p->forward_last[v] > p->block[v] ? p->block[v] + 1 : p->block[v];
        lowest = b < lowest ? b : lowest;
    }
    return lowest;
}

/* Backward positions go to the blocks of their tags if the forward blocks came from tags, else by what they read. */
static enum remat_status split_backward(const struct remat_task_graph *graph, struct remat_partition *p,
                                        struct remat_error *err)
{
    int32_t current = p->count - 1, t, tag, b;
    bool tagged = p->turn > 0 && task_at(graph, 0)->block != task_at(graph, p->turn - 1)->block;
    REMAT_TRY(REMAT_ALLOC(p->backward, p->count + 1, err));
    p->backward[p->count] = p->turn;
    for (t = p->turn; t < p->stages_count; t++) {
        b = backward_block(graph, p, t);
        if (tagged) {
            tag = task_at(graph, t)->block;
            for (b = p->count - 1; b > 0 && task_at(graph, p->forward[b])->block > tag;)
                b--;
        }
        while (current > b)
            p->backward[current--] = t;
    }
    while (current >= 0)
        p->backward[current--] = p->stages_count;
    return REMAT_OK;
}

static int32_t block_of_backward(const struct remat_partition *p, int32_t position)
{
    int32_t b = 0;
    while (b + 1 < p->count && position < p->backward[b + 1])
        b++;
    return b;
}

/* A value is pinned if it cannot be made again, is tiny, or is read in the backward part of a block that neither made
 * nor read it forward. */
static enum remat_status find_pinned(const struct remat_task_graph *graph, struct remat_partition *p, int64_t peak,
                                     struct remat_error *err)
{
    int32_t v, k;
    REMAT_TRY(REMAT_ALLOC(p->pinned, graph->values_count, err));
    for (v = 0; v < graph->values_count; v++) {
        const struct remat_value *value = &graph->values[v];
        if (p->producer[v] >= p->turn || p->last_use[v] < p->turn)
            continue;
        p->pinned[v] = value->recipes_count == 0 || value->bytes <= peak / TINY_PARTS;
        for (k = 0; k < value->users_count && !p->pinned[v]; k++) {
            int32_t t = graph->tasks[value->users[k]].position, b;
            if (t < p->turn)
                continue;
            b = block_of_backward(p, t);
            p->pinned[v] = b < p->block[v] || b > p->forward_last[v];
        }
        if (p->pinned[v])
            p->pinned_bytes += value->bytes;
    }
    return REMAT_OK;
}

enum remat_status remat_partition_make(const struct remat_task_graph *graph, struct remat_partition *out,
                                       struct remat_error *err)
{
    int64_t peak;
    memset(out, 0, sizeof *out);
    REMAT_TRY(find_turn(graph, out, &peak, err));
    REMAT_TRY(find_uses(graph, out, err));
    REMAT_TRY(split_forward(graph, out, err));
    REMAT_TRY(find_blocks(graph, out, err));
    REMAT_TRY(split_backward(graph, out, err));
    return find_pinned(graph, out, peak, err);
}

bool remat_partition_crosses(const struct remat_partition *partition, int32_t value, int32_t b)
{
    return !partition->pinned[value] && partition->block[value] < b && partition->forward_last[value] >= b;
}

bool remat_partition_crosses_back(const struct remat_partition *partition, int32_t value, int32_t b)
{
    return partition->producer[value] >= partition->turn && partition->producer[value] < partition->backward[b] &&
           partition->last_use[value] >= partition->backward[b];
}

enum remat_status remat_partition_holds(const struct remat_task_graph *graph, const struct remat_partition *partition,
                                        struct remat_hold **out, struct remat_error *err)
{
    int32_t v;
    REMAT_TRY(REMAT_ALLOC(*out, graph->values_count, err));
    for (v = 0; v < graph->values_count; v++) {
        bool always = partition->pinned[v] || partition->producer[v] >= partition->turn;
        remat_hold_add(&(*out)[v], partition->producer[v], always ? partition->last_use[v] : partition->forward_end[v]);
    }
    return REMAT_OK;
}

void remat_partition_hold_segments(const struct remat_task_graph *graph, const struct remat_partition *partition,
                                   int32_t k, struct remat_hold *holds)
{
    int32_t v;
    for (v = 0; v < graph->values_count; v++) {
        int32_t begin = partition->producer[v], end;
        if (begin >= partition->turn)
            continue;
        end = (partition->block[v] / k + 1) * k; /* one past the segment's last block */
        if (end < partition->count && !remat_partition_crosses(partition, v, end))
            begin = partition->backward[end];
        remat_hold_add(&holds[v], begin, partition->last_use[v]);
    }
}
