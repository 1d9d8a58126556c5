/* Random small task graphs of no particular shape: whatever the graph's rules allow. For comparisons with brute force.
 */
#ifndef REMAT_TESTS_SOLVER_SUPPORT_RANDOM_DAG_H
#define REMAT_TESTS_SOLVER_SUPPORT_RANDOM_DAG_H

#include "core/graph/task_graph.h"

/* `tasks` tasks and at most `most_values` values: in-place pairs (also competing ones), several outputs, alternates
 * (also of several values), cells that are overwritten, options with scratch and other numerics, micro and finish
 * sections. Asserts that the graph is valid. */
void random_dag(struct remat_task_graph *graph, uint64_t seed, int32_t tasks, int32_t most_values);

#endif
