/* Sequences as a whole: from the base order, from and to lists of nodes, to schedules. */
#include "solver/sequence.h"

#include <stdlib.h>
#include <string.h>

static enum remat_status list_reads(struct remat_sequence *s, struct remat_error *err)
{
    const struct remat_model *model = s->model;
    int32_t n, k, i, used = 0, total = 0;
    for (n = 0; n < model->nodes_count; n++)
        total += model->nodes[n].inputs_count;
    REMAT_TRY(REMAT_ALLOC(s->reads, total, err));
    for (n = 0; n < model->nodes_count; n++) {
        const int32_t *inputs = model->operands + model->nodes[n].inputs;
        s->reads_begin[n] = used;
        for (k = 0; k < model->nodes[n].inputs_count; k++) {
            for (i = s->reads_begin[n]; i < used && s->reads[i] != inputs[k];)
                i++;
            if (i == used)
                s->reads[used++] = inputs[k];
        }
        for (k = 0; k < model->nodes[n].outputs_count; k++)
            s->made_bytes[n] += (double)model->data[model->operands[model->nodes[n].outputs + k]].bytes;
    }
    s->reads_begin[n] = used;
    return REMAT_OK;
}

enum remat_status remat_sequence_init(struct remat_sequence *out, const struct remat_model *model,
                                      const struct remat_task_graph *graph, const int32_t *stages, int32_t stages_count,
                                      struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    out->model = model;
    out->graph = graph;
    out->stages = stages;
    out->stages_count = stages_count;
    REMAT_TRY(REMAT_ALLOC(out->stage, stages_count, err));
    REMAT_TRY(REMAT_ALLOC(out->base, stages_count, err));
    REMAT_TRY(REMAT_ALLOC(out->highest, stages_count, err));
    REMAT_TRY(REMAT_ALLOC(out->block_base, stages_count / REMAT_SEQUENCE_BLOCK + 1, err));
    REMAT_TRY(REMAT_ALLOC(out->block_most, stages_count / REMAT_SEQUENCE_BLOCK + 1, err));
    REMAT_TRY(REMAT_ALLOC(out->block_dirty, stages_count / REMAT_SEQUENCE_BLOCK + 1, err));
    REMAT_TRY(REMAT_ALLOC(out->dirty, stages_count, err));
    REMAT_TRY(REMAT_ALLOC(out->is_dirty, stages_count, err));
    REMAT_TRY(REMAT_ALLOC(out->events, model->data_count, err));
    REMAT_TRY(REMAT_ALLOC(out->reads_begin, model->nodes_count + 1, err));
    REMAT_TRY(REMAT_ALLOC(out->made_bytes, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(out->option, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(out->time_ns, model->nodes_count, err));
    REMAT_TRY(REMAT_ALLOC(out->scratch, model->nodes_count, err));
    REMAT_TRY(list_reads(out, err));
    return remat_sequence_reset(out, err);
}

enum remat_status remat_sequence_reset(struct remat_sequence *s, struct remat_error *err)
{
    int32_t n;
    for (n = 0; n < s->model->nodes_count; n++) {
        s->option[n] = s->model->nodes[n].option;
        s->time_ns[n] = s->model->nodes[n].time_ns;
        s->scratch[n] = (double)s->model->nodes[n].scratch_bytes;
    }
    return remat_sequence_load(s, s->stages, s->stages_count, err);
}

void remat_sequence_free(struct remat_sequence *s)
{
    int32_t i;
    for (i = 0; s->stage && i < s->stages_count; i++)
        free(s->stage[i].runs);
    for (i = 0; s->events && i < s->model->data_count; i++)
        free(s->events[i].at);
    free(s->runs);
    free(s->unused);
    free(s->again);
    free(s->stage);
    free(s->base);
    free(s->highest);
    free(s->block_base);
    free(s->block_most);
    free(s->block_dirty);
    free(s->dirty);
    free(s->is_dirty);
    free(s->events);
    free(s->reads);
    free(s->reads_begin);
    free(s->made_bytes);
    free(s->option);
    free(s->time_ns);
    free(s->scratch);
    free(s->log);
    memset(s, 0, sizeof *s);
}

enum remat_status remat_sequence_save(const struct remat_sequence *s, int32_t **nodes, int32_t *count,
                                      int32_t *capacity, struct remat_error *err)
{
    int32_t t, k;
    REMAT_TRY(REMAT_GROW(*nodes, *capacity, s->stages_count + s->again_count, err));
    for (*count = 0, t = 0; t < s->stages_count; t++)
        for (k = 0; k < s->stage[t].count; k++)
            (*nodes)[(*count)++] = s->runs[s->stage[t].runs[k]].node;
    return REMAT_OK;
}

static enum remat_status append_event(struct remat_events *events, int32_t event, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(events->at, events->capacity, events->count + 1, err));
    events->at[events->count++] = event;
    return REMAT_OK;
}

static enum remat_status append_run(struct remat_sequence *s, int32_t run, int32_t node, int32_t t,
                                    struct remat_error *err)
{
    struct remat_sequence_stage *stage = &s->stage[t];
    const struct remat_node *n = &s->model->nodes[node];
    int32_t k;
    REMAT_TRY(REMAT_GROW(stage->runs, stage->capacity, stage->count + 1, err));
    s->runs[run] = (struct remat_sequence_run){node, -1, remat_place(t, stage->count), 0, 0};
    stage->runs[stage->count++] = run;
    s->cost_ns += s->time_ns[node];
    for (k = s->reads_begin[node]; k < s->reads_begin[node + 1]; k++)
        REMAT_TRY(append_event(&s->events[s->reads[k]], run * 2, err));
    for (k = 0; k < n->outputs_count; k++)
        REMAT_TRY(append_event(&s->events[s->model->operands[n->outputs + k]], run * 2 + 1, err));
    return REMAT_OK;
}

/* Live bytes of all runs from the lifetimes, by a sum over their ends. */
static void sum_live(struct remat_sequence *s)
{
    double live = 0;
    int32_t t, k, i;
    for (t = 0; t < s->stages_count; t++)
        for (k = 0; k < s->stage[t].count; k++) {
            struct remat_sequence_run *run = &s->runs[s->stage[t].runs[k]];
            const struct remat_node *node = &s->model->nodes[run->node];
            live += s->made_bytes[run->node];
            run->live = live;
            for (i = 0; i < node->outputs_count; i++) {
                const struct remat_events *events = &s->events[s->model->operands[node->outputs + i]];
                if (!remat_event_reads(events, remat_event_from(s, events, run->place) + 1))
                    live -= (double)s->model->data[s->model->operands[node->outputs + i]].bytes;
            }
            for (i = s->reads_begin[run->node]; i < s->reads_begin[run->node + 1]; i++) {
                const struct remat_events *events = &s->events[s->reads[i]];
                if (!remat_event_reads(events, remat_event_from(s, events, run->place) + 1))
                    live -= (double)s->model->data[s->reads[i]].bytes;
            }
        }
}

static void clear(struct remat_sequence *s)
{
    int32_t i;
    for (i = 0; i < s->stages_count; i++)
        s->stage[i].count = 0;
    for (i = 0; i < s->model->data_count; i++)
        s->events[i].count = 0;
    memset(s->base, 0, (size_t)s->stages_count * sizeof *s->base);
    memset(s->block_base, 0, ((size_t)s->stages_count / REMAT_SEQUENCE_BLOCK + 1) * sizeof *s->block_base);
    s->runs_count = s->stages_count;
    s->unused_count = s->again_count = s->log_count = 0;
    s->cost_ns = 0;
}

enum remat_status remat_sequence_load(struct remat_sequence *s, const int32_t *nodes, int32_t count,
                                      struct remat_error *err)
{
    int32_t i, t, run;
    REMAT_TRY(REMAT_GROW(s->runs, s->runs_capacity, count, err));
    REMAT_TRY(REMAT_GROW(s->unused, s->unused_capacity, count, err));
    REMAT_TRY(REMAT_GROW(s->again, s->again_capacity, count, err));
    clear(s);
    for (i = 0, t = 0; i < count; i++) {
        bool first = t < s->stages_count && nodes[i] == s->stages[t];
        run = first ? t : s->runs_count++;
        if (t < s->stages_count)
            REMAT_TRY(append_run(s, run, nodes[i], t, err));
        if (!first) {
            s->runs[run].again = s->again_count;
            s->again[s->again_count++] = run;
        }
        t += first;
    }
    sum_live(s);
    for (i = 0; i < s->runs_count; i++)
        remat_sequence_renew(s, i);
    return REMAT_OK;
}

enum remat_status remat_sequence_schedule(const struct remat_sequence *s, struct remat_schedule *out,
                                          struct remat_error *err)
{
    int32_t t, k;
    memset(out, 0, sizeof *out);
    for (t = 0; t < s->stages_count; t++)
        for (k = 0; k < s->stage[t].count; k++) {
            int32_t node = s->runs[s->stage[t].runs[k]].node;
            REMAT_TRY(remat_schedule_push(out, s->model->nodes[node].task, s->option[node], err));
        }
    return REMAT_OK;
}
