#include "solver/window_program.h"

#include "solver/negligible.h"

#include <stdlib.h>
#include <string.h>

/* Of the budget: so much may all negligible values take together. */
static const double NEGLIGIBLE = 1.0 / 4096;

/* A window from cut `begin` to cut `end` (cuts_count: to the end of the step). */
static int32_t *used_column(struct remat_window_program *p, int32_t begin, int32_t end, int32_t way)
{
    return &p->used[((int64_t)begin * (p->cuts_count + 1) + end) * p->model->ways_count + way];
}

/* The first cut at or after the next reading of a value after a cut; -1 if nothing reads it. */
static int32_t next_end(const struct remat_window_program *p, int32_t cut, int32_t value)
{
    const struct remat_task_graph *graph = p->model->graph;
    const struct remat_value *source = &graph->values[value];
    int32_t position = p->cuts[cut].position, read = -1, end = cut + 1, k;
    if (p->model->values[value].last_read <= position)
        return -1;
    for (k = source->users_count - 1; k >= 0 && graph->tasks[source->users[k]].position > position; k--)
        read = graph->tasks[source->users[k]].position;
    while (end < p->cuts_count && p->cuts[end].position < read)
        end++;
    return end;
}

static enum remat_status new_column(struct remat_window_program *p, int64_t cost, int32_t *column,
                                    struct remat_error *err)
{
    return *column >= 0 ? REMAT_OK : remat_linear_column(&p->linear, cost, column, err);
}

static enum remat_status survive(struct remat_window_program *p, int32_t cut, int32_t value, int32_t *column,
                                 struct remat_error *err)
{
    int32_t *known = &p->survives[cut * p->model->values_count + value];
    if (*known < 0) {
        REMAT_TRY(REMAT_GROW(p->survivors, p->survivors_capacity, p->survivors_count + 1, err));
        REMAT_TRY(new_column(p, 0, known, err));
        p->survivors[p->survivors_count++] = (struct remat_survivor){*known, p->weights[value]};
    }
    *column = *known;
    return REMAT_OK;
}

static enum remat_status new_run(struct remat_window_program *p, int32_t interval, int32_t way, struct remat_error *err)
{
    int64_t at = interval * p->model->ways_count + way, time_ns = p->model->ways[way].time_ns;
    REMAT_TRY(new_column(p, time_ns, &p->run[at], err));
    return new_column(p, time_ns, &p->again[at], err);
}

/* used[window] <= sum of runs in its intervals. */
static enum remat_status divide_use(struct remat_window_program *p, int32_t begin, int32_t end, int32_t way,
                                    struct remat_error *err)
{
    const struct remat_way *source = &p->model->ways[way];
    int32_t *known = used_column(p, begin, end, way), k;
    REMAT_TRY(new_column(p, 0, known, err));
    for (k = begin; k < end && source->last_key > p->cuts[k].position; k++) {
        REMAT_TRY(new_run(p, k, way, err));
        REMAT_TRY(remat_linear_term(&p->linear, p->run[k * p->model->ways_count + way], -1, err));
    }
    REMAT_TRY(remat_linear_term(&p->linear, *known, 1, err));
    return remat_linear_close_row(&p->linear, 0, err);
}

/* In a window of one interval a use is a run there: one column, so that runs that serve longer windows have needs. */
static enum remat_status use(struct remat_window_program *p, int32_t begin, int32_t end, int32_t way, int32_t *column,
                             struct remat_error *err)
{
    int32_t *known = used_column(p, begin, end, way);
    if (*known < 0) {
        if (end == begin + 1) {
            REMAT_TRY(new_run(p, begin, way, err));
            *known = p->run[begin * p->model->ways_count + way];
        } else {
            REMAT_TRY(divide_use(p, begin, end, way, err));
        }
        REMAT_TRY(REMAT_GROW(p->pending, p->pending_capacity, p->pending_count + 2, err));
        p->pending[p->pending_count++] = end;
        p->pending[p->pending_count++] = way;
    }
    *column = *known;
    return REMAT_OK;
}

