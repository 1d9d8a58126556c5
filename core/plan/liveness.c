#include "core/plan/schedule.h"

#include <stdlib.h>
#include <string.h>

/* Where one pass over the entries stands. */
struct walk {
    const struct remat_task_graph *graph;
    const struct remat_schedule *schedule;
    struct remat_liveness *live;
    int32_t *latest;  /* per value: its most recent instance on the device, or -1 */
    int32_t *stored;  /* per value: its most recent instance on the host, or -1 */
    int32_t *copying; /* per value: the entry of its copy that was not waited for yet, or -1 */
    int32_t copies;   /* values that are being copied */
    int64_t *ends_ns; /* per entry: when its copy ends, in its section */
    int32_t *version; /* per cell: the version it holds now */
    int32_t next;     /* position in the order of the next first run */
    int32_t finish;   /* the first entry of the finish section, or -1 */
    struct remat_error *err;
};

static const struct remat_task *task_at(const struct walk *walk, int32_t entry)
{
    return &walk->graph->tasks[walk->schedule->entries[entry].task];
}

static enum remat_status misplaced(const struct walk *walk, int32_t entry, const char *problem)
{
    const struct remat_task_graph *graph = walk->graph;
    int32_t expected = walk->next < graph->order_count ? graph->order[walk->next] : -1;
    return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: entry %d (task '%s') %s; the next first run is '%s'", entry,
                      task_at(walk, entry)->name, problem, expected >= 0 ? graph->tasks[expected].name : "(none left)");
}

static enum remat_status check_run(const struct walk *walk, int32_t entry)
{
    const struct remat_task_graph *graph = walk->graph;
    const struct remat_entry *run = &walk->schedule->entries[entry];
    if (run->task < 0 || run->task >= graph->tasks_count)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: entry %d names task %d, but the graph has %d tasks",
                          entry, run->task, graph->tasks_count);
    if (run->option < 0 || run->option >= graph->tasks[run->task].options_count)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: entry %d names option %d of task '%s', which has %d",
                          entry, run->option, graph->tasks[run->task].name, graph->tasks[run->task].options_count);
    return REMAT_OK;
}

static enum remat_status unknown_kind(const struct walk *walk, int32_t entry)
{
    return remat_fail(walk->err, REMAT_BAD_DATA,
                      "schedule: entry %d is of kind %d; entries are runs, stores, fetches and waits", entry,
                      (int)walk->schedule->entries[entry].kind);
}

static enum remat_status check_range(const struct walk *walk, int32_t entry)
{
    const struct remat_task_graph *graph = walk->graph;
    const struct remat_entry *copy = &walk->schedule->entries[entry];
    if ((unsigned)copy->kind > REMAT_WAIT)
        return unknown_kind(walk, entry);
    if (copy->kind == REMAT_RUN)
        return check_run(walk, entry);
    if (copy->value < 0 || copy->value >= graph->values_count)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: entry %d names value %d, but the graph has %d values",
                          entry, copy->value, graph->values_count);
    if (graph->to_host_bytes_per_s == 0 || graph->to_device_bytes_per_s == 0)
        return remat_fail(walk->err, REMAT_BAD_DATA,
                          "schedule: entry %d copies value '%s', but the graph does not say how fast copies are", entry,
                          graph->values[copy->value].name);
    return REMAT_OK;
}

/* First runs follow the order; anything else is a repetition, which must not write cells. */
static enum remat_status check_turn(struct walk *walk, int32_t run, const struct remat_task *task)
{
    if (task->section == REMAT_FINISH)
        walk->finish = walk->finish < 0 ? run : walk->finish;
    else if (walk->finish >= 0)
        return misplaced(walk, run, "belongs to the micro section but runs after the finish section has begun");
    if (task->position >= 0 && task->position == walk->next) {
        walk->next++;
        return REMAT_OK;
    }
    if (task->position > walk->next)
        return misplaced(walk, run, "runs before its turn");
    if (!remat_task_repeatable(task))
        return misplaced(walk, run, "writes cells and so may run only once");
    return REMAT_OK;
}

