/* The shared evaluator. A solver decides what is held; the schedule follows.
 *
 * Stages are the first runs of the base order. A hold lists spans of stages over whose ends a datum, once present, is
 * retained. At each stage the inputs that are absent are reproduced by their cheapest usable recipes, with whatever
 * those need in turn, in base order, each at most once in a stage; afterwards everything not held is forgotten. So the
 * recomputation is minimal for what is held, nothing is made before it is needed, and nested recomputation is a matter
 * of spans. (Memory is freed at the last read anyway: a hold that nobody uses costs nothing.) */
#ifndef REMAT_SOLVER_RETENTION_H
#define REMAT_SOLVER_RETENTION_H

#include "solver/model.h"

enum { REMAT_MAX_SPANS = 6 };

/* Retained over the ends of stages begin <= s < end. */
struct remat_span {
    int32_t begin, end;
};

struct remat_hold {
    int32_t count;
    struct remat_span span[REMAT_MAX_SPANS];
};

/* Adds a span, united with those that it touches; if there is no room, the nearest is widened. */
void remat_hold_add(struct remat_hold *hold, int32_t begin, int32_t end);

/* Working memory and results of evaluations of one model. */
struct remat_retention {
    const struct remat_model *model;
    /* Results. */
    int32_t *runs, runs_count, runs_capacity; /* nodes */
    int32_t *stage_runs;                      /* per stage: number of runs up to and including it */
    int64_t *live_bytes;                      /* per run, after remat_retention_measure() */
    int64_t cost_ns;
    int32_t missing; /* datum that could not be had, after REMAT_INFEASIBLE */
    int32_t missing_stage;
    /* Working memory. */
    bool *present;
    int32_t *expiry, *next_expiring; /* per datum: stage at which its hold ends, and the next one that ends there */
    int32_t *expiring;               /* per stage: the first datum, or -1 */
    int32_t *pending, pending_count, *node_stamp, *datum_stamp, stamp;
    double *estimate;
    int32_t *latest, *instance_datum, *instance_end, *input_instance;
    int32_t stages_capacity, expiring_capacity, live_capacity, instances_capacity, ends_capacity, inputs_capacity;
};

REMAT_MUST_CHECK enum remat_status remat_retention_init(struct remat_retention *work, const struct remat_model *model,
                                                        struct remat_error *err);
void remat_retention_free(struct remat_retention *work);

/* Derives runs and cost_ns for the stages (nodes in base order) under holds (per datum). REMAT_INFEASIBLE (without a
 * message) if a datum is absent and has no usable recipe: `missing` and `missing_stage` tell which and where. */
REMAT_MUST_CHECK enum remat_status remat_retention_derive(struct remat_retention *work, const int32_t *stages,
                                                          int32_t stages_count, const struct remat_hold *holds,
                                                          struct remat_error *err);
/* Live bytes of each run by the rules of core/plan/schedule.h. */
REMAT_MUST_CHECK enum remat_status remat_retention_measure(struct remat_retention *work, struct remat_error *err);
/* The largest live bytes of runs begin <= r < end. */
int64_t remat_retention_peak(const struct remat_retention *work, int32_t begin, int32_t end);

/* Derives the whole graph's schedule; a datum that turns out to be missing is held from its making on and the
 * derivation repeated, so it always succeeds (holds are widened accordingly). Then measures. */
REMAT_MUST_CHECK enum remat_status remat_retention_settle(struct remat_retention *work, const int32_t *stages,
                                                          int32_t stages_count, struct remat_hold *holds,
                                                          struct remat_error *err);
/* The runs as a schedule of the task graph; the caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_retention_schedule(const struct remat_retention *work,
                                                            struct remat_schedule *out, struct remat_error *err);

#endif
