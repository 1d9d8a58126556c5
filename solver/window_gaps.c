#include "solver/window_gaps.h"

#include <stdlib.h>

/* A run by less does not ask for its inputs. */
static const double REMADE = 0.3;

static double amount(const double *solution, int32_t column)
{
    return column >= 0 ? solution[column] : 0;
}

/* What is held of a value in the interval after `cut` (-1: before the first), as little as the solution allows: what is
 * kept, from the cut or the first making on; what is made again, from when it is first needed on; both until the last
 * need, and what survives the next cut until then. Positions; needed > last: not needed. */
struct hold {
    double kept, remade, crossing;
    int32_t made, needed, last;
};

struct interval {
    const struct remat_window_program *program;
    const double *solution;
    double least_bytes;
    int32_t cut, next, begin, end; /* cuts that are first runs, and their positions */
    struct hold *holds;
};

static void need(struct hold *hold, int32_t position)
{
    hold->needed = position < hold->needed ? position : hold->needed;
    hold->last = position > hold->last ? position : hold->last;
}

static struct hold begin_hold(const struct interval *in, int32_t value)
{
    const struct remat_window_program *p = in->program;
    const struct remat_cut_model *model = p->model;
    const struct remat_value *source = &model->graph->values[value];
    int32_t way = model->values[value].way, k;
    struct hold hold = {.made = model->values[value].made, .needed = INT32_MAX, .last = -1};
    for (k = in->cut; in->cut >= 0 && way >= 0 && hold.made <= in->begin && k < in->next; k++)
        hold.remade += amount(in->solution, p->run[(int64_t)k * model->ways_count + way]);
    hold.remade = hold.remade < 1 ? hold.remade : 1;
    hold.kept = 1 - hold.remade;
    if (in->next < p->cuts_count && hold.made < in->end)
        hold.crossing = amount(in->solution, p->survives[(int64_t)in->next * model->values_count + value]);
    for (k = 0; k < source->users_count; k++) {
        int32_t position = model->graph->tasks[source->users[k]].position;
        if (position > in->begin && position <= in->end)
            need(&hold, position);
    }
    if (hold.crossing > 0)
        need(&hold, in->end);
    return hold;
}

/* Runs that make values again read their inputs when their results are first needed. */
static void find_holds(struct interval *in)
{
    const struct remat_cut_model *model = in->program->model;
    const struct remat_task_graph *graph = model->graph;
    int32_t v, t, j, k;
    for (v = 0; v < model->values_count; v++)
        in->holds[v] = begin_hold(in, v);
    for (t = graph->order_count - 1; t >= 0; t--) {
        const struct remat_task *task = &graph->tasks[graph->order[t]];
        for (j = 0; j < task->outputs_count; j++) {
            const struct hold *hold = &in->holds[task->outputs[j]];
            const struct remat_way *way;
            if (hold->remade < REMADE || hold->needed > hold->last)
                continue;
            way = &model->ways[model->values[task->outputs[j]].way];
            for (k = 0; k < way->inputs_count; k++)
                need(&in->holds[model->inputs[way->inputs + k]], hold->needed);
        }
    }
}

static double held(const struct hold *hold, int32_t position)
{
    double part = 0;
    if (hold->made > position || hold->last < hold->needed)
        return 0;
    if (position < hold->last)
        part = hold->kept + (position >= hold->needed ? hold->remade : 0);
    return part > hold->crossing - hold->remade ? part : hold->crossing - hold->remade;
}

static double excess_at(const struct interval *in, int32_t position)
{
    const struct remat_cut_model *model = in->program->model;
    struct remat_cut_memory memory;
    double sum;
    int32_t v, k;
    remat_cut_memory_at(model, model->graph->order[position], &memory);
    sum = (double)(memory.fixed_bytes - in->program->budget_bytes);
    for (v = 0; v < model->values_count; v++) {
        double part = held(&in->holds[v], position);
        int64_t weight = model->values[v].bytes;
        if (part <= 0)
            continue;
        for (k = 0; k < memory.count; k++)
            if (memory.values[k] == v)
                weight = memory.weights[k];
        sum += part * (double)weight;
    }
    return sum;
}

