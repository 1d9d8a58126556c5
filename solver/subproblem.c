#include "solver/subproblem.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL = 1 << 14 }; /* this part of the budget is not worth a decision */

enum remat_status remat_subproblem_init(struct remat_subproblem *out, struct remat_sequence *sequence,
                                        double budget_bytes, struct remat_error *err)
{
    *out = (struct remat_subproblem){.sequence = sequence, .budget_bytes = budget_bytes};
    REMAT_TRY(REMAT_ALLOC(out->local, sequence->model->data_count, err));
    memset(out->local, 0xff, (size_t)sequence->model->data_count);
    return REMAT_OK;
}

void remat_subproblem_free(struct remat_subproblem *sub)
{
    free(sub->local);
    free(sub->items);
    free(sub->freed);
    free(sub->offsets);
    free(sub->chosen_bytes);
    free(sub->made_bytes);
    free(sub->tasks);
    free(sub->options);
    free(sub->nodes);
    free(sub->beside);
}

/* --------------------------------------------------------------------------------------------------- chosen data */

bool remat_subproblem_is_small(const struct remat_subproblem *sub, int32_t datum)
{
    return (double)sub->sequence->model->data[datum].bytes * SMALL <= sub->budget_bytes;
}

bool remat_subproblem_choose(struct remat_subproblem *sub, int32_t datum)
{
    if (sub->local[datum] >= 0)
        return true;
    if (sub->count == REMAT_EXACT_MOST_VALUES)
        return false;
    sub->local[datum] = (int8_t)sub->count;
    sub->data[sub->count++] = datum;
    return true;
}

void remat_subproblem_forget(struct remat_subproblem *sub, int32_t count)
{
    while (sub->count > count)
        sub->local[sub->data[--sub->count]] = -1;
}

bool remat_subproblem_can_run(const struct remat_subproblem *sub, int32_t node)
{
    const struct remat_model *model = sub->sequence->model;
    const struct remat_node *n = &model->nodes[node];
    int32_t k;
    for (k = 0; k < n->inputs_count; k++) {
        int32_t input = model->operands[n->inputs + k];
        if (sub->local[input] < 0 && !remat_subproblem_is_small(sub, input))
            return false;
    }
    return true;
}

static uint64_t chosen_of(const struct remat_subproblem *sub, int32_t operands, int32_t count)
{
    const struct remat_model *model = sub->sequence->model;
    uint64_t chosen = 0;
    int32_t k;
    for (k = 0; k < count; k++) {
        int32_t value = sub->local[model->operands[operands + k]];
        if (value >= 0)
            chosen |= UINT64_C(1) << value;
    }
    return chosen;
}

/* --------------------------------------------------------------------------------------------------------- memory */

static int32_t run_at(const struct remat_subproblem *sub, int32_t stage, int32_t slot)
{
    return sub->sequence->stage[stage].runs[slot];
}

static int32_t stage_of(const struct remat_subproblem *sub, int32_t run)
{
    return remat_place_stage(sub->sequence->runs[run].place);
}

static int32_t index_of(const struct remat_subproblem *sub, int32_t run)
{
    return sub->offsets[stage_of(sub, run) - sub->first] + remat_place_slot(sub->sequence->runs[run].place);
}

static double live_bytes(const struct remat_subproblem *sub, int32_t run)
{
    const struct remat_sequence *s = sub->sequence;
    int32_t stage = stage_of(sub, run);
    return s->runs[run].live + s->base[stage] + s->block_base[stage / REMAT_SEQUENCE_BLOCK];
}

static enum remat_status count_runs(struct remat_subproblem *sub, struct remat_error *err)
{
    int32_t count = sub->end - sub->first, runs, k;
    REMAT_TRY(REMAT_GROW(sub->offsets, sub->offsets_capacity, count + 1, err));
    sub->offsets[0] = 0;
    for (k = 0; k < count; k++)
        sub->offsets[k + 1] = sub->offsets[k] + sub->sequence->stage[sub->first + k].count;
    runs = sub->offsets[count];
    REMAT_TRY(REMAT_GROW(sub->chosen_bytes, sub->runs_capacity, runs + 1, err));
    REMAT_TRY(REMAT_GROW(sub->made_bytes, sub->made_capacity, runs + 1, err));
    memset(sub->chosen_bytes, 0, (size_t)runs * sizeof *sub->chosen_bytes);
    memset(sub->made_bytes, 0, (size_t)runs * sizeof *sub->made_bytes);
    return REMAT_OK;
}

