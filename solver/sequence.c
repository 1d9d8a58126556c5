#include "solver/sequence.h"

#include <stdlib.h>
#include <string.h>

/* The peak alone says nothing about how much of the step is above the budget, the sum alone weighs long lifetimes too
 * much; walks went furthest with the peak and a little of the sum. */
static const double SUM_SHARE = 0.1;

static const struct remat_node *node_of(const struct remat_sequence *s, int32_t run)
{
    return &s->model->nodes[s->runs[run].node];
}

static void touch(struct remat_sequence *s, int32_t stage)
{
    if (!s->is_dirty[stage]) {
        s->is_dirty[stage] = true;
        s->dirty[s->dirty_count++] = stage;
    }
}

/* Bytes of outputs that take the memory of dying inputs: the in-place rule of core/plan/schedule.h. */
static double in_place_bytes(const struct remat_sequence *s, int32_t run)
{
    const struct remat_model *model = s->model;
    const struct remat_node *node = node_of(s, run);
    unsigned taken = 0, done = 0;
    double saved = 0;
    int32_t p;
    for (p = 0; p < node->in_place_count; p++) {
        int32_t j = node->in_place[p].output, i = node->in_place[p].input;
        int32_t datum = model->operands[node->inputs + i];
        int64_t bytes = model->data[datum].bytes;
        const struct remat_events *events = &s->events[datum];
        int32_t at = remat_event_from(s, events, s->runs[run].place);
        if (model->data[model->operands[node->outputs + j]].bytes != bytes || (taken >> i & 1) || (done >> j & 1) ||
            remat_event_reads(events, at + 1) || !remat_node_reads_once(model, node, i))
            continue;
        taken |= 1u << i;
        done |= 1u << j;
        saved += (double)bytes;
    }
    return saved;
}

void remat_sequence_renew(struct remat_sequence *s, int32_t run)
{
    double saved = node_of(s, run)->in_place_count > 0 ? in_place_bytes(s, run) : 0;
    s->runs[run].extra = s->scratch[s->runs[run].node] - saved;
    touch(s, remat_place_stage(s->runs[run].place));
}

/* After a change in whether `event` is the last of an instance. */
static void renew(struct remat_sequence *s, int32_t event)
{
    if (!(event & 1) && node_of(s, event >> 1)->in_place_count > 0)
        remat_sequence_renew(s, event >> 1);
}

static void add_slots(struct remat_sequence *s, int32_t stage, int32_t begin, int32_t end, double bytes)
{
    const struct remat_sequence_stage *t = &s->stage[stage];
    int32_t k;
    for (k = begin; k < end; k++)
        s->runs[t->runs[k]].live += bytes;
    if (begin < end)
        touch(s, stage);
}

/* Adds bytes to the runs after `from` and before `to`. */
static void add_between(struct remat_sequence *s, int32_t from, int32_t to, double bytes)
{
    int64_t a = s->runs[from].place, b = s->runs[to].place;
    int32_t first = remat_place_stage(a), last = remat_place_stage(b), t;
    if (first == last) {
        add_slots(s, first, remat_place_slot(a) + 1, remat_place_slot(b), bytes);
        return;
    }
    add_slots(s, first, remat_place_slot(a) + 1, s->stage[first].count, bytes);
    for (t = first + 1; t < last;)
        if (t % REMAT_SEQUENCE_BLOCK == 0 && t + REMAT_SEQUENCE_BLOCK <= last) {
            s->block_base[t / REMAT_SEQUENCE_BLOCK] += bytes;
            t += REMAT_SEQUENCE_BLOCK;
        } else {
            s->block_dirty[t / REMAT_SEQUENCE_BLOCK] = true;
            s->base[t++] += bytes;
        }
    add_slots(s, last, 0, remat_place_slot(b), bytes);
}

