/* Hand-made training graphs, and everything that is needed to run one. */
#ifndef REMAT_TESTS_RUNTIME_SUPPORT_EXEC_H
#define REMAT_TESTS_RUNTIME_SUPPORT_EXEC_H

#include "runtime/exec/exec.h"

/* From images [rows, 4] `depth` times linear and GELU to [rows, columns], softmax cross-entropy, backward, SGD. The
 * first staging cell holds u8 images, the second labels below `columns`. */
void support_chain_graph(const struct remat_backend *backend, struct remat_device *device, int32_t depth, int64_t rows,
                         int64_t columns, struct remat_task_graph *graph);
/* Every activation is made again, from the batch on, whenever a backward task reads it. */
void support_recompute_all(const struct remat_task_graph *graph, struct remat_schedule *schedule);

/* A training run: state, arena, executor. */
struct support_run {
    struct remat_state state;
    struct remat_memory arena;
    struct remat_exec *exec;
};

/* Parameters start as small numbers that depend on the cell's position alone. */
void support_run_open(const struct remat_backend *backend, struct remat_device *device,
                      const struct remat_task_graph *graph, const struct remat_plan *plan,
                      const struct remat_exec_options *options, struct support_run *run);
void support_run_close(struct support_run *run);
/* One step on its own batches; *micro_steps (may be NULL) counts the micro steps as they begin, from 0. */
void support_run_step(struct support_run *run, const struct remat_task_graph *graph, int64_t step,
                      int64_t *micro_steps);

/* Fails the test with the message. */
void support_ok(enum remat_status status, const struct remat_error *err);

#endif
