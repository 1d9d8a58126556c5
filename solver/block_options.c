#include "solver/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_ENUMERATED = 11, /* candidates of which all subsets are tried */
    MOST_CHOICES = 100,
    MOST_NESTED = 16,
    MOST_LASTS = 24,
    DESCENT_LIMIT = 40000, /* evaluations of a descent in a block of less than LARGE_BLOCK nodes */
    LARGE_BLOCK = 100,     /* the more nodes, the longer an evaluation takes */
};

/* Choices found so far; both kinds are kept as choices until the end. */
struct found {
    struct remat_chain_choice *items;
    int32_t count, capacity;
};

struct enumeration {
    struct remat_block_model *block;
    struct remat_pool *pool;
    uint8_t *treatments; /* per candidate: the way being tried */
    struct found choices, lasts;
    struct remat_error *err;
};

/* Holds of everything but the candidates. */
static void hold_given(struct remat_block_model *b, int32_t stages, bool inputs)
{
    int32_t d;
    for (d = 0; d < b->model.data_count; d++) {
        b->holds[d].count = 0;
        if (b->given[d] && (inputs || !b->input[d]))
            remat_hold_add(&b->holds[d], 0, stages);
    }
}

static void hold_forward(struct remat_block_model *b)
{
    int32_t d;
    for (d = 0; d < b->model.data_count; d++)
        if (!b->given[d])
            remat_hold_add(&b->holds[d], 0, b->forward_end[d]);
}

/* Whatever is kept is counted over the gap, also what is there only to make an output again. */
static void read_kept_at_gap(const struct enumeration *e)
{
    struct remat_block_model *b = e->block;
    struct remat_node *gap = &b->model.nodes[b->gap_node];
    int32_t k;
    gap->inputs_count = b->gap_inputs;
    for (k = 0; k < b->outputs_begin; k++)
        if (e->treatments[k] == REMAT_KEPT)
            b->model.operands[gap->inputs + gap->inputs_count++] = b->candidates[k];
}

/* Forward with what the treatments keep, then backward; what the block hands on stays until its last use.
 * REMAT_INFEASIBLE if something cannot be had. */
static enum remat_status try_whole(const struct enumeration *e, struct remat_chain_choice *out)
{
    struct remat_block_model *b = e->block;
    struct remat_retention *w = &b->work;
    int32_t k, gap;
    hold_given(b, b->whole_count, true);
    hold_forward(b);
    read_kept_at_gap(e);
    for (k = 0; k < b->candidates_count; k++) {
        bool kept = k >= b->outputs_begin || e->treatments[k] == REMAT_KEPT;
        if (kept || e->treatments[k] == REMAT_HELD)
            remat_hold_add(&b->holds[b->candidates[k]], kept ? 0 : b->gap + 1, b->whole_count);
    }
    REMAT_TRY(remat_retention_derive(w, b->whole, b->whole_count, b->holds, e->err));
    REMAT_TRY(remat_retention_measure(w, e->err));
    gap = w->stage_runs[b->gap];
    out->kept_bytes = w->live_bytes[gap - 1] - b->input_bytes - b->output_bytes;
    out->forward_peak_bytes = remat_retention_peak(w, 0, gap) - b->input_bytes;
    out->backward_peak_bytes = remat_retention_peak(w, gap, w->runs_count) - b->input_bytes;
    out->extra_ns = (double)(w->cost_ns - b->base_ns);
    return REMAT_OK;
}

/* The cost of making the output from the input and what is kept. */
static enum remat_status try_soft(const struct enumeration *e, struct remat_chain_choice *out)
{
    struct remat_block_model *b = e->block;
    struct remat_node *kept = &b->model.nodes[b->kept_node];
    enum remat_status status;
    int32_t k;
    hold_given(b, 4, true);
    kept->outputs_count = 0;
    for (k = 0; k < b->outputs_begin; k++)
        if (e->treatments[k] == REMAT_KEPT) {
            b->model.operands[kept->outputs + kept->outputs_count++] = b->candidates[k];
            remat_hold_add(&b->holds[b->candidates[k]], 0, 4);
        }
    status = remat_retention_derive(&b->work, b->soft, 4, b->holds, e->err);
    out->soft_ns = INFINITY;
    if (status == REMAT_INFEASIBLE)
        return REMAT_OK;
    REMAT_TRY(status);
    REMAT_TRY(remat_retention_measure(&b->work, e->err));
    out->soft_ns = (double)b->work.cost_ns;
    out->soft_peak_bytes = remat_retention_peak(&b->work, 0, b->work.runs_count) - b->input_bytes;
    return REMAT_OK;
}

