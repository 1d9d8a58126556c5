/* The true optimum over all schedules of a small graph, by Dijkstra's algorithm over (next task of the order, values
 * present), under the memory model of core/plan/schedule.h. It shares no code with the solvers. */
#ifndef REMAT_TESTS_SOLVER_SUPPORT_BRUTE_H
#define REMAT_TESTS_SOLVER_SUPPORT_BRUTE_H

#include "core/plan/schedule.h"

enum { BRUTE_MOST_VALUES = 24 };

/* Least cost of a schedule whose peak is at most budget_bytes, with any options of the first one's numerics class; -1
 * if there is none. At most BRUTE_MOST_VALUES values. */
int64_t brute_force(const struct remat_task_graph *graph, int64_t budget_bytes);

#endif