static enum remat_status use_cells(struct walk *walk, int32_t run, const struct remat_task *task)
{
    int32_t k;
    for (k = 0; k < task->cells_count; k++) {
        const struct remat_cell_use *use = &task->cells[k];
        if (walk->version[use->cell] != use->version)
            return remat_fail(walk->err, REMAT_BAD_DATA,
                              "schedule: entry %d (task '%s') needs version %d of cell '%s', which holds version %d by "
                              "then; run it before the update",
                              run, task->name, use->version, walk->graph->cells[use->cell].name,
                              walk->version[use->cell]);
    }
    for (k = 0; k < task->cells_count; k++)
        if (task->cells[k].write)
            walk->version[task->cells[k].cell] = task->cells[k].version + 1;
    return REMAT_OK;
}

static enum remat_status read_inputs(struct walk *walk, int32_t run, const struct remat_task *task)
{
    int32_t *inputs = walk->live->inputs + (size_t)run * REMAT_MAX_INPUTS;
    int32_t k;
    for (k = 0; k < task->inputs_count; k++) {
        int32_t instance = walk->latest[task->inputs[k]];
        if (instance < 0)
            return remat_fail(walk->err, REMAT_BAD_DATA,
                              "schedule: entry %d (task '%s') reads value '%s', which no earlier run makes", run,
                              task->name, walk->graph->values[task->inputs[k]].name);
        if (walk->copying[task->inputs[k]] >= 0 &&
            walk->live->instances[instance].begin == walk->copying[task->inputs[k]])
            return remat_fail(walk->err, REMAT_BAD_DATA,
                              "schedule: entry %d (task '%s') reads value '%s' before the wait for its fetch, entry %d",
                              run, task->name, walk->graph->values[task->inputs[k]].name,
                              walk->copying[task->inputs[k]]);
        inputs[k] = instance;
        walk->live->instances[instance].end = run;
    }
    return REMAT_OK;
}

static int32_t add_instance(const struct walk *walk, int32_t entry, int32_t value, enum remat_space space)
{
    struct remat_liveness *live = walk->live;
    live->instances[live->instances_count] = (struct remat_instance){value, entry, entry, -1, space};
    return live->instances_count++;
}

static void write_outputs(struct walk *walk, int32_t run, const struct remat_task *task)
{
    int32_t *outputs = walk->live->outputs + (size_t)run * REMAT_MAX_OUTPUTS;
    int32_t k;
    for (k = 0; k < task->outputs_count; k++)
        walk->latest[task->outputs[k]] = outputs[k] = add_instance(walk, run, task->outputs[k], REMAT_DEVICE);
}

/* A section ends with no copy under way: it may be recorded, and repeated, by itself. */
static enum remat_status check_joined(const struct walk *walk)
{
    int32_t v;
    for (v = 0; walk->copies > 0 && v < walk->graph->values_count; v++)
        if (walk->copying[v] >= 0)
            return remat_fail(walk->err, REMAT_BAD_DATA,
                              "schedule: the copy of value '%s' by entry %d is not waited for in its section",
                              walk->graph->values[v].name, walk->copying[v]);
    return REMAT_OK;
}

static enum remat_status do_run(struct walk *walk, int32_t entry)
{
    const struct remat_task *task = task_at(walk, entry);
    bool begun = walk->finish >= 0;
    REMAT_TRY(check_turn(walk, entry, task));
    if (!begun && walk->finish >= 0)
        REMAT_TRY(check_joined(walk));
    REMAT_TRY(use_cells(walk, entry, task));
    REMAT_TRY(read_inputs(walk, entry, task));
    write_outputs(walk, entry, task);
    return REMAT_OK;
}

