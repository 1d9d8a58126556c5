/* What follows from tasks and order: producers, recipes, users, cell versions, sums of bytes. */
#include "core/graph/task_graph.h"

#include <stdlib.h>

static enum remat_status find_producers(struct remat_task_graph *graph, struct remat_error *err)
{
    for (int32_t v = 0; v < graph->values_count; v++)
        graph->values[v].producer = -1;
    for (int32_t i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        for (int32_t k = 0; k < task->outputs_count; k++) {
            struct remat_value *value = &graph->values[task->outputs[k]];
            if (value->producer >= 0)
                return remat_fail(err, REMAT_BAD_DATA, "value \"%s\" is made twice in the order: by \"%s\" and \"%s\"",
                                  value->name, graph->tasks[value->producer].name, task->name);
            value->producer = graph->order[i];
        }
    }
    for (int32_t v = 0; v < graph->values_count; v++)
        if (graph->values[v].producer < 0)
            return remat_fail(err, REMAT_BAD_DATA, "value \"%s\" is made by no task of the order",
                              graph->values[v].name);
    return REMAT_OK;
}

static bool reads_earlier_operand(const struct remat_task *task, int32_t k)
{
    for (int32_t i = 0; i < k; i++)
        if (task->inputs[i] == task->inputs[k])
            return true;
    return false;
}

/* Walks the readers of all values in order; with `fill` writes them down, else counts them. */
static void walk_users(struct remat_task_graph *graph, bool fill)
{
    for (int32_t v = 0; v < graph->values_count; v++)
        graph->values[v].users_count = 0;
    for (int32_t i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        for (int32_t k = 0; k < task->inputs_count; k++) {
            struct remat_value *value = &graph->values[task->inputs[k]];
            if (reads_earlier_operand(task, k))
                continue;
            if (fill)
                value->users[value->users_count] = graph->order[i];
            value->users_count++;
        }
    }
}

/* The same for recipes; tasks are walked by id, so that recipes ascend. */
static void walk_recipes(struct remat_task_graph *graph, bool fill)
{
    for (int32_t v = 0; v < graph->values_count; v++)
        graph->values[v].recipes_count = 0;
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        const struct remat_task *task = &graph->tasks[t];
        if (!remat_task_repeatable(task))
            continue;
        for (int32_t k = 0; k < task->outputs_count; k++) {
            struct remat_value *value = &graph->values[task->outputs[k]];
            if (fill)
                value->recipes[value->recipes_count] = t;
            value->recipes_count++;
        }
    }
}

static enum remat_status list_uses(struct remat_task_graph *graph, struct remat_error *err)
{
    walk_users(graph, false);
    walk_recipes(graph, false);
    for (int32_t v = 0; v < graph->values_count; v++) {
        struct remat_value *value = &graph->values[v];
        REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, value->users, value->users_count, err));
        REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, value->recipes, value->recipes_count, err));
    }
    walk_users(graph, true);
    walk_recipes(graph, true);
    return REMAT_OK;
}

/* An alternate finds the cells as the producer of its first output found them: it must yield the same bits. */
static void version_alternates_of(struct remat_task_graph *graph, int32_t producer, const int32_t *version,
                                  const int32_t *first, const int32_t *next)
{
    for (int32_t t = first[producer]; t >= 0; t = next[t])
        for (int32_t k = 0; k < graph->tasks[t].cells_count; k++)
            graph->tasks[t].cells[k].version = version[graph->tasks[t].cells[k].cell];
}

static void assign_versions(struct remat_task_graph *graph, int32_t *version, const int32_t *first, const int32_t *next)
{
    for (int32_t i = 0; i < graph->order_count; i++) {
        struct remat_task *task = &graph->tasks[graph->order[i]];
        version_alternates_of(graph, graph->order[i], version, first, next);
        for (int32_t k = 0; k < task->cells_count; k++)
            task->cells[k].version = version[task->cells[k].cell];
        for (int32_t k = 0; k < task->cells_count; k++)
            if (task->cells[k].write)
                version[task->cells[k].cell]++;
    }
}

static enum remat_status find_versions(struct remat_task_graph *graph, struct remat_error *err)
{
    enum remat_status status;
    int32_t *version = NULL, *first = NULL, *next = NULL; /* alternates listed by producer of their first output */
    REMAT_TRY_GOTO(REMAT_ALLOC(version, graph->cells_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(first, graph->tasks_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(next, graph->tasks_count, err), done);
    for (int32_t t = 0; t < graph->tasks_count; t++)
        first[t] = next[t] = -1;
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        const struct remat_task *task = &graph->tasks[t];
        if (task->position < 0 && task->outputs_count > 0) {
            int32_t producer = graph->values[task->outputs[0]].producer;
            next[t] = first[producer];
            first[producer] = t;
        }
    }
    assign_versions(graph, version, first, next);
done:
    free(version);
    free(first);
    free(next);
    return status;
}

static void sum_cells(struct remat_task_graph *graph)
{
    graph->staging_bytes = graph->persistent_bytes = 0;
    for (int32_t c = 0; c < graph->cells_count; c++)
        if (graph->cells[c].kind == REMAT_STAGING_SLOT)
            graph->staging_bytes += 2 * graph->cells[c].bytes; /* one is filled while the other is read */
        else
            graph->persistent_bytes += graph->cells[c].bytes;
}

enum remat_status remat_task_graph_finish(struct remat_task_graph *graph, struct remat_error *err)
{
    REMAT_TRY(find_producers(graph, err));
    REMAT_TRY(list_uses(graph, err));
    REMAT_TRY(find_versions(graph, err));
    sum_cells(graph);
    return remat_task_graph_check(graph, err);
}
