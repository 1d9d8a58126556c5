#include "core/base/hash.h"
#include "solver/block.h"

#include <stdlib.h>
#include <string.h>

struct list {
    int32_t *items, count, capacity;
};

static enum remat_status push(struct list *list, int32_t item, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(list->items, list->capacity, list->count + 1, err));
    list->items[list->count++] = item;
    return REMAT_OK;
}

/* What making a block model needs besides its result. */
struct making {
    const struct remat_task_graph *graph;
    const struct remat_partition *p;
    const int32_t *last_keys;
    struct remat_block_model *out;
    struct list value_of; /* values met, in the order of meeting = data */
    int32_t *datum_of;    /* per value, -1 = not met */
    struct list source, outside, inputs, pinned, arriving, handed, handed_and_input, leaving, leaving_light;
    struct remat_error *err;
};

static bool is_inner(const struct making *m, int32_t value)
{
    return m->p->producer[value] < m->p->turn && m->p->block[value] == m->out->block;
}

static bool is_input(const struct making *m, int32_t value)
{
    return remat_partition_crosses(m->p, value, m->out->block);
}

static bool is_handed(const struct making *m, int32_t value)
{
    return m->out->block + 1 < m->p->count && remat_partition_crosses(m->p, value, m->out->block + 1);
}

static bool is_arriving(const struct making *m, int32_t value)
{
    return m->out->block + 1 < m->p->count && remat_partition_crosses_back(m->p, value, m->out->block + 1);
}

static bool is_made_backward(const struct making *m, int32_t value)
{
    int32_t t = m->p->producer[value];
    return t >= m->p->backward[m->out->block + 1] && t < m->p->backward[m->out->block];
}

/* Values from elsewhere that are neither input nor gradient are there at no charge: pinned, or of no concern here. */
static enum remat_status meet(struct making *m, int32_t value)
{
    bool inner = is_inner(m, value) && !m->p->pinned[value];
    bool counted = inner || is_input(m, value) || is_arriving(m, value) || is_made_backward(m, value);
    int32_t datum;
    if (m->datum_of[value] >= 0)
        return REMAT_OK;
    REMAT_TRY(push(&m->value_of, value, m->err));
    REMAT_TRY(
        remat_model_add_datum(&m->out->model, value, counted ? m->graph->values[value].bytes : 0, &datum, m->err));
    m->datum_of[value] = datum;
    if (is_arriving(m, value))
        return push(&m->arriving, datum, m->err);
    if (is_inner(m, value))
        return m->p->pinned[value] ? push(&m->pinned, datum, m->err) : REMAT_OK;
    return is_made_backward(m, value) ? REMAT_OK : push(&m->source, datum, m->err);
}

static enum remat_status meet_operands(struct making *m, int32_t task)
{
    const struct remat_task *t = &m->graph->tasks[task];
    int32_t k;
    for (k = 0; k < t->inputs_count; k++)
        REMAT_TRY(meet(m, t->inputs[k]));
    for (k = 0; k < t->outputs_count; k++)
        REMAT_TRY(meet(m, t->outputs[k]));
    return REMAT_OK;
}

static bool is_alternate_here(const struct making *m, const struct remat_task *task)
{
    int32_t k;
    for (k = 0; k < task->outputs_count; k++)
        if (!is_inner(m, task->outputs[k]))
            return false;
    return task->position < 0 && task->outputs_count > 0;
}

/* Meets all operands; values that only pass by (long skips, early gradients) count too. */
static enum remat_status meet_all(struct making *m)
{
    const struct remat_partition *p = m->p;
    int32_t b = m->out->block, t, v;
    for (t = p->forward[b]; t < p->forward[b + 1]; t++)
        REMAT_TRY(meet_operands(m, m->graph->order[t]));
    for (t = p->backward[b + 1]; t < p->backward[b]; t++)
        REMAT_TRY(meet_operands(m, m->graph->order[t]));
    for (t = 0; t < m->graph->tasks_count; t++)
        if (is_alternate_here(m, &m->graph->tasks[t]))
            REMAT_TRY(meet_operands(m, t));
    for (v = 0; v < m->graph->values_count; v++)
        if (is_input(m, v) || is_handed(m, v) || is_arriving(m, v))
            REMAT_TRY(meet(m, v));
    return REMAT_OK;
}

static enum remat_status sort_values(struct making *m)
{
    struct remat_block_model *out = m->out;
    int32_t d;
    for (d = 0; d < out->model.data_count; d++) {
        int32_t v = out->model.data[d].value;
        if (is_input(m, v)) {
            out->input[d] = true;
            out->input_bytes += out->model.data[d].bytes;
            REMAT_TRY(push(&m->inputs, d, m->err));
        }
        if (is_handed(m, v)) {
            REMAT_TRY(push(&m->handed, d, m->err));
            out->output_bytes += is_input(m, v) ? 0 : out->model.data[d].bytes;
        }
        if (is_handed(m, v) || is_input(m, v))
            REMAT_TRY(push(&m->handed_and_input, d, m->err));
        /* The input counts until the end of the backward part, whoever holds it. */
        if (remat_partition_crosses_back(m->p, v, out->block) || is_input(m, v))
            REMAT_TRY(push(&m->leaving, d, m->err));
        if (remat_partition_crosses_back(m->p, v, out->block) && !is_input(m, v))
            REMAT_TRY(push(&m->leaving_light, d, m->err));
        out->given[d] = !is_inner(m, v) || m->p->pinned[v];
    }
    for (d = 0; d < m->source.count; d++)
        if (!out->input[m->source.items[d]])
            REMAT_TRY(push(&m->outside, m->source.items[d], m->err));
    return REMAT_OK;
}

