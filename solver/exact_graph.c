/* A whole graph as a problem of the exact method. */
#include "solver/exact.h"
#include "solver/model.h"

#include <stdlib.h>
#include <string.h>

struct whole {
    const struct remat_task_graph *graph;
    struct remat_exact_problem problem;
    struct remat_exact_task *tasks;
    struct remat_exact_option *options;
    int32_t *of_option; /* per option of the problem: the task's */
    int32_t *last_keys;
    int32_t options_count;
};

static bool passed_once(const struct remat_task *task, int32_t input)
{
    int32_t k;
    for (k = 0; k < task->inputs_count; k++)
        if (k != input && task->inputs[k] == task->inputs[input])
            return false;
    return true;
}

static void add_pairs(const struct whole *w, const struct remat_task *source, struct remat_exact_task *task)
{
    int32_t p;
    for (p = 0; p < source->in_place_count; p++) {
        int32_t i = source->in_place[p].input, input = source->inputs[i],
                output = source->outputs[source->in_place[p].output];
        if (w->graph->values[input].bytes != w->graph->values[output].bytes || !passed_once(source, i))
            continue;
        task->pairs[task->pairs_count][0] = (int8_t)input;
        task->pairs[task->pairs_count++][1] = (int8_t)output;
    }
}

/* Those of the first one's numerics class. */
static void add_options(struct whole *w, const struct remat_task *source, struct remat_exact_task *task)
{
    int64_t times = source->section == REMAT_MICRO ? w->graph->micro_count : 1;
    int32_t k;
    task->options = w->options_count;
    for (k = 0; k < source->options_count; k++) {
        const struct remat_option *option = &source->options[k];
        if (option->numerics != source->options[0].numerics)
            continue;
        w->of_option[w->options_count] = k;
        w->options[w->options_count++] = (struct remat_exact_option){times * option->time_ns, option->scratch_bytes};
        task->options_count++;
    }
}

/* The number of tasks done from which on a cell holds a version. */
static int32_t version_since(const struct remat_task_graph *graph, const struct remat_cell_use *use)
{
    int32_t version = 0, done, k;
    for (done = 0; version < use->version; done++) {
        const struct remat_task *task = &graph->tasks[graph->order[done]];
        for (k = 0; k < task->cells_count; k++)
            version += task->cells[k].cell == use->cell && task->cells[k].write;
    }
    return done;
}

/* After its own first run; an alternate once the cells that it reads are as it reads them. */
static int32_t since(const struct remat_task_graph *graph, const struct remat_task *task)
{
    int32_t done = task->position + 1, k;
    for (k = 0; k < task->cells_count; k++) {
        int32_t since = version_since(graph, &task->cells[k]);
        done = since > done ? since : done;
    }
    return done;
}

static void add_task(struct whole *w, int32_t id)
{
    const struct remat_task *source = &w->graph->tasks[id];
    struct remat_exact_task *task = &w->tasks[id];
    int32_t k;
    task->position = source->position;
    task->since = since(w->graph, source);
    task->until = w->last_keys[id];
    for (k = 0; k < source->inputs_count; k++)
        task->inputs |= UINT64_C(1) << source->inputs[k];
    for (k = 0; k < source->outputs_count; k++)
        task->outputs |= UINT64_C(1) << source->outputs[k];
    add_pairs(w, source, task);
    add_options(w, source, task);
}

static enum remat_status fill_in(struct whole *w, struct remat_error *err)
{
    const struct remat_task_graph *graph = w->graph;
    int32_t options = 0, i;
    for (i = 0; i < graph->tasks_count; i++)
        options += graph->tasks[i].options_count;
    REMAT_TRY(remat_model_last_keys(graph, &w->last_keys, err));
    REMAT_TRY(REMAT_ALLOC(w->tasks, graph->tasks_count, err));
    REMAT_TRY(REMAT_ALLOC(w->options, options, err));
    REMAT_TRY(REMAT_ALLOC(w->of_option, options, err));
    for (i = 0; i < graph->values_count; i++)
        w->problem.bytes[i] = graph->values[i].bytes;
    for (i = 0; i < graph->tasks_count; i++)
        add_task(w, i);
    w->problem.tasks = w->tasks;
    w->problem.tasks_count = graph->tasks_count;
    w->problem.options = w->options;
    w->problem.order = graph->order;
    w->problem.order_count = graph->order_count;
    return REMAT_OK;
}

static enum remat_status solve(struct whole *w, struct remat_exact *out, struct remat_error *err)
{
    struct remat_exact_answer answer;
    enum remat_status status = remat_exact_search(&w->problem, &answer, err);
    int32_t r;
    out->lower_bound_ns = answer.lower_bound_ns;
    for (r = 0; r < answer.runs_count && status == REMAT_OK; r++) {
        const struct remat_exact_run *run = &answer.runs[r];
        status = remat_schedule_push(&out->schedule, run->task, w->of_option[w->tasks[run->task].options + run->option],
                                     err);
    }
    out->found = status == REMAT_OK && answer.found;
    free(answer.runs);
    return status;
}

enum remat_status remat_exact_solve(const struct remat_task_graph *graph, int64_t budget_bytes, int64_t below_ns,
                                    int32_t states, struct remat_exact *out, struct remat_error *err)
{
    struct whole w = {.graph = graph, .problem = {.below_ns = below_ns, .states = states}};
    enum remat_status status;
    memset(out, 0, sizeof *out);
    if (graph->values_count > REMAT_EXACT_MOST_VALUES)
        return REMAT_OK;
    w.problem.budget_bytes = budget_bytes - graph->staging_bytes;
    status = fill_in(&w, err);
    if (status == REMAT_OK)
        status = solve(&w, out, err);
    free(w.tasks);
    free(w.options);
    free(w.of_option);
    free(w.last_keys);
    return status;
}