/* The backward part from the input alone. */
static enum remat_status try_last(const struct enumeration *e, struct remat_chain_choice *out)
{
    struct remat_block_model *b = e->block;
    struct remat_retention *w = &b->work;
    int32_t k;
    hold_given(b, b->last_count, true);
    for (k = 0; k < b->candidates_count; k++)
        if (e->treatments[k] != REMAT_AGAIN)
            remat_hold_add(&b->holds[b->candidates[k]], 0, b->last_count);
    REMAT_TRY(remat_retention_derive(w, b->last, b->last_count, b->holds, e->err));
    REMAT_TRY(remat_retention_measure(w, e->err));
    out->backward_peak_bytes = remat_retention_peak(w, 0, w->runs_count) - b->input_bytes;
    out->extra_ns = (double)(w->cost_ns - b->backward_ns);
    return REMAT_OK;
}

/* Whether a is nowhere worse than b by more than the tolerances; making outputs again counts only if `soft`. */
static bool beats(const struct remat_chain_choice *a, const struct remat_chain_choice *b, double bytes, double ns,
                  bool soft)
{
    return (double)a->kept_bytes <= (double)b->kept_bytes + bytes &&
           (double)a->backward_peak_bytes <= (double)b->backward_peak_bytes + bytes &&
           a->extra_ns <= b->extra_ns + ns &&
           (!soft || isinf(b->soft_ns) ||
            (a->soft_ns <= b->soft_ns + ns && (double)a->soft_peak_bytes <= (double)b->soft_peak_bytes + bytes));
}

/* Keeps only what nothing else beats. */
static enum remat_status offer(struct enumeration *e, struct found *found, struct remat_chain_choice *candidate)
{
    int32_t k, left = 0;
    for (k = 0; k < found->count; k++)
        if (beats(&found->items[k], candidate, 0, 0, true))
            return REMAT_OK;
    for (k = 0; k < found->count; k++)
        if (!beats(candidate, &found->items[k], 0, 0, true))
            found->items[left++] = found->items[k];
    found->count = left;
    REMAT_TRY(REMAT_GROW(found->items, found->capacity, left + 1, e->err));
    REMAT_TRY(REMAT_POOL_ALLOC(e->pool, candidate->treatments, e->block->candidates_count + 1, e->err));
    if (e->block->candidates_count > 0)
        memcpy(candidate->treatments, e->treatments, (size_t)e->block->candidates_count);
    found->items[found->count++] = *candidate;
    return REMAT_OK;
}

/* Measures the current treatments and offers them; a way that cannot work is passed over. */
static enum remat_status consider(struct enumeration *e, bool last, struct remat_chain_choice *measured)
{
    enum remat_status status;
    memset(measured, 0, sizeof *measured);
    status = last ? try_last(e, measured) : try_whole(e, measured);
    if (status == REMAT_INFEASIBLE) {
        measured->extra_ns = INFINITY;
        return REMAT_OK;
    }
    REMAT_TRY(status);
    if (!last)
        REMAT_TRY(try_soft(e, measured));
    return offer(e, last ? &e->lasts : &e->choices, measured);
}

/* All ways that give each candidate one of two treatments. */
static enum remat_status enumerate(struct enumeration *e, int32_t candidates, uint8_t without, uint8_t with, bool last)
{
    struct remat_chain_choice measured;
    int32_t set, k;
    for (set = 0; set < 1 << candidates; set++) {
        for (k = 0; k < candidates; k++)
            e->treatments[k] = set >> k & 1 ? with : without;
        REMAT_TRY(consider(e, last, &measured));
    }
    return REMAT_OK;
}

/* For blocks too large to enumerate: from every candidate treated as `from`, change that one to `to` that costs least
 * per byte saved, until none is left. Several are changed at once where there are very many. */
struct change {
    double price;
    int32_t candidate;
};

static int compare_changes(const void *a, const void *b)
{
    const struct change *x = a, *y = b;
    return x->price < y->price ? -1 : x->price > y->price ? 1 : x->candidate - y->candidate;
}