static void add_bytes(struct remat_subproblem *sub, int32_t from, int32_t to, double bytes)
{
    for (; from <= to; from++)
        sub->chosen_bytes[from] += bytes;
}

/* Where a chosen datum is live, and whether it is at the beginning and at the end. */
static void follow(struct remat_subproblem *sub, int32_t value)
{
    const struct remat_sequence *s = sub->sequence;
    const struct remat_events *events = &s->events[sub->data[value]];
    double bytes = (double)s->model->data[sub->data[value]].bytes;
    int32_t k = remat_event_from(s, events, remat_place(sub->first, 0)), last = -1;
    if (k > 0 && remat_event_reads(events, k))
        sub->problem.present |= UINT64_C(1) << value;
    for (; k < events->count && stage_of(sub, events->at[k] >> 1) < sub->end; k++) {
        int32_t index = index_of(sub, events->at[k] >> 1);
        bool made = events->at[k] & 1;
        add_bytes(sub, made ? index : last + 1, index, bytes);
        if (made)
            sub->made_bytes[index] += bytes;
        last = index;
    }
    if (k == 0 || !remat_event_reads(events, k))
        return;
    add_bytes(sub, last + 1, sub->offsets[sub->end - sub->first] - 1, bytes);
    sub->problem.wanted |= UINT64_C(1) << value;
}

/* What is live beside chosen data before a run, at repetitions that come there. */
static int64_t beside_before(const struct remat_subproblem *sub, int32_t run)
{
    const struct remat_sequence *s = sub->sequence;
    double before = live_bytes(sub, run) - s->made_bytes[s->runs[run].node];
    int32_t index;
    if (stage_of(sub, run) >= sub->end)
        return (int64_t)before - remat_exact_bytes(&sub->problem, sub->problem.wanted);
    index = index_of(sub, run);
    return (int64_t)(before - (sub->chosen_bytes[index] - sub->made_bytes[index]));
}

static bool dies_at(const struct remat_subproblem *sub, int32_t datum, int32_t run)
{
    const struct remat_events *events = &sub->sequence->events[datum];
    int32_t at = remat_event_from(sub->sequence, events, sub->sequence->runs[run].place);
    return !remat_event_reads(events, at + 1);
}

/* In-place pairs of chosen data become the task's. Returns what the others save at the run as things are. */
static int64_t add_pairs(const struct remat_subproblem *sub, const struct remat_node *node, int32_t run,
                         struct remat_exact_task *task)
{
    const struct remat_model *model = sub->sequence->model;
    uint32_t taken = 0, done = 0;
    int64_t saved = 0;
    int32_t p;
    for (p = 0; p < node->in_place_count; p++) {
        int32_t i = node->in_place[p].input, j = node->in_place[p].output;
        int32_t input = model->operands[node->inputs + i], output = model->operands[node->outputs + j];
        if (model->data[input].bytes != model->data[output].bytes || !remat_node_reads_once(model, node, i))
            continue;
        if (sub->local[input] >= 0 && sub->local[output] >= 0) {
            task->pairs[task->pairs_count][0] = sub->local[input];
            task->pairs[task->pairs_count++][1] = sub->local[output];
        }
        if (run < 0 || (taken >> i & 1) || (done >> j & 1) || !dies_at(sub, input, run))
            continue;
        taken |= UINT32_C(1) << i;
        done |= UINT32_C(1) << j;
        if (sub->local[input] < 0 || sub->local[output] < 0)
            saved += model->data[input].bytes;
    }
    return saved;
}

/* ---------------------------------------------------------------------------------------------------------- order */

