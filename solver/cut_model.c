#include "solver/cut_model.h"

#include "core/base/number.h"
#include "solver/model.h"

#include <stdlib.h>
#include <string.h>

void remat_cut_model_free(struct remat_cut_model *model)
{
    free(model->values);
    free(model->ways);
    free(model->inputs);
    memset(model, 0, sizeof *model);
}

/* The least time of a run, micro steps counted: options beyond the first one's numerics class give other bits. */
static int64_t least_time(const struct remat_task_graph *graph, const struct remat_task *task)
{
    int64_t time_ns = task->options[remat_fastest_option(task, INT64_MAX)].time_ns;
    return task->section == REMAT_MICRO ? time_ns * graph->micro_count : time_ns;
}

/* The largest number that divides the time of every run; at least 1. */
static int64_t time_step(const struct remat_task_graph *graph)
{
    int64_t step = 0;
    int32_t t, k;
    for (t = 0; t < graph->tasks_count; t++)
        for (k = 0; k < graph->tasks[t].options_count; k++)
            step = remat_common_divisor(graph->tasks[t].options[k].time_ns, step);
    return step > 0 ? step : 1;
}

static int64_t least_scratch(const struct remat_task *task)
{
    return task->options[remat_fastest_option(task, -1)].scratch_bytes;
}

/* ---------------------------------------------------------------------------------------------------------- ways */

static bool same_recipes(const struct remat_value *a, const struct remat_value *b)
{
    return a->recipes_count == b->recipes_count &&
           memcmp(a->recipes, b->recipes, (size_t)a->recipes_count * sizeof *a->recipes) == 0;
}

/* The way of an earlier value with the same recipes, or -1. */
static int32_t known_way(const struct remat_cut_model *model, int32_t value)
{
    const struct remat_task_graph *graph = model->graph;
    const struct remat_task *recipe = &graph->tasks[graph->values[value].recipes[0]];
    int32_t k;
    for (k = 0; k < recipe->outputs_count; k++)
        if (recipe->outputs[k] != value && model->values[recipe->outputs[k]].way >= 0 &&
            same_recipes(&graph->values[value], &graph->values[recipe->outputs[k]]))
            return model->values[recipe->outputs[k]].way;
    return -1;
}

static bool all_read(const struct remat_task_graph *graph, const struct remat_value *value, int32_t input)
{
    int32_t r, k;
    for (r = 0; r < value->recipes_count; r++) {
        const struct remat_task *recipe = &graph->tasks[value->recipes[r]];
        for (k = 0; k < recipe->inputs_count && recipe->inputs[k] != input; k++)
            continue;
        if (k == recipe->inputs_count)
            return false;
    }
    return true;
}

static enum remat_status list_inputs(struct remat_cut_model *model, const struct remat_value *value,
                                     struct remat_way *way, struct remat_error *err)
{
    const struct remat_task *recipe = &model->graph->tasks[value->recipes[0]];
    int32_t i, k;
    REMAT_TRY(REMAT_GROW(model->inputs, model->inputs_capacity, model->inputs_count + REMAT_MAX_INPUTS, err));
    way->inputs = model->inputs_count;
    for (i = 0; i < recipe->inputs_count; i++) {
        for (k = 0; k < i && recipe->inputs[k] != recipe->inputs[i]; k++)
            continue;
        if (k == i && all_read(model->graph, value, recipe->inputs[i]))
            model->inputs[way->inputs + way->inputs_count++] = recipe->inputs[i];
    }
    model->inputs_count += way->inputs_count;
    return REMAT_OK;
}

/* `rest` is what of each task's time no way has been given yet. */
static enum remat_status add_way(struct remat_cut_model *model, int32_t value, const int32_t *last_keys, int64_t *rest,
                                 struct remat_error *err)
{
    const struct remat_value *source = &model->graph->values[value];
    struct remat_way *way;
    int32_t r;
    REMAT_TRY(REMAT_GROW(model->ways, model->ways_capacity, model->ways_count + 1, err));
    way = &model->ways[model->ways_count];
    *way = (struct remat_way){.time_ns = INT64_MAX, .last_key = -1};
    for (r = 0; r < source->recipes_count; r++) {
        way->time_ns = rest[source->recipes[r]] < way->time_ns ? rest[source->recipes[r]] : way->time_ns;
        way->last_key = last_keys[source->recipes[r]] > way->last_key ? last_keys[source->recipes[r]] : way->last_key;
    }
    for (r = 0; r < source->recipes_count; r++)
        rest[source->recipes[r]] -= way->time_ns;
    REMAT_TRY(list_inputs(model, source, way, err));
    model->values[value].way = model->ways_count++;
    return REMAT_OK;
}

