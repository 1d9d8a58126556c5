#include "solver/closure_lines.h"

#include <math.h>

enum remat_status remat_closure_lines_add(struct remat_closure_lines *lines, struct remat_closure_point point,
                                          struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(lines->points, lines->capacity, lines->count + 1, err));
    lines->points[lines->count++] = point;
    return REMAT_OK;
}

int64_t remat_closure_lines_proven(const struct remat_closure_lines *lines, int64_t bytes, int32_t *point)
{
    int64_t most = 0;
    int32_t k;
    *point = -1;
    for (k = 0; k < lines->count; k++) {
        int64_t value;
        if (lines->points[k].price < 0)
            continue;
        value = lines->points[k].value - remat_price_bytes(lines->points[k].price, bytes, true);
        if (value > most) {
            most = value;
            *point = k;
        }
    }
    return most;
}

double remat_closure_lines_promised(const struct remat_closure_lines *lines, int64_t bytes, double *price)
{
    double least = INFINITY;
    int32_t i, j;
    *price = 0;
    for (i = 0; i < lines->count; i++) {
        const struct remat_closure_line *rising = &lines->points[i].line;
        double rise = rising->bytes - (double)bytes;
        if (rise <= 0)
            continue;
        for (j = 0; j < lines->count; j++) {
            const struct remat_closure_line *falling = &lines->points[j].line;
            double fall = (double)bytes - falling->bytes, at, value;
            if (fall < 0)
                continue;
            at = (falling->time - rising->time) / (rise + fall);
            value = rising->time + at * rise;
            if (at >= 0 && value < least) {
                least = value;
                *price = at;
            }
        }
    }
    return least;
}

bool remat_closure_lines_fit(const struct remat_closure_lines *lines, int64_t bytes)
{
    int32_t k;
    for (k = 0; k < lines->count; k++)
        if (lines->points[k].line.bytes <= (double)bytes)
            return true;
    return false;
}

double remat_closure_lines_fitting_time(const struct remat_closure_lines *lines, int64_t bytes)
{
    double least = INFINITY;
    int32_t k;
    for (k = 0; k < lines->count; k++)
        if (lines->points[k].line.bytes <= (double)bytes && lines->points[k].line.time < least)
            least = lines->points[k].line.time;
    return least;
}
