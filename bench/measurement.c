#include "bench/measurement.h"

#include <stdlib.h>

static const double AGREEMENT = 0.04;

static int compare_ratios(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static void find_ratios(const struct remat_measurement *measurement, double *ratios)
{
    for (int32_t i = 0; i < measurement->count; i++)
        ratios[i] = (double)measurement->steps_ns[i] / (double)measurement->keep_all_ns[i];
    qsort(ratios, (size_t)measurement->count, sizeof *ratios, compare_ratios);
}

double remat_measurement_relative(const struct remat_measurement *measurement)
{
    double ratios[REMAT_MOST_STEPS];
    find_ratios(measurement, ratios);
    return (ratios[(measurement->count - 1) / 2] + ratios[measurement->count / 2]) / 2;
}

bool remat_measurement_agrees(const struct remat_measurement *measurement)
{
    double ratios[REMAT_MOST_STEPS];
    int32_t low = measurement->count / 4;
    if (measurement->count == 0)
        return true;
    find_ratios(measurement, ratios);
    return ratios[measurement->count - 1 - low] - ratios[low] <= AGREEMENT * ratios[measurement->count / 2];
}