static enum remat_status make_room_for_events(struct remat_sequence *s, int32_t node, struct remat_error *err)
{
    const struct remat_node *n = &s->model->nodes[node];
    int32_t k;
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++) {
        struct remat_events *events = &s->events[s->reads[k]];
        REMAT_TRY(REMAT_GROW(events->at, events->capacity, events->count + 1, err));
    }
    for (k = 0; k < n->outputs_count; k++) {
        struct remat_events *events = &s->events[s->model->operands[n->outputs + k]];
        REMAT_TRY(REMAT_GROW(events->at, events->capacity, events->count + 1, err));
    }
    return REMAT_OK;
}

static void insert_event(struct remat_events *events, int32_t at, int32_t event)
{
    memmove(events->at + at + 1, events->at + at, (size_t)(events->count - at) * sizeof *events->at);
    events->at[at] = event;
    events->count++;
}

static void remove_event(struct remat_events *events, int32_t at)
{
    events->count--;
    memmove(events->at + at, events->at + at + 1, (size_t)(events->count - at) * sizeof *events->at);
}

/* A read after which the instance would have ended extends it. */
static void add_read(struct remat_sequence *s, int32_t datum, int32_t run)
{
    struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, s->runs[run].place), before = events->at[at - 1];
    bool extends = !remat_event_reads(events, at);
    insert_event(events, at, run * 2);
    if (!extends)
        return;
    s->runs[run].live += (double)s->model->data[datum].bytes;
    add_between(s, before >> 1, run, (double)s->model->data[datum].bytes);
    renew(s, before);
}

/* Being made again ends the instance at its last read before. */
static void add_make(struct remat_sequence *s, int32_t datum, int32_t run)
{
    struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, s->runs[run].place), before = events->at[at - 1];
    bool splits = remat_event_reads(events, at);
    insert_event(events, at, run * 2 + 1);
    if (!splits) {
        s->runs[run].live += (double)s->model->data[datum].bytes;
        return;
    }
    add_between(s, before >> 1, run, -(double)s->model->data[datum].bytes);
    renew(s, before);
}

static void drop_read(struct remat_sequence *s, int32_t datum, int32_t run)
{
    struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, s->runs[run].place), before = events->at[at - 1];
    remove_event(events, at);
    if (remat_event_reads(events, at))
        return;
    add_between(s, before >> 1, run, -(double)s->model->data[datum].bytes);
    renew(s, before);
}

static void drop_make(struct remat_sequence *s, int32_t datum, int32_t run)
{
    struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, s->runs[run].place), before = events->at[at - 1];
    remove_event(events, at);
    if (!remat_event_reads(events, at))
        return;
    add_between(s, before >> 1, run, (double)s->model->data[datum].bytes);
    renew(s, before);
}

static enum remat_status take_run(struct remat_sequence *s, int32_t *out, struct remat_error *err)
{
    if (s->unused_count > 0) {
        *out = s->unused[--s->unused_count];
        return REMAT_OK;
    }
    REMAT_TRY(REMAT_GROW(s->runs, s->runs_capacity, s->runs_count + 1, err));
    *out = s->runs_count++;
    return REMAT_GROW(s->unused, s->unused_capacity, s->runs_count, err);
}

static enum remat_status note(struct remat_sequence *s, int32_t node, int32_t option, int64_t place, bool removed,
                              struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(s->log, s->log_capacity, s->log_count + 1, err));
    s->log[s->log_count++] = (struct remat_change){node, option, place, removed};
    s->changes++;
    return REMAT_OK;
}

/* Puts a run into its stage; those behind it move on by a slot. */
static void put(struct remat_sequence *s, int32_t run, int64_t place)
{
    struct remat_sequence_stage *stage = &s->stage[remat_place_stage(place)];
    int32_t slot = remat_place_slot(place), k;
    for (k = stage->count++; k > slot; k--) {
        stage->runs[k] = stage->runs[k - 1];
        s->runs[stage->runs[k]].place++;
    }
    stage->runs[slot] = run;
}

static void take(struct remat_sequence *s, int64_t place)
{
    struct remat_sequence_stage *stage = &s->stage[remat_place_stage(place)];
    int32_t k;
    stage->count--;
    for (k = remat_place_slot(place); k < stage->count; k++) {
        stage->runs[k] = stage->runs[k + 1];
        s->runs[stage->runs[k]].place--;
    }
    touch(s, remat_place_stage(place));
}

