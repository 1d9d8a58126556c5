#include "solver/moves.h"

#include "solver/negligible.h"

#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 12, MOST_INSERTIONS = 256 };
/* Of all bytes: data that take no more together are not dropped. */
static const double NEGLIGIBLE = 1.0 / 16384;

static uint64_t next_random(struct remat_mover *m)
{
    /* xorshift64*: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016. */
    m->random ^= m->random >> 12;
    m->random ^= m->random << 25;
    m->random ^= m->random >> 27;
    return m->random * 0x2545F4914F6CDD1Du;
}

double remat_mover_uniform(struct remat_mover *m)
{
    return (double)(next_random(m) >> 11) * 0x1p-53;
}

int32_t remat_mover_pick(struct remat_mover *m, int32_t count)
{
    return (int32_t)((next_random(m) >> 32) * (uint64_t)count >> 32);
}

void remat_mover_seed(struct remat_mover *m, uint64_t seed)
{
    m->random = (seed + 1) * 0x9E3779B97F4A7C15u | 1;
}

static enum remat_status find_negligible(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_model *model = m->sequence->model;
    int64_t *bytes, sum = 0;
    int32_t k;
    REMAT_TRY(REMAT_ALLOC(bytes, model->data_count, err));
    for (k = 0; k < model->data_count; k++)
        sum += bytes[k] = model->data[k].bytes;
    m->negligible_bytes = remat_negligible_bytes(bytes, model->data_count, (int64_t)(NEGLIGIBLE * (double)sum));
    free(bytes);
    return REMAT_OK;
}

