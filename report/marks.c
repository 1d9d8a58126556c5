/* Series grow mark by mark in memory of the data's pool. */
#include "report/page.h"

#include <math.h>
#include <stdlib.h>

enum remat_status report_marks(struct report_data *data, int32_t count, struct report_series *series,
                               struct remat_error *err)
{
    series->count = 0;
    return REMAT_POOL_ALLOC(&data->pool, series->marks, count, err);
}

void report_add_mark(struct report_series *series, double x, double y)
{
    if (isfinite(x) && isfinite(y))
        series->marks[series->count++] = (struct report_mark){x, y, NAN, NAN};
}

static int compare(const void *a, const void *b)
{
    const struct report_mark *left = a, *right = b;
    if (left->x != right->x)
        return left->x < right->x ? -1 : 1;
    return (left->y > right->y) - (left->y < right->y);
}

void report_sort_marks(struct report_series *series)
{
    qsort(series->marks, (size_t)series->count, sizeof *series->marks, compare);
}
