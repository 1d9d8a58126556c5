/* A schedule: which task runs when, with which option, and which values are copied to host memory and back. Nothing
 * else is free: a value lives from the run or fetch that made it to its last use before it is made again; the in-place
 * rule is fixed (below). Solvers produce schedules; layout turns one into a plan, entry by entry.
 *
 * Copies. Kernels have one order; beside it there is one lane for stores (to the host) and one for fetches (to the
 * device). A copy begins when all that was asked for before it in the order of kernels, waits included, is done, and
 * the earlier copies of its lane too. Kernels asked for later do not wait for it, unless a wait says so. A store leaves
 * the value where it is, to be read but not overwritten before the wait for the store. A fetch makes the value again
 * from what the last store of it left; it is read only after the wait for the fetch. Each copy is waited for once, in
 * its own section (micro, finish) and before the next copy of that value begins. */
#ifndef REMAT_CORE_PLAN_SCHEDULE_H
#define REMAT_CORE_PLAN_SCHEDULE_H

#include "core/graph/task_graph.h"

/* Moves are of plans alone (plan.h): where values lie is nothing that a schedule knows. */
enum remat_instruction_kind { REMAT_RUN, REMAT_STORE, REMAT_FETCH, REMAT_WAIT, REMAT_MOVE };

struct remat_entry {
    enum remat_instruction_kind kind;
    int32_t task, option; /* run; else -1 */
    int32_t value;        /* store, fetch; wait: the value whose copy is waited for; run: -1 */
};

struct remat_schedule {
    struct remat_entry *entries; /* owned; micro section first, then finish, which its first run begins */
    int32_t count, capacity;
};

void remat_schedule_free(struct remat_schedule *schedule);
/* Appends a run. */
REMAT_MUST_CHECK enum remat_status remat_schedule_push(struct remat_schedule *schedule, int32_t task, int32_t option,
                                                       struct remat_error *err);
/* Appends a store, a fetch or a wait. */
REMAT_MUST_CHECK enum remat_status remat_schedule_push_copy(struct remat_schedule *schedule,
                                                            enum remat_instruction_kind kind, int32_t value,
                                                            struct remat_error *err);
/* The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_schedule_copy(const struct remat_schedule *schedule,
                                                       struct remat_schedule *out, struct remat_error *err);
/* The order itself with option 0 everywhere: keep-all. */
REMAT_MUST_CHECK enum remat_status remat_schedule_base(const struct remat_task_graph *graph, struct remat_schedule *out,
                                                       struct remat_error *err);
/* The entry of the copy that a wait waits for. */
int32_t remat_schedule_awaited(const struct remat_schedule *schedule, int32_t wait);

/* The time that one store, fetch or move takes, once it has begun: bytes over its rate, rounded down. A move by an
 * unknown rate takes none. */
int64_t remat_copy_ns(const struct remat_task_graph *graph, enum remat_instruction_kind kind, int64_t bytes);
/* A section's time: of the order of kernels, and when the last copies of both lanes end. Begins with zeros. */
struct remat_lanes {
    int64_t kernel_ns, end_ns[2];
};
/* Asks for a copy of `copy_ns`; false if its end would pass 2^63. */
bool remat_lanes_copy(struct remat_lanes *lanes, enum remat_instruction_kind kind, int64_t copy_ns, int64_t *end_ns);

/* One making of a value: by entry `begin`, last used by entry `end` (>= begin; = begin if nobody uses it). A copy uses
 * what it reads and what it makes until it has been waited for. `over` is the instance whose memory it takes (its end =
 * our begin), or -1. */
struct remat_instance {
    int32_t value;
    int32_t begin, end;
    int32_t over;
    enum remat_space space;
};

/* Everything that follows from a schedule. Operand k of entry e: inputs[e * REMAT_MAX_INPUTS + k] is an instance; a
 * copy has one input and one output.
 *
 * In-place rule: for each run, its in-place pairs are tried in the order listed; a pair (j, i) is taken if output j has
 * no pair yet, input i's instance ends at this run, is not used as another operand that must survive (the same instance
 * is passed once), has not been taken by another output, and both have the same bytes.
 *
 * live(e) = staging + bytes of the device's instances with begin <= e <= end, an in-place pair counted once + scratch
 * of e. Host memory holds the host's instances alone. */
struct remat_liveness {
    struct remat_instance *instances;
    int32_t instances_count, instances_capacity;
    int32_t *inputs, *outputs; /* per entry: REMAT_MAX_INPUTS and REMAT_MAX_OUTPUTS instance ids, -1 = none */
    int64_t *live_bytes;       /* per entry, scratch and staging included */
    int64_t *host_live_bytes;  /* per entry */
    int64_t peak_bytes, host_peak_bytes;
    int32_t peak_entry;
    int64_t cost_ns;
};

/* Fails with REMAT_BAD_DATA if a run reads a value that was never made or a cell version that is overwritten, runs out
 * of order, repeats a task that writes cells or follows the finish section's first run though it belongs to micro, if a
 * task of the order is missing, or if a copy breaks the rules above. cost_ns is the time at which the order of kernels
 * ends, that of micro counted micro_count times. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_liveness(const struct remat_task_graph *graph,
                                                  const struct remat_schedule *schedule, struct remat_liveness *out,
                                                  struct remat_error *err);
void remat_liveness_free(struct remat_liveness *liveness);

#endif
