#include "solver/retention.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void remat_hold_add(struct remat_hold *hold, int32_t begin, int32_t end)
{
    int32_t k, nearest = 0;
    if (begin >= end)
        return;
    for (k = 0; k < hold->count; k++) {
        struct remat_span *span = &hold->span[k];
        if (begin <= span->end && span->begin <= end) {
            begin = begin < span->begin ? begin : span->begin;
            end = end > span->end ? end : span->end;
            *span = hold->span[--hold->count];
            k = -1;
        }
    }
    if (hold->count < REMAT_MAX_SPANS) {
        hold->span[hold->count++] = (struct remat_span){begin, end};
        return;
    }
    for (k = 1; k < hold->count; k++)
        if (abs(hold->span[k].begin - begin) < abs(hold->span[nearest].begin - begin))
            nearest = k;
    begin = begin < hold->span[nearest].begin ? begin : hold->span[nearest].begin;
    end = end > hold->span[nearest].end ? end : hold->span[nearest].end;
    hold->span[nearest] = hold->span[--hold->count];
    remat_hold_add(hold, begin, end);
}

/* The end of the span that holds over the end of a stage, or -1. */
static int32_t held_until(const struct remat_hold *hold, int32_t stage)
{
    int32_t k;
    for (k = 0; k < hold->count; k++)
        if (hold->span[k].begin <= stage && stage < hold->span[k].end)
            return hold->span[k].end;
    return -1;
}

