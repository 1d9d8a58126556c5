/* Steps of a plan, each after a keep-all step: neighbours in time share what else the machine does. */
#ifndef REMAT_BENCH_MEASUREMENT_H
#define REMAT_BENCH_MEASUREMENT_H

#include <stdbool.h>
#include <stdint.h>

enum { REMAT_MOST_STEPS = 64 };

struct remat_measurement {
    int64_t steps_ns[REMAT_MOST_STEPS], keep_all_ns[REMAT_MOST_STEPS];
    int32_t count;
};

/* The median ratio of a step to the keep-all step before it; count > 0. */
double remat_measurement_relative(const struct remat_measurement *measurement);
/* Whether the middle half of the ratios agrees within 4 %. */
bool remat_measurement_agrees(const struct remat_measurement *measurement);

#endif
