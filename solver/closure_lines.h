/* What is known of one cut's value as a function of the price of a byte: lines that are nowhere below it, one for each
 * choice of ways looked at, and points on it, where the minimum cut was found. The value is concave, so what holds at a
 * point bounds it from below for the price of that point alone; the lowest of the lines is all that can be hoped for.
 */
#ifndef REMAT_SOLVER_CLOSURE_LINES_H
#define REMAT_SOLVER_CLOSURE_LINES_H

#include "solver/closure_network.h"

/* No choice of ways can make the cut's value larger than this line. Where the minimum cut was found at a price, `value`
 * is exact there (in units, rounded down); else price < 0. */
struct remat_closure_point {
    struct remat_closure_line line;
    double price;
    int64_t value;
};

/* Zero-initialise; free the points with free(). `bytes` below are those that the survivors may take beside fixed_bytes.
 */
struct remat_closure_lines {
    int64_t fixed_bytes;
    struct remat_closure_point *points;
    int32_t count, capacity;
};

REMAT_MUST_CHECK enum remat_status remat_closure_lines_add(struct remat_closure_lines *lines,
                                                           struct remat_closure_point point, struct remat_error *err);
/* What is proven, in units, and the point that proves it; 0 and -1: nothing. */
int64_t remat_closure_lines_proven(const struct remat_closure_lines *lines, int64_t bytes, int32_t *point);
/* No more than this can be proven with the lines known, and the price at which they meet: the lowest crossing of a line
 * that rises with one that does not. INFINITY and price 0, if no choice fits. */
double remat_closure_lines_promised(const struct remat_closure_lines *lines, int64_t bytes, double *price);
/* Whether a choice known fits, and the least time of one that does (INFINITY: none): more cannot be proven here. */
bool remat_closure_lines_fit(const struct remat_closure_lines *lines, int64_t bytes);
double remat_closure_lines_fitting_time(const struct remat_closure_lines *lines, int64_t bytes);

#endif
