#include "solver/exact.h"

#include "solver/exact_needs.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES_PER_STATE = 32 };

/* After `done` tasks of the order, with these values present, having spent `extra_ns` more than the base time, with
 * `needs_ns` still to spend at least: the last run, and the state before it. */
struct state {
    uint64_t present;
    int64_t extra_ns, needs_ns;
    int32_t done, before;
    struct remat_exact_run run;
    bool settled;
};

struct queued {
    int64_t total_ns; /* spent and still to spend at least */
    int32_t state;
};

struct exact {
    const struct remat_exact_problem *problem;
    int64_t base_ns, most_extra_ns;
    uint64_t *useful; /* per number of tasks done: values that a later run can use */
    struct remat_exact_needs needs;
    struct state *states;
    int32_t states_count, states_capacity;
    int32_t *slots, slots_count; /* open addressing: state + 1 */
    struct queued *queue;        /* a binary heap */
    int32_t queue_count, queue_capacity;
    int64_t tries; /* of making room: a measure of work, as few states may have many ways to them */
};

/* A run being added to a state: what is live at it and goes on after it, before anything is dropped to make room. */
struct step {
    int32_t before, done;
    struct remat_exact_run run;
    int64_t extra_ns, beside;
    uint64_t after, rest; /* present after it; of these, what it does not touch */
    int32_t rest_count, by_size[REMAT_EXACT_MOST_VALUES];
    int64_t rest_bytes[REMAT_EXACT_MOST_VALUES + 1]; /* of by_size[k] and all smaller ones */
};

static void exact_free(struct exact *e)
{
    free(e->useful);
    free(e->states);
    free(e->slots);
    free(e->queue);
    remat_exact_needs_free(&e->needs);
}

int64_t remat_exact_bytes(const struct remat_exact_problem *problem, uint64_t values)
{
    int64_t bytes = 0;
    for (; values; values &= values - 1)
        bytes += problem->bytes[__builtin_ctzll(values)];
    return bytes;
}

int64_t remat_exact_fastest_ns(const struct remat_exact_problem *problem, int32_t task)
{
    const struct remat_exact_task *t = &problem->tasks[task];
    int64_t fastest = problem->options[t->options].time_ns;
    int32_t k;
    for (k = 1; k < t->options_count; k++)
        if (problem->options[t->options + k].time_ns < fastest)
            fastest = problem->options[t->options + k].time_ns;
    return fastest;
}

static bool exhausted(const struct exact *e)
{
    return e->states_count >= e->problem->states || e->tries / TRIES_PER_STATE >= e->problem->states;
}

/* Wanted, read by a task still to come, or read by a run that makes a useful value again. */
static uint64_t useful_after(const struct exact *e, int32_t done)
{
    const struct remat_exact_problem *p = e->problem;
    uint64_t useful = p->wanted, before;
    int32_t k;
    for (k = done; k < p->order_count; k++)
        useful |= p->tasks[p->order[k]].inputs;
    do {
        before = useful;
        for (k = 0; k < p->tasks_count; k++)
            if ((p->tasks[k].outputs & useful) && p->tasks[k].until >= done)
                useful |= p->tasks[k].inputs;
    } while (useful != before);
    return useful;
}

static enum remat_status prepare(struct exact *e, struct remat_error *err)
{
    const struct remat_exact_problem *p = e->problem;
    int32_t k;
    REMAT_TRY(REMAT_ALLOC(e->useful, p->order_count + 1, err));
    for (k = 0; k <= p->order_count; k++)
        e->useful[k] = useful_after(e, k);
    for (k = 0; k < p->order_count; k++)
        e->base_ns += remat_exact_fastest_ns(e->problem, p->order[k]);
    REMAT_TRY(remat_exact_needs_init(p, &e->needs, err));
    e->most_extra_ns = p->below_ns == INT64_MAX ? INT64_MAX : p->below_ns - e->base_ns;
    for (e->slots_count = 1024; e->slots_count / 2 < p->states; e->slots_count *= 2)
        ;
    return REMAT_ALLOC(e->slots, e->slots_count, err);
}

static int32_t *slot_of(const struct exact *e, uint64_t present, int32_t done)
{
    uint64_t hash = (present + (uint64_t)done * UINT64_C(0xD1B54A32D192ED03)) * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t mask = (uint32_t)e->slots_count - 1, at = (uint32_t)(hash >> 32) & mask;
    for (; e->slots[at] != 0; at = (at + 1) & mask) {
        const struct state *state = &e->states[e->slots[at] - 1];
        if (state->present == present && state->done == done)
            break;
    }
    return &e->slots[at];
}

