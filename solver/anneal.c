#include "solver/anneal.h"

#include "core/base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COOLING_STEPS = 16, PRICE_CHANGES = 200 }; /* proposals; a walk */
static const double PRICE_FACTOR = 1.1;

void remat_best_free(struct remat_best *best)
{
    free(best->nodes);
    free(best->options);
    memset(best, 0, sizeof *best);
}

enum remat_status remat_best_offer(struct remat_best *best, const struct remat_sequence *s, struct remat_error *err)
{
    int32_t nodes = s->model->nodes_count;
    if (best->found && best->cost_ns <= s->cost_ns)
        return REMAT_OK;
    if (!best->options)
        REMAT_TRY(REMAT_ALLOC(best->options, nodes, err));
    REMAT_TRY(remat_sequence_save(s, &best->nodes, &best->count, &best->capacity, err));
    memcpy(best->options, s->option, (size_t)nodes * sizeof *best->options);
    best->cost_ns = s->cost_ns;
    best->found = true;
    return REMAT_OK;
}

enum remat_status remat_best_copy(struct remat_best *best, const struct remat_best *other, int32_t nodes_count,
                                  struct remat_error *err)
{
    if (!other->found || (best->found && best->cost_ns <= other->cost_ns))
        return REMAT_OK;
    if (!best->options)
        REMAT_TRY(REMAT_ALLOC(best->options, nodes_count, err));
    REMAT_TRY(REMAT_GROW(best->nodes, best->capacity, other->count, err));
    memcpy(best->nodes, other->nodes, (size_t)other->count * sizeof *best->nodes);
    memcpy(best->options, other->options, (size_t)nodes_count * sizeof *best->options);
    best->count = other->count;
    best->cost_ns = other->cost_ns;
    best->found = true;
    return REMAT_OK;
}

enum remat_status remat_best_restore(const struct remat_best *best, struct remat_sequence *s, struct remat_error *err)
{
    int32_t n;
    REMAT_TRY(remat_sequence_load(s, best->nodes, best->count, err));
    for (n = 0; n < s->model->nodes_count; n++)
        if (best->options[n] != s->option[n])
            REMAT_TRY(remat_sequence_set_option(s, n, best->options[n], err));
    remat_sequence_commit(s);
    return REMAT_OK;
}

struct walk {
    struct remat_anneal *a;
    struct remat_sequence *s;
    struct remat_overflow now;
    double energy, temperature, progress, started;
    int64_t changes;          /* of the sequence before this walk */
    double price;             /* ns per byte of overflow */
    int32_t counted, fitting; /* states since the last change of the price, and those within the budget */
    int32_t price_changes;
};

static double energy_of(const struct walk *w, const struct remat_overflow *overflow)
{
    return (double)w->s->cost_ns + w->price * overflow->bytes;
}

/* A third of the walk inside the budget at first, nearly all at the end: below that memory is too cheap. */
static void adapt_price(struct walk *w)
{
    double fitting = (double)w->fitting / w->counted, wanted = 0.3 + 0.6 * w->progress * w->progress;
    if (fitting < wanted)
        w->price *= PRICE_FACTOR;
    else if (fitting > wanted + 0.1)
        w->price /= PRICE_FACTOR;
    w->fitting = w->counted = 0;
    w->price_changes = (int32_t)(w->progress * PRICE_CHANGES);
    w->energy = energy_of(w, &w->now);
}

static void cool(struct walk *w, int64_t step, double mean)
{
    const struct remat_anneal *a = w->a;
    double length = a->deadline - w->started, passed = 0;
    if (a->deadline > 0)
        passed = length > 0 ? (remat_clock_seconds() - w->started) / length : 1;
    w->progress = a->work > 0 ? (double)(step + w->s->changes - w->changes) / (double)a->work : 0;
    if (passed > w->progress)
        w->progress = passed;
    w->temperature = mean * a->hot * pow(a->cold / a->hot, w->progress);
}

static bool is_over(const struct walk *w)
{
    const struct remat_anneal *a = w->a;
    return w->progress >= 1 || remat_progress_is_enough(a->progress) || (a->stop && *a->stop);
}

static enum remat_status propose(struct walk *w, struct remat_error *err)
{
    struct remat_anneal *a = w->a;
    double limit = w->energy - w->temperature * log(1 - remat_mover_uniform(a->mover)), energy;
    struct remat_overflow next;
    a->mover->cost_limit_ns = (int64_t)limit;
    REMAT_TRY(remat_move_any(a->mover, a->budget_bytes, &w->now, err));
    if (w->s->log_count == 0)
        return REMAT_OK;
    if (a->mover->given_up)
        return remat_sequence_undo(w->s, 0, err);
    next = remat_sequence_overflow(w->s, a->budget_bytes);
    energy = energy_of(w, &next);
    if (energy > limit)
        return remat_sequence_undo(w->s, 0, err);
    remat_sequence_commit(w->s);
    w->now = next;
    w->energy = energy;
    if (next.bytes > 0)
        return REMAT_OK;
    remat_progress_find(a->progress, w->s->cost_ns);
    return remat_best_offer(a->best, w->s, err);
}

enum remat_status remat_anneal(struct remat_anneal *a, struct remat_error *err)
{
    struct walk w = {.a = a, .s = a->mover->sequence, .started = remat_clock_seconds()};
    double base = 0;
    int64_t step;
    int32_t t;
    for (t = 0; t < w.s->stages_count; t++)
        base += (double)w.s->time_ns[w.s->stages[t]];
    w.now = remat_sequence_overflow(w.s, a->budget_bytes);
    w.price = a->price > 0 ? a->price : base / w.now.peak_bytes / 8;
    w.energy = energy_of(&w, &w.now);
    w.changes = w.s->changes;
    for (step = 0;; step++) {
        if (step % COOLING_STEPS == 0)
            cool(&w, step, base / w.s->stages_count);
        if (is_over(&w))
            break;
        REMAT_TRY(propose(&w, err));
        w.fitting += w.now.bytes <= 0;
        w.counted++;
        if (w.progress * PRICE_CHANGES >= w.price_changes + 1)
            adapt_price(&w);
    }
    return REMAT_OK;
}
