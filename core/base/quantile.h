/* Quantiles by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996). */
#ifndef REMAT_CORE_BASE_QUANTILE_H
#define REMAT_CORE_BASE_QUANTILE_H

#include <stdint.h>

/* Sorts `values`, which hold no NaN. NaN if there are none. */
double remat_quantile(double *values, int64_t count, double fraction);
/* The same of times. */
double remat_quantile_ns(int64_t *times_ns, int64_t count, double fraction);

#endif
