#include "solver/model.h"

#include <stdlib.h>
#include <string.h>

void remat_model_free(struct remat_model *model)
{
    free(model->nodes);
    free(model->data);
    free(model->operands);
    memset(model, 0, sizeof *model);
}

enum remat_status remat_model_add_datum(struct remat_model *model, int32_t value, int64_t bytes, int32_t *out,
                                        struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(model->data, model->data_capacity, model->data_count + 1, err));
    *out = model->data_count++;
    model->data[*out] = (struct remat_datum){.bytes = bytes, .value = value};
    return REMAT_OK;
}

static enum remat_status add_operands(struct remat_model *model, const int32_t *operands, int32_t count, int32_t *first,
                                      struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(model->operands, model->operands_capacity, model->operands_count + count + 1, err));
    *first = model->operands_count;
    if (count > 0)
        memcpy(model->operands + *first, operands, (size_t)count * sizeof *operands);
    model->operands_count += count;
    return REMAT_OK;
}

enum remat_status remat_model_add_virtual(struct remat_model *model, int32_t key, const int32_t *inputs,
                                          int32_t inputs_count, const int32_t *outputs, int32_t outputs_count,
                                          int32_t *out, struct remat_error *err)
{
    struct remat_node node = {.task = -1, .option = -1, .key = key, .last_key = -1};
    node.inputs_count = inputs_count;
    node.outputs_count = outputs_count;
    REMAT_TRY(add_operands(model, inputs, inputs_count, &node.inputs, err));
    REMAT_TRY(add_operands(model, outputs, outputs_count, &node.outputs, err));
    REMAT_TRY(REMAT_GROW(model->nodes, model->nodes_capacity, model->nodes_count + 1, err));
    *out = model->nodes_count++;
    model->nodes[*out] = node;
    return REMAT_OK;
}

int32_t remat_fastest_option(const struct remat_task *task, int64_t limit)
{
    int32_t best = 0, k;
    for (k = 1; k < task->options_count; k++) {
        const struct remat_option *option = &task->options[k], *chosen = &task->options[best];
        bool fits = option->scratch_bytes <= limit, chosen_fits = chosen->scratch_bytes <= limit;
        if (option->numerics != task->options[0].numerics)
            continue;
        if (fits && chosen_fits ? option->time_ns < chosen->time_ns
                                : option->scratch_bytes < chosen->scratch_bytes && !chosen_fits)
            best = k;
    }
    return best;
}

/* Position at which a task's outputs are first made; for a task without outputs, its own. */
static int32_t task_key(const struct remat_task_graph *graph, const struct remat_task *task)
{
    int32_t key = task->position, k;
    for (k = 0; k < task->outputs_count && task->position < 0; k++) {
        int32_t position = graph->tasks[graph->values[task->outputs[k]].producer].position;
        key = position > key ? position : key;
    }
    return key;
}

enum remat_status remat_model_add_task(struct remat_model *model, const struct remat_task_graph *graph, int32_t task,
                                       int32_t last_key, const int32_t *datum_of, int32_t *out, struct remat_error *err)
{
    const struct remat_task *source = &graph->tasks[task];
    int32_t inputs[REMAT_MAX_INPUTS], outputs[REMAT_MAX_OUTPUTS], k;
    struct remat_node *node;
    for (k = 0; k < source->inputs_count; k++)
        inputs[k] = datum_of[source->inputs[k]];
    for (k = 0; k < source->outputs_count; k++)
        outputs[k] = datum_of[source->outputs[k]];
    REMAT_TRY(remat_model_add_virtual(model, task_key(graph, source), inputs, source->inputs_count, outputs,
                                      source->outputs_count, out, err));
    node = &model->nodes[*out];
    node->task = task;
    node->last_key = last_key;
    node->option = remat_fastest_option(source, INT64_MAX);
    node->time_ns = source->options[node->option].time_ns;
    if (source->section == REMAT_MICRO)
        node->time_ns *= graph->micro_count;
    node->scratch_bytes = source->options[node->option].scratch_bytes;
    node->in_place_count = source->in_place_count;
    memcpy(node->in_place, source->in_place, sizeof node->in_place);
    return REMAT_OK;
}

bool remat_node_reads_once(const struct remat_model *model, const struct remat_node *node, int32_t input)
{
    int32_t k;
    for (k = 0; k < node->inputs_count; k++)
        if (k != input && model->operands[node->inputs + k] == model->operands[node->inputs + input])
            return false;
    return true;
}