enum remat_status remat_mover_init(struct remat_mover *m, struct remat_sequence *sequence, uint64_t seed,
                                   struct remat_error *err)
{
    const struct remat_model *model = sequence->model;
    double sum = 0;
    int32_t i;
    memset(m, 0, sizeof *m);
    m->sequence = sequence;
    remat_mover_seed(m, seed);
    m->cost_limit_ns = INT64_MAX;
    REMAT_TRY(find_negligible(m, err));
    REMAT_TRY(REMAT_ALLOC(m->candidates, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(m->weights, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(m->flexible, model->nodes_count, err));
    for (i = 0; i < model->data_count; i++)
        if (model->data[i].recipes_count > 0 && model->data[i].bytes > m->negligible_bytes) {
            sum += (double)model->data[i].bytes;
            m->weights[m->candidates_count] = sum;
            m->candidates[m->candidates_count++] = i;
        }
    for (i = 0; i < model->nodes_count && sequence->graph; i++)
        if (model->nodes[i].task >= 0 && sequence->graph->tasks[model->nodes[i].task].options_count > 1)
            m->flexible[m->flexible_count++] = i;
    return REMAT_OK;
}

void remat_mover_free(struct remat_mover *m)
{
    free(m->candidates);
    free(m->weights);
    free(m->flexible);
    memset(m, 0, sizeof *m);
}

static bool is_negligible(const struct remat_mover *m, int32_t datum)
{
    return m->sequence->model->data[datum].bytes <= m->negligible_bytes;
}

/* Half the time any datum, half the time one in proportion to its bytes. */
static int32_t pick_datum(struct remat_mover *m)
{
    int32_t low = 0, high = m->candidates_count - 1;
    double at;
    if (next_random(m) & 1 << 20)
        return m->candidates[remat_mover_pick(m, m->candidates_count)];
    at = remat_mover_uniform(m) * m->weights[high];
    while (low < high) {
        int32_t middle = (low + high) / 2;
        if (m->weights[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return m->candidates[low];
}

/* Whether a node may be repeated in a stage: all it makes was made before, and no cell it reads is overwritten. */
static bool usable(const struct remat_mover *m, int32_t node, int32_t stage)
{
    const struct remat_model *model = m->sequence->model;
    int32_t key = model->nodes[m->sequence->stages[stage]].key;
    return model->nodes[node].key < key && model->nodes[node].last_key >= key;
}

/* Time of a node and of what it lacks, one level deep. */
static double estimate(const struct remat_mover *m, int32_t node, int64_t place)
{
    const struct remat_sequence *s = m->sequence;
    double cost = (double)s->time_ns[node];
    int32_t k;
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++) {
        const struct remat_events *events = &s->events[s->reads[k]];
        const struct remat_datum *datum = &s->model->data[s->reads[k]];
        if (!remat_event_reads(events, remat_event_from(s, events, place)) && datum->recipes_count > 0)
            cost += (double)s->time_ns[s->model->operands[datum->recipes]];
    }
    return cost;
}

/* Mostly the cheapest recipe, sometimes any; -1 if none may run in this stage. */
static int32_t pick_recipe(struct remat_mover *m, int32_t datum, int64_t place)
{
    const struct remat_datum *d = &m->sequence->model->data[datum];
    const int32_t *recipes = m->sequence->model->operands + d->recipes;
    int32_t best = -1, k, stage = remat_place_stage(place);
    double least = 0;
    bool any = d->recipes_count > 1 && remat_mover_pick(m, 8) == 0;
    if (d->recipes_count == 1)
        return usable(m, recipes[0], stage) ? recipes[0] : -1;
    for (k = 0; k < d->recipes_count; k++) {
        double cost;
        if (!usable(m, recipes[k], stage))
            continue;
        cost = any ? remat_mover_uniform(m) : estimate(m, recipes[k], place);
        if (best < 0 || cost < least) {
            best = recipes[k];
            least = cost;
        }
    }
    return best;
}

static enum remat_status remake(struct remat_mover *m, int32_t datum, int64_t *place, struct remat_error *err);

/* Whether an input is made again too: an absent one instead of being held until here, or a present one so that it
 * need not be held until here. */
static bool wants(struct remat_mover *m, int32_t datum, int64_t place)
{
    const struct remat_sequence *s = m->sequence;
    const struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, place);
    double chance = remat_event_reads(events, at) ? m->force : 1 - m->extend;
    if (chance <= 0 || (remat_event_reads(events, at) && is_negligible(m, datum)) ||
        remat_place_stage(remat_event_place(s, events, at - 1)) == remat_place_stage(place))
        return false;
    return (chance >= 1 || remat_mover_uniform(m) < chance) && s->model->data[datum].recipes_count > 0;
}

static enum remat_status remake_inputs(struct remat_mover *m, int32_t node, int64_t *place, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t begin = s->reads_begin[node], count = s->reads_begin[node + 1] - begin, k;
    int32_t shift = count > 1 ? remat_mover_pick(m, count) : 0;
    for (k = 0; k < count && !m->given_up; k++) {
        int32_t input = s->reads[begin + (k + shift) % count];
        if (wants(m, input, *place))
            REMAT_TRY(remake(m, input, place, err));
    }
    return REMAT_OK;
}

/* Inserts before *place, which moves on with what is inserted. */
static enum remat_status remake(struct remat_mover *m, int32_t datum, int64_t *place, struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t node = pick_recipe(m, datum, *place);
    if (node < 0 || ++m->insertions > MOST_INSERTIONS || s->cost_ns + s->time_ns[node] > m->cost_limit_ns) {
        m->given_up = true;
        return REMAT_OK;
    }
    REMAT_TRY(remake_inputs(m, node, place, err));
    if (m->given_up || s->cost_ns + s->time_ns[node] > m->cost_limit_ns) {
        m->given_up = true;
        return REMAT_OK;
    }
    REMAT_TRY(remat_sequence_insert(s, node, *place, err));
    *place += 1;
    return REMAT_OK;
}

enum remat_status remat_move_remake(struct remat_mover *m, int32_t datum, int64_t place, struct remat_error *err)
{
    return remake(m, datum, &place, err);
}

/* The maker of a datum's last instance before a place, if it is a repetition that nothing reads; else -1. */
static int32_t idle_maker(const struct remat_sequence *s, int32_t datum, int64_t place)
{
    const struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, place), run;
    if (at == 0 || !(events->at[at - 1] & 1) || remat_event_reads(events, at))
        return -1;
    run = events->at[at - 1] >> 1;
    return s->runs[run].again >= 0 && remat_sequence_unread(s, run) ? run : -1;
}

enum remat_status remat_move_keep(struct remat_mover *m, int32_t run, struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t node = s->runs[run].node, k;
    int64_t place = s->runs[run].place;
    REMAT_TRY(remat_sequence_remove(s, run, err));
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++) {
        /* Removals before this place only bring what is before it nearer. */
        int32_t idle = idle_maker(s, s->reads[k], place);
        if (idle >= 0)
            REMAT_TRY(remat_move_keep(m, idle, err));
    }
    return REMAT_OK;
}

/* Removes repetitions that the last insertions left without readers. */
static enum remat_status sweep_idle(struct remat_mover *m, int32_t datum, int64_t place, struct remat_error *err)
{
    int32_t idle = idle_maker(m->sequence, datum, place);
    return idle >= 0 ? remat_move_keep(m, idle, err) : REMAT_OK;
}

/* Any place in a range, each of its stages as likely as another. */
static int64_t place_between(struct remat_mover *m, int64_t first, int64_t last)
{
    int32_t stage =
        remat_place_stage(first) + remat_mover_pick(m, remat_place_stage(last) - remat_place_stage(first) + 1);
    int64_t place = remat_place(stage, remat_mover_pick(m, m->sequence->stage[stage].count));
    return place < first || place > last ? last : place;
}

/* Ends a datum's life at event `at - 1` and makes it again for the read `at`. */
static enum remat_status drop_before(struct remat_mover *m, int32_t datum, int32_t at, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    const struct remat_events *events = &s->events[datum];
    int32_t before = events->at[at - 1] >> 1;
    int64_t place = remat_event_place(s, events, at);
    if (remat_mover_pick(m, 8) == 0)
        place = place_between(m, s->runs[before].place + 1, place);
    REMAT_TRY(remat_move_remake(m, datum, place, err));
    if (m->given_up)
        return REMAT_OK;
    return sweep_idle(m, datum, s->runs[before].place + 1, err);
}

static void pick_style(struct remat_mover *m)
{
    int32_t style = remat_mover_pick(m, 8);
    m->extend = style < 3 ? 0 : style < 5 ? 1 : style < 6 ? 0.2 : 0.5;
    m->force = style % 4 != 2 ? 0 : style == 2 ? 0.9 : 0.5;
}

enum remat_status remat_move_drop_any(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t tries;
    for (tries = 0; tries < SAMPLES; tries++) {
        int32_t datum = pick_datum(m), at;
        const struct remat_events *events = &s->events[datum];
        if (events->count < 2)
            continue;
        at = 1 + remat_mover_pick(m, events->count - 1);
        if (remat_event_reads(events, at) &&
            remat_event_place(s, events, at - 1) + 1 < remat_event_place(s, events, at)) {
            pick_style(m);
            return drop_before(m, datum, at, err);
        }
    }
    return REMAT_OK;
}

/* The event that ends a gap over a whole stage, or -1. */
static int32_t gap_over(const struct remat_sequence *s, int32_t datum, int32_t stage)
{
    const struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, remat_place(stage, 0));
    if (at == 0 || !remat_event_reads(events, at) || remat_place_stage(remat_event_place(s, events, at)) == stage)
        return -1;
    return at;
}

