#include "solver/curve.h"

#include "core/base/clock.h"
#include "solver/block.h"
#include "solver/methods.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { COARSE_POINTS = 160, FINE_POINTS = 24 };
/* Steps of the curve that gain less than this part of the base time are left out. */
static const double TOLERANCE = 1e-7;

/* What extraction of a step gives on the true rules. */
struct point {
    int64_t peak_bytes, cost_ns;
    bool known;
};

struct remat_curve {
    const struct remat_task_graph *graph;
    struct remat_partition partition;
    struct remat_model model;
    struct remat_retention work;
    struct remat_pool pool;
    struct remat_block_model *blocks; /* kept for the candidates' values */
    struct remat_chain chain;
    struct remat_chain_table *table;
    int32_t *inputs_begin, *inputs; /* values of block b's input: inputs[inputs_begin[b]..inputs_begin[b + 1]) */
    struct remat_hold *base_holds, *holds;
    struct remat_chain_decision *decisions;
    struct point *points; /* per step of the table's costs, then per number of segments of sqrt(n) */
};

static bool is_late(double deadline)
{
    return deadline > 0 && remat_clock_seconds() > deadline;
}

static int32_t find_twin(const struct remat_curve *c, int32_t block)
{
    int32_t b;
    for (b = 0; b < block; b++)
        if (c->blocks[b].signature == c->blocks[block].signature)
            return b;
    return block;
}

static int64_t arriving_bytes(const struct remat_curve *c, int32_t block)
{
    int64_t bytes = 0;
    int32_t v;
    for (v = 0; v < c->graph->values_count && block + 1 < c->chain.count; v++)
        if (remat_partition_crosses_back(&c->partition, v, block + 1))
            bytes += c->graph->values[v].bytes;
    return bytes;
}

static enum remat_status make_options(struct remat_curve *c, int32_t b, struct remat_error *err)
{
    REMAT_TRY(remat_block_options(&c->blocks[b], &c->pool, &c->chain.blocks[b], err));
    return remat_block_lights(&c->blocks[b], &c->pool, &c->chain.blocks[b], err);
}

