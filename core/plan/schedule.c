#include "core/plan/schedule.h"

#include <stdlib.h>
#include <string.h>

void remat_schedule_free(struct remat_schedule *schedule)
{
    free(schedule->runs);
    memset(schedule, 0, sizeof *schedule);
}

enum remat_status remat_schedule_push(struct remat_schedule *schedule, int32_t task, int32_t option,
                                      struct remat_error *err)
{
    if (schedule->count == INT32_MAX)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "a schedule cannot hold more than %d runs", INT32_MAX);
    REMAT_TRY(REMAT_GROW(schedule->runs, schedule->capacity, schedule->count + 1, err));
    schedule->runs[schedule->count++] = (struct remat_run){task, option};
    return REMAT_OK;
}

enum remat_status remat_schedule_base(const struct remat_task_graph *graph, struct remat_schedule *out,
                                      struct remat_error *err)
{
    int32_t i;
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_GROW(out->runs, out->capacity, graph->order_count, err));
    for (i = 0; i < graph->order_count; i++)
        REMAT_TRY(remat_schedule_push(out, graph->order[i], 0, err));
    return REMAT_OK;
}
