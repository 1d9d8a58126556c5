/* Ruin and recreate: after a disturbance, the cheapest of a few drops while too much is live, then the dearest of a few
 * repetitions that fit without. What one large datum took is so exchanged for many small ones, or the reverse. */
#include "solver/moves.h"

#include <math.h>

/* Of how many the best is taken, a step; and steps at most. */
enum { DROPS = 8, KEEPS = 16, MOST_STEPS = 16 };

/* The best of a few random drops at a stage, by added time per byte of overflow less. */
static enum remat_status drop_best(struct remat_mover *m, double budget, const struct remat_overflow *over, bool *done,
                                   struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t mark = s->log_count, k;
    int64_t cost = s->cost_ns;
    double least = INFINITY;
    uint64_t chosen = 0;
    for (k = 0; k < DROPS; k++) {
        uint64_t random = m->random;
        struct remat_overflow next;
        double price;
        m->given_up = false;
        m->insertions = 0;
        REMAT_TRY(remat_move_drop_at(m, over->stage, err));
        next = remat_sequence_overflow(s, budget);
        price = (double)(s->cost_ns - cost) / (over->bytes - next.bytes);
        if (!m->given_up && s->log_count > mark && next.bytes < over->bytes && price < least) {
            least = price;
            chosen = random;
        }
        REMAT_TRY(remat_sequence_undo(s, mark, err));
    }
    m->given_up = false;
    m->insertions = 0;
    *done = least < INFINITY;
    if (*done) {
        uint64_t after = m->random;
        m->random = chosen;
        REMAT_TRY(remat_move_drop_at(m, over->stage, err));
        m->random = after;
    }
    return REMAT_OK;
}

/* What may be free before a run's stage without it, at most: inputs that nothing reads after it, and the same of the
 * repetitions that made them for it. */
static double freed_without(const struct remat_sequence *s, int32_t run)
{
    int32_t node = s->runs[run].node, k;
    int64_t place = s->runs[run].place;
    double bytes = 0;
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++) {
        const struct remat_events *events = &s->events[s->reads[k]];
        int32_t at = remat_event_from(s, events, place), before = events->at[at - 1];
        if (remat_event_reads(events, at + 1))
            continue;
        if (remat_place_stage(s->runs[before >> 1].place) < remat_place_stage(place))
            bytes += (double)s->model->data[s->reads[k]].bytes;
        if ((before & 1) && s->runs[before >> 1].again >= 0)
            bytes += freed_without(s, before >> 1);
    }
    return bytes;
}

/* Whether a repetition may be able to go without more overflow than `most`: what it makes has to be held from its last
 * use before until here then. Cheaper than to try it, which mostly fails. */
static bool may_go(struct remat_sequence *s, int32_t run, double rest, double most)
{
    const struct remat_node *node = &s->model->nodes[s->runs[run].node];
    int64_t place = s->runs[run].place;
    int32_t k;
    rest += most + freed_without(s, run);
    for (k = 0; k < node->outputs_count; k++) {
        int32_t datum = s->model->operands[node->outputs + k];
        const struct remat_events *events = &s->events[datum];
        int32_t at = remat_event_from(s, events, place), first, last = remat_place_stage(place) - 1;
        if (!remat_event_reads(events, at + 1))
            continue;
        first = remat_place_stage(remat_event_place(s, events, at - 1)) + 1;
        if (remat_sequence_most(s, first, last) + (double)s->model->data[datum].bytes > rest)
            return false;
    }
    return true;
}

/* The best of a few random repetitions that can go without more overflow than `most`. */
static enum remat_status keep_best(struct remat_mover *m, double budget, double most, bool *done,
                                   struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t mark = s->log_count, k;
    int64_t least = s->cost_ns, chosen = -1;
    for (k = 0; k < KEEPS && s->again_count > 0; k++) {
        int32_t run = s->again[remat_mover_pick(m, s->again_count)];
        int64_t place = s->runs[run].place;
        if (!may_go(s, run, budget - (double)s->model->fixed_bytes, most))
            continue;
        REMAT_TRY(remat_move_keep(m, run, err));
        if (s->cost_ns < least && remat_sequence_overflow(s, budget).bytes <= most) {
            least = s->cost_ns;
            chosen = place;
        }
        REMAT_TRY(remat_sequence_undo(s, mark, err));
    }
    *done = chosen >= 0;
    return *done ? remat_move_keep(m, s->stage[remat_place_stage(chosen)].runs[remat_place_slot(chosen)], err)
                 : REMAT_OK;
}

static enum remat_status disturb(struct remat_mover *m, struct remat_error *err)
{
    const struct remat_sequence *s = m->sequence;
    int32_t kind = remat_mover_pick(m, 8);
    if (kind == 0)
        return remat_move_drop_segment(m, err);
    if (kind == 1)
        return remat_move_keep_segment(m, err);
    if (kind < 5 || s->again_count == 0)
        return remat_move_drop_any(m, err);
    return remat_move_keep(m, s->again[remat_mover_pick(m, s->again_count)], err);
}

enum remat_status remat_move_rebuild(struct remat_mover *m, double budget_bytes, const struct remat_overflow *now,
                                     struct remat_error *err)
{
    bool done = true;
    int32_t k;
    int64_t limit = m->cost_limit_ns;
    m->cost_limit_ns = INT64_MAX;
    REMAT_TRY(disturb(m, err));
    for (k = 0; k < MOST_STEPS && done && !m->given_up; k++) {
        struct remat_overflow over = remat_sequence_overflow(m->sequence, budget_bytes);
        if (over.bytes <= now->bytes)
            break;
        REMAT_TRY(drop_best(m, budget_bytes, &over, &done, err));
    }
    for (k = 0, done = true; k < MOST_STEPS && done && !m->given_up; k++)
        REMAT_TRY(keep_best(m, budget_bytes, now->bytes, &done, err));
    m->cost_limit_ns = limit;
    return REMAT_OK;
}
