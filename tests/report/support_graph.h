/* A small training step for tests of charts: layers forward, a loss, layers backward, with scratch and staging. */
#ifndef REMAT_TESTS_REPORT_SUPPORT_GRAPH_H
#define REMAT_TESTS_REPORT_SUPPORT_GRAPH_H

#include "core/plan/plan.h"

enum { LAYER_KIB = 256 };

/* Values of LAYER_KIB KiB; each backward task reads its layer's input and writes over the gradient it reads. */
void layered_graph(struct remat_task_graph *graph, int32_t layers);
/* keep-all, or with every second layer's output dropped after the forward pass and computed again. */
void layered_plan(const struct remat_task_graph *graph, bool recompute, struct remat_plan *plan);
/* Writes a plan and its graph to FOLDER/NAME. */
void write_plan(const char *folder, const char *name, const struct remat_task_graph *graph,
                const struct remat_plan *plan);

#endif