static enum remat_status enqueue(struct exact *e, struct queued item, struct remat_error *err)
{
    int32_t at;
    REMAT_TRY(REMAT_GROW(e->queue, e->queue_capacity, e->queue_count + 1, err));
    for (at = e->queue_count++; at > 0 && e->queue[(at - 1) / 2].total_ns > item.total_ns; at = (at - 1) / 2)
        e->queue[at] = e->queue[(at - 1) / 2];
    e->queue[at] = item;
    return REMAT_OK;
}

static struct queued dequeue(struct exact *e)
{
    struct queued top = e->queue[0], last = e->queue[--e->queue_count];
    int32_t at = 0, child;
    for (;; at = child) {
        child = 2 * at + 1;
        if (child + 1 < e->queue_count && e->queue[child + 1].total_ns < e->queue[child].total_ns)
            child++;
        if (child >= e->queue_count || e->queue[child].total_ns >= last.total_ns)
            break;
        e->queue[at] = e->queue[child];
    }
    e->queue[at] = last;
    return top;
}

/* Adds a state, or makes a known one cheaper. */
static enum remat_status reach(struct exact *e, const struct state *next, struct remat_error *err)
{
    int32_t *slot = slot_of(e, next->present, next->done), id = *slot - 1;
    int64_t needs_ns;
    if (id >= 0 && e->states[id].extra_ns <= next->extra_ns)
        return REMAT_OK;
    needs_ns = id >= 0 ? e->states[id].needs_ns : remat_exact_needs_ns(&e->needs, next->done, next->present);
    if (needs_ns == INT64_MAX || next->extra_ns >= e->most_extra_ns - needs_ns)
        return REMAT_OK;
    if (id < 0) {
        REMAT_TRY(REMAT_GROW(e->states, e->states_capacity, e->states_count + 1, err));
        id = e->states_count++;
        *slot = id + 1;
    }
    e->states[id] = *next;
    e->states[id].needs_ns = needs_ns;
    return enqueue(e, (struct queued){next->extra_ns + needs_ns, id}, err);
}

/* Tries every least set of the values from by_size[from] on whose dropping makes room: as they are in descending order
 * of size, a set is least if it does not make room without its last one. */
static enum remat_status make_room(struct exact *e, const struct step *step, int32_t from, int64_t excess,
                                   uint64_t dropped, struct remat_error *err)
{
    const struct state next = {.present = step->after & ~dropped,
                               .extra_ns = step->extra_ns,
                               .done = step->done,
                               .before = step->before,
                               .run = step->run};
    int32_t k;
    e->tries++;
    if (exhausted(e))
        return REMAT_OK;
    if (excess <= 0)
        return reach(e, &next, err);
    for (k = from; k < step->rest_count && step->rest_bytes[k] >= excess; k++) {
        int32_t value = step->by_size[k];
        REMAT_TRY(make_room(e, step, k + 1, excess - e->problem->bytes[value], dropped | UINT64_C(1) << value, err));
    }
    return REMAT_OK;
}

static void sort_rest(const struct exact *e, struct step *step)
{
    const int64_t *bytes = e->problem->bytes;
    uint64_t left;
    int32_t k;
    step->rest_count = 0;
    for (left = step->rest; left; left &= left - 1) {
        int32_t value = __builtin_ctzll(left);
        for (k = step->rest_count++; k > 0 && bytes[step->by_size[k - 1]] < bytes[value]; k--)
            step->by_size[k] = step->by_size[k - 1];
        step->by_size[k] = value;
    }
    step->rest_bytes[step->rest_count] = 0;
    for (k = step->rest_count - 1; k >= 0; k--)
        step->rest_bytes[k] = step->rest_bytes[k + 1] + bytes[step->by_size[k]];
}

/* Bytes of outputs that take the place of inputs, if the inputs in `ending` end with the run. */
static int64_t bytes_in_place(const struct exact *e, const struct remat_exact_task *task, uint64_t ending)
{
    uint64_t used = 0;
    int64_t saved = 0;
    int32_t p;
    for (p = 0; p < task->pairs_count; p++) {
        uint64_t input = UINT64_C(1) << task->pairs[p][0], output = UINT64_C(1) << task->pairs[p][1];
        if (!(ending & input) || (used & (input | output)))
            continue;
        used |= input | output;
        saved += e->problem->bytes[task->pairs[p][0]];
    }
    return saved;
}

