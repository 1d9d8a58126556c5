/* What the parts of explain share: when each view is made and last read, and how numbers are written. */
#ifndef REMAT_CORE_PLAN_EXPLAIN_PARTS_H
#define REMAT_CORE_PLAN_EXPLAIN_PARTS_H

#include "core/plan/explain.h"

struct remat_explain {
    const struct remat_task_graph *graph;
    const struct remat_plan *plan; /* verified */
    FILE *stream;
    int32_t *made, *last_read; /* per view: instructions; last_read = made if nobody reads it; -1 for scratch */
    int32_t *first_made;       /* per value: instruction */
    int32_t *first_run;        /* per task: instruction, or -1 */
    int64_t *live_bytes;       /* per instruction */
    int64_t *done_ns;          /* per instruction: remat_plan_times() */
};

struct remat_explain_text {
    char text[32];
};
struct remat_explain_text remat_explain_bytes(int64_t bytes);
struct remat_explain_text remat_explain_time(double ns);

/* Whether the instruction recomputes: an alternate, or not the first run of its task. */
bool remat_explain_repeats(const struct remat_explain *explain, int32_t at);
/* Time of an instruction in a step, of a wait its stall: in the micro section once a micro step. */
int64_t remat_explain_cost_ns(const struct remat_explain *explain, int32_t at);
/* The input that output j of an instruction overwrites, or -1. */
int32_t remat_explain_overwrites(const struct remat_explain *explain, int32_t at, int32_t output);

/* The rows of remat_plan_blocks(). */
REMAT_MUST_CHECK enum remat_status remat_explain_count_blocks(const struct remat_explain *explain,
                                                              struct remat_plan_block **out, int32_t *count,
                                                              struct remat_error *err);
void remat_explain_blocks(const struct remat_explain *explain, const struct remat_plan_block *rows, int32_t count);
REMAT_MUST_CHECK enum remat_status remat_explain_peak(const struct remat_explain *explain, struct remat_error *err);
/* Which values are in host memory when, and how long kernels wait for copies; nothing without copies. */
void remat_explain_copies(const struct remat_explain *explain);
void remat_explain_instructions(const struct remat_explain *explain);

#endif
