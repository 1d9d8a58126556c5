/* Simulated annealing over sequences: cost + price * overflow, with a price that keeps the walk at the edge of what
 * fits. */
#ifndef REMAT_SOLVER_ANNEAL_H
#define REMAT_SOLVER_ANNEAL_H

#include "solver/moves.h"
#include "solver/progress.h"

#include <signal.h>

/* The best sequence found whose overflow is none. */
struct remat_best {
    int32_t *nodes, count, capacity;
    int32_t *options; /* per node of the model */
    int64_t cost_ns;
    bool found;
};

struct remat_anneal {
    struct remat_mover *mover;
    double budget_bytes;
    double hot, cold;                  /* temperatures relative to the mean time of a stage */
    int64_t work;                      /* changes of the sequence, and proposals; 0 = as many as time permits */
    double deadline;                   /* seconds of the monotonic clock; 0 = none. Progress is what is nearer. */
    struct remat_progress *progress;   /* borrowed: told what is found; the walk ends once it is enough */
    const volatile sig_atomic_t *stop; /* or once this is set; NULL = none */
    double price;                      /* ns per byte of overflow at the beginning; it adapts. 0: some */
    struct remat_best *best;
};

REMAT_MUST_CHECK enum remat_status remat_anneal(struct remat_anneal *anneal, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_best_offer(struct remat_best *best, const struct remat_sequence *sequence,
                                                    struct remat_error *err);
/* Offers what another one holds. */
REMAT_MUST_CHECK enum remat_status remat_best_copy(struct remat_best *best, const struct remat_best *other,
                                                   int32_t nodes_count, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_best_restore(const struct remat_best *best, struct remat_sequence *sequence,
                                                      struct remat_error *err);
void remat_best_free(struct remat_best *best);

#endif