/* need <= survives the cut + made again in the window, or the excess; need = -1: 1. */
static enum remat_status demand(struct remat_window_program *p, int32_t cut, int32_t end, int32_t value, int32_t need,
                                struct remat_error *err)
{
    int32_t column;
    if (need >= 0)
        REMAT_TRY(remat_linear_term(&p->linear, need, 1, err));
    REMAT_TRY(survive(p, cut, value, &column, err));
    REMAT_TRY(remat_linear_term(&p->linear, column, -1, err));
    REMAT_TRY(remat_linear_term(&p->linear, p->excess, -1, err));
    if (!remat_cut_reproducible(p->model, value, p->cuts[cut].position))
        return remat_linear_close_row(&p->linear, need >= 0 ? 0 : -1, err);
    /* The row of `used`, if it is new, must be written on its own: before this one. */
    column = *used_column(p, cut, end, p->model->values[value].way);
    REMAT_TRY(remat_linear_term(&p->linear, column, -1, err));
    return remat_linear_close_row(&p->linear, need >= 0 ? 0 : -1, err);
}

static enum remat_status prepare(struct remat_window_program *p, int32_t cut, int32_t end, int32_t value,
                                 struct remat_error *err)
{
    int32_t column;
    if (!remat_cut_reproducible(p->model, value, p->cuts[cut].position))
        return REMAT_OK;
    return use(p, cut, end, p->model->values[value].way, &column, err);
}

/* What first runs read later, and what survives the next cut. */
static enum remat_status write_demands(struct remat_window_program *p, int32_t cut, struct remat_error *err)
{
    int32_t v;
    for (v = 0; v < p->model->values_count; v++) {
        int32_t end = next_end(p, cut, v), next = -1;
        if (p->model->values[v].made > p->cuts[cut].position || remat_window_is_negligible(p, v))
            continue;
        if (end >= 0) {
            REMAT_TRY(prepare(p, cut, end, v, err));
            REMAT_TRY(demand(p, cut, end, v, -1, err));
        }
        if (cut + 1 < p->cuts_count)
            next = p->survives[(int64_t)(cut + 1) * p->model->values_count + v];
        if (next >= 0 && end != cut + 1) {
            REMAT_TRY(prepare(p, cut, cut + 1, v, err));
            REMAT_TRY(demand(p, cut, cut + 1, v, next, err));
        }
    }
    return REMAT_OK;
}

/* What a way needs in its window, unless the order reads it there. */
static enum remat_status write_needs(struct remat_window_program *p, int32_t cut, int32_t end, int32_t way,
                                     struct remat_error *err)
{
    const struct remat_cut_model *model = p->model;
    int32_t need = *used_column(p, cut, end, way), k;
    for (k = 0; k < model->ways[way].inputs_count; k++) {
        int32_t value = model->inputs[model->ways[way].inputs + k], read = next_end(p, cut, value);
        if (p->weights[value] == 0 || remat_window_is_negligible(p, value) || (read >= 0 && read <= end))
            continue;
        REMAT_TRY(prepare(p, cut, end, value, err));
        REMAT_TRY(demand(p, cut, end, value, need, err));
    }
    return REMAT_OK;
}

/* ----------------------------------------------------------------------------------------------------------- memory */

void remat_window_run_memory(const struct remat_window_program *program, int32_t way, int64_t *fixed_bytes,
                             int64_t *weights)
{
    const struct remat_cut_model *model = program->model;
    const struct remat_value *value = &model->graph->values[program->way_value[way]];
    struct remat_cut_memory memory;
    int32_t v, r, k;
    for (v = 0; v < model->values_count; v++)
        weights[v] = model->values[v].bytes;
    *fixed_bytes = INT64_MAX;
    for (r = 0; r < value->recipes_count; r++) {
        remat_cut_memory_at(model, value->recipes[r], &memory);
        if (memory.fixed_bytes < *fixed_bytes)
            *fixed_bytes = memory.fixed_bytes;
        for (k = 0; k < memory.count; k++)
            if (memory.weights[k] < weights[memory.values[k]])
                weights[memory.values[k]] = memory.weights[k];
    }
}