static enum remat_status do_copy(struct walk *walk, int32_t entry, bool to_host)
{
    int32_t value = walk->schedule->entries[entry].value, *from = to_host ? walk->latest : walk->stored;
    const char *name = walk->graph->values[value].name;
    if (walk->copying[value] >= 0)
        return remat_fail(walk->err, REMAT_BAD_DATA,
                          "schedule: entry %d copies value '%s' before the wait for its copy by entry %d", entry, name,
                          walk->copying[value]);
    if (from[value] < 0)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: entry %d %s value '%s', which no earlier entry %s",
                          entry, to_host ? "stores" : "fetches", name, to_host ? "makes" : "stores");
    walk->live->inputs[(size_t)entry * REMAT_MAX_INPUTS] = from[value];
    walk->live->instances[from[value]].end = entry;
    walk->copying[value] = entry;
    walk->copies++;
    (to_host ? walk->stored : walk->latest)[value] = walk->live->outputs[(size_t)entry * REMAT_MAX_OUTPUTS] =
        add_instance(walk, entry, value, to_host ? REMAT_HOST : REMAT_DEVICE);
    return REMAT_OK;
}

static enum remat_status do_wait(struct walk *walk, int32_t entry)
{
    int32_t value = walk->schedule->entries[entry].value, copy = walk->copying[value];
    if (copy < 0)
        return remat_fail(walk->err, REMAT_BAD_DATA,
                          "schedule: entry %d waits for a copy of value '%s', of which none is under way", entry,
                          walk->graph->values[value].name);
    walk->live->instances[walk->live->inputs[(size_t)copy * REMAT_MAX_INPUTS]].end = entry;
    walk->live->instances[walk->live->outputs[(size_t)copy * REMAT_MAX_OUTPUTS]].end = entry;
    walk->copying[value] = -1;
    walk->copies--;
    return REMAT_OK;
}

static enum remat_status do_entry(struct walk *walk, int32_t entry)
{
    switch (walk->schedule->entries[entry].kind) {
    case REMAT_RUN:
        return do_run(walk, entry);
    case REMAT_STORE:
        return do_copy(walk, entry, true);
    case REMAT_FETCH:
        return do_copy(walk, entry, false);
    case REMAT_WAIT:
        return do_wait(walk, entry);
    case REMAT_MOVE:
        break;
    }
    return unknown_kind(walk, entry);
}

static enum remat_status walk_entries(struct walk *walk)
{
    const struct remat_task_graph *graph = walk->graph;
    int32_t entry;
    for (entry = 0; entry < walk->schedule->count; entry++)
        REMAT_TRY(do_entry(walk, entry));
    if (walk->next < graph->order_count)
        return remat_fail(walk->err, REMAT_BAD_DATA,
                          "schedule: ends after %d entries but task '%s' (position %d of %d) has not run", entry,
                          graph->tasks[graph->order[walk->next]].name, walk->next, graph->order_count);
    return check_joined(walk);
}

/* Whether operand `input` of the run is the only operand that uses its instance, and that instance dies here. */
static bool dies_alone(const struct remat_liveness *live, int32_t run, int32_t inputs_count, int32_t input)
{
    const int32_t *inputs = live->inputs + (size_t)run * REMAT_MAX_INPUTS;
    int32_t k;
    for (k = 0; k < inputs_count; k++)
        if (k != input && inputs[k] == inputs[input])
            return false;
    return live->instances[inputs[input]].end == run;
}

static void take_in_place(const struct remat_task_graph *graph, struct remat_liveness *live, int32_t run,
                          const struct remat_task *task)
{
    const int32_t *inputs = live->inputs + (size_t)run * REMAT_MAX_INPUTS;
    const int32_t *outputs = live->outputs + (size_t)run * REMAT_MAX_OUTPUTS;
    unsigned taken = 0;
    int32_t k;
    for (k = 0; k < task->in_place_count; k++) {
        int32_t output = task->in_place[k].output, input = task->in_place[k].input;
        int64_t bytes = graph->values[task->outputs[output]].bytes;
        struct remat_instance *made = &live->instances[outputs[output]];
        if (made->over >= 0 || (taken >> input & 1) || graph->values[task->inputs[input]].bytes != bytes ||
            !dies_alone(live, run, task->inputs_count, input))
            continue;
        made->over = inputs[input];
        taken |= 1u << input;
        live->live_bytes[run] -= bytes; /* the pair is counted once */
    }
}

static enum remat_status too_long(const struct walk *walk, int32_t entry)
{
    return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: the times up to entry %d add up to more than 2^63 ns",
                      entry);
}