/* Inner values that can be made again; first those that stay inside, then those that the block hands on. */
static enum remat_status find_candidates(struct making *m)
{
    struct remat_block_model *out = m->out;
    int32_t d, pass;
    REMAT_TRY(REMAT_ALLOC(out->candidates, out->model.data_count, m->err));
    for (pass = 0; pass < 2; pass++) {
        for (d = 0; d < out->model.data_count; d++)
            if (!out->given[d] && out->model.data[d].recipes_count > 0 &&
                is_handed(m, out->model.data[d].value) == (pass == 1))
                out->candidates[out->candidates_count++] = d;
        if (pass == 0)
            out->outputs_begin = out->candidates_count;
    }
    return REMAT_OK;
}

static enum remat_status add_source(struct making *m, int32_t key, const struct list *in, const struct list *made,
                                    int32_t *out)
{
    return remat_model_add_virtual(&m->out->model, key, in ? in->items : NULL, in ? in->count : 0,
                                   made ? made->items : NULL, made ? made->count : 0, out, m->err);
}

static enum remat_status add_part(struct making *m, int32_t begin, int32_t end, int64_t *time, bool last)
{
    struct remat_block_model *out = m->out;
    int32_t t, node;
    for (t = begin; t < end; t++) {
        int32_t task = m->graph->order[t];
        REMAT_TRY(remat_model_add_task(&out->model, m->graph, task, m->last_keys[task], m->datum_of, &node, m->err));
        out->whole[out->whole_count++] = node;
        if (last)
            out->last[out->last_count++] = node;
        *time += out->model.nodes[node].time_ns;
    }
    return REMAT_OK;
}

static enum remat_status add_alternates(struct making *m)
{
    int32_t t, node;
    for (t = 0; t < m->graph->tasks_count; t++)
        if (is_alternate_here(m, &m->graph->tasks[t]))
            REMAT_TRY(remat_model_add_task(&m->out->model, m->graph, t, m->last_keys[t], m->datum_of, &node, m->err));
    return REMAT_OK;
}

/* The stages of `last`, but for who makes the input and whether it has to be there at the end. */
static enum remat_status add_light(struct making *m, int32_t begin, int32_t end)
{
    struct remat_block_model *out = m->out;
    memcpy(out->light, out->last, (size_t)out->last_count * sizeof *out->light);
    REMAT_TRY(add_source(m, begin, NULL, &m->outside, &out->light[0]));
    REMAT_TRY(add_source(m, end, &m->leaving_light, NULL, &out->light[out->last_count - 1]));
    return add_source(m, begin - 1, NULL, &m->inputs, &out->input_node); /* comes first wherever it runs */
}

static enum remat_status add_nodes(struct making *m)
{
    struct remat_block_model *out = m->out;
    const struct remat_partition *p = m->p;
    int32_t b = out->block, begin = p->forward[b], turn = p->backward[b + 1], end = p->backward[b];
    int32_t source, pinned, gap, hold, arrival, leave, d;
    struct list kept = {0};
    enum remat_status status;
    REMAT_TRY(add_source(m, begin, NULL, &m->source, &source));
    REMAT_TRY(add_source(m, begin, NULL, &m->pinned, &pinned));
    REMAT_TRY(add_source(m, turn, &m->handed, NULL, &gap));
    REMAT_TRY(add_source(m, turn, NULL, &m->arriving, &arrival));
    REMAT_TRY(add_source(m, end, &m->leaving, NULL, &leave));
    out->gap_inputs = m->handed_and_input.count;
    for (d = 0; d < out->model.data_count; d++) { /* room for every set of kept values */
        REMAT_TRY_GOTO(push(&kept, d, m->err), done);
        REMAT_TRY_GOTO(push(&m->handed_and_input, d, m->err), done);
    }
    REMAT_TRY_GOTO(add_source(m, turn, &m->handed_and_input, NULL, &hold), done);
    out->gap_node = hold;
    out->model.nodes[hold].inputs_count = out->gap_inputs;
    REMAT_TRY_GOTO(add_source(m, begin, NULL, &kept, &out->kept_node), done);
    out->whole[out->whole_count++] = source;
    REMAT_TRY_GOTO(add_part(m, begin, p->forward[b + 1], &out->base_ns, false), done);
    out->gap = out->whole_count;
    out->whole[out->whole_count++] = hold;
    out->whole[out->whole_count++] = arrival;
    out->last[out->last_count++] = source;
    out->last[out->last_count++] = pinned;
    out->last[out->last_count++] = arrival;
    REMAT_TRY_GOTO(add_part(m, turn, end, &out->backward_ns, true), done);
    out->whole[out->whole_count++] = leave;
    out->last[out->last_count++] = leave;
    out->base_ns += out->backward_ns;
    memcpy(out->pass, (int32_t[]){source, pinned, gap}, sizeof out->pass);
    memcpy(out->hold, (int32_t[]){source, pinned, hold}, sizeof out->hold);
    memcpy(out->soft, (int32_t[]){source, pinned, out->kept_node, gap}, sizeof out->soft);
    REMAT_TRY_GOTO(add_light(m, begin, end), done);
    status = add_alternates(m);
done:
    free(kept.items);
    return status;
}

