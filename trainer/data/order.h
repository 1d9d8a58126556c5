/* The order of samples in an epoch: a permutation that is a pure function of (seed, epoch). */
#ifndef REMAT_TRAINER_DATA_ORDER_H
#define REMAT_TRAINER_DATA_ORDER_H

#include <stdint.h>

/* Fills order[0..count): Fisher-Yates (Knuth, TAOCP 3.4.2, algorithm P) with counter-based draws. */
void remat_order_shuffle(uint64_t seed, int64_t epoch, int32_t count, int32_t *order);

#endif