static bool is_free(const struct remat_subproblem *sub, int32_t run)
{
    const struct remat_sequence *s = sub->sequence;
    int32_t node = s->runs[run].node, k;
    const struct remat_node *n = &s->model->nodes[node];
    if (s->runs[run].again < 0 || !chosen_of(sub, n->outputs, n->outputs_count) || !remat_subproblem_can_run(sub, node))
        return false;
    for (k = 0; k < n->outputs_count; k++) {
        int32_t output = s->model->operands[n->outputs + k];
        if (sub->local[output] < 0 && !dies_at(sub, output, run))
            return false;
    }
    return true;
}

static enum remat_status add_task(struct remat_subproblem *sub, struct remat_exact_task task, int32_t node,
                                  struct remat_exact_option option, struct remat_error *err)
{
    int32_t id = sub->problem.tasks_count;
    REMAT_TRY(REMAT_GROW(sub->tasks, sub->tasks_capacity, id + 1, err));
    REMAT_TRY(REMAT_GROW(sub->options, sub->options_capacity, id + 1, err));
    REMAT_TRY(REMAT_GROW(sub->nodes, sub->nodes_capacity, id + 1, err));
    task.options = id;
    task.options_count = 1;
    sub->tasks[id] = task;
    sub->options[id] = option;
    sub->nodes[id] = node;
    sub->problem.tasks_count++;
    return REMAT_OK;
}

static enum remat_status add_item(struct remat_subproblem *sub, int32_t run, int32_t before, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(sub->items, sub->items_capacity, sub->problem.order_count + 1, err));
    sub->items[sub->problem.order_count++] = (struct remat_subproblem_item){run, before};
    return REMAT_OK;
}

/* Runs that touch nothing chosen, as one; the most that is live at them. */
struct passage {
    int32_t before; /* the first of them, -1 = none */
    int64_t bytes;
};

static enum remat_status add_passage(struct remat_subproblem *sub, struct passage *passage, struct remat_error *err)
{
    const struct remat_exact_task task = {.position = sub->problem.order_count, .since = INT32_MAX, .until = -1};
    REMAT_TRY(add_item(sub, -1, passage->before, err));
    REMAT_TRY(add_task(sub, task, -1, (struct remat_exact_option){0, passage->bytes}, err));
    passage->before = -1;
    return REMAT_OK;
}

static enum remat_status add_fixed(struct remat_subproblem *sub, int32_t run, struct passage *passage,
                                   struct remat_error *err)
{
    const struct remat_sequence *s = sub->sequence;
    int32_t node = s->runs[run].node;
    const struct remat_node *n = &s->model->nodes[node];
    struct remat_exact_task task = {.inputs = chosen_of(sub, n->inputs, n->inputs_count),
                                    .outputs = chosen_of(sub, n->outputs, n->outputs_count),
                                    .since = INT32_MAX,
                                    .until = -1};
    int64_t saved = add_pairs(sub, n, run, &task);
    int64_t beside = (int64_t)(live_bytes(sub, run) - sub->chosen_bytes[index_of(sub, run)] + s->scratch[node]) - saved;
    if (passage->before >= 0 && passage->bytes > beside)
        REMAT_TRY(add_passage(sub, passage, err));
    passage->before = -1;
    task.position = sub->problem.order_count;
    REMAT_TRY(add_item(sub, run, run, err));
    return add_task(sub, task, node, (struct remat_exact_option){s->time_ns[node], beside}, err);
}

static enum remat_status add_free(struct remat_subproblem *sub, int32_t run, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(sub->freed, sub->freed_capacity, sub->freed_count + 1, err));
    sub->freed[sub->freed_count++] = run;
    return REMAT_OK;
}

