/* Packing from the hottest instructions outwards, below a fixed target. */
#ifndef REMAT_CORE_PLAN_PACK_LEVELS_H
#define REMAT_CORE_PLAN_PACK_LEVELS_H

#include "core/plan/pack.h"

#include <stdbool.h>

struct remat_pack_levels;

/* `sums`: bytes at each of `length` instructions, base included. Items have bytes > 0. All but *out is borrowed until
 * it is released. */
REMAT_MUST_CHECK enum remat_status remat_pack_levels_make(struct remat_pack_item *items, int32_t count,
                                                          int64_t base_bytes, const int64_t *sums, int32_t length,
                                                          struct remat_pack_levels **out, struct remat_error *err);
void remat_pack_levels_free(struct remat_pack_levels *levels);

/* One try, each drawn differently; *placed tells whether the offsets of the items are a packing below `target`, which
 * is at least the largest sum. */
REMAT_MUST_CHECK enum remat_status remat_pack_levels_try(struct remat_pack_levels *levels, int64_t target, bool *placed,
                                                         struct remat_error *err);
/* One that goes on where it gets stuck: items that found no place have the offset -1, the others are a packing. */
REMAT_MUST_CHECK enum remat_status remat_pack_levels_most(struct remat_pack_levels *levels, int64_t target,
                                                          struct remat_error *err);

#endif
