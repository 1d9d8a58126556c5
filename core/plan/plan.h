/* A plan: a schedule with every byte placed. The executor runs it as it stands; the verifier checks it alone.
 *
 * Instructions, one an entry of the schedule, whose rules they keep: `run(task, option, operands)`, `store(view on the
 * device, view on the host)`, `fetch(view on the host, view on the device)` and `wait(event)`. A buffer is one interval
 * of plan time at one offset of one space; operands are views of buffers. Freeing is the end of an interval. The
 * buffers of a copy live until the wait for it, at least: so what shares bytes is in order by the instructions alone.
 *
 * Between them, plans have an instruction that no schedule has: `move(view, view)`, done in the order of the runs. It
 * takes all of a buffer on the device, which ends there, to another one on the device, which begins there; these two
 * may overlap each other. The value counts once at its move. What a copy under way uses is not moved. So whatever fits
 * the budget when the bytes are summed can be placed in it. */
#ifndef REMAT_CORE_PLAN_PLAN_H
#define REMAT_CORE_PLAN_PLAN_H

#include "core/plan/schedule.h"

/* Bytes [offset, offset + bytes) of a space from instruction `begin` to instruction `end`, both included. */
struct remat_buffer {
    enum remat_space space;
    int64_t offset, bytes; /* aligned */
    int32_t begin, end;
};

/* A value (or scratch: value -1) at an offset inside a buffer. */
struct remat_view {
    int32_t value;
    int32_t buffer;
    int64_t offset; /* inside the buffer */
};

struct remat_instruction {
    enum remat_instruction_kind kind;
    int32_t task, option;               /* run; else -1 */
    int32_t event;                      /* wait: the copy that must have completed; else -1 */
    int32_t inputs[REMAT_MAX_INPUTS];   /* views, -1 = none; of a copy and of a move one, of a wait none */
    int32_t outputs[REMAT_MAX_OUTPUTS]; /* views, -1 = none; of a copy and of a move one, of a wait none */
    int32_t scratch;                    /* run: view, -1 = none */
};

struct remat_plan {
    uint64_t graph_hash;
    char solver[32];
    struct remat_instruction *instructions;
    struct remat_buffer *buffers;
    struct remat_view *views;
    int32_t instructions_count, buffers_count, views_count;
    int32_t finish_begin;    /* first instruction of the finish section */
    int64_t budget_bytes;    /* what it was made for; INT64_MAX = none */
    int64_t arena_bytes;     /* the planned peak: the largest extent of a device buffer, staging included */
    int64_t live_peak_bytes; /* the largest sum of live bytes; arena / live peak = fragmentation */
    int32_t peak_instruction;
    int64_t host_budget_bytes, host_bytes, host_live_peak_bytes; /* the same of host memory; 0 bytes: no copies */
    int64_t predicted_step_ns, keep_all_step_ns, lower_bound_ns, solve_ns;
};

void remat_plan_free(struct remat_plan *plan);

/* How many moves a plan has, and the bytes and the time that they take in one pass over its instructions. */
struct remat_plan_moves {
    int32_t count;
    int64_t bytes, time_ns;
};
struct remat_plan_moves remat_plan_count_moves(const struct remat_task_graph *graph, const struct remat_plan *plan);

/* Effort of placing where nothing asks for less: enough for arena = live peak on training steps. */
enum { REMAT_PLACE_EFFORT = 100 };

/* Places a schedule: arena = live peak, with moves where `effort` tries do not find offsets without (pack.h,
 * pack_moves.h). Only where copies hold values in their places the arena may be larger. Deterministic. Sets both
 * budgets to none, lower_bound_ns and solve_ns to 0, for the solver to fill in. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_plan_place(const struct remat_task_graph *graph,
                                                    const struct remat_schedule *schedule, int32_t effort,
                                                    struct remat_plan *out, struct remat_error *err);
/* The instructions of a plan as a schedule: moves are left out. */
REMAT_MUST_CHECK enum remat_status remat_plan_schedule(const struct remat_plan *plan, struct remat_schedule *out,
                                                       struct remat_error *err);

/* Checks a plan by abstract interpretation, sharing no code with schedule, layout or solvers: every read is live, of
 * the right value and of the right version; every task of the order runs, in order; tasks that write cells run exactly
 * once; options are of the numerics class of option 0; outputs over inputs only where permitted and dying; no two live
 * ranges of a space overlap; copies keep the rules of schedule.h, moves those above; scratch is at least what the
 * option asks; buffers are exactly as long-lived and large as their uses; peak <= arena <= budget in both spaces; the
 * recorded numbers are true, times included: a plan from another profile is refused. REMAT_BAD_DATA names the first
 * violation. */
REMAT_MUST_CHECK enum remat_status remat_plan_verify(const struct remat_task_graph *graph,
                                                     const struct remat_plan *plan, struct remat_error *err);

/* When the order of kernels is through with each instruction of a verified plan, from the beginning of its section:
 * done_ns[i]; what an instruction adds is its run's or move's time or, at a wait, how long kernels stand still. */
REMAT_MUST_CHECK enum remat_status remat_plan_times(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                                    int64_t *done_ns, struct remat_error *err);

/* JSON, format "remat-plan". `from_json` checks types and ranges; verify checks the meaning. */
json_t *remat_plan_to_json(const struct remat_plan *plan);
REMAT_MUST_CHECK enum remat_status remat_plan_from_json(const json_t *json, const char *where, struct remat_plan *out,
                                                        struct remat_error *err);
/* Identity of what the executor does: graph, instructions, buffers, views; not times, budget or solver. */
uint64_t remat_plan_hash(const struct remat_plan *plan);

#endif
