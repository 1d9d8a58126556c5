/* Ways to run the backward part of a block in little memory: every datum is held from a stage of its own on and made
 * again for each use before. That includes the block's input: where a few stages are the tightest of the whole step, it
 * is dropped for them and made again from an earlier block's afterwards. */
#include "solver/block.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_LIGHTS = 32, /* of each kind */
    MOST_CANDIDATES = 48,
    BEFORE = 3, /* stages of `last` and `light` that come before the backward part: source, pinned, arrival */
};

struct lighting {
    struct remat_block_model *block;
    struct remat_pool *pool;
    bool drops;                /* the input is a datum like the candidates; it has the number candidates_count */
    int32_t count;             /* of data */
    int32_t *since;            /* per datum: place in `uses`, the way being tried */
    int32_t *uses, uses_count; /* stages that something may be held from; the last one: from none */
    double pass_ns;            /* what making the input is taken to cost where ways are compared */
    struct remat_chain_light *found;
    int32_t found_count, found_capacity;
    struct remat_error *err;
};

static void hold_all(const struct lighting *l)
{
    const struct remat_block_model *b = l->block;
    int32_t d, k;
    for (d = 0; d < b->model.data_count; d++) {
        int32_t since = b->input[d] && l->drops ? l->uses[l->since[b->candidates_count]] : 0;
        b->holds[d].count = 0;
        if (b->given[d])
            remat_hold_add(&b->holds[d], since, b->last_count);
    }
    for (k = 0; k < b->candidates_count; k++)
        remat_hold_add(&b->holds[b->candidates[k]], l->uses[l->since[k]], b->last_count);
}

static void measure(const struct lighting *l, struct remat_chain_light *out)
{
    const struct remat_block_model *b = l->block;
    const struct remat_retention *w = &b->work;
    int64_t input_bytes = b->input_bytes;
    int32_t r;
    *out = (struct remat_chain_light){.cost_ns = (double)(w->cost_ns - b->backward_ns)};
    out->backward_peak_bytes = remat_retention_peak(w, 0, w->runs_count) - (l->drops ? 0 : input_bytes);
    for (r = 0; r < w->runs_count && l->drops; r++)
        if (w->runs[r] == b->input_node) {
            out->makes++;
            if (w->live_bytes[r] - input_bytes > out->beside_bytes)
                out->beside_bytes = w->live_bytes[r] - input_bytes;
        }
}

static bool beats(const struct remat_chain_light *a, const struct remat_chain_light *b, double bytes, double ns)
{
    return (double)a->backward_peak_bytes <= (double)b->backward_peak_bytes + bytes &&
           (double)a->beside_bytes <= (double)b->beside_bytes + bytes && a->makes <= b->makes &&
           a->cost_ns <= b->cost_ns + ns;
}

/* Keeps only what nothing else beats. */
static enum remat_status offer(struct lighting *l, struct remat_chain_light *candidate)
{
    int32_t k, left = 0;
    for (k = 0; k < l->found_count; k++)
        if (beats(&l->found[k], candidate, 0, 0))
            return REMAT_OK;
    for (k = 0; k < l->found_count; k++)
        if (!beats(candidate, &l->found[k], 0, 0))
            l->found[left++] = l->found[k];
    l->found_count = left;
    REMAT_TRY(REMAT_GROW(l->found, l->found_capacity, left + 1, l->err));
    REMAT_TRY(REMAT_POOL_ALLOC(l->pool, candidate->since, l->count, l->err));
    for (k = 0; k < l->count; k++)
        candidate->since[k] = l->uses[l->since[k]] - BEFORE;
    l->found[l->found_count++] = *candidate;
    return REMAT_OK;
}

/* Peak and cost of the way being tried; the cost is infinite if it does not work. */
struct merit {
    double bytes, cost;
};

static enum remat_status consider(struct lighting *l, struct merit *out)
{
    struct remat_block_model *b = l->block;
    struct remat_chain_light light;
    enum remat_status status;
    hold_all(l);
    b->model.nodes[b->input_node].last_key = l->drops ? INT32_MAX : -1;
    status = remat_retention_derive(&b->work, l->drops ? b->light : b->last, b->last_count, b->holds, l->err);
    b->model.nodes[b->input_node].last_key = -1;
    out->cost = INFINITY;
    if (status == REMAT_INFEASIBLE)
        return REMAT_OK;
    REMAT_TRY(status);
    REMAT_TRY(remat_retention_measure(&b->work, l->err));
    measure(l, &light);
    *out = (struct merit){(double)light.backward_peak_bytes, light.cost_ns + light.makes * l->pass_ns};
    return offer(l, &light);
}

/* Time per byte of the peak, for more bytes as for less; what costs nothing comes first. */
static double price_of(const struct merit *now, const struct merit *then)
{
    double cost = then->cost - now->cost, saved = now->bytes - then->bytes;
    return saved < -1 ? cost / -saved : cost / (saved > 1 ? saved : 1e-3);
}

/* Where a datum goes next on a way between two uses: there at once, or use by use. */
static int32_t next_use(int32_t now, int32_t to, bool at_once)
{
    return at_once || now == to ? to : now + (to > now ? 1 : -1);
}

