/* Learning-rate schedules: pure functions of the step, so that a resumed run continues on the same curve.
 *
 *   constant   peak
 *   step       peak * gamma ^ floor(epoch / period)
 *   multistep  peak * gamma ^ (number of milestones <= epoch)
 *   cosine     floor + (peak - floor) * (1 + cos(pi * t)) / 2          (Loshchilov and Hutter, arXiv:1608.03983)
 *   linear     floor + (peak - floor) * (1 - t)
 * where epochs count from 0 and t goes from 0 at the end of the warm-up to 1 at the last step. During the warm-up, the
 * first warmup_steps steps, the rate is (step + 1) / warmup_steps of what the schedule gives at its start. */
#ifndef REMAT_TRAINER_SCHEDULE_H
#define REMAT_TRAINER_SCHEDULE_H

#include "core/base/status.h"

#include <stdint.h>

/* name, text */
#define REMAT_RATE_LIST(X)               \
    X(REMAT_RATE_CONSTANT, "constant")   \
    X(REMAT_RATE_STEP, "step")           \
    X(REMAT_RATE_MULTISTEP, "multistep") \
    X(REMAT_RATE_COSINE, "cosine")       \
    X(REMAT_RATE_LINEAR, "linear")

enum remat_rate_kind {
#define X(name, text) name,
    REMAT_RATE_LIST(X)
#undef X
};

enum { REMAT_MAX_MILESTONES = 8 };

struct remat_rate {
    enum remat_rate_kind kind;
    double peak, floor;
    double gamma;                             /* step, multistep */
    double warmup_epochs;                     /* used if warmup_steps is 0 */
    int64_t warmup_steps;                     /* 0 = none */
    int32_t period;                           /* step: epochs */
    int32_t milestones[REMAT_MAX_MILESTONES]; /* multistep: epochs, ascending */
    int32_t milestones_count;
};

const char *remat_rate_text(enum remat_rate_kind kind);
REMAT_MUST_CHECK enum remat_status remat_rate_parse(const char *text, enum remat_rate_kind *out,
                                                    struct remat_error *err);
/* REMAT_USAGE for numbers that make no schedule. */
REMAT_MUST_CHECK enum remat_status remat_rate_check(const struct remat_rate *rate, struct remat_error *err);
/* The rate of `step` (from 0) in a run of total_steps with steps_per_epoch steps an epoch. */
double remat_rate_at(const struct remat_rate *rate, int64_t step, int64_t steps_per_epoch, int64_t total_steps);

#endif