static enum remat_status rank(struct enumeration *e, int32_t candidates, uint8_t from, uint8_t to, bool last,
                              const struct remat_chain_choice *now, struct change *changes, int32_t *count)
{
    int32_t k;
    *count = 0;
    for (k = 0; k < candidates; k++) {
        struct remat_chain_choice then;
        double saved;
        if (e->treatments[k] != from)
            continue;
        e->treatments[k] = to;
        REMAT_TRY(consider(e, last, &then));
        e->treatments[k] = from;
        if (isinf(then.extra_ns))
            continue;
        saved = last ? (double)(now->backward_peak_bytes - then.backward_peak_bytes)
                     : (double)(now->kept_bytes - then.kept_bytes) +
                           0.1 * (double)(now->backward_peak_bytes - then.backward_peak_bytes);
        changes[(*count)++] = (struct change){(then.extra_ns - now->extra_ns) / (saved > 1 ? saved : 1e-3), k};
    }
    qsort(changes, (size_t)*count, sizeof *changes, compare_changes);
    return REMAT_OK;
}

static enum remat_status descend(struct enumeration *e, int32_t candidates, uint8_t from, uint8_t to, bool last)
{
    struct remat_chain_choice now;
    struct change *changes;
    int32_t limit = DESCENT_LIMIT / (1 + e->block->model.nodes_count / LARGE_BLOCK);
    int32_t count = 0, k, tried = 0, step = candidates * candidates / limit + 1 + candidates / 40;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(changes, candidates + 1, e->err));
    memset(e->treatments, from, (size_t)e->block->candidates_count);
    REMAT_TRY_GOTO(consider(e, last, &now), done);
    while (tried < limit && !isinf(now.extra_ns)) {
        REMAT_TRY_GOTO(rank(e, candidates, from, to, last, &now, changes, &count), done);
        tried += count + 1;
        if (count == 0)
            break;
        for (k = 0; k < count && k < step; k++)
            e->treatments[changes[k].candidate] = to;
        REMAT_TRY_GOTO(consider(e, last, &now), done);
    }
done:
    free(changes);
    return status;
}

/* Drops choices that others nearly match, until at most `most` are left. */
static void thin(struct found *found, int32_t most, double bytes, double ns, bool soft)
{
    double tolerance = 1e-4;
    int32_t k, other, left;
    for (; found->count > most; tolerance *= 1.5) {
        for (k = 0, left = 0; k < found->count; k++) {
            bool beaten = false;
            for (other = 0; other < left && !beaten; other++)
                beaten = beats(&found->items[other], &found->items[k], bytes * tolerance, ns * tolerance, soft);
            if (!beaten)
                found->items[left++] = found->items[k];
        }
        found->count = left;
    }
}

static int by_kept(const void *a, const void *b)
{
    const struct remat_chain_choice *x = a, *y = b;
    if (x->kept_bytes != y->kept_bytes)
        return x->kept_bytes < y->kept_bytes ? -1 : 1;
    if (x->backward_peak_bytes != y->backward_peak_bytes)
        return x->backward_peak_bytes < y->backward_peak_bytes ? -1 : 1;
    return x->extra_ns < y->extra_ns ? -1 : x->extra_ns > y->extra_ns;
}

static int by_cost(const void *a, const void *b)
{
    const struct remat_chain_choice *x = a, *y = b;
    return x->extra_ns < y->extra_ns ? -1 : x->extra_ns > y->extra_ns;
}

/* The block's forward pass made again, its input dying or held. */
static enum remat_status measure_pass(const struct enumeration *e, struct remat_chain_block *out)
{
    struct remat_block_model *b = e->block;
    struct remat_retention *w = &b->work;
    enum remat_status status;
    int32_t d, pass;
    b->model.nodes[b->gap_node].inputs_count = b->gap_inputs;
    for (pass = 0; pass < 2; pass++) {
        hold_given(b, 3, pass == 1);
        for (d = 0; d < b->model.data_count && pass == 0; d++)
            if (b->input[d])
                remat_hold_add(&b->holds[d], 0, 2);
        status = remat_retention_derive(w, pass == 0 ? b->pass : b->hold, 3, b->holds, e->err);
        if (status == REMAT_INFEASIBLE) {
            out->again_ns = INFINITY;
            return REMAT_OK;
        }
        REMAT_TRY(status);
        REMAT_TRY(remat_retention_measure(w, e->err));
        if (pass == 0)
            out->pass_peak_bytes = remat_retention_peak(w, 0, w->runs_count);
        else
            out->hold_peak_bytes = remat_retention_peak(w, 0, w->runs_count) - b->input_bytes;
        out->again_ns = (double)w->cost_ns;
    }
    return REMAT_OK;
}

