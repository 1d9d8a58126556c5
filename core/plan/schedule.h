/* A schedule: which task runs when, with which option. Nothing else is free: a value lives from the run that made it
 * to its last read before it is made again; the in-place rule is fixed (below). Solvers produce schedules;
 * layout turns one into a plan. */
#ifndef REMAT_CORE_PLAN_SCHEDULE_H
#define REMAT_CORE_PLAN_SCHEDULE_H

#include "core/graph/task_graph.h"

struct remat_run {
    int32_t task;
    int32_t option;
};

struct remat_schedule {
    struct remat_run *runs; /* owned; micro section first, then finish */
    int32_t count, capacity;
};

void remat_schedule_free(struct remat_schedule *schedule);
REMAT_MUST_CHECK enum remat_status remat_schedule_push(struct remat_schedule *schedule, int32_t task, int32_t option,
                                                       struct remat_error *err);
/* The order itself with option 0 everywhere: keep-all. */
REMAT_MUST_CHECK enum remat_status remat_schedule_base(const struct remat_task_graph *graph, struct remat_schedule *out,
                                                       struct remat_error *err);

/* One making of a value: written by run `begin`, last read by run `end` (>= begin; = begin if nobody reads it).
 * `over` is the instance whose memory it takes (its end = our begin), or -1. */
struct remat_instance {
    int32_t value;
    int32_t begin, end;
    int32_t over;
};

/* Everything that follows from a schedule. Operand k of run r: inputs[r * REMAT_MAX_INPUTS + k] is an instance.
 *
 * In-place rule: for each run, its in-place pairs are tried in the order listed; a pair (j, i) is taken if output j has
 * no pair yet, input i's instance ends at this run, is not used as another operand that must survive (the same instance
 * is passed once), has not been taken by another output, and both have the same bytes.
 *
 * live(r) = staging + bytes of instances with begin <= r <= end, an in-place pair counted once + scratch of r. */
struct remat_liveness {
    struct remat_instance *instances;
    int32_t instances_count, instances_capacity;
    int32_t *inputs, *outputs; /* per run: REMAT_MAX_INPUTS and REMAT_MAX_OUTPUTS instance ids, -1 = none */
    int64_t *live_bytes;       /* per run, scratch and staging included */
    int64_t peak_bytes;
    int32_t peak_run;
    int64_t cost_ns;
};

/* Fails with REMAT_BAD_DATA if a run reads a value that was never made or a cell version that is overwritten, runs out
 * of order, repeats a task that writes cells or follows the finish section's first run though it belongs to micro, or
 * if a task of the order is missing. cost_ns counts the runs of micro micro_count times. The caller frees *out in any
 * case. */
REMAT_MUST_CHECK enum remat_status remat_liveness(const struct remat_task_graph *graph,
                                                  const struct remat_schedule *schedule, struct remat_liveness *out,
                                                  struct remat_error *err);
void remat_liveness_free(struct remat_liveness *liveness);

#endif