enum remat_status remat_move_drop_at(struct remat_mover *m, int32_t stage, struct remat_error *err)
{
    int32_t tries;
    for (tries = 0; tries < SAMPLES; tries++) {
        int32_t datum = pick_datum(m), at = gap_over(m->sequence, datum, stage);
        if (at > 0) {
            pick_style(m);
            return drop_before(m, datum, at, err);
        }
    }
    return REMAT_OK;
}

static enum remat_status keep_any(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    if (s->again_count == 0)
        return REMAT_OK;
    return remat_move_keep(m, s->again[remat_mover_pick(m, s->again_count)], err);
}

/* Keeps one thing, then drops others where that made the peak too high. */
static enum remat_status swap(struct remat_mover *m, double budget_bytes, const struct remat_overflow *now,
                              struct remat_error *err)
{
    int32_t k, count = 1 + remat_mover_pick(m, 2);
    REMAT_TRY(keep_any(m, err));
    for (k = 0; k < count && !m->given_up; k++) {
        struct remat_overflow next = remat_sequence_overflow(m->sequence, budget_bytes);
        if (next.bytes <= now->bytes)
            return REMAT_OK;
        REMAT_TRY(remat_move_drop_at(m, next.stage, err));
    }
    return REMAT_OK;
}

/* A place next to an event of a datum near another place; the same place if there is none. */
static int64_t near_event(struct remat_mover *m, int32_t datum, int64_t place)
{
    const struct remat_sequence *s = m->sequence;
    const struct remat_events *events = &s->events[datum];
    int32_t at = remat_event_from(s, events, place) + remat_mover_pick(m, 4) - 2;
    int64_t next;
    if (at < 0 || at >= events->count)
        return place;
    next = remat_event_place(s, events, at) + remat_mover_pick(m, 2);
    if (remat_place_slot(next) == s->stage[remat_place_stage(next)].count)
        next = remat_place(remat_place_stage(next) + 1, 0);
    return next;
}

