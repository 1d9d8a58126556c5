#include "report/quantile.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double report_quantile(double *values, int32_t count, double fraction)
{
    double at = fraction * (count - 1);
    int32_t below;
    if (count <= 0)
        return NAN;
    qsort(values, (size_t)count, sizeof *values, compare);
    below = (int32_t)at;
    if (below + 1 >= count)
        return values[count - 1];
    return values[below] + (at - below) * (values[below + 1] - values[below]);
}
