#include "bench/measurement.h"

#include "core/base/memory.h"
#include "core/base/quantile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double AGREEMENT = 0.02, STRAY = 0.02;

/* --- steps of one plan ----------------------------------------------------------------------------------------------
 */

static void free_steps(struct remat_measured_steps *steps)
{
    for (int32_t i = 0; i < steps->count; i++)
        free(steps->parts_ns[i]);
}

void remat_measurement_free(struct remat_measurement *measurement)
{
    free_steps(&measurement->plan);
    free_steps(&measurement->keep_all);
    memset(measurement, 0, sizeof *measurement);
}

enum remat_status remat_measured_add(struct remat_measured_steps *steps, int64_t step_ns,
                                     const int64_t *instructions_ns, int32_t instructions_count,
                                     struct remat_error *err)
{
    int64_t *parts = NULL, rest = step_ns;
    if (steps->count == REMAT_MOST_STEPS)
        return remat_fail(err, REMAT_INTERNAL, "a measurement has at most %d steps", REMAT_MOST_STEPS);
    if (instructions_count > 0) {
        REMAT_TRY(REMAT_ALLOC(parts, (int64_t)instructions_count + 1, err));
        for (int32_t i = 0; i < instructions_count; i++) {
            parts[i] = instructions_ns[i];
            rest -= parts[i];
        }
        parts[instructions_count] = rest;
        steps->parts_count = instructions_count + 1;
    }
    steps->parts_ns[steps->count] = parts;
    steps->step_ns[steps->count++] = step_ns;
    return REMAT_OK;
}

int64_t remat_measured_step_ns(const struct remat_measured_steps *steps)
{
    int64_t times[REMAT_MOST_STEPS];
    memcpy(times, steps->step_ns, sizeof times);
    return steps->count > 0 ? (int64_t)remat_quantile_ns(times, steps->count, 0.5) : 0;
}

static double quantile_of_part(const struct remat_measured_steps *steps, int32_t part, double quantile)
{
    int64_t times[REMAT_MOST_STEPS];
    for (int32_t i = 0; i < steps->count; i++)
        times[i] = steps->parts_count > 0 ? steps->parts_ns[i][part] : steps->step_ns[i];
    return remat_quantile_ns(times, steps->count, quantile);
}

double remat_measured_quantile_ns(const struct remat_measured_steps *steps, double quantile)
{
    double sum = 0;
    if (steps->count == 0)
        return 0;
    if (steps->parts_count == 0)
        return quantile_of_part(steps, 0, quantile);
    for (int32_t part = 0; part < steps->parts_count; part++)
        sum += quantile_of_part(steps, part, quantile);
    return sum;
}

int64_t remat_measured_ns(const struct remat_measured_steps *steps)
{
    return (int64_t)remat_measured_quantile_ns(steps, 0.5);
}

/* --- two of them ----------------------------------------------------------------------------------------------------
 */

static bool has_parts(const struct remat_measurement *m)
{
    return m->plan.parts_count > 0 && m->keep_all.parts_count > 0;
}

/* Fills in the ratios, sorted; returns their median. */
static double sort_ratios(const struct remat_measurement *m, double *ratios)
{
    for (int32_t i = 0; i < m->plan.count; i++)
        ratios[i] = (double)m->plan.step_ns[i] / (double)m->keep_all.step_ns[i];
    return remat_quantile(ratios, m->plan.count, 0.5);
}

double remat_measurement_relative(const struct remat_measurement *m)
{
    double ratios[REMAT_MOST_STEPS];
    if (has_parts(m))
        return (double)remat_measured_ns(&m->plan) / (double)remat_measured_ns(&m->keep_all);
    return sort_ratios(m, ratios);
}

static bool agrees(const struct remat_measurement *m)
{
    double ratios[REMAT_MOST_STEPS];
    int32_t low = m->plan.count / 4;
    double median = sort_ratios(m, ratios);
    return ratios[m->plan.count - 1 - low] - ratios[low] <= AGREEMENT * median;
}

bool remat_measurement_settles(const struct remat_measurement *m, double predicted)
{
    if (m->plan.count == 0)
        return true;
    return agrees(m) && (predicted == 0 || fabs(remat_measurement_relative(m) - predicted) <= STRAY);
}
