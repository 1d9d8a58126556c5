#include "solver/polish.h"

#include "core/base/clock.h"
#include "solver/exact.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_STAGES = 24, MOST_TOUCHED = 44, MOST_PASSES = 2 };

/* Stages `first` to `end` - 1 of the sequence as a problem of the exact method. */
struct window {
    const struct remat_polish *polish;
    struct remat_sequence *s;
    int32_t first, end;
    int8_t *local;                                /* per datum: value of the problem, -1 = none */
    int32_t data[REMAT_EXACT_MOST_VALUES], count; /* per value: datum */
    struct remat_exact_problem problem;
    struct remat_exact_task *tasks;
    struct remat_exact_option *options; /* one a task */
    int32_t *nodes, *order;             /* per task; per stage */
};

static void window_free(struct window *w)
{
    free(w->local);
    free(w->tasks);
    free(w->options);
    free(w->nodes);
    free(w->order);
}

static enum remat_status window_init(struct window *w, struct remat_error *err)
{
    const struct remat_model *model = w->s->model;
    REMAT_TRY(REMAT_ALLOC(w->local, model->data_count, err));
    memset(w->local, 0xff, (size_t)model->data_count);
    REMAT_TRY(REMAT_ALLOC(w->tasks, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(w->options, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(w->nodes, model->nodes_count, err));
    return REMAT_ALLOC(w->order, MOST_STAGES, err);
}

/* ---------------------------------------------------------------------------------------------- values of a window */

static bool add_value(struct window *w, int32_t datum)
{
    if (w->local[datum] >= 0)
        return true;
    if (w->count == REMAT_EXACT_MOST_VALUES)
        return false;
    w->local[datum] = (int8_t)w->count;
    w->data[w->count++] = datum;
    return true;
}

static void forget_values(struct window *w, int32_t count)
{
    while (w->count > count)
        w->local[w->data[--w->count]] = -1;
}

static bool add_operands(struct window *w, int32_t node)
{
    const struct remat_model *model = w->s->model;
    const struct remat_node *n = &model->nodes[node];
    int32_t k;
    for (k = 0; k < n->inputs_count; k++)
        if (!add_value(w, model->operands[n->inputs + k]))
            return false;
    for (k = 0; k < n->outputs_count; k++)
        if (!add_value(w, model->operands[n->outputs + k]))
            return false;
    return true;
}

/* Adds stages from `first` on, and the data that they touch, while there is room. */
static void touch_stages(struct window *w)
{
    int32_t k;
    forget_values(w, 0);
    for (w->end = w->first; w->end < w->s->stages_count && w->end - w->first < MOST_STAGES; w->end++) {
        const struct remat_sequence_stage *stage = &w->s->stage[w->end];
        int32_t count = w->count;
        bool fits = true;
        for (k = 0; k < stage->count && fits; k++)
            fits = add_operands(w, w->s->runs[stage->runs[k]].node);
        if (!fits || w->count > MOST_TOUCHED) {
            forget_values(w, count);
            return;
        }
    }
}

static bool live_at(const struct window *w, int32_t datum, int32_t stage)
{
    const struct remat_events *events = &w->s->events[datum];
    int32_t at = remat_event_from(w->s, events, remat_place(stage, 0));
    return at > 0 && remat_event_reads(events, at);
}

static bool has_values(const struct window *w, const int32_t *operands, int32_t count)
{
    int32_t k;
    for (k = 0; k < count; k++)
        if (w->local[operands[k]] < 0)
            return false;
    return true;
}

/* Whether what is there makes a datum again. */
static bool can_be_made(const struct window *w, int32_t datum)
{
    const struct remat_model *model = w->s->model;
    int32_t k;
    for (k = 0; k < model->data[datum].recipes_count; k++) {
        const struct remat_node *node = &model->nodes[model->operands[model->data[datum].recipes + k]];
        if (has_values(w, model->operands + node->inputs, node->inputs_count))
            return true;
    }
    return false;
}

/* What passes through may be dropped and made again, too, while there is room for it; the rest takes its bytes. */
static void add_passing(struct window *w)
{
    const struct remat_model *model = w->s->model;
    int32_t d;
    w->problem.budget_bytes = (int64_t)w->polish->budget_bytes - model->fixed_bytes;
    for (d = 0; d < model->data_count; d++)
        if (w->local[d] < 0 && live_at(w, d, w->first) && !(can_be_made(w, d) && add_value(w, d)))
            w->problem.budget_bytes -= model->data[d].bytes;
}

static void set_values(struct window *w)
{
    int32_t v;
    w->problem.present = w->problem.wanted = 0;
    for (v = 0; v < w->count; v++) {
        w->problem.bytes[v] = w->s->model->data[w->data[v]].bytes;
        if (live_at(w, w->data[v], w->first))
            w->problem.present |= UINT64_C(1) << v;
        if (w->end < w->s->stages_count && live_at(w, w->data[v], w->end))
            w->problem.wanted |= UINT64_C(1) << v;
    }
}

/* ----------------------------------------------------------------------------------------------- tasks of a window */

static void add_pairs(const struct window *w, const struct remat_node *node, struct remat_exact_task *task)
{
    const struct remat_model *model = w->s->model;
    int32_t p, k;
    for (p = 0; p < node->in_place_count; p++) {
        int32_t i = node->in_place[p].input, input = model->operands[node->inputs + i];
        int32_t output = model->operands[node->outputs + node->in_place[p].output], uses = 0;
        for (k = 0; k < node->inputs_count; k++)
            uses += model->operands[node->inputs + k] == input;
        if (uses > 1 || w->local[output] < 0 || model->data[input].bytes != model->data[output].bytes)
            continue;
        task->pairs[task->pairs_count][0] = w->local[input];
        task->pairs[task->pairs_count++][1] = w->local[output];
    }
}

/* Outputs that nothing in the window touches are live at the run alone. */
static void add_task(struct window *w, int32_t node, int32_t position, int32_t since, int32_t until)
{
    const struct remat_model *model = w->s->model;
    const struct remat_node *n = &model->nodes[node];
    int32_t id = w->problem.tasks_count++, k;
    struct remat_exact_task *task = &w->tasks[id];
    *task = (struct remat_exact_task){
        .position = position, .since = since, .until = until, .options = id, .options_count = 1};
    w->options[id] = (struct remat_exact_option){w->s->time_ns[node], (int64_t)w->s->scratch[node]};
    w->nodes[id] = node;
    for (k = 0; k < n->inputs_count; k++)
        task->inputs |= UINT64_C(1) << w->local[model->operands[n->inputs + k]];
    for (k = 0; k < n->outputs_count; k++) {
        int32_t datum = model->operands[n->outputs + k];
        if (w->local[datum] >= 0)
            task->outputs |= UINT64_C(1) << w->local[datum];
        else
            w->options[id].bytes += model->data[datum].bytes;
    }
    add_pairs(w, n, task);
}

static int32_t stage_key(const struct window *w, int32_t stage)
{
    return w->s->model->nodes[w->s->stages[stage]].key;
}

/* A node that may run again somewhere in the window, if it makes one of its values from others. */
static void add_repeatable(struct window *w, int32_t node, int32_t position)
{
    const struct remat_model *model = w->s->model;
    const struct remat_node *n = &model->nodes[node];
    int32_t since = INT32_MAX, until = -1, stage, last = w->end < w->s->stages_count ? w->end : w->end - 1, k;
    bool makes = false;
    for (k = 0; k < n->outputs_count; k++)
        makes = makes || w->local[model->operands[n->outputs + k]] >= 0;
    for (stage = w->first; stage <= last; stage++) {
        if (n->key >= stage_key(w, stage) || n->last_key < stage_key(w, stage))
            continue;
        since = since < stage - w->first ? since : stage - w->first;
        until = stage - w->first;
    }
    if (position >= 0 || (makes && until >= 0 && has_values(w, model->operands + n->inputs, n->inputs_count)))
        add_task(w, node, position, since, until);
}

static void add_tasks(struct window *w)
{
    const struct remat_model *model = w->s->model;
    int32_t v, k, stage;
    w->problem.tasks_count = 0;
    for (stage = w->first; stage < w->end; stage++) {
        w->order[stage - w->first] = w->problem.tasks_count;
        add_repeatable(w, w->s->stages[stage], stage - w->first);
    }
    for (v = 0; v < w->count; v++) {
        const struct remat_datum *datum = &model->data[w->data[v]];
        for (k = 0; k < datum->recipes_count; k++) {
            int32_t node = model->operands[datum->recipes + k], t = 0;
            while (t < w->problem.tasks_count && w->nodes[t] != node)
                t++;
            if (t == w->problem.tasks_count)
                add_repeatable(w, node, -1);
        }
    }
}

static int64_t window_cost(const struct window *w)
{
    int64_t cost = 0;
    int32_t stage, k;
    for (stage = w->first; stage < w->end; stage++)
        for (k = 0; k < w->s->stage[stage].count; k++)
            cost += w->s->time_ns[w->s->runs[w->s->stage[stage].runs[k]].node];
    return cost;
}

static void set_problem(struct window *w)
{
    add_passing(w);
    set_values(w);
    add_tasks(w);
    w->problem.tasks = w->tasks;
    w->problem.options = w->options;
    w->problem.order = w->order;
    w->problem.order_count = w->end - w->first;
    w->problem.below_ns = window_cost(w);
    w->problem.states = w->polish->states;
}

/* -------------------------------------------------------------------------------------------------------- answers */

static enum remat_status remove_repetitions(struct window *w, struct remat_error *err)
{
    int32_t stage;
    for (stage = w->first; stage < w->end; stage++)
        while (w->s->stage[stage].count > 1)
            REMAT_TRY(remat_sequence_remove(w->s, w->s->stage[stage].runs[0], err));
    return REMAT_OK;
}

static enum remat_status insert_runs(struct window *w, const struct remat_exact_answer *answer, struct remat_error *err)
{
    int32_t stage = w->first, slot = 0, r;
    for (r = 0; r < answer->runs_count; r++) {
        int32_t task = answer->runs[r].task;
        if (w->tasks[task].position == stage - w->first) {
            stage++;
            slot = 0;
        } else {
            REMAT_TRY(remat_sequence_insert(w->s, w->nodes[task], remat_place(stage, slot++), err));
        }
    }
    return REMAT_OK;
}

/* Takes the answer over if, with all that is around it, it is as good as it promised. */
static enum remat_status apply(struct window *w, const struct remat_exact_answer *answer, bool *improved,
                               struct remat_error *err)
{
    int64_t before = w->s->cost_ns;
    remat_sequence_commit(w->s);
    REMAT_TRY(remove_repetitions(w, err));
    REMAT_TRY(insert_runs(w, answer, err));
    if (w->s->cost_ns >= before || remat_sequence_overflow(w->s, w->polish->budget_bytes).bytes > 0)
        return remat_sequence_undo(w->s, 0, err);
    remat_sequence_commit(w->s);
    *improved = true;
    return REMAT_OK;
}

static enum remat_status polish_window(struct window *w, bool *improved, struct remat_error *err)
{
    struct remat_exact_answer answer;
    enum remat_status status;
    set_problem(w);
    status = remat_exact_search(&w->problem, &answer, err);
    if (status == REMAT_OK && answer.found)
        status = apply(w, &answer, improved, err);
    free(answer.runs);
    return status;
}

static bool is_over(const struct remat_polish *polish)
{
    return (polish->deadline > 0 && remat_clock_seconds() >= polish->deadline) || (polish->stop && *polish->stop);
}

/* Windows overlap by half. */
static enum remat_status pass(struct window *w, bool *improved, struct remat_error *err)
{
    *improved = false;
    for (w->first = 0; w->first < w->s->stages_count && !is_over(w->polish);) {
        touch_stages(w);
        if (w->end > w->first)
            REMAT_TRY(polish_window(w, improved, err));
        w->first = w->end > w->first + 1 ? (w->first + w->end + 1) / 2 : w->first + 1;
    }
    return REMAT_OK;
}

enum remat_status remat_polish(const struct remat_polish *polish, struct remat_error *err)
{
    struct window w = {.polish = polish, .s = polish->sequence};
    bool improved = true;
    int32_t k;
    enum remat_status status = window_init(&w, err);
    for (k = 0; k < MOST_PASSES && improved && status == REMAT_OK; k++)
        status = pass(&w, &improved, err);
    window_free(&w);
    return status;
}
