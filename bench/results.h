/* The parts that all result files share: who measured, with what, when. See docs/format-results.md. */
#ifndef REMAT_BENCH_RESULTS_H
#define REMAT_BENCH_RESULTS_H

#include "core/plan/plan.h"
#include "trainer/workload.h"

#include <jansson.h>

/* {format, version, date, commit, command, machine{...}, model{...}}; new reference. `command` may be NULL. */
json_t *remat_results_header(const char *format, const struct remat_workload *workload, const char *command);

/* The commit this was built from, or "unknown". */
const char *remat_build_commit(void);

/* Plan and graph in one file, so that it can be explained and drawn without anything else. */
REMAT_MUST_CHECK enum remat_status remat_save_plan(const char *path, const struct remat_task_graph *graph,
                                                   const struct remat_plan *plan, struct remat_error *err);
/* Loads both and verifies the plan against the graph in the file. The caller frees both in any case. */
REMAT_MUST_CHECK enum remat_status remat_load_plan(const char *path, struct remat_task_graph *graph,
                                                   struct remat_plan *plan, struct remat_error *err);

#endif
