/* Quantiles by linear interpolation between order statistics (type 7 of Hyndman and Fan, 1996). */
#ifndef REMAT_REPORT_QUANTILE_H
#define REMAT_REPORT_QUANTILE_H

#include <stdint.h>

/* Sorts `values`, which hold no NaN. NaN if there are none. */
double report_quantile(double *values, int32_t count, double fraction);

#endif
