#include "tests/solver/support_brute.h"

#include "tests/solver/support_chain.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    int64_t cost;
    uint32_t state; /* frontier << values | present, plus 1 in the table of known costs: 0 = empty */
};

struct search {
    const struct remat_task_graph *graph;
    int64_t budget;
    struct entry *known; /* open addressing: least cost of each state met */
    struct entry *heap;
    int64_t known_count, known_capacity, heap_count, heap_capacity;
};

static struct entry *find(struct search *s, uint32_t state)
{
    int64_t at = (int64_t)((state * 0x9E3779B97F4A7C15u) >> 20) & (s->known_capacity - 1);
    while (s->known[at].state != 0 && s->known[at].state != state + 1)
        at = (at + 1) & (s->known_capacity - 1);
    return &s->known[at];
}

static void widen(struct search *s)
{
    struct entry *old = s->known;
    int64_t capacity = s->known_capacity, i;
    s->known_capacity = capacity > 0 ? 2 * capacity : 1 << 16;
    s->known = calloc((size_t)s->known_capacity, sizeof *s->known);
    assert_non_null(s->known);
    for (i = 0; i < capacity; i++)
        if (old[i].state != 0)
            *find(s, old[i].state - 1) = old[i];
    free(old);
}

static void push(struct search *s, int64_t cost, uint32_t state)
{
    struct entry *known;
    int64_t at;
    if (2 * s->known_count >= s->known_capacity)
        widen(s);
    known = find(s, state);
    if (known->state != 0 && cost >= known->cost)
        return;
    s->known_count += known->state == 0;
    *known = (struct entry){cost, state + 1};
    if (s->heap_count == s->heap_capacity) {
        s->heap_capacity = 2 * s->heap_capacity + 1024;
        s->heap = realloc(s->heap, (size_t)s->heap_capacity * sizeof *s->heap);
        assert_non_null(s->heap);
    }
    for (at = s->heap_count++; at > 0 && s->heap[(at - 1) / 2].cost > cost; at = (at - 1) / 2)
        s->heap[at] = s->heap[(at - 1) / 2];
    s->heap[at] = (struct entry){cost, state};
}

static struct entry pop(struct search *s)
{
    struct entry top = s->heap[0], last = s->heap[--s->heap_count];
    int64_t at = 0;
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child + 1 < s->heap_count && s->heap[child + 1].cost < s->heap[child].cost)
            child++;
        if (child >= s->heap_count || s->heap[child].cost >= last.cost)
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = last;
    return top;
}

/* The version of a cell once `frontier` tasks of the order have run. */
static int32_t version(const struct remat_task_graph *graph, int32_t cell, int32_t frontier)
{
    int32_t count = 0, t, k;
    for (t = 0; t < frontier; t++) {
        const struct remat_task *task = &graph->tasks[graph->order[t]];
        for (k = 0; k < task->cells_count; k++)
            count += task->cells[k].cell == cell && task->cells[k].write;
    }
    return count;
}

static bool may_run(const struct search *s, const struct remat_task *task, int32_t frontier, uint32_t present)
{
    bool writes = false,
         finish = frontier > 0 && s->graph->tasks[s->graph->order[frontier - 1]].section == REMAT_FINISH;
    int32_t k;
    if (task->position > frontier || (finish && task->section == REMAT_MICRO))
        return false;
    for (k = 0; k < task->inputs_count; k++)
        if (!(present >> task->inputs[k] & 1))
            return false;
    for (k = 0; k < task->cells_count; k++) {
        writes = writes || task->cells[k].write;
        if (version(s->graph, task->cells[k].cell, frontier) != task->cells[k].version)
            return false;
    }
    return !writes || task->position == frontier;
}

/* Bytes saved by outputs over inputs if the inputs in `dying` end here. */
static int64_t saved_bytes(const struct remat_task_graph *graph, const struct remat_task *task, uint32_t dying)
{
    uint32_t used_inputs = 0, used_outputs = 0;
    int64_t saved = 0;
    int32_t p, k;
    for (p = 0; p < task->in_place_count; p++) {
        int32_t i = task->in_place[p].input, j = task->in_place[p].output, uses = 0;
        int64_t bytes = graph->values[task->outputs[j]].bytes;
        for (k = 0; k < task->inputs_count; k++)
            uses += task->inputs[k] == task->inputs[i];
        if (uses > 1 || !(dying >> task->inputs[i] & 1) || (used_inputs >> i & 1) || (used_outputs >> j & 1) ||
            graph->values[task->inputs[i]].bytes != bytes)
            continue;
        used_inputs |= 1u << i;
        used_outputs |= 1u << j;
        saved += bytes;
    }
    return saved;
}

static int64_t bytes_of(const struct remat_task_graph *graph, uint32_t values)
{
    int64_t bytes = 0;
    int32_t v;
    for (v = 0; v < graph->values_count; v++)
        if (values >> v & 1)
            bytes += graph->values[v].bytes;
    return bytes;
}

/* Runs a task with every choice of which inputs end with it. Outputs that are present already must have been dropped;
 * those that nobody reads end here. */
static void run(struct search *s, const struct entry *from, const struct remat_task *task,
                const struct remat_option *option)
{
    const struct remat_task_graph *graph = s->graph;
    int32_t values = graph->values_count, frontier = (int32_t)(from->state >> values), k;
    uint32_t present = from->state & ((1u << values) - 1), inputs = 0, outputs = 0, dying;
    int64_t live, times = task->section == REMAT_MICRO ? graph->micro_count : 1;
    for (k = 0; k < task->inputs_count; k++)
        inputs |= 1u << task->inputs[k];
    for (k = 0; k < task->outputs_count; k++)
        outputs |= 1u << task->outputs[k];
    if ((outputs & present) || !may_run(s, task, frontier, present))
        return;
    live = graph->staging_bytes + bytes_of(graph, present | outputs) + option->scratch_bytes;
    for (dying = inputs;; dying = (dying - 1) & inputs) {
        if (live - saved_bytes(graph, task, dying) <= s->budget) {
            uint32_t next = (uint32_t)(frontier + (task->position == frontier)) << values;
            push(s, from->cost + option->time_ns * times, next | ((present | outputs) & ~dying));
        }
        if (dying == 0)
            break;
    }
}

int64_t brute_force(const struct remat_task_graph *graph, int64_t budget_bytes)
{
    struct search s = {.graph = graph, .budget = budget_bytes};
    int32_t values = graph->values_count, t, v, k;
    int64_t best = -1;
    assert_in_range(values, 1, BRUTE_MOST_VALUES);
    assert_true(graph->order_count < 1 << (32 - BRUTE_MOST_VALUES));
    push(&s, 0, 0);
    while (s.heap_count > 0 && best < 0) {
        struct entry at = pop(&s);
        if (at.cost > find(&s, at.state)->cost)
            continue;
        if ((int32_t)(at.state >> values) == graph->order_count)
            best = at.cost;
        for (v = 0; v < values; v++)
            if (at.state >> v & 1)
                push(&s, at.cost, at.state & ~(1u << v));
        for (t = 0; t < graph->tasks_count; t++)
            for (k = 0; k < graph->tasks[t].options_count; k++)
                if (graph->tasks[t].options[k].numerics == graph->tasks[t].options[0].numerics)
                    run(&s, &at, &graph->tasks[t], &graph->tasks[t].options[k]);
    }
    free(s.known);
    free(s.heap);
    return best;
}
