#include "core/plan/schedule.h"

#include <stdlib.h>
#include <string.h>

/* Where one pass over the runs stands. */
struct walk {
    const struct remat_task_graph *graph;
    const struct remat_schedule *schedule;
    struct remat_liveness *live;
    int32_t *latest;  /* per value: its most recent instance, or -1 */
    int32_t *version; /* per cell: the version it holds now */
    int32_t next;     /* position in the order of the next first run */
    bool finish;      /* a task of the finish section has run */
    struct remat_error *err;
};

static enum remat_status misplaced(const struct walk *walk, int32_t run, const char *problem)
{
    const struct remat_task_graph *graph = walk->graph;
    int32_t expected = walk->next < graph->order_count ? graph->order[walk->next] : -1;
    return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: run %d (task '%s') %s; the next first run is '%s'", run,
                      graph->tasks[walk->schedule->runs[run].task].name, problem,
                      expected >= 0 ? graph->tasks[expected].name : "(none left)");
}

static enum remat_status check_range(const struct walk *walk, int32_t run)
{
    const struct remat_task_graph *graph = walk->graph;
    const struct remat_run *step = &walk->schedule->runs[run];
    if (step->task < 0 || step->task >= graph->tasks_count)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: run %d names task %d, but the graph has %d tasks", run,
                          step->task, graph->tasks_count);
    if (step->option < 0 || step->option >= graph->tasks[step->task].options_count)
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: run %d names option %d of task '%s', which has %d", run,
                          step->option, graph->tasks[step->task].name, graph->tasks[step->task].options_count);
    return REMAT_OK;
}

/* First runs follow the order; anything else is a repetition, which must not write cells. */
static enum remat_status check_turn(struct walk *walk, int32_t run, const struct remat_task *task)
{
    if (task->section == REMAT_FINISH)
        walk->finish = true;
    else if (walk->finish)
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
                              "schedule: run %d (task '%s') needs version %d of cell '%s', which holds version %d by "
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
                              "schedule: run %d (task '%s') reads value '%s', which no earlier run makes", run,
                              task->name, walk->graph->values[task->inputs[k]].name);
        inputs[k] = instance;
        walk->live->instances[instance].end = run;
    }
    return REMAT_OK;
}

static void write_outputs(struct walk *walk, int32_t run, const struct remat_task *task)
{
    struct remat_liveness *live = walk->live;
    int32_t *outputs = live->outputs + (size_t)run * REMAT_MAX_OUTPUTS;
    int32_t k;
    for (k = 0; k < task->outputs_count; k++) {
        outputs[k] = live->instances_count++;
        live->instances[outputs[k]] = (struct remat_instance){task->outputs[k], run, run, -1};
        walk->latest[task->outputs[k]] = outputs[k];
    }
}