/* What is held of a value while another one is made again, when that is first needed: also what may have been made for
 * it and is needed later. */
static double held_beside(const struct hold *hold, const struct hold *run)
{
    double part = held(hold, run->needed - 1);
    if (hold->needed == run->needed && hold->last > run->needed && hold->made < run->made)
        part = hold->kept + hold->remade;
    return part;
}

/* The same for a run that makes a value again. */
static double excess_of_run(const struct interval *in, int32_t value, int64_t *weights)
{
    const struct remat_cut_model *model = in->program->model;
    int64_t fixed_bytes;
    double sum;
    int32_t v;
    remat_window_run_memory(in->program, model->values[value].way, &fixed_bytes, weights);
    sum = (double)(fixed_bytes - in->program->budget_bytes);
    for (v = 0; v < model->values_count; v++)
        if (v != value)
            sum += held_beside(&in->holds[v], &in->holds[value]) * (double)weights[v];
    return sum;
}

static bool is_divided(const struct interval *in)
{
    return in->next != in->cut + 1;
}

static int32_t values_across(const struct remat_window_program *p, int32_t position)
{
    int32_t count = 0, v;
    for (v = 0; v < p->model->values_count; v++)
        count += !remat_window_is_negligible(p, v) && p->model->values[v].made <= position &&
                 p->model->values[v].last_read > position;
    return count;
}

static void add_gap(const struct interval *in, int32_t position, int32_t way, double excess_bytes,
                    struct remat_window_gap *gaps, int32_t *count)
{
    gaps[(*count)++] = (struct remat_window_gap){{position, way}, excess_bytes, values_across(in->program, position)};
}

/* Where the interval exceeds the budget most: one position, or the two around a run, or that run. */
static void check_interval(struct interval *in, int64_t *weights, struct remat_window_gap *gaps, int32_t *count)
{
    const struct remat_cut_model *model = in->program->model;
    double most = in->least_bytes;
    int32_t first = -1, run = -1, p, v;
    find_holds(in);
    for (p = in->begin + 1; p < in->end; p++) {
        double excess = excess_at(in, p);
        if (excess > most) {
            most = excess;
            first = p;
        }
    }
    for (v = 0; v < model->values_count; v++) {
        const struct hold *hold = &in->holds[v];
        double excess;
        if (hold->remade < REMADE || hold->needed > hold->last || (is_divided(in) && in->end == in->begin + 1))
            continue;
        excess = excess_of_run(in, v, weights);
        if (excess > most) {
            most = excess;
            run = v;
        }
    }
    if (run < 0 && first >= 0)
        add_gap(in, first, -1, most, gaps, count);
    if (run < 0)
        return;
    p = in->holds[run].needed;
    if (p - 1 > in->begin)
        add_gap(in, p - 1, -1, most, gaps, count);
    if (p < in->end)
        add_gap(in, p, -1, most, gaps, count);
    if (p - 1 == in->begin && p == in->end)
        add_gap(in, in->begin, model->values[run].way, most, gaps, count);
}

enum remat_status remat_window_gaps(const struct remat_window_program *program, const double *solution,
                                    double least_bytes, struct remat_window_gap *gaps, int32_t *count,
                                    struct remat_error *err)
{
    const int32_t cuts = program->cuts_count;
    struct interval in = {.program = program, .solution = solution, .least_bytes = least_bytes};
    int64_t *weights;
    enum remat_status status;
    *count = 0;
    REMAT_TRY(REMAT_ALLOC(weights, program->model->values_count, err));
    REMAT_TRY_GOTO(REMAT_ALLOC(in.holds, program->model->values_count, err), done);
    for (in.cut = -1; in.cut < cuts; in.cut = in.next) {
        in.next = remat_window_next_first_run(program, in.cut);
        in.begin = in.cut >= 0 ? program->cuts[in.cut].position : -1;
        in.end = in.next < cuts ? program->cuts[in.next].position : program->model->graph->order_count;
        check_interval(&in, weights, gaps, count);
    }
    status = REMAT_OK;
done:
    free(weights);
    free(in.holds);
    return status;
}