/* What all survivors can take together right after the first run of a position. */
static int64_t most_after(const struct remat_window_program *p, int32_t position)
{
    struct remat_cut_memory memory;
    int64_t most, all = p->budget_bytes - p->model->graph->staging_bytes;
    int32_t k;
    remat_cut_memory_at(p->model, p->model->graph->order[position], &memory);
    most = p->budget_bytes - memory.fixed_bytes;
    for (k = 0; k < memory.count; k++)
        most += p->model->values[memory.values[k]].bytes - memory.weights[k];
    return most < all ? most : all;
}

/* Sets the weights of a cut. Its memory: fixed bytes + weights of survivors <= budget; where it is a way's use, that
 * holds if it is used, else the most that fits after the first run before. */
static void weigh(struct remat_window_program *p, int32_t cut)
{
    struct remat_memory_row *row = &p->memory[cut];
    struct remat_cut_memory memory;
    int64_t fixed_bytes;
    int32_t way = p->cuts[cut].way, k;
    *row = (struct remat_memory_row){.first = p->survivors_count, .run = -1};
    if (way >= 0) {
        remat_window_run_memory(p, way, &fixed_bytes, p->weights);
        row->capacity = most_after(p, p->cuts[cut].position);
        row->run_factor = fixed_bytes - (p->budget_bytes - row->capacity);
        return;
    }
    for (k = 0; k < p->model->values_count; k++)
        p->weights[k] = p->model->values[k].bytes;
    remat_cut_memory_at(p->model, p->model->graph->order[p->cuts[cut].position], &memory);
    for (k = 0; k < memory.count; k++)
        p->weights[memory.values[k]] = memory.weights[k];
    row->capacity = p->budget_bytes - memory.fixed_bytes;
}

/* A way that is used after its cut is used at its cut. */
static enum remat_status write_use(struct remat_window_program *p, int32_t cut, struct remat_error *err)
{
    const int64_t ways = p->model->ways_count;
    int32_t before = p->run[(cut - 1) * ways + p->cuts[cut].way], after = p->run[cut * ways + p->cuts[cut].way];
    p->memory[cut].run = before;
    if (after < 0)
        return REMAT_OK;
    REMAT_TRY(remat_linear_term(&p->linear, after, 1, err));
    REMAT_TRY(remat_linear_term(&p->linear, before, -1, err));
    return remat_linear_close_row(&p->linear, 0, err);
}

/* The memory row of a cut, or the excess. */
static enum remat_status write_memory(struct remat_window_program *p, int32_t cut, struct remat_error *err)
{
    const struct remat_memory_row *row = &p->memory[cut];
    int64_t sum = 0;
    int32_t k;
    for (k = row->first; k < row->first + row->count; k++) {
        REMAT_TRY(remat_linear_term(&p->linear, p->survivors[k].column, p->survivors[k].weight, err));
        sum += p->survivors[k].weight;
    }
    if (row->run >= 0) {
        REMAT_TRY(remat_linear_term(&p->linear, row->run, row->run_factor, err));
        sum += row->run_factor > 0 ? row->run_factor : 0;
    }
    REMAT_TRY(remat_linear_term(&p->linear, p->excess, -sum, err));
    return remat_linear_close_row(&p->linear, row->capacity, err);
}

static enum remat_status write_cut(struct remat_window_program *p, int32_t cut, struct remat_error *err)
{
    int32_t way = p->cuts[cut].way, k;
    weigh(p, cut);
    if (way >= 0)
        REMAT_TRY(new_run(p, cut - 1, way, err));
    p->pending_count = 0;
    REMAT_TRY(write_demands(p, cut, err));
    for (k = 0; k < p->pending_count && p->linear.columns_count <= p->most_columns; k += 2)
        REMAT_TRY(write_needs(p, cut, p->pending[k], p->pending[k + 1], err));
    p->memory[cut].count = p->survivors_count - p->memory[cut].first;
    return REMAT_OK;
}

