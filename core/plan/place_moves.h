/* Puts moves into a plan that was laid out without. */
#ifndef REMAT_CORE_PLAN_PLACE_MOVES_H
#define REMAT_CORE_PLAN_PLACE_MOVES_H

#include "core/plan/pack_moves.h"
#include "core/plan/plan.h"

/* `live` is that of the plan's schedule; view k is instance k, and the items of `moves` are buffers. Adds instructions,
 * buffers and views, and the moves' time. */
REMAT_MUST_CHECK enum remat_status remat_place_moves(const struct remat_task_graph *graph,
                                                     const struct remat_liveness *live,
                                                     const struct remat_pack_moves *moves, struct remat_plan *plan,
                                                     struct remat_error *err);

#endif
