/* Sublinear checkpointing: T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost",
 * arXiv 1604.06174. What passes between segments of k blocks is kept; the inside of a segment is made again when its
 * backward part begins, except for the last one, which is kept. Every k is tried, as is keep-all. */
#include "solver/methods.h"
#include "solver/partition.h"

#include <stdlib.h>
#include <string.h>

struct search {
    const struct remat_task_graph *graph;
    struct remat_partition partition;
    struct remat_model model;
    struct remat_retention work;
    struct remat_incumbent best;
};

static enum remat_status offer(struct search *s, int32_t k, int64_t budget_bytes, struct remat_error *err)
{
    struct remat_hold *holds = NULL;
    struct remat_schedule schedule = {0};
    enum remat_status status;
    REMAT_TRY_GOTO(remat_partition_holds(s->graph, &s->partition, &holds, err), done);
    remat_partition_hold_segments(s->graph, &s->partition, k, holds);
    REMAT_TRY_GOTO(remat_retention_settle(&s->work, s->graph->order, s->graph->order_count, holds, err), done);
    REMAT_TRY_GOTO(remat_retention_schedule(&s->work, &schedule, err), done);
    status = remat_incumbent_offer(s->graph, &s->best, budget_bytes, &schedule, err);
done:
    remat_schedule_free(&schedule);
    free(holds);
    return status;
}

static enum remat_status try_all(struct search *s, int64_t budget_bytes, struct remat_error *err)
{
    int32_t k;
    REMAT_TRY(remat_partition_make(s->graph, &s->partition, err));
    REMAT_TRY(remat_model_of_graph(s->graph, &s->model, err));
    REMAT_TRY(remat_retention_init(&s->work, &s->model, err));
    for (k = 1; k <= s->partition.count; k++) /* the last is keep-all */
        REMAT_TRY(offer(s, k, budget_bytes, err));
    return REMAT_OK;
}

static enum remat_status search(const struct remat_task_graph *graph, int64_t budget_bytes, struct remat_schedule *out,
                                struct remat_error *err)
{
    struct search s = {.graph = graph};
    enum remat_status status = try_all(&s, budget_bytes, err);
    *out = s.best.schedule;
    remat_retention_free(&s.work);
    remat_model_free(&s.model);
    remat_partition_free(&s.partition);
    return status;
}

enum remat_status remat_sqrt_smallest(struct remat_solving *solving, const struct remat_solve_options *options,
                                      struct remat_schedule *out, struct remat_error *err)
{
    (void)options;
    return search(solving->graph, 0, out, err);
}

enum remat_status remat_sqrt_solve(struct remat_solving *solving, const struct remat_solve_options *options,
                                   struct remat_schedule *out, struct remat_error *err)
{
    struct remat_schedule smallest = {0};
    enum remat_status status = search(solving->graph, options->budget_bytes > 0 ? options->budget_bytes : 1, out, err);
    if (status != REMAT_OK || out->count > 0 || solving->graph->order_count == 0)
        return status;
    status = search(solving->graph, 0, &smallest, err);
    if (status == REMAT_OK)
        status = remat_report_infeasible(solving->graph, "sqrt", options->budget_bytes, &smallest, err);
    remat_schedule_free(&smallest);
    return status;
}