enum remat_status remat_retention_init(struct remat_retention *work, const struct remat_model *model,
                                       struct remat_error *err)
{
    memset(work, 0, sizeof *work);
    work->model = model;
    REMAT_TRY(REMAT_ALLOC(work->present, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(work->expiry, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(work->next_expiring, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(work->pending, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(work->node_stamp, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(work->datum_stamp, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(work->estimate, model->data_count, err));
    return REMAT_ALLOC(work->latest, model->data_count, err);
}

void remat_retention_free(struct remat_retention *work)
{
    free(work->runs);
    free(work->stage_runs);
    free(work->live_bytes);
    free(work->present);
    free(work->expiry);
    free(work->next_expiring);
    free(work->expiring);
    free(work->pending);
    free(work->node_stamp);
    free(work->datum_stamp);
    free(work->estimate);
    free(work->latest);
    free(work->instance_datum);
    free(work->instance_end);
    free(work->input_instance);
    memset(work, 0, sizeof *work);
}

/* Time to have a datum now, shared ancestors counted for each of their users; INFINITY if there is no way. */
static double estimate(struct remat_retention *work, int32_t datum, int32_t key)
{
    const struct remat_model *model = work->model;
    const struct remat_datum *d = &model->data[datum];
    double best = INFINITY;
    int32_t r, k;
    if (work->present[datum])
        return 0;
    if (work->datum_stamp[datum] == work->stamp)
        return work->estimate[datum];
    for (r = 0; r < d->recipes_count; r++) {
        int32_t id = model->operands[d->recipes + r];
        const struct remat_node *node = &model->nodes[id];
        double cost = (double)node->time_ns;
        if (work->node_stamp[id] == work->stamp)
            cost = 0;
        for (k = 0; k < node->inputs_count && node->last_key >= key && work->node_stamp[id] != work->stamp; k++)
            cost += estimate(work, model->operands[node->inputs + k], key);
        if (node->last_key >= key && cost < best)
            best = cost;
    }
    work->datum_stamp[datum] = work->stamp;
    work->estimate[datum] = best;
    return best;
}

static int32_t choose_recipe(struct remat_retention *work, int32_t datum, int32_t key)
{
    const struct remat_model *model = work->model;
    const struct remat_datum *d = &model->data[datum];
    double best = INFINITY;
    int32_t chosen = -1, r, k;
    for (r = 0; r < d->recipes_count; r++) {
        int32_t id = model->operands[d->recipes + r];
        const struct remat_node *node = &model->nodes[id];
        double cost = (double)node->time_ns;
        if (node->last_key < key)
            continue;
        if (d->recipes_count == 1 || work->node_stamp[id] == work->stamp)
            return id;
        for (k = 0; k < node->inputs_count; k++)
            cost += estimate(work, model->operands[node->inputs + k], key);
        if (cost < best) {
            best = cost;
            chosen = id;
        }
    }
    return chosen;
}

/* Marks the node that makes `datum`, and what it needs, to run in this stage; false if there is no way. */
static bool request(struct remat_retention *work, int32_t datum, int32_t key)
{
    const struct remat_model *model = work->model;
    int32_t id, k;
    if (work->present[datum])
        return true;
    id = choose_recipe(work, datum, key);
    if (id < 0) {
        work->missing = datum;
        return false;
    }
    if (work->node_stamp[id] == work->stamp)
        return true;
    work->node_stamp[id] = work->stamp;
    work->pending[work->pending_count++] = id;
    for (k = 0; k < model->nodes[id].inputs_count; k++)
        if (!request(work, model->operands[model->nodes[id].inputs + k], key))
            return false;
    return true;
}

/* Base order. Lists are short or nearly sorted backwards, mostly: insertion from the end; of long ones, what is far
 * apart first (Shell 1959). */
static void sort_pending(struct remat_retention *work)
{
    static const int32_t gaps[] = {701, 301, 132, 57, 19, 1};
    const struct remat_node *nodes = work->model->nodes;
    int32_t i, k, g, count = work->pending_count;
    for (i = 0; i < count / 2; i++) {
        int32_t swap = work->pending[i];
        work->pending[i] = work->pending[count - 1 - i];
        work->pending[count - 1 - i] = swap;
    }
    for (g = 0; g < 6; g++)
        for (i = gaps[g]; i < count; i++) {
            int32_t id = work->pending[i];
            for (k = i; k >= gaps[g] && nodes[work->pending[k - gaps[g]]].key > nodes[id].key; k -= gaps[g])
                work->pending[k] = work->pending[k - gaps[g]];
            work->pending[k] = id;
        }
}

static enum remat_status emit(struct remat_retention *work, int32_t id, struct remat_error *err)
{
    const struct remat_model *model = work->model;
    const struct remat_node *node = &model->nodes[id];
    int32_t k;
    REMAT_TRY(REMAT_GROW(work->runs, work->runs_capacity, work->runs_count + 1, err));
    work->runs[work->runs_count++] = id;
    work->cost_ns += node->time_ns;
    for (k = 0; k < node->outputs_count; k++)
        work->present[model->operands[node->outputs + k]] = true;
    return REMAT_OK;
}

/* Forgets a datum, or notes when to look at it again. */
static void forget_or_note(struct remat_retention *work, int32_t datum, int32_t stage, int32_t stages_count,
                           const struct remat_hold *holds)
{
    int32_t until = held_until(&holds[datum], stage);
    work->expiry[datum] = until;
    work->present[datum] = until >= 0;
    if (until >= 0 && until < stages_count) {
        work->next_expiring[datum] = work->expiring[until];
        work->expiring[until] = datum;
    }
}

/* After a stage: looks at what the stage made and at the holds that end here. */
static void forget(struct remat_retention *work, int32_t stage, int32_t stages_count, const struct remat_hold *holds)
{
    const struct remat_model *model = work->model;
    int32_t r, k, datum, next;
    for (datum = work->expiring[stage]; datum >= 0; datum = next) {
        next = work->next_expiring[datum];
        forget_or_note(work, datum, stage, stages_count, holds);
    }
    for (r = stage > 0 ? work->stage_runs[stage - 1] : 0; r < work->runs_count; r++) {
        const struct remat_node *node = &model->nodes[work->runs[r]];
        for (k = 0; k < node->outputs_count; k++) {
            datum = model->operands[node->outputs + k];
            if (work->expiry[datum] <= stage)
                forget_or_note(work, datum, stage, stages_count, holds);
        }
    }
}

static enum remat_status derive_stage(struct remat_retention *work, int32_t stage, int32_t id, struct remat_error *err)
{
    const struct remat_model *model = work->model;
    const struct remat_node *node = &model->nodes[id];
    int32_t k;
    work->stamp++;
    work->pending_count = 0;
    for (k = 0; k < node->inputs_count; k++)
        if (!request(work, model->operands[node->inputs + k], node->key)) {
            work->missing_stage = stage;
            return REMAT_INFEASIBLE;
        }
    sort_pending(work);
    for (k = 0; k < work->pending_count; k++)
        REMAT_TRY(emit(work, work->pending[k], err));
    return emit(work, id, err);
}

enum remat_status remat_retention_derive(struct remat_retention *work, const int32_t *stages, int32_t stages_count,
                                         const struct remat_hold *holds, struct remat_error *err)
{
    int32_t s;
    REMAT_TRY(REMAT_GROW(work->stage_runs, work->stages_capacity, stages_count + 1, err));
    REMAT_TRY(REMAT_GROW(work->expiring, work->expiring_capacity, stages_count + 1, err));
    work->runs_count = 0;
    work->cost_ns = 0;
    memset(work->present, 0, (size_t)work->model->data_count * sizeof *work->present);
    memset(work->expiry, 0xff, (size_t)work->model->data_count * sizeof *work->expiry);
    memset(work->expiring, 0xff, (size_t)stages_count * sizeof *work->expiring);
    for (s = 0; s < stages_count; s++) {
        REMAT_TRY(derive_stage(work, s, stages[s], err));
        work->stage_runs[s] = work->runs_count;
        forget(work, s, stages_count, holds);
    }
    return REMAT_OK;
}

enum remat_status remat_retention_settle(struct remat_retention *work, const int32_t *stages, int32_t stages_count,
                                         struct remat_hold *holds, struct remat_error *err)
{
    enum remat_status status;
    int32_t attempts = 0;
    for (;;) {
        status = remat_retention_derive(work, stages, stages_count, holds, err);
        if (status != REMAT_INFEASIBLE)
            break;
        if (attempts++ > work->model->data_count)
            return remat_fail(err, REMAT_INTERNAL, "retention: value %d is missing although it is held", work->missing);
        remat_hold_add(&holds[work->missing], 0, work->missing_stage);
    }
    return status == REMAT_OK ? remat_retention_measure(work, err) : status;
}

enum remat_status remat_retention_schedule(const struct remat_retention *work, struct remat_schedule *out,
                                           struct remat_error *err)
{
    int32_t r;
    memset(out, 0, sizeof *out);
    for (r = 0; r < work->runs_count; r++) {
        const struct remat_node *node = &work->model->nodes[work->runs[r]];
        REMAT_TRY(remat_schedule_push(out, node->task, node->option, err));
    }
    return REMAT_OK;
}