/* Moves a repetition earlier or later, next to where one of its operands is used. */
static enum remat_status shift(struct remat_mover *m, struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    const struct remat_node *node;
    int32_t run, operand, id;
    int64_t place;
    if (s->again_count == 0)
        return REMAT_OK;
    run = s->again[remat_mover_pick(m, s->again_count)];
    id = s->runs[run].node;
    node = &s->model->nodes[id];
    operand = remat_mover_pick(m, node->inputs_count + node->outputs_count);
    operand = s->model->operands[operand < node->inputs_count ? node->inputs + operand
                                                              : node->outputs + operand - node->inputs_count];
    place = s->runs[run].place;
    REMAT_TRY(remat_sequence_remove(s, run, err));
    place = near_event(m, operand, place);
    if (remat_place_stage(place) >= s->stages_count || !usable(m, id, remat_place_stage(place))) {
        m->given_up = true;
        return REMAT_OK;
    }
    return remat_sequence_insert(s, id, place, err);
}

/* Drops all that the first runs of some consecutive stages made and that is live over one stage. */
enum remat_status remat_move_drop_segment(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t length = 2 + remat_mover_pick(m, 2 + s->stages_count / 16);
    int32_t first = remat_mover_pick(m, s->stages_count), over = remat_mover_pick(m, s->stages_count), t, k;
    pick_style(m);
    for (t = first + length; t >= first && !m->given_up; t--) {
        const struct remat_node *node = &s->model->nodes[s->stages[t < over ? t : over]];
        for (k = 0; k < node->outputs_count && t < over && !m->given_up; k++) {
            int32_t datum = s->model->operands[node->outputs + k], at = gap_over(s, datum, over);
            if (at > 0 && s->model->data[datum].recipes_count > 0 && !is_negligible(m, datum))
                REMAT_TRY(drop_before(m, datum, at, err));
        }
    }
    return REMAT_OK;
}

/* Removes the repetitions of some consecutive stages. */
enum remat_status remat_move_keep_segment(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t length = 1 + remat_mover_pick(m, 1 + s->stages_count / 16);
    int32_t first = remat_mover_pick(m, s->stages_count), t;
    for (t = first; t < first + length && t < s->stages_count; t++)
        while (s->stage[t].count > 1)
            REMAT_TRY(remat_move_keep(m, s->stage[t].runs[s->stage[t].count - 2], err));
    return REMAT_OK;
}

static enum remat_status change_option(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t node = m->flexible[remat_mover_pick(m, m->flexible_count)];
    const struct remat_task *task = &s->graph->tasks[s->model->nodes[node].task];
    int32_t option = remat_mover_pick(m, task->options_count);
    if (option == s->option[node] || task->options[option].numerics != task->options[0].numerics)
        return REMAT_OK;
    return remat_sequence_set_option(m->sequence, node, option, err);
}

enum remat_status remat_move_any(struct remat_mover *m, double budget_bytes, const struct remat_overflow *now,
                                 struct remat_error *err)
{
    int32_t kind = remat_mover_pick(m, 256);
    m->given_up = false;
    m->insertions = 0;
    if (m->candidates_count == 0) /* nothing can be made again */
        return m->flexible_count > 0 ? change_option(m, err) : REMAT_OK;
    if (m->flexible_count > 0 && remat_mover_pick(m, 32) == 0)
        return change_option(m, err);
    if (remat_mover_pick(m, 2) == 0)
        return remat_move_rebuild(m, budget_bytes, now, err);
    if (kind < 2)
        return remat_move_drop_segment(m, err);
    if (kind < 4)
        return remat_move_keep_segment(m, err);
    if (kind < 44)
        return shift(m, err);
    if (kind < 120)
        return swap(m, budget_bytes, now, err);
    if (kind < 170)
        return keep_any(m, err);
    if (kind < 210 && now->bytes > 0)
        return remat_move_drop_at(m, now->stage, err);
    return remat_move_drop_any(m, err);
}