/* Those that are not made in time have no options; then there is no table either. */
static enum remat_status make_blocks(struct remat_curve *c, double deadline, struct remat_error *err)
{
    int32_t *last_keys, b;
    enum remat_status status = remat_model_last_keys(c->graph, &last_keys, err);
    if (status != REMAT_OK)
        goto done;
    c->chain.count = c->partition.count;
    REMAT_TRY_GOTO(REMAT_ALLOC(c->blocks, c->chain.count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(c->chain.blocks, c->chain.count, err), done);
    for (b = 0; b < c->chain.count && !is_late(deadline); b++) {
        struct remat_chain_block *block = &c->chain.blocks[b];
        int32_t twin;
        REMAT_TRY_GOTO(remat_block_model_make(c->graph, &c->partition, last_keys, b, &c->blocks[b], err), done);
        twin = find_twin(c, b);
        if (twin < b)
            *block = c->chain.blocks[twin];
        else
            REMAT_TRY_GOTO(make_options(c, b, err), done);
        block->input_bytes = c->blocks[b].input_bytes;
        block->output_bytes = c->blocks[b].output_bytes;
        block->gradient_bytes = arriving_bytes(c, b);
    }
done:
    free(last_keys);
    return status;
}

static enum remat_status list_inputs(struct remat_curve *c, struct remat_error *err)
{
    int32_t b, v, used = 0, capacity = 0;
    REMAT_TRY(REMAT_ALLOC(c->inputs_begin, c->chain.count + 1, err));
    for (b = 0; b < c->chain.count; b++) {
        for (v = 0; v < c->graph->values_count; v++)
            if (remat_partition_crosses(&c->partition, v, b)) {
                REMAT_TRY(REMAT_GROW(c->inputs, capacity, used + 1, err));
                c->inputs[used++] = v;
            }
        c->inputs_begin[b + 1] = used;
    }
    return REMAT_OK;
}

/* Bytes of values that are in the inputs of several blocks. */
static enum remat_status find_shared(struct remat_curve *c, struct remat_error *err)
{
    const struct remat_partition *p = &c->partition;
    int32_t count = c->chain.count, v, i, j;
    REMAT_TRY(REMAT_ALLOC(c->chain.shared, (int64_t)count * count, err));
    for (v = 0; v < c->graph->values_count; v++)
        for (i = p->block[v] + 1; i < count && remat_partition_crosses(p, v, i); i++)
            for (j = i + 1; j < count && remat_partition_crosses(p, v, j); j++)
                c->chain.shared[i * count + j] += c->graph->values[v].bytes;
    return REMAT_OK;
}

/* From a stage on: all of a block's backward part and what follows in reverse is at or after it. */
static int32_t since_stage(const struct remat_curve *c, int32_t since, int32_t value)
{
    return since < c->chain.count ? c->partition.backward[since + 1] : c->partition.producer[value];
}

static void apply_treatments(struct remat_curve *c, int32_t b, const uint8_t *treatments, int32_t count, int32_t since)
{
    const struct remat_block_model *block = &c->blocks[b];
    int32_t end = c->partition.backward[b], begin = c->partition.backward[b + 1], k;
    for (k = 0; k < count; k++) {
        int32_t v = block->model.data[block->candidates[k]].value;
        if (treatments[k] == REMAT_KEPT)
            remat_hold_add(&c->holds[v], since_stage(c, since, v), end);
        else if (treatments[k] == REMAT_HELD)
            remat_hold_add(&c->holds[v], begin, end);
    }
}

static void apply_light(struct remat_curve *c, int32_t b, const struct remat_chain_light *light)
{
    const struct remat_block_model *block = &c->blocks[b];
    int32_t begin = c->partition.backward[b + 1], end = c->partition.backward[b], k;
    for (k = 0; k < block->candidates_count; k++)
        remat_hold_add(&c->holds[block->model.data[block->candidates[k]].value], begin + light->since[k], end);
    /* Not to be there for the block before, which does not count on it. */
    for (k = c->inputs_begin[b]; k < c->inputs_begin[b + 1] && light->makes > 0; k++)
        remat_hold_add(&c->holds[c->inputs[k]], begin + light->since[block->candidates_count], end - 1);
}

static void apply(struct remat_curve *c, const struct remat_chain_decision *d)
{
    const struct remat_chain_block *block = &c->chain.blocks[d->block];
    int32_t k;
    if (d->act == REMAT_CHAIN_CHOOSE)
        apply_treatments(c, d->block, block->choices[d->index].treatments, c->blocks[d->block].outputs_begin, d->since);
    else if (d->act == REMAT_CHAIN_LAST)
        apply_treatments(c, d->block, block->lasts[d->index].treatments, c->blocks[d->block].candidates_count,
                         d->since);
    else if (d->act == REMAT_CHAIN_LIGHT)
        apply_light(c, d->block, &block->lights[d->index]);
    else
        for (k = c->inputs_begin[d->block]; k < c->inputs_begin[d->block + 1]; k++)
            remat_hold_add(&c->holds[c->inputs[k]], since_stage(c, d->since, c->inputs[k]),
                           c->partition.backward[d->until]);
}

/* Derives and measures the schedule of a point; it stays in c->work. */
static enum remat_status derive(struct remat_curve *c, int32_t at, struct remat_error *err)
{
    struct point *point = &c->points[at];
    int32_t steps = remat_chain_costs(c->table)->count, count, k;
    memcpy(c->holds, c->base_holds, (size_t)c->graph->values_count * sizeof *c->holds);
    if (at >= steps) {
        remat_partition_hold_segments(c->graph, &c->partition, at - steps + 1, c->holds);
    } else {
        count = remat_chain_extract(c->table, at, c->decisions);
        for (k = 0; k < count; k++)
            apply(c, &c->decisions[k]);
    }
    REMAT_TRY(remat_retention_settle(&c->work, c->graph->order, c->graph->order_count, c->holds, err));
    *point = (struct point){remat_retention_peak(&c->work, 0, c->work.runs_count), c->work.cost_ns, true};
    return REMAT_OK;
}

/* Points spread over the whole curve, and all of sqrt(n). */
static enum remat_status try_coarse(struct remat_curve *c, double deadline, struct remat_error *err)
{
    int32_t steps = remat_chain_costs(c->table)->count, k;
    for (k = 0; k < COARSE_POINTS && steps > 0 && !is_late(deadline); k++) {
        /* Closer together where memory is scarce. */
        double part = (double)k / (COARSE_POINTS - 1);
        int32_t at = (int32_t)(part * part * (steps - 1));
        if (!c->points[at].known)
            REMAT_TRY(derive(c, at, err));
    }
    for (k = 0; k < c->chain.count; k++)
        if (!is_late(deadline) || ((k + 1) & k) == 0) /* something is tried in any case: segments of 1, 2, 4, ... */
            REMAT_TRY(derive(c, steps + k, err));
    return REMAT_OK;
}

static int32_t points_count(const struct remat_curve *c)
{
    return remat_chain_costs(c->table)->count + c->chain.count;
}

static enum remat_status prepare(struct remat_curve *c, double deadline, struct remat_error *err)
{
    struct remat_schedule base = {0};
    struct remat_liveness live = {0};
    enum remat_status status;
    REMAT_TRY(remat_partition_make(c->graph, &c->partition, err));
    REMAT_TRY(remat_partition_holds(c->graph, &c->partition, &c->base_holds, err));
    REMAT_TRY(REMAT_ALLOC(c->holds, c->graph->values_count, err));
    REMAT_TRY(remat_model_of_graph(c->graph, &c->model, err));
    REMAT_TRY(remat_retention_init(&c->work, &c->model, err));
    REMAT_TRY(make_blocks(c, deadline, err));
    REMAT_TRY(list_inputs(c, err));
    REMAT_TRY(find_shared(c, err));
    c->chain.always_bytes = c->partition.pinned_bytes;
    REMAT_TRY(REMAT_ALLOC(c->decisions, 2 * (int64_t)c->chain.count + 2, err));
    status = remat_schedule_base(c->graph, &base, err);
    if (status == REMAT_OK)
        status = remat_liveness(c->graph, &base, &live, err);
    if (status == REMAT_OK)
        status = remat_chain_table_make(&c->chain, live.peak_bytes - c->graph->staging_bytes,
                                        TOLERANCE * (double)live.cost_ns, deadline, &c->table, err);
    remat_schedule_free(&base);
    remat_liveness_free(&live);
    REMAT_TRY(status);
    REMAT_TRY(REMAT_ALLOC(c->points, (int64_t)points_count(c), err));
    return try_coarse(c, deadline, err);
}

enum remat_status remat_curve_make(const struct remat_task_graph *graph, double deadline, struct remat_curve **out,
                                   struct remat_error *err)
{
    enum remat_status status = REMAT_ALLOC(*out, 1, err);
    if (status != REMAT_OK)
        return status;
    (*out)->graph = graph;
    status = prepare(*out, deadline, err);
    if (status != REMAT_OK) {
        remat_curve_free(*out);
        *out = NULL;
    }
    return status;
}

void remat_curve_free(struct remat_curve *curve)
{
    int32_t b;
    if (!curve)
        return;
    for (b = 0; curve->blocks && b < curve->chain.count; b++)
        remat_block_model_free(&curve->blocks[b]);
    free(curve->blocks);
    free(curve->chain.blocks);
    free(curve->chain.shared);
    remat_chain_table_free(curve->table);
    remat_retention_free(&curve->work);
    remat_model_free(&curve->model);
    remat_partition_free(&curve->partition);
    remat_pool_free(&curve->pool);
    free(curve->inputs_begin);
    free(curve->inputs);
    free(curve->base_holds);
    free(curve->holds);
    free(curve->decisions);
    free(curve->points);
    free(curve);
}

/* Whether point a is preferred to point b: the fastest within the budget, or with budget 0 the smallest. */
static bool preferred(const struct point *a, const struct point *b, int64_t budget)
{
    if (budget == 0)
        return a->peak_bytes < b->peak_bytes || (a->peak_bytes == b->peak_bytes && a->cost_ns < b->cost_ns);
    return a->cost_ns < b->cost_ns || (a->cost_ns == b->cost_ns && a->peak_bytes < b->peak_bytes);
}

static int32_t best_known(const struct remat_curve *c, int64_t budget)
{
    int32_t best = -1, m;
    for (m = 0; m < points_count(c); m++) {
        const struct point *point = &c->points[m];
        if (!point->known || (budget > 0 && point->peak_bytes > budget))
            continue;
        if (best < 0 || preferred(point, &c->points[best], budget))
            best = m;
    }
    return best;
}

/* Tries the plans around the largest that fits: first between it and the next known one that does not, then the next
 * few steps above, since the true peak is not strictly monotone. */
static enum remat_status refine(struct remat_curve *c, int64_t budget, struct remat_error *err)
{
    int32_t steps = remat_chain_costs(c->table)->count, low = 0, high, k;
    for (k = 0; k < steps; k++)
        if (c->points[k].known && c->points[k].peak_bytes <= budget)
            low = k;
    for (high = low + 1; high < steps && !c->points[high].known;)
        high++;
    while (high - low > 1) {
        int32_t middle = (low + high) / 2;
        REMAT_TRY(derive(c, middle, err));
        if (c->points[middle].peak_bytes <= budget)
            low = middle;
        else
            high = middle;
    }
    for (k = 0; k < FINE_POINTS && high < steps; high++)
        if (!c->points[high].known) {
            REMAT_TRY(derive(c, high, err));
            k++;
        }
    return REMAT_OK;
}

static enum remat_status deliver(struct remat_curve *c, int32_t at, struct remat_schedule *out, struct remat_error *err)
{
    REMAT_TRY(derive(c, at, err));
    return remat_retention_schedule(&c->work, out, err);
}

enum remat_status remat_curve_at(struct remat_curve *curve, int64_t budget_bytes, bool *found,
                                 struct remat_schedule *out, struct remat_error *err)
{
    int32_t best;
    memset(out, 0, sizeof *out);
    *found = false;
    if (remat_chain_costs(curve->table)->count > 0)
        REMAT_TRY(refine(curve, budget_bytes, err));
    best = best_known(curve, budget_bytes);
    if (best < 0)
        return REMAT_OK;
    *found = true;
    return deliver(curve, best, out, err);
}

enum remat_status remat_curve_smallest(struct remat_curve *curve, struct remat_schedule *out, struct remat_error *err)
{
    int32_t best;
    memset(out, 0, sizeof *out);
    best = best_known(curve, 0);
    if (best < 0)
        return remat_schedule_base(curve->graph, out, err);
    return deliver(curve, best, out, err);
}

const struct remat_chain *remat_curve_chain(const struct remat_curve *curve)
{
    return &curve->chain;
}