/* A run with an option: every choice of inputs that end with it, and of what else is dropped to make room. */
static enum remat_status run_option(struct exact *e, struct step *step, struct remat_error *err)
{
    const struct remat_exact_task *task = &e->problem->tasks[step->run.task];
    uint64_t useful = e->useful[step->done], choices = 0, choice;
    int64_t live = step->beside + e->problem->options[task->options + step->run.option].bytes +
                   remat_exact_bytes(e->problem, step->rest | task->inputs | task->outputs);
    int64_t saved_at_least = bytes_in_place(e, task, task->inputs & ~useful);
    int32_t p;
    for (p = 0; p < task->pairs_count; p++)
        choices |= useful & UINT64_C(1) << task->pairs[p][0];
    for (choice = 0;; choice = (choice - choices) & choices) { /* the subsets of choices, in ascending order */
        uint64_t ending = choice | (task->inputs & ~useful);
        int64_t saved = bytes_in_place(e, task, ending);
        step->after = (step->rest | (task->inputs & ~ending) | task->outputs) & useful;
        if (choice == 0 || saved > saved_at_least)
            REMAT_TRY(make_room(e, step, 0, live - saved - e->problem->budget_bytes, 0, err));
        if (choice == choices)
            return REMAT_OK;
    }
}

static enum remat_status run_task(struct exact *e, int32_t before, int32_t id, struct remat_error *err)
{
    const struct state from = e->states[before]; /* a copy: states move as they grow */
    const struct remat_exact_task *task = &e->problem->tasks[id];
    bool first = task->position == from.done;
    struct step step = {.before = before, .done = from.done + first, .run = {id, 0}};
    if (!first &&
        (from.done < task->since || from.done > task->until || !(task->outputs & e->useful[from.done] & ~from.present)))
        return REMAT_OK;
    if (task->inputs & ~from.present)
        return REMAT_OK;
    if (!first && e->problem->beside)
        step.beside = e->problem->beside[from.done];
    step.rest = from.present & ~task->inputs & ~task->outputs & e->useful[step.done];
    sort_rest(e, &step);
    for (; step.run.option < task->options_count; step.run.option++) {
        int64_t time_ns = e->problem->options[task->options + step.run.option].time_ns;
        step.extra_ns = from.extra_ns + time_ns - (first ? remat_exact_fastest_ns(e->problem, id) : 0);
        REMAT_TRY(run_option(e, &step, err));
    }
    return REMAT_OK;
}

static enum remat_status trace(const struct exact *e, int32_t state, struct remat_exact_answer *out,
                               struct remat_error *err)
{
    int32_t i, j;
    for (; e->states[state].before >= 0; state = e->states[state].before) {
        REMAT_TRY(REMAT_GROW(out->runs, out->runs_capacity, out->runs_count + 1, err));
        out->runs[out->runs_count++] = e->states[state].run;
    }
    for (i = 0, j = out->runs_count - 1; i < j; i++, j--) {
        struct remat_exact_run run = out->runs[i];
        out->runs[i] = out->runs[j];
        out->runs[j] = run;
    }
    return REMAT_OK;
}

/* Settles states in ascending order of what they cost at least. */
static enum remat_status settle(struct exact *e, struct remat_exact_answer *out, struct remat_error *err)
{
    const struct remat_exact_problem *p = e->problem;
    const struct state first = {.present = p->present & e->useful[0], .before = -1};
    int32_t t;
    REMAT_TRY(reach(e, &first, err));
    while (e->queue_count > 0) {
        struct queued top = dequeue(e);
        struct state *state = &e->states[top.state];
        out->lower_bound_ns = e->base_ns + top.total_ns;
        if (state->settled)
            continue;
        state->settled = true;
        if (state->done == p->order_count && !(p->wanted & ~state->present)) {
            out->found = true;
            return trace(e, top.state, out, err);
        }
        for (t = 0; t < p->tasks_count; t++)
            REMAT_TRY(run_task(e, top.state, t, err));
        if (exhausted(e))
            return REMAT_OK;
    }
    out->lower_bound_ns = p->below_ns > e->base_ns ? p->below_ns : e->base_ns;
    return REMAT_OK;
}

enum remat_status remat_exact_search(const struct remat_exact_problem *problem, struct remat_exact_answer *out,
                                     struct remat_error *err)
{
    struct exact e = {.problem = problem};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = prepare(&e, err);
    out->lower_bound_ns = e.base_ns;
    if (status == REMAT_OK)
        status = settle(&e, out, err);
    exact_free(&e);
    return status;
}
