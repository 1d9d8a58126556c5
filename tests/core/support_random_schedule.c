#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct writer {
    const struct remat_task_graph *graph;
    struct random_stream stream;
    struct remat_schedule *out;
    int32_t *version;
    int32_t next; /* position that runs next */
};

static int32_t random_option(struct writer *writer, const struct remat_task *task)
{
    int32_t option = random_below(&writer->stream, task->options_count);
    return task->options[option].numerics == task->options[0].numerics ? option : 0;
}

static void run(struct writer *writer, int32_t t)
{
    struct remat_error err = {0};
    if (remat_schedule_push(writer->out, t, random_option(writer, &writer->graph->tasks[t]), &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

/* Whether a recomputation by task t is legal now. */
static bool possible(const struct writer *writer, int32_t t)
{
    const struct remat_task *task = &writer->graph->tasks[t];
    int32_t k;
    if (task->position >= writer->next)
        return false;
    for (k = 0; k < task->inputs_count; k++)
        if (writer->graph->tasks[writer->graph->values[task->inputs[k]].producer].position >= writer->next)
            return false;
    for (k = 0; k < task->cells_count; k++)
        if (task->cells[k].write || writer->version[task->cells[k].cell] != task->cells[k].version)
            return false;
    return true;
}

static void recompute(struct writer *writer, int32_t v, int32_t depth)
{
    const struct remat_value *value = &writer->graph->values[v];
    const struct remat_task *task;
    int32_t t, k;
    if (value->recipes_count == 0)
        return;
    t = value->recipes[random_below(&writer->stream, value->recipes_count)];
    if (!possible(writer, t))
        return;
    task = &writer->graph->tasks[t];
    for (k = 0; k < task->inputs_count; k++)
        if (depth > 0 && random_below(&writer->stream, 2))
            recompute(writer, task->inputs[k], depth - 1);
    run(writer, t);
}

void random_schedule(const struct remat_task_graph *graph, uint64_t seed, int32_t repeats, struct remat_schedule *out)
{
    struct writer writer = {.graph = graph, .stream = {.seed = seed}, .out = out};
    int32_t i, k, count;
    memset(out, 0, sizeof *out);
    writer.version = calloc((size_t)graph->cells_count + 1, sizeof *writer.version);
    assert_non_null(writer.version);
    for (i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        writer.next = i;
        count = task->section == REMAT_MICRO && repeats > 0 ? random_below(&writer.stream, repeats + 1) : 0;
        for (k = 0; k < count && i > 0; k++) {
            bool read_next = task->inputs_count > 0 && random_below(&writer.stream, 4) > 0;
            recompute(&writer,
                      read_next ? task->inputs[random_below(&writer.stream, task->inputs_count)]
                                : random_below(&writer.stream, graph->values_count),
                      3);
        }
        run(&writer, graph->order[i]);
        for (k = 0; k < task->cells_count; k++)
            writer.version[task->cells[k].cell] += task->cells[k].write;
    }
    free(writer.version);
}