static bool take_time(struct walk *walk, int32_t at, struct remat_lanes *lanes)
{
    const struct remat_entry *entry = &walk->schedule->entries[at];
    int64_t end_ns;
    if (entry->kind == REMAT_RUN)
        return !__builtin_add_overflow(lanes->kernel_ns, task_at(walk, at)->options[entry->option].time_ns,
                                       &lanes->kernel_ns);
    if (entry->kind != REMAT_WAIT)
        return remat_lanes_copy(lanes, entry->kind,
                                remat_copy_ns(walk->graph, entry->kind, walk->graph->values[entry->value].bytes),
                                &walk->ends_ns[at]);
    end_ns = walk->ends_ns[remat_schedule_awaited(walk->schedule, at)];
    lanes->kernel_ns = end_ns > lanes->kernel_ns ? end_ns : lanes->kernel_ns;
    return true;
}

/* Adds the time of entries [begin, end), `times` over. */
static enum remat_status add_section(struct walk *walk, int32_t begin, int32_t end, int64_t times)
{
    struct remat_lanes lanes = {0};
    int64_t time_ns;
    int32_t entry;
    for (entry = begin; entry < end; entry++)
        if (!take_time(walk, entry, &lanes))
            return too_long(walk, entry);
    if (__builtin_mul_overflow(lanes.kernel_ns, times, &time_ns) ||
        __builtin_add_overflow(walk->live->cost_ns, time_ns, &walk->live->cost_ns))
        return too_long(walk, end - 1);
    return REMAT_OK;
}

static enum remat_status add_costs(struct walk *walk)
{
    int32_t count = walk->schedule->count, finish = walk->finish < 0 ? count : walk->finish;
    REMAT_TRY(add_section(walk, 0, finish, walk->graph->micro_count));
    return add_section(walk, finish, count, 1);
}

/* Adds the bytes of a space's live instances to those of each entry, by a running sum over begins and ends. */
static void sum_space(const struct walk *walk, enum remat_space space, int64_t *change, int64_t *live_bytes)
{
    const struct remat_liveness *live = walk->live;
    int32_t count = walk->schedule->count, i;
    int64_t bytes = 0;
    memset(change, 0, ((size_t)count + 1) * sizeof *change);
    for (i = 0; i < live->instances_count; i++) {
        const struct remat_instance *instance = &live->instances[i];
        if (instance->space != space)
            continue;
        change[instance->begin] += walk->graph->values[instance->value].bytes;
        change[instance->end + 1] -= walk->graph->values[instance->value].bytes;
    }
    for (i = 0; i < count; i++) {
        bytes += change[i];
        live_bytes[i] += bytes;
    }
}

/* live_bytes holds corrections per run. */
static void sum_live_bytes(const struct walk *walk, int64_t *change)
{
    struct remat_liveness *live = walk->live;
    int32_t i;
    sum_space(walk, REMAT_DEVICE, change, live->live_bytes);
    sum_space(walk, REMAT_HOST, change, live->host_live_bytes);
    live->peak_bytes = walk->graph->staging_bytes;
    for (i = 0; i < walk->schedule->count; i++) {
        const struct remat_entry *entry = &walk->schedule->entries[i];
        live->live_bytes[i] += walk->graph->staging_bytes;
        if (entry->kind == REMAT_RUN)
            live->live_bytes[i] += task_at(walk, i)->options[entry->option].scratch_bytes;
        if (live->live_bytes[i] > live->peak_bytes) {
            live->peak_bytes = live->live_bytes[i];
            live->peak_entry = i;
        }
        if (live->host_live_bytes[i] > live->host_peak_bytes)
            live->host_peak_bytes = live->host_live_bytes[i];
    }
}

