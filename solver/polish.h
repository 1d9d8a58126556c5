/* Exact windows: what happens in a few consecutive stages of a sequence is replaced by the fastest way to leave the
 * same data behind (solver/subproblem.h). */
#ifndef REMAT_SOLVER_POLISH_H
#define REMAT_SOLVER_POLISH_H

#include "solver/sequence.h"

#include <signal.h>

struct remat_polish {
    struct remat_sequence *sequence; /* borrowed; within the budget */
    double budget_bytes;
    int32_t states;                    /* that a window may take */
    double deadline;                   /* seconds of the monotonic clock; 0 = none */
    const volatile sig_atomic_t *stop; /* ends it once set; NULL = none */
};

/* Passes over all windows, twice if the first pass gains. The sequence stays within the budget and gets no slower. */
REMAT_MUST_CHECK enum remat_status remat_polish(const struct remat_polish *polish, struct remat_error *err);

#endif
