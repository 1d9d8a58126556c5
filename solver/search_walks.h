/* The walks of the search method: simulated annealing (solver/anneal.h) in legs, each polished (solver/polish.h),
 * within a limit of time or work. What they find within the budget they offer to *best. */
#ifndef REMAT_SOLVER_SEARCH_WALKS_H
#define REMAT_SOLVER_SEARCH_WALKS_H

#include "solver/search_memo.h"

/* Looks for anything that fits, from the smallest known plan and for half the limit of time at most. Where nothing is
 * found, that plan counts as the smallest one. */
REMAT_MUST_CHECK enum remat_status remat_search_reach(struct remat_search *search,
                                                      const struct remat_solve_options *options,
                                                      struct remat_best *best, struct remat_error *err);
/* All legs, until enough_ns is reached. A search `again`, for a little less than last time, starts from that answer and
 * has less to do. */
REMAT_MUST_CHECK enum remat_status remat_search_walk(struct remat_search *search,
                                                     const struct remat_solve_options *options, bool again,
                                                     double price, int64_t enough_ns, struct remat_best *best,
                                                     struct remat_error *err);
/* A short walk from the last answer. */
REMAT_MUST_CHECK enum remat_status remat_search_walk_off(struct remat_search *search,
                                                         const struct remat_solve_options *options, double hot,
                                                         double price, struct remat_best *best,
                                                         struct remat_error *err);
/* Lowers the peak of the smallest known plan as far as walks go. */
REMAT_MUST_CHECK enum remat_status
remat_search_lower(struct remat_search *search, const struct remat_solve_options *options, struct remat_error *err);

#endif
