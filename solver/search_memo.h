/* What the search method keeps between the budgets of one graph: its sequences, the schedules found so far, the chain
 * method's tables. */
#ifndef REMAT_SOLVER_SEARCH_MEMO_H
#define REMAT_SOLVER_SEARCH_MEMO_H

#include "solver/anneal.h"
#include "solver/closure_bound.h"
#include "solver/methods.h"

enum { REMAT_SEARCH_MOST_KNOWN = 64, REMAT_SEARCH_MOST_WALKERS = 16 };

/* A schedule found before. */
struct remat_search_known {
    struct remat_schedule schedule;
    int64_t peak_bytes, cost_ns;
};

/* A sequence and what changes it: one thread's. */
struct remat_walker {
    struct remat_sequence sequence;
    struct remat_mover mover;
};

struct remat_search {
    const struct remat_task_graph *graph;
    struct remat_model model;
    struct remat_walker walkers[REMAT_SEARCH_MOST_WALKERS]; /* the first one is there from the start */
    int32_t walkers_count;
    uint64_t seed; /* of the first one */
    struct remat_solving chain;
    struct remat_closure *closure; /* borrowed */
    struct remat_search_known known[REMAT_SEARCH_MOST_KNOWN];
    int32_t known_count;
    struct remat_search_known last; /* the answer for last_budget; no schedule = none */
    int64_t last_budget;
    struct remat_incumbent smallest; /* once asked for: the chain's, then lowered */
    bool lowered;
};

/* The memo of `solving`, made at the first call; `solving` owns it. */
REMAT_MUST_CHECK enum remat_status remat_search_of(struct remat_solving *solving,
                                                   const struct remat_solve_options *options, struct remat_search **out,
                                                   struct remat_error *err);

/* Sees to it that so many walkers are there. */
REMAT_MUST_CHECK enum remat_status remat_search_add_walkers(struct remat_search *search, int32_t count,
                                                            struct remat_error *err);

/* What the chain method is asked: it gets a quarter of a limit of time. */
struct remat_solve_options remat_search_for_chain(const struct remat_solve_options *options);
/* Sees to it that search->smallest is there. */
REMAT_MUST_CHECK enum remat_status remat_search_know_smallest(struct remat_search *search,
                                                              const struct remat_solve_options *options,
                                                              struct remat_error *err);
/* Remembers a schedule unless a known one is as good, and forgets those it beats. */
REMAT_MUST_CHECK enum remat_status remat_search_remember(struct remat_search *search,
                                                         const struct remat_incumbent *found, struct remat_error *err);
/* Makes it the last answer, too. */
REMAT_MUST_CHECK enum remat_status remat_search_answer(struct remat_search *search, const struct remat_incumbent *found,
                                                       int64_t budget_bytes, struct remat_error *err);
/* Offers what is known and fits. */
REMAT_MUST_CHECK enum remat_status remat_search_offer_known(const struct remat_search *search, int64_t budget_bytes,
                                                            struct remat_incumbent *best, struct remat_error *err);

/* Puts a schedule of the graph into a sequence, options task by task. */
REMAT_MUST_CHECK enum remat_status remat_walker_load(struct remat_walker *walker, const struct remat_task_graph *graph,
                                                     const struct remat_schedule *schedule, struct remat_error *err);
/* Offers what walks found, by way of the first walker's sequence; budget 0: the smaller peak counts. */
REMAT_MUST_CHECK enum remat_status remat_search_offer(struct remat_search *search, int64_t budget_bytes,
                                                      const struct remat_best *found, struct remat_incumbent *best,
                                                      struct remat_error *err);

#endif
