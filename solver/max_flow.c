#include "solver/max_flow.h"

#include <stdlib.h>
#include <string.h>

enum { SOURCE, SINK };

void remat_flow_free(struct remat_flow *flow)
{
    free(flow->first);
    free(flow->next);
    free(flow->head);
    free(flow->capacity);
    free(flow->residual);
    free(flow->excess);
    free(flow->height);
    free(flow->current);
    free(flow->below);
    free(flow->bucket);
    free(flow->members);
    free(flow->queue);
    memset(flow, 0, sizeof *flow);
}

enum remat_status remat_flow_begin(struct remat_flow *flow, int32_t nodes_count, struct remat_error *err)
{
    int32_t *room = flow->nodes_capacity, v;
    REMAT_TRY(REMAT_GROW(flow->first, room[0], nodes_count, err));
    REMAT_TRY(REMAT_GROW(flow->excess, room[1], nodes_count, err));
    REMAT_TRY(REMAT_GROW(flow->height, room[2], nodes_count, err));
    REMAT_TRY(REMAT_GROW(flow->current, room[3], nodes_count, err));
    REMAT_TRY(REMAT_GROW(flow->below, room[4], nodes_count, err));
    REMAT_TRY(REMAT_GROW(flow->bucket, room[5], nodes_count + 1, err));
    REMAT_TRY(REMAT_GROW(flow->members, room[6], nodes_count + 1, err));
    REMAT_TRY(REMAT_GROW(flow->queue, room[7], nodes_count, err));
    flow->nodes_count = nodes_count;
    flow->arcs_count = 0;
    for (v = 0; v < nodes_count; v++)
        flow->first[v] = -1;
    return REMAT_OK;
}

static void link_arc(struct remat_flow *flow, int32_t from, int32_t to, int64_t capacity)
{
    int32_t arc = flow->arcs_count++;
    flow->head[arc] = to;
    flow->capacity[arc] = capacity;
    flow->next[arc] = flow->first[from];
    flow->first[from] = arc;
}

enum remat_status remat_flow_add(struct remat_flow *flow, int32_t from, int32_t to, int64_t capacity,
                                 struct remat_error *err)
{
    int32_t *room = flow->arcs_capacity, needed = flow->arcs_count + 2;
    REMAT_TRY(REMAT_GROW(flow->head, room[0], needed, err));
    REMAT_TRY(REMAT_GROW(flow->next, room[1], needed, err));
    REMAT_TRY(REMAT_GROW(flow->capacity, room[2], needed, err));
    REMAT_TRY(REMAT_GROW(flow->residual, room[3], needed, err));
    link_arc(flow, from, to, capacity);
    link_arc(flow, to, from, 0);
    return REMAT_OK;
}

void remat_flow_set(struct remat_flow *flow, int32_t arc, int64_t capacity)
{
    flow->capacity[2 * arc] = capacity;
}

static void activate(struct remat_flow *flow, int32_t node)
{
    int32_t height = flow->height[node];
    flow->below[node] = flow->bucket[height];
    flow->bucket[height] = node;
    if (height > flow->highest)
        flow->highest = height;
}

/* Heights become distances to the sink in the residual network; nodes_count = it cannot be reached. */
static void relabel_globally(struct remat_flow *flow)
{
    const int32_t count = flow->nodes_count;
    int32_t *height = flow->height, *queue = flow->queue, begin = 0, end = 0, v, arc;
    for (v = 0; v < count; v++) {
        height[v] = count;
        flow->current[v] = flow->first[v];
        flow->bucket[v] = -1;
        flow->members[v] = 0;
    }
    height[SINK] = 0;
    for (queue[end++] = SINK; begin < end; begin++)
        for (arc = flow->first[queue[begin]]; arc >= 0; arc = flow->next[arc])
            if (flow->residual[arc ^ 1] > 0 && height[flow->head[arc]] == count && flow->head[arc] != SOURCE) {
                height[flow->head[arc]] = height[queue[begin]] + 1;
                queue[end++] = flow->head[arc];
            }
    flow->highest = flow->relabels = 0;
    for (begin = 0; begin < end; begin++) {
        flow->members[height[queue[begin]]]++;
        if (flow->excess[queue[begin]] > 0 && queue[begin] != SINK)
            activate(flow, queue[begin]);
    }
}

