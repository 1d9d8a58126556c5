/* Ruin and recreate: after a disturbance, the cheapest of a few drops while too much is live, then the dearest of a few
 * repetitions that fit without. What one large datum took is so exchanged for many small ones, or the reverse. */
#include "solver/moves.h"

#include <math.h>

enum { TRIES = 8, MOST_STEPS = 16 };

/* The best of a few random drops at a stage, by added time per byte of overflow less. */
static enum remat_status drop_best(struct remat_mover *m, double budget, const struct remat_overflow *over, bool *done,
                                   struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t mark = s->log_count, k;
    int64_t cost = s->cost_ns;
    double least = INFINITY;
    uint64_t chosen = 0;
    for (k = 0; k < TRIES; k++) {
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

/* The best of a few random repetitions that can go without more overflow than `most`. */
static enum remat_status keep_best(struct remat_mover *m, double budget, double most, bool *done,
                                   struct remat_error *err)
{
    struct remat_sequence *s = m->sequence;
    int32_t mark = s->log_count, k;
    int64_t least = s->cost_ns, chosen = -1;
    for (k = 0; k < TRIES && s->again_count > 0; k++) {
        int32_t run = s->again[remat_mover_pick(m, s->again_count)];
        int64_t place = s->runs[run].place;
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
