/* What solvers work on: the task graph, or one block of it, reduced to what decides time and memory.
 *
 * Nodes are tasks (or virtual: sources and sinks of a block), data are values. A stage is the first run of a node of
 * the base order. Operand lists live in one array. Everything is dense and local, so that a block of fifteen values is
 * evaluated in microseconds. */
#ifndef REMAT_SOLVER_MODEL_H
#define REMAT_SOLVER_MODEL_H

#include "core/graph/task_graph.h"
#include "core/plan/schedule.h"

struct remat_node {
    int32_t task, option; /* -1 for a virtual node */
    int32_t key;          /* position in the order; of an alternate: that of the producer it stands for */
    int32_t last_key;     /* may run again only up to the stage with this key; -1 = never */
    int64_t time_ns, scratch_bytes;
    int32_t inputs, inputs_count, outputs, outputs_count; /* first operand and number */
    int32_t in_place_count;
    struct remat_in_place in_place[4];
};

struct remat_datum {
    int64_t bytes;
    int32_t value;                  /* of the task graph */
    int32_t recipes, recipes_count; /* nodes, as operands */
};

struct remat_model {
    struct remat_node *nodes;
    struct remat_datum *data;
    int32_t *operands;
    int32_t nodes_count, nodes_capacity, data_count, data_capacity, operands_count, operands_capacity;
    int64_t fixed_bytes; /* always live: staging */
};

void remat_model_free(struct remat_model *model);

REMAT_MUST_CHECK enum remat_status remat_model_add_datum(struct remat_model *model, int32_t value, int64_t bytes,
                                                         int32_t *out, struct remat_error *err);
/* A node without task: takes no time and no scratch, never runs again. */
REMAT_MUST_CHECK enum remat_status remat_model_add_virtual(struct remat_model *model, int32_t key,
                                                           const int32_t *inputs, int32_t inputs_count,
                                                           const int32_t *outputs, int32_t outputs_count, int32_t *out,
                                                           struct remat_error *err);
/* A task; datum_of maps values to data. The option is the fastest one of option 0's numerics class. */
REMAT_MUST_CHECK enum remat_status remat_model_add_task(struct remat_model *model, const struct remat_task_graph *graph,
                                                        int32_t task, int32_t last_key, const int32_t *datum_of,
                                                        int32_t *out, struct remat_error *err);
/* Whether no other input of the node is the same datum. */
bool remat_node_reads_once(const struct remat_model *model, const struct remat_node *node, int32_t input);
/* Fills in the recipes of all data from the nodes that may run again. */
REMAT_MUST_CHECK enum remat_status remat_model_link(struct remat_model *model, struct remat_error *err);

/* Per task of the graph: the last position of the order before which it may run again without reading a newer version
 * of a cell, or -1 if it writes cells. The caller owns *out. */
REMAT_MUST_CHECK enum remat_status remat_model_last_keys(const struct remat_task_graph *graph, int32_t **out,
                                                         struct remat_error *err);
/* The whole graph: data are values, nodes are tasks, stages are the order. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_model_of_graph(const struct remat_task_graph *graph, struct remat_model *out,
                                                        struct remat_error *err);

/* The fastest option of a task whose scratch is at most `limit` bytes, within option 0's numerics class; if none is
 * that small, the one with least scratch. */
int32_t remat_fastest_option(const struct remat_task *task, int64_t limit);
/* Gives every run of a schedule the fastest option that the live bytes around it allow. */
REMAT_MUST_CHECK enum remat_status remat_choose_options(const struct remat_task_graph *graph, int64_t budget_bytes,
                                                        struct remat_schedule *schedule, struct remat_error *err);

#endif
