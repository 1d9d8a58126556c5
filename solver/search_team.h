/* The search in several threads: walkers that exchange what they find, and one that first raises the bound, until that
 * stands still while the others still find better schedules (solver/progress.h): then it walks, too. They tell each
 * other how far they are whenever they get there, so answers differ from run to run: there is a team only where there
 * is a limit of time, which makes them differ anyway. */
#ifndef REMAT_SOLVER_SEARCH_TEAM_H
#define REMAT_SOLVER_SEARCH_TEAM_H

#include "solver/search_walks.h"

/* Raises a bound. While it does the closure is its own. */
struct remat_prover {
    struct remat_closure *closure;
    struct remat_bound_effort effort;
    struct remat_bound bound;
};

/* All legs of `count` walkers at once, this thread's among them, the last of which proves first (with a prover and at
 * least two); *best gets the best that any of them found. */
REMAT_MUST_CHECK enum remat_status remat_team_walk(struct remat_search *search, int32_t count,
                                                   const struct remat_walks *walks, struct remat_prover *prover,
                                                   struct remat_best *best, struct remat_error *err);

#endif
