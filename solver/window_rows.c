#include "solver/window_rows.h"

#include <stdlib.h>

/* Runs by less ask for no row. */
static const double LEAST_USED = 1e-3;

/* A value that was made by the window's first cut and is held at its end, by the solution: `column` says so (-1: it is
 * read there, certainly). `carried`: how much of it is so without being made again in the window. */
struct held {
    int32_t value, column;
    double part, carried;
};

/* The row in work, and the window that it is about. */
struct window {
    struct remat_window_program *program;
    const double *solution;
    int32_t begin, end; /* cuts */
    int64_t *weights;   /* per value: beside the run */
    /* Per value that the run comes from: how much of what lies between survived the first cut, at least (2: no such
     * value), and what reads it (-1: the run itself). */
    double *broken;
    int32_t *reader;
    struct remat_integer_row *row;
    struct remat_cut_memory at_begin, at_end;
    struct held *held;
    int32_t held_count;
};

static bool is_input(const struct window *window, int32_t cut, int32_t value)
{
    const struct remat_task_graph *graph = window->program->model->graph;
    const struct remat_task *task = &graph->tasks[graph->order[window->program->cuts[cut].position]];
    int32_t k;
    for (k = 0; k < task->inputs_count; k++)
        if (task->inputs[k] == value)
            return true;
    return false;
}

/* Whether it is the first time that a task lists an input. */
static bool is_new(const struct remat_task *task, int32_t input)
{
    int32_t k;
    for (k = 0; k < input; k++)
        if (task->inputs[k] == task->inputs[input])
            return false;
    return true;
}

static int32_t survivor(const struct window *window, int32_t cut, int32_t value)
{
    return window->program->survives[(int64_t)cut * window->program->model->values_count + value];
}

/* How often a value is made again in an interval, by the solution; -1 if the program does not say. `column` -1: never.
 */
static double made_again(const struct window *window, int32_t interval, int32_t value, int32_t *column)
{
    const struct remat_window_program *p = window->program;
    *column = -1;
    if (!remat_cut_reproducible(p->model, value, p->cuts[interval].position))
        return 0;
    *column = p->run[(int64_t)interval * p->model->ways_count + p->model->values[value].way];
    return *column >= 0 ? window->solution[*column] : -1;
}

static void add_held(struct window *window, const struct held *held)
{
    if (held->column >= 0)
        remat_integer_row_add(window->row, held->column, window->weights[held->value]);
    else
        window->row->limit -= window->weights[held->value];
}

/* ---------------------------------------------------------------------------------------------------------- carried */

static double carried(const struct window *window, const struct held *held)
{
    int32_t column, j;
    double part = held->part;
    for (j = window->begin; j < window->end && part > 0; j++) {
        double again = made_again(window, j, held->value, &column);
        part = again >= 0 ? part - again : 0;
    }
    return part;
}

/* Once a window, for all ways that may run in it. */
static void list_held(struct window *window)
{
    const struct remat_window_program *p = window->program;
    int32_t v;
    window->held_count = 0;
    for (v = 0; v < p->model->values_count; v++) {
        struct held held = {.value = v, .column = -1, .part = 1};
        if (p->model->values[v].made > p->cuts[window->begin].position)
            continue;
        if (!is_input(window, window->end, v)) {
            held.column = survivor(window, window->end, v);
            held.part = held.column >= 0 ? window->solution[held.column] : 0;
        }
        held.carried = carried(window, &held);
        if (held.part > 0)
            window->held[window->held_count++] = held;
    }
}

static void add_carried(struct window *window, const struct held *held)
{
    int32_t column, j;
    add_held(window, held);
    for (j = window->begin; j < window->end; j++) {
        made_again(window, j, held->value, &column);
        if (column >= 0)
            remat_integer_row_add(window->row, column, -window->weights[held->value]);
    }
}

/* -------------------------------------------------------------------------------------------------------- ancestors */

static void reach(struct window *window, int32_t way, double broken, int32_t reader)
{
    const struct remat_cut_model *model = window->program->model;
    int32_t k;
    for (k = 0; k < model->ways[way].inputs_count; k++) {
        int32_t value = model->inputs[model->ways[way].inputs + k];
        if (broken < window->broken[value]) {
            window->broken[value] = broken;
            window->reader[value] = reader;
        }
    }
}