static enum remat_status make_room(struct remat_window_program *p, struct remat_error *err)
{
    const int64_t cuts = p->cuts_count, ways = p->model->ways_count, values = p->model->values_count;
    int32_t v;
    REMAT_TRY(REMAT_ALLOC(p->run, cuts * ways, err));
    REMAT_TRY(REMAT_ALLOC(p->again, cuts * ways, err));
    REMAT_TRY(REMAT_ALLOC(p->used, cuts * (cuts + 1) * ways, err));
    REMAT_TRY(REMAT_ALLOC(p->survives, cuts * values, err));
    REMAT_TRY(REMAT_ALLOC(p->weights, values, err));
    REMAT_TRY(REMAT_ALLOC(p->way_value, ways, err));
    REMAT_TRY(REMAT_ALLOC(p->way_bytes, ways, err));
    for (v = 0; v < values; v++)
        if (p->model->values[v].way >= 0) {
            struct remat_cut_memory memory;
            remat_cut_memory_at(p->model, p->model->graph->values[v].recipes[0], &memory);
            p->way_value[p->model->values[v].way] = v;
            p->way_bytes[p->model->values[v].way] = memory.fixed_bytes;
        }
    REMAT_TRY(REMAT_ALLOC(p->memory, cuts, err));
    memset(p->run, 0xff, (size_t)(cuts * ways) * sizeof *p->run);
    memset(p->again, 0xff, (size_t)(cuts * ways) * sizeof *p->again);
    memset(p->used, 0xff, (size_t)(cuts * (cuts + 1) * ways) * sizeof *p->used);
    memset(p->survives, 0xff, (size_t)(cuts * values) * sizeof *p->survives);
    return REMAT_OK;
}

/* To leave them out lowers the bound by next to nothing. */
static enum remat_status find_negligible(struct remat_window_program *p, struct remat_error *err)
{
    int64_t *bytes;
    int32_t v;
    REMAT_TRY(REMAT_ALLOC(bytes, p->model->values_count, err));
    for (v = 0; v < p->model->values_count; v++)
        bytes[v] = p->model->values[v].bytes;
    p->negligible_bytes =
        remat_negligible_bytes(bytes, p->model->values_count, (int64_t)(NEGLIGIBLE * (double)p->budget_bytes));
    free(bytes);
    return REMAT_OK;
}

enum remat_status remat_window_program_make(const struct remat_cut_model *model, const struct remat_window_cut *cuts,
                                            int32_t cuts_count, int64_t budget_bytes, int32_t most_columns,
                                            struct remat_window_program *out, struct remat_error *err)
{
    int64_t all_ns = 1;
    int32_t cut, w;
    memset(out, 0, sizeof *out);
    out->model = model;
    out->cuts = cuts;
    out->cuts_count = cuts_count;
    out->budget_bytes = budget_bytes;
    out->most_columns = most_columns;
    REMAT_TRY(make_room(out, err));
    REMAT_TRY(find_negligible(out, err));
    for (w = 0; w < model->ways_count; w++)
        all_ns += model->ways[w].time_ns;
    all_ns = all_ns < INT64_C(1) << 40 ? all_ns * 1000 : all_ns;
    REMAT_TRY(remat_linear_column(&out->linear, all_ns, &out->excess, err));
    /* From the last to the first: what survives a cut is demanded of the interval before. */
    for (cut = cuts_count - 1; cut >= 0 && out->linear.columns_count <= most_columns; cut--)
        REMAT_TRY(write_cut(out, cut, err));
    for (cut = 0; cut < cuts_count && out->linear.columns_count <= most_columns; cut++) {
        if (cuts[cut].way >= 0)
            REMAT_TRY(write_use(out, cut, err));
        REMAT_TRY(write_memory(out, cut, err));
    }
    return REMAT_OK;
}

void remat_window_program_free(struct remat_window_program *program)
{
    remat_linear_free(&program->linear);
    free(program->run);
    free(program->again);
    free(program->used);
    free(program->survives);
    free(program->weights);
    free(program->way_value);
    free(program->way_bytes);
    free(program->memory);
    free(program->pending);
    free(program->survivors);
    memset(program, 0, sizeof *program);
}

int32_t remat_window_next_first_run(const struct remat_window_program *program, int32_t cut)
{
    cut++;
    while (cut < program->cuts_count && program->cuts[cut].way >= 0)
        cut++;
    return cut;
}
