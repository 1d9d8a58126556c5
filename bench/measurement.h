/* Steps of a plan, each with a keep-all step: neighbours in time share what else the machine does. Where the
 * instructions of a step are timed one by one, a step counts as the sum of their medians: what disturbs a step disturbs
 * a few of its instructions, and in another step others. */
#ifndef REMAT_BENCH_MEASUREMENT_H
#define REMAT_BENCH_MEASUREMENT_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { REMAT_MOST_STEPS = 64 };

/* The steps of one plan. A part is an instruction; the last one is what a step took beside them. */
struct remat_measured_steps {
    int64_t step_ns[REMAT_MOST_STEPS];
    int64_t *parts_ns[REMAT_MOST_STEPS]; /* owned; NULL: not timed */
    int32_t parts_count, count;
};

struct remat_measurement {
    struct remat_measured_steps plan, keep_all; /* keep_all: as many steps, or none */
};

void remat_measurement_free(struct remat_measurement *measurement);

/* Adds a step. `instructions_ns`, copied: of its `instructions_count` instructions, 0: not timed; the same number at
 * each step. */
REMAT_MUST_CHECK enum remat_status remat_measured_add(struct remat_measured_steps *steps, int64_t step_ns,
                                                      const int64_t *instructions_ns, int32_t instructions_count,
                                                      struct remat_error *err);

/* The median of whole steps, disturbed as they may be. 0 without steps. */
int64_t remat_measured_step_ns(const struct remat_measured_steps *steps);
/* The sum of the parts' quantiles (0 to 1), between two times in proportion; without parts the steps' own. 0 without
 * steps. */
double remat_measured_quantile_ns(const struct remat_measured_steps *steps, double quantile);
/* Their medians. */
int64_t remat_measured_ns(const struct remat_measured_steps *steps);
/* The plan's step to keep-all's: of those sums, or without parts the median ratio of a step to the keep-all step with
 * it. Both have steps. */
double remat_measurement_relative(const struct remat_measurement *measurement);
/* Whether no second look is due: the middle half of the ratios of neighbouring steps agrees within 2 %, and the plan's
 * step to keep-all's is within 0.02 of the predicted one (0: none is). */
bool remat_measurement_settles(const struct remat_measurement *measurement, double predicted);

#endif