/* From the run back, latest made first. */
static void find_ancestors(struct window *window, int32_t way)
{
    const struct remat_cut_model *model = window->program->model;
    int32_t p, k, v;
    for (v = 0; v < model->values_count; v++)
        window->broken[v] = 2;
    reach(window, way, 0, -1);
    for (p = window->program->cuts[window->begin].position; p >= 0; p--) {
        const struct remat_task *task = &model->graph->tasks[model->graph->order[p]];
        for (k = 0; k < task->outputs_count; k++) {
            int32_t value = task->outputs[k], survives = survivor(window, window->begin, value);
            if (window->broken[value] < 1 && survives >= 0 && model->values[value].way >= 0 &&
                model->values[value].way != way)
                reach(window, model->values[value].way, window->broken[value] + window->solution[survives], value);
        }
    }
}

static int32_t used_in_window(const struct window *window, int32_t value)
{
    const struct remat_window_program *p = window->program;
    int32_t way = p->model->values[value].way;
    return way < 0 ? -1
                   : p->used[((int64_t)window->begin * (p->cuts_count + 1) + window->end) * p->model->ways_count + way];
}

static double ancestor(const struct window *window, const struct held *held)
{
    const struct remat_window_program *p = window->program;
    const int32_t value = held->value, way = p->model->values[value].way;
    int32_t used, survives, column, j;
    double part = held->part;
    if (window->broken[value] >= 1)
        return 0;
    used = used_in_window(window, value);
    survives = survivor(window, window->begin, value);
    if (used < 0 || survives < 0)
        return 0;
    part += window->solution[used] - window->solution[survives] - window->broken[value];
    for (j = window->begin; j < window->end && part > 0; j++) {
        double again = made_again(window, j, value, &column);
        part = again >= 0 ? part - again : 0;
        if (column >= 0)
            part -= window->solution[p->again[(int64_t)j * p->model->ways_count + way]];
    }
    return part;
}

static void add_ancestor(struct window *window, const struct held *held)
{
    const struct remat_window_program *p = window->program;
    const int32_t value = held->value, way = p->model->values[value].way;
    const int64_t weight = window->weights[value];
    int32_t column, j, between;
    add_held(window, held);
    remat_integer_row_add(window->row, used_in_window(window, value), weight);
    remat_integer_row_add(window->row, survivor(window, window->begin, value), -weight);
    for (between = window->reader[value]; between >= 0; between = window->reader[between])
        remat_integer_row_add(window->row, survivor(window, window->begin, between), -weight);
    for (j = window->begin; j < window->end; j++) {
        made_again(window, j, value, &column);
        if (column < 0)
            continue;
        remat_integer_row_add(window->row, column, -weight);
        remat_integer_row_add(window->row, p->again[(int64_t)j * p->model->ways_count + way], -weight);
    }
}

/* ------------------------------------------------------------------------------------------------------------- rows */

static int64_t beyond_weight(const struct remat_cut_model *model, const struct remat_cut_memory *memory, int32_t value,
                             bool dies)
{
    int32_t k;
    for (k = 0; k < memory->count; k++)
        if (memory->values[k] == value)
            return model->values[value].bytes - (dies ? 0 : memory->weights[k]);
    return 0;
}

/* Terms of what is held at the window's end. *permitted: what the memory of its cuts lets that take. */
static void add_values(struct window *window, int64_t *permitted)
{
    const struct remat_cut_model *model = window->program->model;
    int64_t begin = window->program->budget_bytes - window->at_begin.fixed_bytes;
    int64_t end = window->program->budget_bytes - window->at_end.fixed_bytes;
    bool all_carried = true;
    int32_t k;
    for (k = 0; k < window->held_count; k++) {
        const struct held *held = &window->held[k];
        double as_ancestor = window->weights[held->value] > 0 ? ancestor(window, held) : 0;
        if (window->weights[held->value] == 0 || (held->carried <= 0 && as_ancestor <= 0))
            continue;
        if (held->carried >= as_ancestor) {
            add_carried(window, held);
        } else {
            add_ancestor(window, held);
            all_carried = false;
        }
        begin += beyond_weight(model, &window->at_begin, held->value, false);
        end += beyond_weight(model, &window->at_end, held->value, true);
    }
    *permitted = all_carried && begin < end ? begin : end;
}

/* How often a value is made again from a cut on up to the next first run, by the solution; -1 if the program does not
 * say. With a weight, that is taken off the row for each time. */
static double made_again_until(struct window *window, int32_t cut, int32_t end, int32_t value, int64_t weight)
{
    double sum = 0;
    int32_t j, column;
    for (j = cut; j < end; j++) {
        double again = made_again(window, j, value, &column);
        if (again < 0)
            return -1;
        sum += again;
        if (weight > 0 && column >= 0)
            remat_integer_row_add(window->row, column, -weight);
    }
    return sum;
}

