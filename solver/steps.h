/* Costs that fall with memory, as step functions of exact bytes: what dynamic programs over memory work on. */
#ifndef REMAT_SOLVER_STEPS_H
#define REMAT_SOLVER_STEPS_H

#include "core/base/memory.h"

/* costs[k] from bytes[k] on, infinite below bytes[0]; bytes ascend, costs descend. */
struct remat_steps {
    int64_t *bytes;
    double *costs;
    int32_t count, capacity;
};

/* What relaxations share. */
struct remat_steps_work {
    int64_t limit_bytes;      /* beyond it nothing is kept */
    double tolerance;         /* steps that gain less are left out */
    struct remat_steps spare; /* owned */
};

void remat_steps_free(struct remat_steps *steps);
/* Gives back the room that is not used. */
void remat_steps_trim(struct remat_steps *steps);
REMAT_MUST_CHECK enum remat_status remat_steps_push(const struct remat_steps_work *work, struct remat_steps *steps,
                                                    int64_t bytes, double cost, struct remat_error *err);
/* The last step at or below `bytes`, -1 if the cost is infinite there. */
int32_t remat_steps_find(const struct remat_steps *steps, int64_t bytes);
double remat_steps_at(const struct remat_steps *steps, int64_t bytes);

/* f(m) = cost + left(m - shift) + right(m) for m >= from; right may be NULL: 0. */
struct remat_term {
    int64_t from, shift;
    double cost;
    const struct remat_steps *left, *right;
};

double remat_term_at(const struct remat_term *term, int64_t bytes);
/* steps(m) = min(steps(m), term(m)) for all m. */
REMAT_MUST_CHECK enum remat_status remat_steps_relax(struct remat_steps_work *work, struct remat_steps *steps,
                                                     const struct remat_term *term, struct remat_error *err);

#endif