/* Sums of live bytes cannot overflow if the largest value times the number of instances does not. */
static enum remat_status check_sizes(const struct walk *walk)
{
    const struct remat_task_graph *graph = walk->graph;
    int64_t largest = graph->staging_bytes, sum;
    int32_t i, k;
    for (i = 0; i < graph->values_count; i++)
        if (graph->values[i].bytes > largest)
            largest = graph->values[i].bytes;
    for (i = 0; i < graph->tasks_count; i++)
        for (k = 0; k < graph->tasks[i].options_count; k++)
            if (graph->tasks[i].options[k].scratch_bytes > largest)
                largest = graph->tasks[i].options[k].scratch_bytes;
    if (__builtin_mul_overflow(largest, (int64_t)walk->live->instances_capacity + 2, &sum))
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: %d values of up to %lld bytes exceed 2^63 bytes",
                          walk->live->instances_capacity, (long long)largest);
    return REMAT_OK;
}

/* -1 for each value. */
static enum remat_status make_marks(const struct walk *walk, int32_t **marks)
{
    REMAT_TRY(REMAT_ALLOC(*marks, walk->graph->values_count, walk->err));
    memset(*marks, 0xff, (size_t)walk->graph->values_count * sizeof **marks);
    return REMAT_OK;
}

static enum remat_status count_instances(const struct walk *walk, int64_t *instances)
{
    int32_t entry;
    for (*instances = 0, entry = 0; entry < walk->schedule->count; entry++) {
        REMAT_TRY(check_range(walk, entry));
        *instances += walk->schedule->entries[entry].kind == REMAT_RUN ? task_at(walk, entry)->outputs_count : 1;
    }
    if (*instances > INT32_MAX)
        return remat_fail(walk->err, REMAT_OUT_OF_MEMORY, "schedule: %lld values made are too many",
                          (long long)*instances);
    return REMAT_OK;
}

/* Room for everything that the schedule needs, so that the passes allocate nothing. */
static enum remat_status make_room(struct walk *walk)
{
    struct remat_liveness *live = walk->live;
    int64_t count = walk->schedule->count, instances;
    REMAT_TRY(count_instances(walk, &instances));
    live->instances_capacity = (int32_t)instances;
    REMAT_TRY(check_sizes(walk));
    REMAT_TRY(REMAT_ALLOC(live->instances, instances, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->inputs, count * REMAT_MAX_INPUTS, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->outputs, count * REMAT_MAX_OUTPUTS, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->live_bytes, count, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->host_live_bytes, count, walk->err));
    memset(live->inputs, 0xff, (size_t)count * REMAT_MAX_INPUTS * sizeof *live->inputs);
    memset(live->outputs, 0xff, (size_t)count * REMAT_MAX_OUTPUTS * sizeof *live->outputs);
    REMAT_TRY(make_marks(walk, &walk->latest));
    REMAT_TRY(make_marks(walk, &walk->stored));
    REMAT_TRY(make_marks(walk, &walk->copying));
    REMAT_TRY(REMAT_ALLOC(walk->ends_ns, count, walk->err));
    return REMAT_ALLOC(walk->version, walk->graph->cells_count, walk->err);
}

static enum remat_status derive(struct walk *walk, int64_t **change)
{
    const struct remat_schedule *schedule = walk->schedule;
    int32_t entry;
    REMAT_TRY(make_room(walk));
    REMAT_TRY(REMAT_ALLOC(*change, (int64_t)schedule->count + 1, walk->err));
    REMAT_TRY(walk_entries(walk));
    for (entry = 0; entry < schedule->count; entry++)
        if (schedule->entries[entry].kind == REMAT_RUN)
            take_in_place(walk->graph, walk->live, entry, task_at(walk, entry));
    sum_live_bytes(walk, *change);
    return add_costs(walk);
}

enum remat_status remat_liveness(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                                 struct remat_liveness *out, struct remat_error *err)
{
    struct walk walk = {.graph = graph, .schedule = schedule, .live = out, .finish = -1, .err = err};
    int64_t *change = NULL;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = derive(&walk, &change);
    free(walk.latest);
    free(walk.stored);
    free(walk.copying);
    free(walk.ends_ns);
    free(walk.version);
    free(change);
    return status;
}

void remat_liveness_free(struct remat_liveness *liveness)
{
    free(liveness->instances);
    free(liveness->inputs);
    free(liveness->outputs);
    free(liveness->live_bytes);
    free(liveness->host_live_bytes);
    memset(liveness, 0, sizeof *liveness);
}