/* Whether two blocks have the same signature decides whether their options are computed once. Keys count only relative
 * to the block, and limits on running again only if they fall inside it. */
static void sign(struct making *m)
{
    struct remat_block_model *out = m->out;
    const struct remat_model *model = &out->model;
    int32_t turn = m->p->backward[out->block + 1], end = m->p->backward[out->block], n, d, k;
    uint64_t hash = remat_hash(model->operands, (size_t)model->operands_count * sizeof *model->operands, 1);
    for (d = 0; d < model->data_count; d++) {
        int64_t item[4] = {model->data[d].bytes, model->data[d].recipes_count, out->given[d], out->input[d]};
        hash = remat_hash(item, sizeof item, hash);
    }
    for (n = 0; n < model->nodes_count; n++) {
        const struct remat_node *node = &model->nodes[n];
        int64_t item[8] = {node->key < m->p->turn ? node->key - m->p->forward[out->block] : node->key - turn,
                           node->last_key >= end    ? INT32_MAX
                           : node->last_key >= turn ? node->last_key - turn
                                                    : -(node->last_key < 0),
                           node->time_ns,
                           node->scratch_bytes,
                           node->inputs_count,
                           node->outputs_count,
                           node->in_place_count,
                           node->task >= 0};
        hash = remat_hash(item, sizeof item, hash);
        for (k = 0; k < node->in_place_count; k++)
            hash = remat_hash_combine(hash, (uint64_t)(node->in_place[k].output * 64 + node->in_place[k].input));
    }
    out->signature = remat_hash(out->whole, (size_t)out->whole_count * sizeof *out->whole, hash);
}

static enum remat_status build(struct making *m)
{
    struct remat_block_model *out = m->out;
    const struct remat_partition *p = m->p;
    int32_t v, d, stages = m->graph->order_count + 8;
    REMAT_TRY(REMAT_ALLOC(m->datum_of, m->graph->values_count, m->err));
    for (v = 0; v < m->graph->values_count; v++)
        m->datum_of[v] = -1;
    REMAT_TRY(meet_all(m));
    REMAT_TRY(REMAT_ALLOC(out->holds, out->model.data_count, m->err));
    REMAT_TRY(REMAT_ALLOC(out->given, out->model.data_count, m->err));
    REMAT_TRY(REMAT_ALLOC(out->input, out->model.data_count, m->err));
    REMAT_TRY(REMAT_ALLOC(out->forward_end, out->model.data_count, m->err));
    REMAT_TRY(REMAT_ALLOC(out->whole, stages, m->err));
    REMAT_TRY(REMAT_ALLOC(out->last, stages, m->err));
    REMAT_TRY(REMAT_ALLOC(out->light, stages, m->err));
    REMAT_TRY(sort_values(m));
    REMAT_TRY(add_nodes(m));
    for (d = 0; d < out->model.data_count; d++) {
        int32_t end = p->forward_end[out->model.data[d].value], limit = p->forward[out->block + 1];
        out->forward_end[d] = (end < limit ? end : limit) - p->forward[out->block] + 1;
    }
    out->model.nodes[out->input_node].last_key = INT32_MAX; /* a recipe, but of no use elsewhere: */
    REMAT_TRY(remat_model_link(&out->model, m->err));
    out->model.nodes[out->input_node].last_key = -1;
    REMAT_TRY(find_candidates(m));
    sign(m);
    return remat_retention_init(&out->work, &out->model, m->err);
}

enum remat_status remat_block_model_make(const struct remat_task_graph *graph, const struct remat_partition *partition,
                                         const int32_t *last_keys, int32_t block, struct remat_block_model *out,
                                         struct remat_error *err)
{
    struct making m = {.graph = graph, .p = partition, .last_keys = last_keys, .out = out, .err = err};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    out->block = block;
    status = build(&m);
    free(m.datum_of);
    free(m.value_of.items);
    free(m.source.items);
    free(m.outside.items);
    free(m.inputs.items);
    free(m.pinned.items);
    free(m.arriving.items);
    free(m.handed.items);
    free(m.handed_and_input.items);
    free(m.leaving.items);
    free(m.leaving_light.items);
    return status;
}

void remat_block_model_free(struct remat_block_model *block)
{
    remat_retention_free(&block->work);
    remat_model_free(&block->model);
    free(block->holds);
    free(block->candidates);
    free(block->forward_end);
    free(block->given);
    free(block->input);
    free(block->whole);
    free(block->last);
    free(block->light);
    memset(block, 0, sizeof *block);
}
