/* What lower bounds know of a task graph: when its values are made and read, what reproducing them costs at least, and
 * what must be live when a task first runs.
 *
 * A way is what a value without better knowledge is reproduced by: the set of its recipes. Values with the same recipes
 * share one way, so that reproducing several outputs of a task costs it once. A way's time is the least that a run of
 * any of its recipes adds; where recipes occur in several ways their times are divided among them, so that the times of
 * the ways used never exceed those of the runs. Its inputs are those that all of its recipes read.
 *
 * A cut is the first run of a task of the order; `position` names it. A value survives the cut if it was made by then
 * and is read later without being made again in between. */
#ifndef REMAT_SOLVER_CUT_MODEL_H
#define REMAT_SOLVER_CUT_MODEL_H

#include "core/graph/task_graph.h"

struct remat_way {
    int64_t time_ns;              /* micro steps counted */
    int32_t inputs, inputs_count; /* values, as entries of `inputs` */
    int32_t last_key;             /* usable until the task of this position first runs */
};

struct remat_cut_value {
    int64_t bytes;
    int32_t made, last_read; /* positions; last_read = -1: read by no task of the order */
    int32_t way;             /* -1 = never made again */
};

struct remat_cut_model {
    const struct remat_task_graph *graph; /* borrowed */
    struct remat_cut_value *values;
    struct remat_way *ways;
    int32_t *inputs;
    int32_t values_count, ways_count, ways_capacity, inputs_count, inputs_capacity;
    int64_t base_ns; /* every task of the order once */
    int64_t step_ns; /* times are multiples of this */
};

void remat_cut_model_free(struct remat_cut_model *model);
/* The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_cut_model_make(const struct remat_task_graph *graph,
                                                        struct remat_cut_model *out, struct remat_error *err);

/* A run's memory as a sum over the values that survive it: live bytes >= fixed_bytes + sum of weights. Weights are the
 * values' bytes but for the operands listed: what is there in any case weighs nothing, an input that an output may take
 * the place of weighs what it costs not to give it up. */
enum { REMAT_CUT_OPERANDS = REMAT_MAX_INPUTS + REMAT_MAX_OUTPUTS };
struct remat_cut_memory {
    int64_t fixed_bytes; /* with staging and the least scratch */
    int32_t count, values[REMAT_CUT_OPERANDS];
    int64_t weights[REMAT_CUT_OPERANDS];
};
void remat_cut_memory_at(const struct remat_cut_model *model, int32_t task, struct remat_cut_memory *out);

/* Whether a value that does not survive the cut at `position` can be made again after it. */
static inline bool remat_cut_reproducible(const struct remat_cut_model *model, int32_t value, int32_t position)
{
    int32_t way = model->values[value].way;
    return way >= 0 && model->ways[way].last_key > position;
}

#endif
