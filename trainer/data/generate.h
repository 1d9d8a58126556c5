/* A made-up image set of CIFAR-10's size and binary format, for demonstrations and tests without the real one. */
#ifndef REMAT_TRAINER_DATA_GENERATE_H
#define REMAT_TRAINER_DATA_GENERATE_H

#include "core/base/status.h"

#include <stdint.h>

/* Writes data_batch_1..5.bin and test_batch.bin of 10,000 records each, and batches.meta.txt. A class is a coloured
 * stripe pattern at a random place under noise: learnable, but not at once. The same bytes for the same seed. */
REMAT_MUST_CHECK enum remat_status remat_generate_cifar10(const char *folder, uint64_t seed, struct remat_error *err);

#endif
