/* Offset packing: a pure function from (bytes, begin, end) to offsets. Two items whose intervals share an instruction
 * get disjoint ranges; the largest end of a range, the extent, is made small.
 *
 * The largest sum of bytes at one instruction bounds the extent from below; the search stops when it is reached. On
 * training steps it nearly always is; not every set of intervals permits it (tests/core/test_plan_pack.c has one). */
#ifndef REMAT_CORE_PLAN_PACK_H
#define REMAT_CORE_PLAN_PACK_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

struct remat_pack_item {
    int64_t bytes;
    int32_t begin, end; /* both included, begin >= 0 */
    int64_t offset;     /* result, >= base_bytes */
};

/* `effort` is the number of tries to reach the bound after the first. Deterministic. *extent >= base_bytes. */
REMAT_MUST_CHECK enum remat_status remat_pack(struct remat_pack_item *items, int32_t count, int64_t base_bytes,
                                              int32_t effort, int64_t *extent, struct remat_error *err);
/* The bound or nothing: *placed tells whether `effort` + 1 tries reached it; if not, the offsets mean nothing. */
REMAT_MUST_CHECK enum remat_status remat_pack_tightly(struct remat_pack_item *items, int32_t count, int64_t base_bytes,
                                                      int32_t effort, bool *placed, struct remat_error *err);

#endif
