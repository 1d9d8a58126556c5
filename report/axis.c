#include "report/axis.h"

#include <math.h>
#include <stdio.h>

void report_axis_include(struct report_axis *axis, double value)
{
    if (!isfinite(value))
        return;
    if (!axis->any || value < axis->low)
        axis->low = value;
    if (!axis->any || value > axis->high)
        axis->high = value;
    axis->any = true;
}

static void widen_empty_range(struct report_axis *axis)
{
    double around = fabs(axis->low) > 0 ? 0.05 * fabs(axis->low) : 1.0;
    if (axis->high - axis->low > 1e-9 * fabs(axis->high))
        return;
    if (axis->whole && around < 1.0)
        around = 1.0;
    axis->high = axis->high + around;
    axis->low = axis->low >= 0 && axis->low < around ? 0 : axis->low - around;
}

static double round_step(double least, bool whole)
{
    static const double factors[] = {1, 2, 2.5, 5, 10};
    double power, step = 0;
    if (whole && least <= 1)
        return 1;
    power = pow(10, floor(log10(least)));
    for (int i = 0; i < 5 && step < least * (1 - 1e-9); i++)
        if (!(whole && factors[i] * power != floor(factors[i] * power)))
            step = factors[i] * power;
    return step;
}

static int decimals_of(double step)
{
    int decimals = 0;
    while (decimals < 12 && fabs(step - round(step)) > 1e-6 * step) {
        step *= 10;
        decimals++;
    }
    return decimals;
}

void report_axis_finish(struct report_axis *axis, int ticks_limit)
{
    double unit;
    widen_empty_range(axis);
    axis->step = round_step((axis->high - axis->low) / ticks_limit, axis->whole);
    axis->decimals = decimals_of(axis->step);
    if (axis->tight)
        return;
    unit = axis->step;
    axis->low = floor(axis->low / unit + 1e-9) * unit;
    axis->high = ceil(axis->high / unit - 1e-9) * unit;
}

double report_axis_place(const struct report_axis *axis, double value)
{
    return (value - axis->low) / (axis->high - axis->low);
}

double report_axis_first_tick(const struct report_axis *axis)
{
    return ceil(axis->low / axis->step - 1e-9) * axis->step;
}

const char *report_axis_tick_text(const struct report_axis *axis, double value, char *buffer, int capacity)
{
    if (fabs(value) < 1e-9 * axis->step)
        value = 0;
    if (axis->decimals > 5)
        snprintf(buffer, (size_t)capacity, "%.3g", value);
    else
        snprintf(buffer, (size_t)capacity, "%.*f", axis->decimals, value);
    return buffer;
}

struct report_unit report_bytes_unit(double largest_bytes)
{
    if (largest_bytes >= 4 * 1073741824.0)
        return (struct report_unit){"GiB", 1073741824.0};
    if (largest_bytes >= 1048576.0)
        return (struct report_unit){"MiB", 1048576.0};
    return (struct report_unit){"KiB", 1024.0};
}

struct report_unit report_time_unit(double largest_ns)
{
    if (largest_ns >= 1e10)
        return (struct report_unit){"s", 1e9};
    if (largest_ns >= 1e6)
        return (struct report_unit){"ms", 1e6};
    return (struct report_unit){"µs", 1e3};
}