/* Ways of several recipes first: they are the cheap ones, and what remains of a task's time goes to its other outputs.
 */
static enum remat_status add_ways(struct remat_cut_model *model, const int32_t *last_keys, int64_t *rest,
                                  struct remat_error *err)
{
    const struct remat_task_graph *graph = model->graph;
    int32_t several, v;
    for (several = 1; several >= 0; several--)
        for (v = 0; v < graph->values_count; v++) {
            if (graph->values[v].recipes_count == 0 || (graph->values[v].recipes_count > 1) != several)
                continue;
            model->values[v].way = known_way(model, v);
            if (model->values[v].way < 0)
                REMAT_TRY(add_way(model, v, last_keys, rest, err));
        }
    return REMAT_OK;
}

/* Tasks of the micro section may also run again when all of them have run, before the finish section begins. */
static void extend_micro(const struct remat_task_graph *graph, int32_t *last_keys)
{
    int32_t micro = graph->order_count, t;
    while (micro > 0 && graph->tasks[graph->order[micro - 1]].section == REMAT_FINISH)
        micro--;
    for (t = 0; t < graph->tasks_count; t++)
        if (last_keys[t] == micro - 1 && graph->tasks[t].section == REMAT_MICRO)
            last_keys[t] = micro;
}

static enum remat_status fill_in(struct remat_cut_model *model, const int32_t *last_keys, int64_t *rest,
                                 struct remat_error *err)
{
    const struct remat_task_graph *graph = model->graph;
    int32_t t, v;
    for (t = 0; t < graph->tasks_count; t++)
        rest[t] = least_time(graph, &graph->tasks[t]);
    for (t = 0; t < graph->order_count; t++)
        model->base_ns += rest[graph->order[t]];
    for (v = 0; v < graph->values_count; v++) {
        const struct remat_value *value = &graph->values[v];
        int32_t users = value->users_count;
        model->values[v] = (struct remat_cut_value){
            .bytes = value->bytes,
            .made = graph->tasks[value->producer].position,
            .last_read = users > 0 ? graph->tasks[value->users[users - 1]].position : -1,
            .way = -1,
        };
    }
    model->step_ns = time_step(graph);
    return add_ways(model, last_keys, rest, err);
}

