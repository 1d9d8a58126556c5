/* What one cut proves without the loss of pricing: the least time over whole choices of ways that fit, by branching on
 * ways. Where values are large beside the budget the priced bound is well below it. */
#ifndef REMAT_SOLVER_CLOSURE_BRANCH_H
#define REMAT_SOLVER_CLOSURE_BRANCH_H

#include "solver/closure_network.h"

/* A problem at the current cut of the network. Times in units, bytes beside fixed_bytes. */
struct remat_branching {
    int64_t bytes;  /* what may survive */
    double price;   /* where to start */
    double enough;  /* stop when no more than this can be proven */
    double fitting; /* time of a choice that fits; falls as better ones are found */
    int64_t proven; /* result: no choice that fits takes less */
    int32_t solves; /* minimum cuts left to spend */
};

REMAT_MUST_CHECK enum remat_status remat_closure_branch(struct remat_closure_network *network,
                                                        struct remat_branching *branching, struct remat_error *err);

#endif
