/* Sizes as people write them: 512MiB, 4GiB, 1.5GB, 40%, 4096. */
#ifndef REMAT_CORE_BASE_SIZE_H
#define REMAT_CORE_BASE_SIZE_H

#include "core/base/status.h"

#include <stdint.h>

/* A budget: either bytes (fraction < 0) or a fraction of something that is known later. */
struct remat_size {
    int64_t bytes;
    double fraction;
};

REMAT_MUST_CHECK enum remat_status remat_size_parse(const char *text, struct remat_size *out, struct remat_error *err);
/* The bytes meant by `size`, fractions being of `whole_bytes`. */
int64_t remat_size_resolve(struct remat_size size, int64_t whole_bytes);
/* Writes e.g. "3.46 GiB" to buffer and returns it. */
const char *remat_size_format(int64_t bytes, char *buffer, int capacity);

#endif