enum remat_status remat_cut_model_make(const struct remat_task_graph *graph, struct remat_cut_model *out,
                                       struct remat_error *err)
{
    int32_t *last_keys = NULL;
    int64_t *rest = NULL;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    out->graph = graph;
    out->values_count = graph->values_count;
    REMAT_TRY_GOTO(REMAT_ALLOC(out->values, graph->values_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(rest, graph->tasks_count, err), done);
    REMAT_TRY_GOTO(remat_model_last_keys(graph, &last_keys, err), done);
    extend_micro(graph, last_keys);
    status = fill_in(out, last_keys, rest, err);
done:
    free(last_keys);
    free(rest);
    return status;
}

/* -------------------------------------------------------------------------------------------------------- memory */

/* The inputs that an output may take the place of, and what is saved by each set of them that dies. */
struct overwrites {
    int32_t count, inputs[4]; /* values */
    bool late[4];             /* read by a later task of the order */
    int64_t saved[1 << 4];
};

static int32_t candidate(const struct remat_task *task, const struct overwrites *over, int32_t input)
{
    int32_t k;
    for (k = 0; k < over->count; k++)
        if (over->inputs[k] == task->inputs[input])
            return k;
    return -1;
}

static bool read_once(const struct remat_task *task, int32_t input)
{
    int32_t k;
    for (k = 0; k < task->inputs_count; k++)
        if (k != input && task->inputs[k] == task->inputs[input])
            return false;
    return true;
}

/* The rule of core/plan/schedule.h: pairs in the order listed, each operand at most once. */
static int64_t saved_bytes(const struct remat_cut_model *model, const struct remat_task *task,
                           const struct overwrites *over, unsigned dying)
{
    unsigned outputs = 0;
    int64_t saved = 0;
    int32_t p;
    for (p = 0; p < task->in_place_count; p++) {
        int32_t j = task->in_place[p].output, k = candidate(task, over, task->in_place[p].input);
        if (k < 0 || !(dying >> k & 1) || (outputs >> j & 1) ||
            model->values[task->outputs[j]].bytes != model->values[over->inputs[k]].bytes)
            continue;
        dying &= ~(1u << k);
        outputs |= 1u << j;
        saved += model->values[over->inputs[k]].bytes;
    }
    return saved;
}

static void find_overwrites(const struct remat_cut_model *model, const struct remat_task *task, struct overwrites *over)
{
    unsigned dying;
    int32_t p;
    over->count = 0;
    for (p = 0; p < task->in_place_count; p++) {
        int32_t i = task->in_place[p].input, value = task->inputs[i];
        if (model->values[value].bytes != model->values[task->outputs[task->in_place[p].output]].bytes ||
            !read_once(task, i) || candidate(task, over, i) >= 0)
            continue;
        over->late[over->count] = model->values[value].last_read > task->position;
        over->inputs[over->count++] = value;
    }
    for (dying = 0; dying < 1u << over->count; dying++)
        over->saved[dying] = saved_bytes(model, task, over, dying);
}

/* Weights w and a constant k with saved(dying) <= k + w(dying) for all sets, tight where what nobody reads later dies:
 * k is what those save together, if they compete; then each weighs what the sets with it can save beyond. */
static int64_t weigh(const struct overwrites *over, int64_t *weights)
{
    unsigned early = 0, settled = 0, dying;
    int64_t constant = 0;
    int32_t k, j;
    for (k = 0; k < over->count; k++)
        if (!over->late[k])
            early |= 1u << k;
    if (over->count > 1)
        for (dying = early; dying > 0; dying = (dying - 1) & early)
            constant = over->saved[dying] > constant ? over->saved[dying] : constant;
    settled = over->count > 1 ? early : 0;
    for (k = 0; k < over->count; k++)
        weights[k] = 0;
    for (k = 0; k < over->count; k++) {
        if (settled >> k & 1)
            continue;
        for (dying = settled | 1u << k;; dying = (dying - 1) & (settled | 1u << k)) {
            int64_t beyond = over->saved[dying] - constant;
            for (j = 0; j < over->count; j++)
                if (j != k && (dying >> j & 1))
                    beyond -= weights[j];
            if ((dying >> k & 1) && beyond > weights[k])
                weights[k] = beyond;
            if (dying == 0)
                break;
        }
        settled |= 1u << k;
    }
    return constant;
}

static void add_operand(const struct remat_cut_model *model, struct remat_cut_memory *out, int32_t value)
{
    int32_t k;
    for (k = 0; k < out->count; k++)
        if (out->values[k] == value)
            return;
    out->values[out->count] = value;
    out->weights[out->count++] = 0;
    out->fixed_bytes += model->values[value].bytes;
}

void remat_cut_memory_at(const struct remat_cut_model *model, int32_t task, struct remat_cut_memory *out)
{
    const struct remat_task *source = &model->graph->tasks[task];
    struct overwrites over;
    int64_t weights[4];
    int32_t k, i;
    out->count = 0;
    out->fixed_bytes = model->graph->staging_bytes + least_scratch(source);
    for (k = 0; k < source->inputs_count; k++)
        add_operand(model, out, source->inputs[k]);
    for (k = 0; k < source->outputs_count; k++)
        add_operand(model, out, source->outputs[k]);
    find_overwrites(model, source, &over);
    out->fixed_bytes -= weigh(&over, weights);
    for (k = 0; k < over.count; k++)
        for (i = 0; i < out->count; i++)
            if (out->values[i] == over.inputs[k]) {
                out->weights[i] = weights[k];
                out->fixed_bytes -= weights[k];
            }
}