static enum remat_status add_run(struct remat_subproblem *sub, int32_t run, struct passage *passage,
                                 struct remat_error *err)
{
    const struct remat_sequence *s = sub->sequence;
    const struct remat_node *n = &s->model->nodes[s->runs[run].node];
    int64_t bytes;
    if (is_free(sub, run))
        return add_free(sub, run, err);
    if (chosen_of(sub, n->inputs, n->inputs_count) || chosen_of(sub, n->outputs, n->outputs_count))
        return add_fixed(sub, run, passage, err);
    bytes = (int64_t)(live_bytes(sub, run) - sub->chosen_bytes[index_of(sub, run)] + s->runs[run].extra);
    if (passage->before < 0)
        *passage = (struct passage){run, bytes};
    else if (bytes > passage->bytes)
        passage->bytes = bytes;
    return REMAT_OK;
}

static enum remat_status add_order(struct remat_subproblem *sub, struct remat_error *err)
{
    struct passage passage = {.before = -1};
    int32_t stage, slot;
    for (stage = sub->first; stage < sub->end; stage++)
        for (slot = 0; slot < sub->sequence->stage[stage].count; slot++)
            REMAT_TRY(add_run(sub, run_at(sub, stage, slot), &passage, err));
    return passage.before >= 0 ? add_passage(sub, &passage, err) : REMAT_OK;
}

/* --------------------------------------------------------------------------------------------------- repetitions */

/* The run before which something comes once so many items are done; -1 = none. */
static int32_t run_after(const struct remat_subproblem *sub, int32_t done)
{
    if (done < sub->problem.order_count)
        return sub->items[done].before;
    return sub->end < sub->sequence->stages_count ? run_at(sub, sub->end, 0) : -1;
}

static enum remat_status add_besides(struct remat_subproblem *sub, struct remat_error *err)
{
    int32_t done;
    REMAT_TRY(REMAT_GROW(sub->beside, sub->beside_capacity, sub->problem.order_count + 1, err));
    for (done = 0; done <= sub->problem.order_count; done++) {
        int32_t run = run_after(sub, done);
        sub->beside[done] = run < 0 ? 0 : beside_before(sub, run);
    }
    return REMAT_OK;
}

/* Small inputs may have to live longer for it: their bytes are set aside. */
static int64_t small_bytes(const struct remat_subproblem *sub, const struct remat_node *n)
{
    const struct remat_model *model = sub->sequence->model;
    int64_t bytes = 0;
    int32_t k;
    for (k = 0; k < n->inputs_count; k++)
        if (sub->local[model->operands[n->inputs + k]] < 0)
            bytes += model->data[model->operands[n->inputs + k]].bytes;
    return bytes;
}

static enum remat_status add_repetition(struct remat_subproblem *sub, int32_t node, struct remat_error *err)
{
    const struct remat_sequence *s = sub->sequence;
    const struct remat_model *model = s->model;
    const struct remat_node *n = &model->nodes[node];
    struct remat_exact_task task = {.position = -1, .since = INT32_MAX, .until = -1};
    struct remat_exact_option option = {s->time_ns[node], (int64_t)s->scratch[node]};
    int32_t done, k;
    for (done = 0; done <= sub->problem.order_count; done++) {
        int32_t run = run_after(sub, done), key = run < 0 ? 0 : model->nodes[s->stages[stage_of(sub, run)]].key;
        if (run < 0 || n->key >= key || n->last_key < key)
            continue;
        task.since = task.since < done ? task.since : done;
        task.until = done;
    }
    if (task.until < 0)
        return REMAT_OK;
    task.inputs = chosen_of(sub, n->inputs, n->inputs_count);
    task.outputs = chosen_of(sub, n->outputs, n->outputs_count);
    for (k = 0; k < n->outputs_count; k++)
        if (sub->local[model->operands[n->outputs + k]] < 0)
            option.bytes += model->data[model->operands[n->outputs + k]].bytes;
    add_pairs(sub, n, -1, &task);
    sub->problem.budget_bytes -= small_bytes(sub, n);
    return add_task(sub, task, node, option, err);
}

static enum remat_status add_repetitions(struct remat_subproblem *sub, struct remat_error *err)
{
    const struct remat_model *model = sub->sequence->model;
    int32_t items = sub->problem.tasks_count, v, k;
    for (v = 0; v < sub->count; v++) {
        const struct remat_datum *datum = &model->data[sub->data[v]];
        for (k = 0; k < datum->recipes_count; k++) {
            int32_t node = model->operands[datum->recipes + k], t = items;
            while (t < sub->problem.tasks_count && sub->nodes[t] != node)
                t++;
            if (t == sub->problem.tasks_count && remat_subproblem_can_run(sub, node))
                REMAT_TRY(add_repetition(sub, node, err));
        }
    }
    return REMAT_OK;
}

