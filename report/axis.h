/* One axis: the range of the data, widened to round numbers, and its ticks. */
#ifndef REMAT_REPORT_AXIS_H
#define REMAT_REPORT_AXIS_H

#include <stdbool.h>
#include <stdint.h>

struct report_axis {
    const char *label; /* with the unit; borrowed */
    bool whole;        /* only whole numbers make sense */
    bool tight;        /* the range ends where the data ends */
    bool any;          /* some data was included */
    double low, high;  /* data range, then axis range */
    double step;       /* between ticks */
    int decimals;      /* of tick labels */
};

/* NaN and infinities are passed over. */
void report_axis_include(struct report_axis *axis, double value);
/* Chooses ticks at 1, 2, 2.5 or 5 times a power of ten, at most `ticks_limit` intervals, and widens the range to them.
 * A range of zero, or none at all, becomes one around the value. */
void report_axis_finish(struct report_axis *axis, int ticks_limit);
/* From 0 at the low end to 1 at the high end. */
double report_axis_place(const struct report_axis *axis, double value);
double report_axis_first_tick(const struct report_axis *axis);
const char *report_axis_tick_text(const struct report_axis *axis, double value, char *buffer, int capacity);

/* A unit that makes `largest` a readable number. */
struct report_unit {
    const char *name;
    double size;
};
struct report_unit report_bytes_unit(double largest_bytes);
struct report_unit report_time_unit(double largest_ns);

#endif