/* Of the values that are made in the window and read at the end of an interval: the least that any interval holds. */
static int64_t add_passing(struct window *window)
{
    const struct remat_window_program *p = window->program;
    const struct remat_cut_model *model = p->model;
    int64_t least = INT64_MAX;
    int32_t j, k;
    for (j = window->begin; j < window->end; j++) {
        int32_t end = remat_window_next_first_run(p, j);
        const struct remat_task *task = &model->graph->tasks[model->graph->order[p->cuts[end].position]];
        int64_t sum = 0;
        for (k = 0; k < task->inputs_count; k++) {
            int32_t v = task->inputs[k], made = model->values[v].made;
            double again = made_again_until(window, j, end, v, 0);
            if (!is_new(task, k) || made <= p->cuts[window->begin].position || made > p->cuts[j].position ||
                again < 0 || again > 0.5)
                continue;
            sum += window->weights[v];
            made_again_until(window, j, end, v, window->weights[v]);
        }
        least = sum < least ? sum : least;
    }
    return least;
}

/* The row of a way's runs in the window; false if it says nothing. */
static bool build(struct window *window, int32_t way, int32_t used)
{
    int64_t fixed_bytes, permitted, least, factor;
    remat_integer_row_clear(window->row);
    remat_window_run_memory(window->program, way, &fixed_bytes, window->weights);
    find_ancestors(window, way);
    add_values(window, &permitted);
    least = add_passing(window);
    factor = fixed_bytes + least - (window->program->budget_bytes - permitted);
    if (factor <= 0)
        return false;
    window->row->limit += permitted;
    remat_integer_row_add(window->row, used, factor);
    return true;
}

static enum remat_status check_window(struct window *window, int32_t *added, struct remat_error *err)
{
    const struct remat_window_program *p = window->program;
    const int64_t ways = p->model->ways_count;
    const int32_t *used = window->end == window->begin + 1
                              ? &p->run[window->begin * ways]
                              : &p->used[((int64_t)window->begin * (p->cuts_count + 1) + window->end) * ways];
    struct remat_rounding best = {.violation = 0};
    int32_t chosen = -1, w;
    remat_cut_memory_at(p->model, p->model->graph->order[p->cuts[window->begin].position], &window->at_begin);
    remat_cut_memory_at(p->model, p->model->graph->order[p->cuts[window->end].position], &window->at_end);
    list_held(window);
    for (w = 0; w < ways; w++) {
        struct remat_rounding rounding;
        if (used[w] < 0 || window->solution[used[w]] < LEAST_USED || !build(window, w, used[w]))
            continue;
        rounding = remat_integer_row_round(window->row, window->solution);
        if (rounding.violation > best.violation) {
            best = rounding;
            chosen = w;
        }
    }
    if (chosen < 0 || !build(window, chosen, used[chosen]))
        return REMAT_OK;
    ++*added;
    return remat_integer_row_write(window->row, window->solution, &best, p->excess, &window->program->linear, err);
}

enum remat_status remat_window_runs(struct remat_window_program *program, const double *solution,
                                    struct remat_integer_row *row, int32_t *added, struct remat_error *err)
{
    struct window window = {.program = program, .solution = solution, .row = row};
    enum remat_status status = REMAT_OK;
    *added = 0;
    REMAT_TRY_GOTO(REMAT_ALLOC(window.weights, program->model->values_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(window.broken, program->model->values_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(window.reader, program->model->values_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(window.held, program->model->values_count, err), done);
    for (window.begin = 0; window.begin < program->cuts_count;
         window.begin = remat_window_next_first_run(program, window.begin))
        for (window.end = remat_window_next_first_run(program, window.begin);
             window.end < program->cuts_count && status == REMAT_OK;
             window.end = remat_window_next_first_run(program, window.end))
            status = check_window(&window, added, err);
done:
    free(window.weights);
    free(window.broken);
    free(window.reader);
    free(window.held);
    return status;
}

enum remat_status remat_window_memory(struct remat_window_program *program, const double *solution,
                                      struct remat_integer_row *row, int32_t *added, struct remat_error *err)
{
    int32_t cut, k;
    *added = 0;
    for (cut = 0; cut < program->cuts_count; cut++) {
        const struct remat_memory_row *memory = &program->memory[cut];
        struct remat_rounding rounding;
        remat_integer_row_clear(row);
        row->limit = memory->capacity;
        for (k = memory->first; k < memory->first + memory->count; k++)
            remat_integer_row_add(row, program->survivors[k].column, program->survivors[k].weight);
        if (memory->run >= 0)
            remat_integer_row_add(row, memory->run, memory->run_factor);
        rounding = remat_integer_row_round(row, solution);
        if (rounding.violation == 0)
            continue;
        ++*added;
        REMAT_TRY(remat_integer_row_write(row, solution, &rounding, program->excess, &program->linear, err));
    }
    return REMAT_OK;
}