static void push(struct remat_flow *flow, int32_t node, int32_t arc)
{
    int32_t to = flow->head[arc];
    int64_t amount = flow->excess[node] < flow->residual[arc] ? flow->excess[node] : flow->residual[arc];
    if (flow->excess[to] == 0 && to != SINK)
        activate(flow, to);
    flow->residual[arc] -= amount;
    flow->residual[arc ^ 1] += amount;
    flow->excess[node] -= amount;
    flow->excess[to] += amount;
}

/* No node is left at `height`: those above cannot reach the sink any more. */
static void close_gap(struct remat_flow *flow, int32_t height)
{
    int32_t v;
    for (v = 0; v < flow->nodes_count; v++)
        if (flow->height[v] > height && flow->height[v] < flow->nodes_count) {
            flow->members[flow->height[v]]--;
            flow->height[v] = flow->nodes_count;
        }
    for (v = height + 1; v <= flow->highest; v++)
        flow->bucket[v] = -1;
    flow->highest = height > 0 ? height - 1 : 0;
}

/* Lifts a node just above its lowest residual neighbour; false if it cannot reach the sink any more. */
static bool relabel(struct remat_flow *flow, int32_t node)
{
    const int32_t count = flow->nodes_count;
    int32_t old = flow->height[node], lowest = count, arc;
    for (arc = flow->first[node]; arc >= 0; arc = flow->next[arc])
        if (flow->residual[arc] > 0 && flow->height[flow->head[arc]] + 1 < lowest && flow->head[arc] != SOURCE) {
            lowest = flow->height[flow->head[arc]] + 1;
            flow->current[node] = arc;
        }
    flow->relabels++;
    flow->height[node] = lowest;
    if (--flow->members[old] == 0) {
        flow->height[node] = count;
        close_gap(flow, old);
        return false;
    }
    if (lowest < count)
        flow->members[lowest]++;
    return lowest < count;
}

static void discharge(struct remat_flow *flow, int32_t node)
{
    for (;;) {
        int32_t arc = flow->current[node];
        for (; arc >= 0 && flow->excess[node] > 0; arc = flow->next[arc]) {
            if (flow->residual[arc] > 0 && flow->height[flow->head[arc]] + 1 == flow->height[node])
                push(flow, node, arc);
            if (flow->excess[node] == 0)
                break;
        }
        flow->current[node] = arc;
        if (flow->excess[node] == 0 || !relabel(flow, node))
            return;
    }
}

static int32_t take_highest(struct remat_flow *flow)
{
    while (flow->highest > 0 && flow->bucket[flow->highest] < 0)
        flow->highest--;
    if (flow->bucket[flow->highest] < 0)
        return -1;
    int32_t node = flow->bucket[flow->highest];
    flow->bucket[flow->highest] = flow->below[node];
    return node;
}

int64_t remat_flow_solve(struct remat_flow *flow)
{
    int32_t arc, node;
    memcpy(flow->residual, flow->capacity, (size_t)flow->arcs_count * sizeof *flow->residual);
    memset(flow->excess, 0, (size_t)flow->nodes_count * sizeof *flow->excess);
    for (arc = flow->first[SOURCE]; arc >= 0; arc = flow->next[arc]) {
        flow->excess[flow->head[arc]] += flow->residual[arc];
        flow->residual[arc ^ 1] += flow->residual[arc];
        flow->residual[arc] = 0;
    }
    relabel_globally(flow);
    for (node = take_highest(flow); node >= 0; node = take_highest(flow)) {
        discharge(flow, node);
        if (flow->relabels > flow->nodes_count)
            relabel_globally(flow);
    }
    relabel_globally(flow);
    return flow->excess[SINK];
}

bool remat_flow_side(const struct remat_flow *flow, int32_t node)
{
    return node != SINK && flow->height[node] == flow->nodes_count;
}
