/* What a state of the exact method must at least run again: a lower bound on the way that is left to go.
 *
 * What the tasks still to come read, and is neither present nor made by one of them first, is missing; so is what all
 * runs that could make a missing value read. Values with the same makers form a group, which is made again at least
 * once; the time of a task that makes values of several groups is divided among them. A run takes at least what its
 * groups are charged, so the bound never falls by more than what was spent (it is consistent, in the terms of A*). */
#ifndef REMAT_SOLVER_EXACT_NEEDS_H
#define REMAT_SOLVER_EXACT_NEEDS_H

#include "solver/exact.h"

struct remat_exact_group {
    uint64_t inputs; /* of all tasks that make its values */
    int64_t least_ns;
    bool made; /* by a task that may run again */
};

struct remat_exact_needs {
    struct remat_exact_group groups[REMAT_EXACT_MOST_VALUES];
    int8_t group[REMAT_EXACT_MOST_VALUES]; /* of each value */
    uint64_t *roots, *later;               /* per number of tasks done: read and not made first; made; owned */
};

/* The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_exact_needs_init(const struct remat_exact_problem *problem,
                                                          struct remat_exact_needs *out, struct remat_error *err);
void remat_exact_needs_free(struct remat_exact_needs *needs);

/* Time that the missing values take at least; INT64_MAX if one cannot be made again. */
int64_t remat_exact_needs_ns(const struct remat_exact_needs *needs, int32_t done, uint64_t present);

#endif
