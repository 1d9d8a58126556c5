/* Copies of plans for tests that change them. */
#ifndef REMAT_TESTS_CORE_SUPPORT_PLAN_H
#define REMAT_TESTS_CORE_SUPPORT_PLAN_H

#include "core/plan/plan.h"

/* A graph, and a valid plan of it with recomputations, from random_graph() and random_schedule(). */
void plan_fixture(uint64_t seed, int32_t layers, int32_t repeats, struct remat_task_graph *graph,
                  struct remat_plan *plan);
/* The same with copies between the spaces, from random_copies(). */
void plan_fixture_copies(uint64_t seed, int32_t layers, int32_t repeats, struct remat_task_graph *graph,
                         struct remat_plan *plan);
/* With room for one more instruction, buffer and view. */
struct remat_plan plan_copy(const struct remat_plan *plan);
/* Sets intervals, extents, peaks, finish and times to what the instructions imply; only for plans with valid indices.
 */
void plan_rebook(const struct remat_task_graph *graph, struct remat_plan *plan);

#endif
