/* The walks of the search method: simulated annealing (solver/anneal.h) in legs, each polished (solver/polish.h),
 * within a limit of time or work. What they find within the budget they offer to *best. */
#ifndef REMAT_SOLVER_SEARCH_WALKS_H
#define REMAT_SOLVER_SEARCH_WALKS_H

#include "solver/search_memo.h"

#include <pthread.h>

/* Looks for anything that fits, from the base order and from the smallest known plan, for half the limit of time at
 * most. Where nothing is found, the smallest that was counts as the smallest one. */
REMAT_MUST_CHECK enum remat_status remat_search_reach(struct remat_search *search,
                                                      const struct remat_solve_options *options,
                                                      struct remat_best *best, struct remat_error *err);

/* The best that several walkers found, in the hands of one of them at a time. */
struct remat_exchange {
    pthread_mutex_t lock;
    struct remat_best best;
};

/* What all walkers that work on a budget have in common. */
struct remat_walks {
    const struct remat_solve_options *options;
    bool again;     /* for a little less than last time: starts from that answer and has less to do */
    bool gives_way; /* ends early where legs gain nothing any more: the time serves the bound */
    double price;
    double started; /* by the clock, in seconds: when a limit of time began */
    struct remat_progress *progress;
    struct remat_exchange *exchange; /* NULL = there is but one walker */
};

/* All legs of one walker, until progress is enough; one that comes late has those whose time is not over. */
REMAT_MUST_CHECK enum remat_status remat_search_walk(const struct remat_search *search, struct remat_walker *walker,
                                                     const struct remat_walks *walks, struct remat_best *best,
                                                     struct remat_error *err);
/* Lowers the peak of the smallest known plan as far as walks go. */
REMAT_MUST_CHECK enum remat_status
remat_search_lower(struct remat_search *search, const struct remat_solve_options *options, struct remat_error *err);

#endif