static enum remat_status walk_runs(struct walk *walk)
{
    const struct remat_task_graph *graph = walk->graph;
    int32_t run;
    for (run = 0; run < walk->schedule->count; run++) {
        const struct remat_task *task = &graph->tasks[walk->schedule->runs[run].task];
        REMAT_TRY(check_turn(walk, run, task));
        REMAT_TRY(use_cells(walk, run, task));
        REMAT_TRY(read_inputs(walk, run, task));
        write_outputs(walk, run, task);
    }
    if (walk->next < graph->order_count)
        return remat_fail(walk->err, REMAT_BAD_DATA,
                          "schedule: ends after %d runs but task '%s' (position %d of %d) has not run", run,
                          graph->tasks[graph->order[walk->next]].name, walk->next, graph->order_count);
    return REMAT_OK;
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

static enum remat_status add_cost(const struct walk *walk, int32_t run)
{
    const struct remat_task_graph *graph = walk->graph;
    const struct remat_task *task = &graph->tasks[walk->schedule->runs[run].task];
    int64_t times = task->section == REMAT_MICRO ? graph->micro_count : 1, time_ns;
    if (__builtin_mul_overflow(task->options[walk->schedule->runs[run].option].time_ns, times, &time_ns) ||
        __builtin_add_overflow(walk->live->cost_ns, time_ns, &walk->live->cost_ns))
        return remat_fail(walk->err, REMAT_BAD_DATA, "schedule: the times up to run %d add up to more than 2^63 ns",
                          run);
    return REMAT_OK;
}

/* live_bytes holds corrections per run; adds the bytes of live instances by a running sum over begins and ends. */
static enum remat_status sum_live_bytes(const struct walk *walk, int64_t *change)
{
    const struct remat_task_graph *graph = walk->graph;
    struct remat_liveness *live = walk->live;
    int64_t bytes = graph->staging_bytes;
    int32_t i, run;
    for (i = 0; i < live->instances_count; i++) {
        const struct remat_instance *instance = &live->instances[i];
        change[instance->begin] += graph->values[instance->value].bytes;
        change[instance->end + 1] -= graph->values[instance->value].bytes;
    }
    live->peak_bytes = bytes;
    for (run = 0; run < walk->schedule->count; run++) {
        const struct remat_run *step = &walk->schedule->runs[run];
        bytes += change[run];
        live->live_bytes[run] += bytes + graph->tasks[step->task].options[step->option].scratch_bytes;
        if (live->live_bytes[run] > live->peak_bytes) {
            live->peak_bytes = live->live_bytes[run];
            live->peak_run = run;
        }
        REMAT_TRY(add_cost(walk, run));
    }
    return REMAT_OK;
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

/* Room for everything that the schedule needs, so that the passes allocate nothing. */
static enum remat_status make_room(struct walk *walk)
{
    struct remat_liveness *live = walk->live;
    int64_t count = walk->schedule->count, instances = 0;
    int32_t run;
    for (run = 0; run < count; run++) {
        REMAT_TRY(check_range(walk, run));
        instances += walk->graph->tasks[walk->schedule->runs[run].task].outputs_count;
    }
    if (instances > INT32_MAX)
        return remat_fail(walk->err, REMAT_OUT_OF_MEMORY, "schedule: %lld values made are too many",
                          (long long)instances);
    live->instances_capacity = (int32_t)instances;
    REMAT_TRY(check_sizes(walk));
    REMAT_TRY(REMAT_ALLOC(live->instances, instances, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->inputs, count * REMAT_MAX_INPUTS, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->outputs, count * REMAT_MAX_OUTPUTS, walk->err));
    REMAT_TRY(REMAT_ALLOC(live->live_bytes, count, walk->err));
    memset(live->inputs, 0xff, (size_t)count * REMAT_MAX_INPUTS * sizeof *live->inputs);
    memset(live->outputs, 0xff, (size_t)count * REMAT_MAX_OUTPUTS * sizeof *live->outputs);
    REMAT_TRY(REMAT_ALLOC(walk->latest, walk->graph->values_count, walk->err));
    memset(walk->latest, 0xff, (size_t)walk->graph->values_count * sizeof *walk->latest);
    return REMAT_ALLOC(walk->version, walk->graph->cells_count, walk->err);
}

static enum remat_status derive(struct walk *walk, int64_t **change)
{
    const struct remat_schedule *schedule = walk->schedule;
    int32_t run;
    REMAT_TRY(make_room(walk));
    REMAT_TRY(REMAT_ALLOC(*change, (int64_t)schedule->count + 1, walk->err));
    REMAT_TRY(walk_runs(walk));
    for (run = 0; run < schedule->count; run++)
        take_in_place(walk->graph, walk->live, run, &walk->graph->tasks[schedule->runs[run].task]);
    return sum_live_bytes(walk, *change);
}

enum remat_status remat_liveness(const struct remat_task_graph *graph, const struct remat_schedule *schedule,
                                 struct remat_liveness *out, struct remat_error *err)
{
    struct walk walk = {.graph = graph, .schedule = schedule, .live = out, .err = err};
    int64_t *change = NULL;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    status = derive(&walk, &change);
    free(walk.latest);
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
    memset(liveness, 0, sizeof *liveness);
}