enum remat_status remat_sequence_insert(struct remat_sequence *s, int32_t node, int64_t place, struct remat_error *err)
{
    const struct remat_node *n = &s->model->nodes[node];
    struct remat_sequence_stage *stage = &s->stage[remat_place_stage(place)];
    const struct remat_sequence_run *next;
    int32_t run, k;
    REMAT_TRY(make_room_for_events(s, node, err));
    REMAT_TRY(REMAT_GROW(stage->runs, stage->capacity, stage->count + 1, err));
    REMAT_TRY(REMAT_GROW(s->again, s->again_capacity, s->again_count + 1, err));
    REMAT_TRY(take_run(s, &run, err));
    REMAT_TRY(note(s, node, -1, place, false, err));
    put(s, run, place);
    next = &s->runs[stage->runs[remat_place_slot(place) + 1]];
    /* What passes from the run before to the one behind. */
    s->runs[run] = (struct remat_sequence_run){node, s->again_count, place, next->live - s->made_bytes[next->node], 0};
    s->again[s->again_count++] = run;
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++)
        add_read(s, s->reads[k], run);
    for (k = 0; k < n->outputs_count; k++)
        add_make(s, s->model->operands[n->outputs + k], run);
    remat_sequence_renew(s, run);
    s->cost_ns += s->time_ns[node];
    return REMAT_OK;
}

enum remat_status remat_sequence_remove(struct remat_sequence *s, int32_t run, struct remat_error *err)
{
    int32_t node = s->runs[run].node, k;
    const struct remat_node *n = &s->model->nodes[node];
    REMAT_TRY(note(s, node, -1, s->runs[run].place, true, err));
    for (k = 0; k < n->outputs_count; k++)
        drop_make(s, s->model->operands[n->outputs + k], run);
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++)
        drop_read(s, s->reads[k], run);
    take(s, s->runs[run].place);
    s->again[s->runs[run].again] = s->again[--s->again_count];
    s->runs[s->again[s->runs[run].again]].again = s->runs[run].again;
    s->unused[s->unused_count++] = run;
    s->cost_ns -= s->time_ns[node];
    return REMAT_OK;
}

static void apply_option(struct remat_sequence *s, int32_t node, int32_t option)
{
    const struct remat_task *task = &s->graph->tasks[s->model->nodes[node].task];
    s->option[node] = option;
    s->time_ns[node] = task->options[option].time_ns * (task->section == REMAT_MICRO ? s->graph->micro_count : 1);
    s->scratch[node] = (double)task->options[option].scratch_bytes;
}

enum remat_status remat_sequence_set_option(struct remat_sequence *s, int32_t node, int32_t option,
                                            struct remat_error *err)
{
    int64_t before = s->time_ns[node];
    int32_t k, runs = 0;
    REMAT_TRY(note(s, node, s->option[node], 0, false, err));
    apply_option(s, node, option);
    for (k = 0; k < s->stages_count + s->again_count; k++) {
        int32_t run = k < s->stages_count ? k : s->again[k - s->stages_count];
        if (s->runs[run].node != node)
            continue;
        remat_sequence_renew(s, run);
        runs++;
    }
    s->cost_ns += runs * (s->time_ns[node] - before);
    return REMAT_OK;
}

enum remat_status remat_sequence_undo(struct remat_sequence *s, int32_t count, struct remat_error *err)
{
    int32_t last = s->log_count, k;
    for (k = last - 1; k >= count; k--) {
        const struct remat_change change = s->log[k];
        const struct remat_sequence_stage *stage = &s->stage[remat_place_stage(change.place)];
        if (change.option >= 0)
            REMAT_TRY(remat_sequence_set_option(s, change.node, change.option, err));
        else if (change.removed)
            REMAT_TRY(remat_sequence_insert(s, change.node, change.place, err));
        else
            REMAT_TRY(remat_sequence_remove(s, stage->runs[remat_place_slot(change.place)], err));
    }
    s->log_count = count;
    return REMAT_OK;
}