enum remat_status remat_model_link(struct remat_model *model, struct remat_error *err)
{
    int32_t total = 0, n, d, k;
    for (n = 0; n < model->nodes_count; n++)
        if (model->nodes[n].last_key >= 0)
            for (k = 0; k < model->nodes[n].outputs_count; k++, total++)
                model->data[model->operands[model->nodes[n].outputs + k]].recipes_count++;
    REMAT_TRY(REMAT_GROW(model->operands, model->operands_capacity, model->operands_count + total + 1, err));
    for (d = 0; d < model->data_count; d++) {
        model->data[d].recipes = model->operands_count;
        model->operands_count += model->data[d].recipes_count;
        model->data[d].recipes_count = 0;
    }
    for (n = 0; n < model->nodes_count; n++)
        for (k = 0; k < model->nodes[n].outputs_count && model->nodes[n].last_key >= 0; k++) {
            struct remat_datum *datum = &model->data[model->operands[model->nodes[n].outputs + k]];
            model->operands[datum->recipes + datum->recipes_count++] = n;
        }
    return REMAT_OK;
}

/* overwritten[cell's first version + version] = position of the task that writes the next version. */
struct versions {
    int32_t *first; /* per cell, prefix sums of the number of versions */
    int32_t *overwritten;
};

static enum remat_status find_overwrites(const struct remat_task_graph *graph, struct versions *v,
                                         struct remat_error *err)
{
    int32_t t, k, c, total = 0;
    REMAT_TRY(REMAT_ALLOC(v->first, graph->cells_count + 1, err));
    for (t = 0; t < graph->tasks_count; t++)
        for (k = 0; k < graph->tasks[t].cells_count; k++)
            if (graph->tasks[t].cells[k].version >= v->first[graph->tasks[t].cells[k].cell])
                v->first[graph->tasks[t].cells[k].cell] = graph->tasks[t].cells[k].version + 1;
    for (c = 0; c <= graph->cells_count; c++) {
        int32_t count = v->first[c];
        v->first[c] = total;
        total += count;
    }
    REMAT_TRY(REMAT_ALLOC(v->overwritten, total, err));
    for (k = 0; k < total; k++)
        v->overwritten[k] = INT32_MAX;
    for (t = 0; t < graph->order_count; t++) {
        const struct remat_task *task = &graph->tasks[graph->order[t]];
        for (k = 0; k < task->cells_count; k++)
            if (task->cells[k].write)
                v->overwritten[v->first[task->cells[k].cell] + task->cells[k].version] = t;
    }
    return REMAT_OK;
}

enum remat_status remat_model_last_keys(const struct remat_task_graph *graph, int32_t **out, struct remat_error *err)
{
    struct versions v = {0};
    enum remat_status status;
    int32_t last_micro = graph->order_count, t, k;
    *out = NULL;
    while (last_micro > 0 && graph->tasks[graph->order[last_micro - 1]].section == REMAT_FINISH)
        last_micro--;
    REMAT_TRY_GOTO(find_overwrites(graph, &v, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(*out, graph->tasks_count, err), done);
    for (t = 0; t < graph->tasks_count; t++) {
        const struct remat_task *task = &graph->tasks[t];
        int32_t last = task->section == REMAT_MICRO ? last_micro : graph->order_count;
        for (k = 0; k < task->cells_count; k++) {
            int32_t until = v.overwritten[v.first[task->cells[k].cell] + task->cells[k].version];
            last = until < last ? until : last;
        }
        (*out)[t] = remat_task_repeatable(task) ? last : -1;
    }
done:
    free(v.first);
    free(v.overwritten);
    return status;
}

static enum remat_status copy_graph(const struct remat_task_graph *graph, const int32_t *last_keys,
                                    const int32_t *datum_of, struct remat_model *out, struct remat_error *err)
{
    int32_t i, id;
    out->fixed_bytes = graph->staging_bytes;
    for (i = 0; i < graph->values_count; i++)
        REMAT_TRY(remat_model_add_datum(out, i, graph->values[i].bytes, &id, err));
    for (i = 0; i < graph->tasks_count; i++)
        REMAT_TRY(remat_model_add_task(out, graph, i, last_keys[i], datum_of, &id, err));
    return remat_model_link(out, err);
}

enum remat_status remat_model_of_graph(const struct remat_task_graph *graph, struct remat_model *out,
                                       struct remat_error *err)
{
    int32_t *last_keys = NULL, *same = NULL, i;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY_GOTO(remat_model_last_keys(graph, &last_keys, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(same, graph->values_count, err), done);
    for (i = 0; i < graph->values_count; i++)
        same[i] = i;
    status = copy_graph(graph, last_keys, same, out, err);
done:
    free(last_keys);
    free(same);
    return status;
}

enum remat_status remat_choose_options(const struct remat_task_graph *graph, int64_t budget_bytes,
                                       struct remat_schedule *schedule, struct remat_error *err)
{
    struct remat_liveness live;
    enum remat_status status = remat_liveness(graph, schedule, &live, err);
    int32_t r;
    for (r = 0; r < schedule->count && status == REMAT_OK; r++) {
        struct remat_entry *run = &schedule->entries[r];
        const struct remat_task *task;
        int64_t beside;
        if (run->kind != REMAT_RUN)
            continue;
        task = &graph->tasks[run->task];
        beside = live.live_bytes[r] - task->options[run->option].scratch_bytes;
        run->option = remat_fastest_option(task, budget_bytes - beside);
    }
    remat_liveness_free(&live);
    return status;
}
