#include "profiler/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    char *buffer;
    int capacity, used;
};

static void append(struct text *text, const char *part)
{
    int left = text->capacity - text->used, length = snprintf(text->buffer + text->used, (size_t)left, "%s", part);
    text->used += length < left ? length : left - 1;
}

static void append_tensor(struct text *text, const char *before, const struct remat_tensor *tensor)
{
    char number[24];
    append(text, text->used ? before : "");
    append(text, "[");
    for (int32_t d = 0; d < tensor->dims_count; d++) {
        snprintf(number, sizeof number, d ? ",%lld" : "%lld", (long long)tensor->dims[d]);
        append(text, number);
    }
    append(text, "]");
}

static void write_shapes(const struct remat_kernel_spec *spec, char *buffer, int capacity)
{
    struct text text = {buffer, capacity, 0};
    buffer[0] = '\0';
    if (spec->inputs_count > 0)
        append_tensor(&text, "", &spec->inputs[0]);
    if (remat_op_cast_weight(spec) >= 0 || spec->cells_count > 0)
        append_tensor(&text, " * ", remat_op_weight(spec));
    if (spec->outputs_count > 0)
        append_tensor(&text, " -> ", &spec->outputs[0]);
}

static const struct remat_option *fastest(const struct remat_task *task)
{
    const struct remat_option *best = &task->options[0];
    for (int32_t k = 1; k < task->options_count; k++)
        if (task->options[k].time_ns < best->time_ns)
            best = &task->options[k];
    return best;
}

static void fill_row(const struct remat_task_graph *graph, const struct remat_task *task,
                     const struct remat_machine_peaks *peaks, struct remat_profile_row *row)
{
    struct remat_kernel_spec spec = remat_task_spec(graph, task);
    const struct remat_option *option = fastest(task);
    double time = option->time_ns > 0 ? (double)option->time_ns : 1.0;
    row->signature = task->signature;
    row->op = task->op;
    row->option = option->name;
    row->time_ns = option->time_ns;
    row->spread_ns = option->spread_ns;
    row->scratch_bytes = option->scratch_bytes;
    row->flop = remat_op_flop(&spec);
    row->traffic_bytes = remat_op_traffic_bytes(&spec);
    row->gflop_per_second = (double)row->flop / time;
    row->gbyte_per_second = (double)row->traffic_bytes / time;
    row->compute_share = row->gflop_per_second / remat_compute_peak(peaks, &spec);
    row->memory_share = row->gbyte_per_second / peaks->gbyte_per_second;
    for (int32_t k = 0; k < task->outputs_count; k++)
        row->kept_bytes += graph->values[task->outputs[k]].bytes;
    write_shapes(&spec, row->shapes, sizeof row->shapes);
}

static struct remat_profile_row *find_row(struct remat_profile_row *rows, int32_t count, uint64_t signature)
{
    for (int32_t i = 0; i < count; i++)
        if (rows[i].signature == signature)
            return &rows[i];
    return NULL;
}

static int64_t total_ns(const struct remat_profile_row *row)
{
    return row->time_ns * row->count;
}

static int by_total(const void *a, const void *b)
{
    const struct remat_profile_row *x = a, *y = b;
    if (total_ns(x) != total_ns(y))
        return total_ns(x) < total_ns(y) ? 1 : -1;
    return (x->signature > y->signature) - (x->signature < y->signature);
}

enum remat_status remat_profile_table(const struct remat_task_graph *graph, const struct remat_machine_peaks *peaks,
                                      struct remat_profile_row **rows, int32_t *count, struct remat_error *err)
{
    *count = 0;
    REMAT_TRY(REMAT_ALLOC(*rows, graph->tasks_count, err));
    for (int32_t t = 0; t < graph->tasks_count; t++) {
        const struct remat_task *task = &graph->tasks[t];
        struct remat_profile_row *row = find_row(*rows, *count, task->signature);
        if (!row) {
            row = &(*rows)[(*count)++];
            fill_row(graph, task, peaks, row);
        }
        row->count += task->position >= 0;
        row->alternates += task->position < 0;
    }
    qsort(*rows, (size_t)*count, sizeof **rows, by_total);
    return REMAT_OK;
}
