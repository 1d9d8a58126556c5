/* Moves put into plans that need none, so that whatever runs, checks or writes plans can be tested with them. */
#ifndef REMAT_TESTS_CORE_SUPPORT_MOVES_H
#define REMAT_TESTS_CORE_SUPPORT_MOVES_H

#include "core/plan/plan.h"

/* Sets the predicted time to what the instructions take. */
void plan_book_times(const struct remat_task_graph *graph, struct remat_plan *plan);
/* Right before instruction `at` buffer `buffer`, which lives before and after, goes to `offset`. Indices, extents and
 * times follow; whether the plan is right is for the verifier to say. */
void moves_insert(const struct remat_task_graph *graph, struct remat_plan *plan, int32_t at, int32_t buffer,
                  int64_t offset);
/* Tries random moves, half of them by less than the buffer's size, in an arena of up to `extent_bytes`, and keeps what
 * the verifier accepts: the number of them. Of a plan that verifies. */
int32_t moves_add(const struct remat_task_graph *graph, struct remat_plan *plan, uint64_t seed, int32_t tries,
                  int64_t extent_bytes);

#endif