/* The datum whose step along the way is best; -1 if there is none left. */
static enum remat_status find_step(struct lighting *l, const struct merit *now, int32_t to, bool at_once, int32_t *out)
{
    double least = INFINITY;
    int32_t k;
    *out = -1;
    for (k = 0; k < l->count; k++) {
        int32_t since = l->since[k];
        struct merit then;
        if (since == to)
            continue;
        l->since[k] = next_use(since, to, at_once);
        REMAT_TRY(consider(l, &then));
        l->since[k] = since;
        if (price_of(now, &then) < least) {
            least = price_of(now, &then);
            *out = k;
        }
    }
    return REMAT_OK;
}

/* From all data held since one use to all held since another one. */
static enum remat_status go(struct lighting *l, int32_t from, int32_t to, bool at_once)
{
    struct merit now;
    int32_t chosen = 0, k;
    for (k = 0; k < l->count; k++)
        l->since[k] = from;
    while (chosen >= 0) {
        REMAT_TRY(consider(l, &now));
        if (isinf(now.cost))
            return REMAT_OK;
        REMAT_TRY(find_step(l, &now, to, at_once, &chosen));
        if (chosen >= 0)
            l->since[chosen] = next_use(l->since[chosen], to, at_once);
    }
    return REMAT_OK;
}

/* Stages of the backward part that read what the forward part makes, or the input. */
static enum remat_status list_uses(struct lighting *l)
{
    const struct remat_block_model *b = l->block;
    int32_t s, k;
    REMAT_TRY(REMAT_ALLOC(l->uses, b->last_count + 1, l->err));
    l->uses[l->uses_count++] = BEFORE;
    for (s = BEFORE; s + 1 < b->last_count; s++) {
        const struct remat_node *node = &b->model.nodes[b->last[s]];
        bool reads = false;
        for (k = 0; k < node->inputs_count; k++) {
            int32_t datum = b->model.operands[node->inputs + k];
            reads = reads || b->input[datum] || !b->given[datum];
        }
        if (reads && l->uses[l->uses_count - 1] < s)
            l->uses[l->uses_count++] = s;
    }
    l->uses[l->uses_count++] = b->last_count;
    return REMAT_OK;
}

static void thin(struct lighting *l, double bytes, double ns)
{
    double tolerance = 1e-3;
    int32_t k, other, left;
    for (; l->found_count > MOST_LIGHTS; tolerance *= 1.5) {
        for (k = 0, left = 0; k < l->found_count; k++) {
            bool beaten = false;
            for (other = 0; other < left && !beaten; other++)
                beaten = beats(&l->found[other], &l->found[k], bytes * tolerance, ns * tolerance);
            if (!beaten)
                l->found[left++] = l->found[k];
        }
        l->found_count = left;
    }
}

static int by_peak(const void *a, const void *b)
{
    const struct remat_chain_light *x = a, *y = b;
    if (x->backward_peak_bytes != y->backward_peak_bytes)
        return x->backward_peak_bytes < y->backward_peak_bytes ? -1 : 1;
    return x->cost_ns < y->cost_ns ? -1 : x->cost_ns > y->cost_ns;
}

/* Adds what was found to what the block has. */
static enum remat_status publish(struct lighting *l, struct remat_chain_block *out)
{
    struct remat_chain_light *all;
    int32_t k;
    if (l->found_count == 0)
        return REMAT_OK;
    qsort(l->found, (size_t)l->found_count, sizeof *l->found, by_peak);
    thin(l, (double)(l->block->input_bytes + l->block->output_bytes + 1), (double)l->block->base_ns);
    REMAT_TRY(REMAT_POOL_ALLOC(l->pool, all, out->lights_count + l->found_count, l->err));
    for (k = 0; k < out->lights_count; k++)
        all[k] = out->lights[k];
    for (k = 0; k < l->found_count; k++)
        all[out->lights_count++] = l->found[k];
    out->lights = all;
    return REMAT_OK;
}

static enum remat_status find(struct lighting *l, bool drops, struct remat_chain_block *out)
{
    int32_t never = l->uses_count - 1, s;
    l->drops = drops;
    l->count = l->block->candidates_count + drops;
    l->found_count = 0;
    for (s = 1; s <= never; s++) {
        REMAT_TRY(go(l, 0, s, true));
        REMAT_TRY(go(l, s, never, true));
    }
    REMAT_TRY(go(l, 0, never, false));
    REMAT_TRY(go(l, never, 0, false));
    return publish(l, out);
}

enum remat_status remat_block_lights(struct remat_block_model *block, struct remat_pool *pool,
                                     struct remat_chain_block *out, struct remat_error *err)
{
    struct lighting l = {.block = block, .pool = pool, .pass_ns = out->again_ns, .err = err};
    enum remat_status status;
    if (block->input_bytes == 0 || block->candidates_count > MOST_CANDIDATES || isinf(out->again_ns))
        return REMAT_OK;
    status = list_uses(&l);
    if (status == REMAT_OK)
        status = REMAT_ALLOC(l.since, block->candidates_count + 1, err);
    if (status == REMAT_OK)
        status = find(&l, false, out);
    if (status == REMAT_OK)
        status = find(&l, true, out);
    free(l.uses);
    free(l.since);
    free(l.found);
    return status;
}