static void clean_stages(struct remat_sequence *s)
{
    int32_t i, k;
    for (i = 0; i < s->dirty_count; i++) {
        const struct remat_sequence_stage *stage = &s->stage[s->dirty[i]];
        double highest = 0;
        for (k = 0; k < stage->count; k++) {
            const struct remat_sequence_run *run = &s->runs[stage->runs[k]];
            highest = run->live + run->extra > highest || k == 0 ? run->live + run->extra : highest;
        }
        s->highest[s->dirty[i]] = highest;
        s->is_dirty[s->dirty[i]] = false;
        s->block_dirty[s->dirty[i] / REMAT_SEQUENCE_BLOCK] = true;
    }
    s->dirty_count = 0;
}

static int32_t block_end(const struct remat_sequence *s, int32_t block)
{
    int32_t end = (block + 1) * REMAT_SEQUENCE_BLOCK;
    return end < s->stages_count ? end : s->stages_count;
}

/* The most bytes of a stage of the block. */
static double block_peak(struct remat_sequence *s, int32_t block)
{
    int32_t t = block * REMAT_SEQUENCE_BLOCK, end = block_end(s, block);
    if (s->block_dirty[block]) {
        double most = s->base[t] + s->highest[t];
        for (t++; t < end; t++)
            most = s->base[t] + s->highest[t] > most ? s->base[t] + s->highest[t] : most;
        s->block_most[block] = most;
        s->block_dirty[block] = false;
    }
    return s->block_base[block] + s->block_most[block];
}

/* Sum of what its stages exceed `rest` by. */
static double block_excess(const struct remat_sequence *s, int32_t block, double rest)
{
    int32_t t = block * REMAT_SEQUENCE_BLOCK, end = block_end(s, block);
    double sum = 0;
    for (rest -= s->block_base[block]; t < end; t++) {
        double over = s->base[t] + s->highest[t] - rest;
        sum += over > 0 ? over : 0;
    }
    return sum;
}

struct remat_overflow remat_sequence_overflow(struct remat_sequence *s, double budget_bytes)
{
    double rest = budget_bytes - (double)s->model->fixed_bytes, sum = 0, most = -1;
    int32_t blocks = (s->stages_count + REMAT_SEQUENCE_BLOCK - 1) / REMAT_SEQUENCE_BLOCK, block, t, at = 0;
    clean_stages(s);
    for (block = 0; block < blocks; block++) {
        double peak = block_peak(s, block);
        if (peak > most) {
            most = peak;
            at = block;
        }
        if (peak > rest)
            sum += block_excess(s, block, rest);
    }
    for (t = at * REMAT_SEQUENCE_BLOCK; t + 1 < block_end(s, at);) {
        if (s->base[t] + s->highest[t] >= s->block_most[at])
            break;
        t++;
    }
    return (struct remat_overflow){.bytes = most > rest ? most - rest + SUM_SHARE * sum : 0,
                                   .peak_bytes = most + (double)s->model->fixed_bytes,
                                   .stage = t};
}

double remat_sequence_most(struct remat_sequence *s, int32_t first, int32_t last)
{
    double most = -1;
    int32_t t = first;
    clean_stages(s);
    while (t <= last) {
        int32_t block = t / REMAT_SEQUENCE_BLOCK;
        double bytes;
        if (t % REMAT_SEQUENCE_BLOCK == 0 && block_end(s, block) - 1 <= last) {
            bytes = block_peak(s, block);
            t = block_end(s, block);
        } else {
            bytes = s->block_base[block] + s->base[t] + s->highest[t];
            t++;
        }
        most = bytes > most ? bytes : most;
    }
    return most;
}

bool remat_sequence_unread(const struct remat_sequence *s, int32_t run)
{
    const struct remat_node *node = node_of(s, run);
    int32_t k;
    for (k = 0; k < node->outputs_count; k++) {
        const struct remat_events *events = &s->events[s->model->operands[node->outputs + k]];
        if (remat_event_reads(events, remat_event_from(s, events, s->runs[run].place) + 1))
            return false;
    }
    return true;
}
