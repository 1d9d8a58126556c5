/* Random changes of a sequence, each a few insertions and removals that belong together.
 *
 * The basic pair: `drop` ends a datum's life at one of its reads and makes it again for the next, with what that needs
 * and has not; `keep` removes a repetition, and what was made again for it alone. All other moves are combinations. */
#ifndef REMAT_SOLVER_MOVES_H
#define REMAT_SOLVER_MOVES_H

#include "solver/sequence.h"

struct remat_mover {
    struct remat_sequence *sequence; /* borrowed */
    uint64_t random;
    int64_t cost_limit_ns;    /* a move that exceeds this is given up */
    bool given_up;            /* the last move was: undo it */
    int32_t insertions;       /* of the move so far */
    double extend, force;     /* chances that an absent input is held instead of made, a held one made instead */
    int64_t negligible_bytes; /* data of at most so many are not dropped */
    int32_t *candidates, candidates_count; /* data that are larger and can be made again */
    double *weights;                       /* of candidates, cumulated */
    int32_t *flexible, flexible_count;     /* nodes with several options */
};

REMAT_MUST_CHECK enum remat_status remat_mover_init(struct remat_mover *mover, struct remat_sequence *sequence,
                                                    uint64_t seed, struct remat_error *err);
void remat_mover_free(struct remat_mover *mover);
void remat_mover_seed(struct remat_mover *mover, uint64_t seed);

/* Uniform in [0, 1), and in 0 .. count - 1. */
double remat_mover_uniform(struct remat_mover *mover);
int32_t remat_mover_pick(struct remat_mover *mover, int32_t count);

/* Makes `datum` again before the run that has this place. */
REMAT_MUST_CHECK enum remat_status remat_move_remake(struct remat_mover *mover, int32_t datum, int64_t place,
                                                     struct remat_error *err);
/* Drops any datum over any gap; all that a few stages made over a stage; keeps all that a few stages repeat. */
REMAT_MUST_CHECK enum remat_status remat_move_drop_any(struct remat_mover *mover, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_move_drop_segment(struct remat_mover *mover, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_move_keep_segment(struct remat_mover *mover, struct remat_error *err);
/* Removes a repetition and then all that nothing reads any more. */
REMAT_MUST_CHECK enum remat_status remat_move_keep(struct remat_mover *mover, int32_t run, struct remat_error *err);
/* Drops something that is live during a stage without being used there. */
REMAT_MUST_CHECK enum remat_status remat_move_drop_at(struct remat_mover *mover, int32_t stage,
                                                      struct remat_error *err);
/* Disturbs the sequence, then drops until the overflow is at most the one before and keeps what fits. */
REMAT_MUST_CHECK enum remat_status remat_move_rebuild(struct remat_mover *mover, double budget_bytes,
                                                      const struct remat_overflow *now, struct remat_error *err);
/* One move of any kind. `stage`: of the peak. */
REMAT_MUST_CHECK enum remat_status remat_move_any(struct remat_mover *mover, double budget_bytes,
                                                  const struct remat_overflow *now, struct remat_error *err);

#endif