static int64_t cost_ns(const struct remat_subproblem *sub)
{
    const struct remat_sequence *s = sub->sequence;
    int64_t cost = 0;
    int32_t k;
    for (k = 0; k < sub->problem.order_count; k++)
        if (sub->items[k].run >= 0)
            cost += s->time_ns[s->runs[sub->items[k].run].node];
    for (k = 0; k < sub->freed_count; k++)
        cost += s->time_ns[s->runs[sub->freed[k]].node];
    return cost;
}

static enum remat_status set_problem(struct remat_subproblem *sub, struct remat_error *err)
{
    struct remat_exact_problem *problem = &sub->problem;
    int32_t v;
    *problem =
        (struct remat_exact_problem){.budget_bytes = (int64_t)sub->budget_bytes - sub->sequence->model->fixed_bytes};
    sub->freed_count = 0;
    for (v = 0; v < sub->count; v++)
        problem->bytes[v] = sub->sequence->model->data[sub->data[v]].bytes;
    REMAT_TRY(count_runs(sub, err));
    for (v = 0; v < sub->count; v++)
        follow(sub, v);
    return add_order(sub, err);
}

/* -------------------------------------------------------------------------------------------------------- answers */

static enum remat_status insert_runs(struct remat_subproblem *sub, const struct remat_exact_answer *answer,
                                     struct remat_error *err)
{
    struct remat_sequence *s = sub->sequence;
    int32_t done = 0, r;
    for (r = 0; r < answer->runs_count; r++) {
        int32_t task = answer->runs[r].task;
        if (sub->tasks[task].position == done)
            done++;
        else
            REMAT_TRY(remat_sequence_insert(s, sub->nodes[task], s->runs[run_after(sub, done)].place, err));
    }
    return REMAT_OK;
}

/* Takes the answer over if, with all that is around it, it is as good as it promised. */
static enum remat_status apply(struct remat_subproblem *sub, const struct remat_exact_answer *answer, bool *improved,
                               struct remat_error *err)
{
    struct remat_sequence *s = sub->sequence;
    int64_t before = s->cost_ns;
    int32_t k;
    remat_sequence_commit(s);
    for (k = 0; k < sub->freed_count; k++)
        REMAT_TRY(remat_sequence_remove(s, sub->freed[k], err));
    REMAT_TRY(insert_runs(sub, answer, err));
    if (s->cost_ns >= before || remat_sequence_overflow(s, sub->budget_bytes).bytes > 0)
        return remat_sequence_undo(s, 0, err);
    remat_sequence_commit(s);
    *improved = true;
    return REMAT_OK;
}

enum remat_status remat_subproblem_solve(struct remat_subproblem *sub, int32_t states, bool *improved,
                                         struct remat_error *err)
{
    struct remat_exact_problem *problem = &sub->problem;
    struct remat_exact_answer answer;
    int32_t *order = NULL, k;
    enum remat_status status;
    REMAT_TRY(set_problem(sub, err));
    if (sub->freed_count == 0)
        return REMAT_OK;
    REMAT_TRY(add_besides(sub, err));
    REMAT_TRY(add_repetitions(sub, err));
    REMAT_TRY(REMAT_ALLOC(order, problem->order_count, err));
    for (k = 0; k < problem->order_count; k++)
        order[k] = k; /* the first tasks are the items */
    problem->order = order;
    problem->tasks = sub->tasks;
    problem->options = sub->options;
    problem->beside = sub->beside;
    problem->below_ns = cost_ns(sub);
    problem->states = states;
    status = remat_exact_search(problem, &answer, err);
    if (status == REMAT_OK && answer.found)
        status = apply(sub, &answer, improved, err);
    free(answer.runs);
    free(order);
    return status;
}