static enum remat_status find_all(struct enumeration *e)
{
    int32_t inner = e->block->outputs_begin, all = e->block->candidates_count;
    if (inner <= MOST_ENUMERATED) {
        REMAT_TRY(enumerate(e, inner, REMAT_HELD, REMAT_KEPT, false));
        REMAT_TRY(enumerate(e, inner, REMAT_AGAIN, REMAT_HELD, false));
        memset(e->treatments, REMAT_AGAIN, (size_t)all);
    } else {
        REMAT_TRY(descend(e, inner, REMAT_KEPT, REMAT_HELD, false));
        REMAT_TRY(descend(e, inner, REMAT_KEPT, REMAT_AGAIN, false));
        REMAT_TRY(descend(e, inner, REMAT_HELD, REMAT_AGAIN, false));
    }
    if (all <= MOST_ENUMERATED + 1)
        return enumerate(e, all, REMAT_AGAIN, REMAT_HELD, true);
    return descend(e, all, REMAT_HELD, REMAT_AGAIN, true);
}

/* Marks the choices that sub-chains try: there, outputs are never made again softly. */
static enum remat_status mark_nested(struct enumeration *e, double bytes, double ns)
{
    struct found nested = {0};
    int32_t k;
    REMAT_TRY(REMAT_GROW(nested.items, nested.capacity, e->choices.count + 1, e->err));
    for (k = 0; k < e->choices.count; k++) {
        nested.items[k] = e->choices.items[k];
        nested.items[k].soft_ns = k; /* remembers the place */
        nested.count++;
    }
    thin(&nested, MOST_NESTED, bytes, ns, false);
    for (k = 0; k < nested.count; k++)
        e->choices.items[(int32_t)nested.items[k].soft_ns].nested = true;
    free(nested.items);
    return REMAT_OK;
}

static enum remat_status publish(struct enumeration *e, struct remat_chain_block *out)
{
    int32_t k;
    double bytes = (double)(e->block->input_bytes + e->block->output_bytes + 1), ns = (double)e->block->base_ns;
    for (k = 0; k < e->choices.count; k++)
        bytes = (double)e->choices.items[k].kept_bytes > bytes ? (double)e->choices.items[k].kept_bytes : bytes;
    if (e->choices.count > 0)
        qsort(e->choices.items, (size_t)e->choices.count, sizeof *e->choices.items, by_kept);
    thin(&e->choices, MOST_CHOICES, bytes, ns, true);
    REMAT_TRY(mark_nested(e, bytes, ns));
    if (e->lasts.count > 0)
        qsort(e->lasts.items, (size_t)e->lasts.count, sizeof *e->lasts.items, by_cost);
    thin(&e->lasts, MOST_LASTS, bytes, ns, true);
    out->choices_count = e->choices.count;
    out->lasts_count = e->lasts.count;
    REMAT_TRY(REMAT_POOL_ALLOC(e->pool, out->choices, e->choices.count + 1, e->err));
    REMAT_TRY(REMAT_POOL_ALLOC(e->pool, out->lasts, e->lasts.count + 1, e->err));
    for (k = 0; k < e->choices.count; k++)
        out->choices[k] = e->choices.items[k];
    for (k = 0; k < e->lasts.count; k++)
        out->lasts[k] = (struct remat_chain_last){e->lasts.items[k].backward_peak_bytes, e->lasts.items[k].extra_ns,
                                                  e->lasts.items[k].treatments};
    return REMAT_OK;
}

enum remat_status remat_block_options(struct remat_block_model *block, struct remat_pool *pool,
                                      struct remat_chain_block *out, struct remat_error *err)
{
    struct enumeration e = {.block = block, .pool = pool, .err = err};
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(e.treatments, block->candidates_count + 1, err));
    REMAT_TRY_GOTO(measure_pass(&e, out), done);
    REMAT_TRY_GOTO(find_all(&e), done);
    status = publish(&e, out);
done:
    free(e.treatments);
    free(e.choices.items);
    free(e.lasts.items);
    return status;
}
