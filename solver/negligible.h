/* Data too small to matter, as what a normalization keeps of each channel: in resnet50 two of five values. */
#ifndef REMAT_SOLVER_NEGLIGIBLE_H
#define REMAT_SOLVER_NEGLIGIBLE_H

#include <stdint.h>

/* The largest size such that all that are at most as large take no more than `room` together; 0 if there is none.
 * Sorts `bytes`. */
int64_t remat_negligible_bytes(int64_t *bytes, int32_t count, int64_t room);

#endif
