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

/* Slots of a value's copies: slot s comes before run s. fetch -1: stored only. */
struct copies {
    int32_t value, store, gone, fetch, back;
};

struct copier {
    struct random_stream stream;
    const struct remat_schedule *runs;
    struct remat_liveness live;
    int32_t finish; /* the first run of the finish section; copies in slots up to it belong to micro */
    struct copies *list;
    int32_t count;
    int32_t *busy; /* per value: the slot of its last copy's wait */
};

static int32_t between(struct copier *copier, int32_t low, int32_t high)
{
    return low + random_below(&copier->stream, high - low + 1);
}

/* The last slot at which what begins in slot s may end, if `last` is the last in all. */
static int32_t end_of(const struct copier *copier, int32_t s, int32_t last)
{
    return s <= copier->finish && last > copier->finish ? copier->finish : last;
}

/* Perhaps copies over the gap between two uses of an instance. */
static void copy_gap(struct copier *copier, int32_t value, int32_t first, int32_t last)
{
    struct copies copies = {.value = value, .fetch = -1};
    bool fetches = random_below(&copier->stream, 4) > 0;
    int32_t longest = fetches ? last : last + 3 < copier->runs->count ? last + 3 : copier->runs->count;
    if (random_below(&copier->stream, 3) > 0 || first + 1 <= copier->busy[value])
        return;
    copies.store = between(copier, first + 1, last);
    copies.gone = between(copier, copies.store, end_of(copier, copies.store, longest));
    if (fetches) {
        copies.fetch = between(copier, copies.gone, last);
        copies.back = between(copier, copies.fetch, end_of(copier, copies.fetch, last));
    }
    copier->busy[value] = fetches ? copies.back : copies.gone;
    copier->list[copier->count++] = copies;
}

static void copy_gaps(struct copier *copier)
{
    int32_t *used = calloc((size_t)copier->live.instances_count + 1, sizeof *used), r, k;
    assert_non_null(used);
    for (r = 0; r < copier->live.instances_count; r++)
        used[r] = copier->live.instances[r].begin;
    for (r = 0; r < copier->runs->count; r++)
        for (k = 0; k < REMAT_MAX_INPUTS; k++) {
            int32_t i = copier->live.inputs[r * REMAT_MAX_INPUTS + k];
            if (i < 0 || used[i] == r)
                continue;
            copy_gap(copier, copier->live.instances[i].value, used[i], r);
            used[i] = r;
        }
    free(used);
}

static void push_copy(struct remat_schedule *out, enum remat_instruction_kind kind, int32_t value)
{
    struct remat_error err = {0};
    if (remat_schedule_push_copy(out, kind, value, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static void write_slot(const struct copier *copier, int32_t slot, struct remat_schedule *out)
{
    int32_t i;
    for (i = 0; i < copier->count; i++)
        if (copier->list[i].store == slot)
            push_copy(out, REMAT_STORE, copier->list[i].value);
    for (i = 0; i < copier->count; i++)
        if (copier->list[i].gone == slot)
            push_copy(out, REMAT_WAIT, copier->list[i].value);
    for (i = 0; i < copier->count; i++)
        if (copier->list[i].fetch == slot)
            push_copy(out, REMAT_FETCH, copier->list[i].value);
    for (i = 0; i < copier->count; i++)
        if (copier->list[i].fetch >= 0 && copier->list[i].back == slot)
            push_copy(out, REMAT_WAIT, copier->list[i].value);
}

void random_copies(struct remat_task_graph *graph, uint64_t seed, struct remat_schedule *schedule)
{
    struct copier copier = {.stream = {.seed = seed}, .runs = schedule, .finish = schedule->count};
    struct remat_schedule out = {0};
    struct remat_error err = {0};
    int32_t r;
    graph->to_host_bytes_per_s = 1000000 + random_below(&copier.stream, 2000000000);
    graph->to_device_bytes_per_s = 1000000 + random_below(&copier.stream, 2000000000);
    for (r = schedule->count - 1; r >= 0; r--)
        if (graph->tasks[schedule->entries[r].task].section == REMAT_FINISH)
            copier.finish = r;
    if (remat_liveness(graph, schedule, &copier.live, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    copier.list = calloc((size_t)schedule->count * REMAT_MAX_INPUTS + 1, sizeof *copier.list);
    copier.busy = calloc((size_t)graph->values_count + 1, sizeof *copier.busy);
    assert_true(copier.list && copier.busy);
    copy_gaps(&copier);
    for (r = 0; r <= schedule->count; r++) {
        write_slot(&copier, r, &out);
        if (r < schedule->count &&
            remat_schedule_push(&out, schedule->entries[r].task, schedule->entries[r].option, &err) != REMAT_OK)
            fail_msg("%s", err.message);
    }
    free(copier.list);
    free(copier.busy);
    remat_liveness_free(&copier.live);
    remat_schedule_free(schedule);
    *schedule = out;
}
