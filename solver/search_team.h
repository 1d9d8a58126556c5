/* The search in several threads: walkers that exchange what they find, and beside them one thread that raises the
 * bound. They tell each other how far they are (solver/progress.h) whenever they get there, so answers differ from run
 * to run: there is a team only where there is a limit of time, which makes them differ anyway. */
#ifndef REMAT_SOLVER_SEARCH_TEAM_H
#define REMAT_SOLVER_SEARCH_TEAM_H

#include "solver/search_walks.h"

/* Raises a bound until its progress is enough or the effort ends. While it runs the closure is its own. */
struct remat_prover {
    struct remat_closure *closure;
    struct remat_bound_effort effort;
    struct remat_progress *progress;
    struct remat_bound bound;
    pthread_t thread;
    enum remat_status status;
    struct remat_error error;
};
/* *prover must stay where it is until remat_prover_end. */
REMAT_MUST_CHECK enum remat_status remat_prover_begin(struct remat_prover *prover, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_prover_end(struct remat_prover *prover, struct remat_error *err);

/* All legs of `count` walkers at once, this thread's among them; *best gets the best that any of them found. */
REMAT_MUST_CHECK enum remat_status remat_team_walk(struct remat_search *search, int32_t count,
                                                   const struct remat_walks *walks, struct remat_best *best,
                                                   struct remat_error *err);

#endif
