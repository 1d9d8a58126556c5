#include "core/base/quantile.h"

#include <math.h>
#include <stdlib.h>

/* Which sorted value is at or before the quantile, and how far it is to the next one. */
static int64_t position(int64_t count, double fraction, double *share)
{
    double at = fraction * (double)(count - 1);
    int64_t below = (int64_t)at;
    *share = at - (double)below;
    return below;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double remat_quantile(double *values, int64_t count, double fraction)
{
    double share;
    int64_t below = position(count, fraction, &share);
    if (count <= 0)
        return NAN;
    qsort(values, (size_t)count, sizeof *values, compare);
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + share * (values[below + 1] - values[below]);
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

double remat_quantile_ns(int64_t *times_ns, int64_t count, double fraction)
{
    double share;
    int64_t below = position(count, fraction, &share);
    if (count <= 0)
        return NAN;
    qsort(times_ns, (size_t)count, sizeof *times_ns, compare_ns);
    if (below + 1 >= count)
        return (double)times_ns[count - 1];
    return (double)times_ns[below] + share * (double)(times_ns[below + 1] - times_ns[below]);
}
