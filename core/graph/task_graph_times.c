#include "core/graph/task_graph.h"

void remat_task_keep_class(struct remat_task *task, int32_t numerics)
{
    int32_t kept = 0;
    for (int32_t k = 0; k < task->options_count; k++)
        if (task->options[k].numerics == numerics)
            task->options[kept++] = task->options[k];
    if (kept > 0)
        task->options_count = kept;
}

void remat_task_graph_keep_fastest(struct remat_task_graph *graph)
{
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        struct remat_task *task = &graph->tasks[t];
        int32_t fastest = 0;
        for (int32_t k = 1; k < task->options_count; k++)
            if (task->options[k].time_ns < task->options[fastest].time_ns)
                fastest = k;
        remat_task_keep_class(task, task->options[fastest].numerics);
    }
}

static void adopt_task(struct remat_task *task, const struct remat_task *from)
{
    for (int32_t k = 0; k < task->options_count; k++) {
        task->options[k].time_ns = from->options[k].time_ns;
        task->options[k].spread_ns = from->options[k].spread_ns;
    }
}

/* Where two graphs part: a signature holds operation, attributes and shapes. */
static const char *first_difference(const struct remat_task_graph *a, const struct remat_task_graph *b)
{
    int32_t t = 0;
    while (t < a->tasks_count && t < b->tasks_count && a->tasks[t].signature == b->tasks[t].signature)
        t++;
    return t < a->tasks_count ? a->tasks[t].name : "the end";
}

enum remat_status remat_task_graph_adopt_times(struct remat_task_graph *graph, const struct remat_task_graph *from,
                                               struct remat_error *err)
{
    for (int32_t t = 0; t < graph->tasks_count && t < from->tasks_count; t++)
        remat_task_keep_class(&graph->tasks[t], from->tasks[t].options[0].numerics);
    if (remat_task_graph_hash(graph) != remat_task_graph_hash(from))
        return remat_fail(
            err, REMAT_BAD_DATA,
            "this plan is for another graph: made for %s on \"%s\", found %s on \"%s\", which differs first "
            "at %s; give the batch, model options, recipe and device that it was made with, or solve again",
            from->name, from->device, graph->name, graph->device, first_difference(graph, from));
    for (int32_t t = 0; t < graph->tasks_count; t++)
        adopt_task(&graph->tasks[t], &from->tasks[t]);
    graph->measured = from->measured;
    graph->to_host_bytes_per_s = from->to_host_bytes_per_s;
    graph->to_device_bytes_per_s = from->to_device_bytes_per_s;
    graph->move_bytes_per_s = from->move_bytes_per_s;
    return REMAT_OK;
}
