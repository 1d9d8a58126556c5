#include "core/plan/schedule.h"

#include <stdlib.h>
#include <string.h>

void remat_schedule_free(struct remat_schedule *schedule)
{
    free(schedule->entries);
    memset(schedule, 0, sizeof *schedule);
}

static enum remat_status push(struct remat_schedule *schedule, const struct remat_entry *entry, struct remat_error *err)
{
    if (schedule->count == INT32_MAX)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "a schedule cannot hold more than %d entries", INT32_MAX);
    REMAT_TRY(REMAT_GROW(schedule->entries, schedule->capacity, schedule->count + 1, err));
    schedule->entries[schedule->count++] = *entry;
    return REMAT_OK;
}

enum remat_status remat_schedule_push(struct remat_schedule *schedule, int32_t task, int32_t option,
                                      struct remat_error *err)
{
    return push(schedule, &(struct remat_entry){REMAT_RUN, task, option, -1}, err);
}

enum remat_status remat_schedule_push_copy(struct remat_schedule *schedule, enum remat_instruction_kind kind,
                                           int32_t value, struct remat_error *err)
{
    return push(schedule, &(struct remat_entry){kind, -1, -1, value}, err);
}

enum remat_status remat_schedule_copy(const struct remat_schedule *schedule, struct remat_schedule *out,
                                      struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_GROW(out->entries, out->capacity, schedule->count, err));
    if (schedule->count > 0)
        memcpy(out->entries, schedule->entries, (size_t)schedule->count * sizeof *out->entries);
    out->count = schedule->count;
    return REMAT_OK;
}

enum remat_status remat_schedule_base(const struct remat_task_graph *graph, struct remat_schedule *out,
                                      struct remat_error *err)
{
    int32_t i;
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_GROW(out->entries, out->capacity, graph->order_count, err));
    for (i = 0; i < graph->order_count; i++)
        REMAT_TRY(remat_schedule_push(out, graph->order[i], 0, err));
    return REMAT_OK;
}

/* The next copy of a value begins after the wait for the last one. */
int32_t remat_schedule_awaited(const struct remat_schedule *schedule, int32_t wait)
{
    int32_t at = wait - 1;
    while (at >= 0 && (schedule->entries[at].kind == REMAT_RUN || schedule->entries[at].kind == REMAT_WAIT ||
                       schedule->entries[at].value != schedule->entries[wait].value))
        at--;
    return at;
}

int64_t remat_copy_ns(const struct remat_task_graph *graph, enum remat_instruction_kind kind, int64_t bytes)
{
    int64_t rate = kind == REMAT_STORE   ? graph->to_host_bytes_per_s
                   : kind == REMAT_FETCH ? graph->to_device_bytes_per_s
                                         : graph->move_bytes_per_s;
    if (rate == 0)
        return 0;
    return (int64_t)((double)bytes * 1e9 / (double)rate);
}

bool remat_lanes_copy(struct remat_lanes *lanes, enum remat_instruction_kind kind, int64_t copy_ns, int64_t *end_ns)
{
    int64_t *end = &lanes->end_ns[kind == REMAT_FETCH];
    int64_t start = *end > lanes->kernel_ns ? *end : lanes->kernel_ns;
    if (__builtin_add_overflow(start, copy_ns, end))
        return false;
    *end_ns = *end;
    return true;
}
