/* Packing with moves: an item that stands in the way of a new one is moved to another place for the rest of its life.
 * So every set of items is packed below its largest sum at one instruction: pushed together, the items that live
 * through leave all that is free in one piece. Few bytes are moved, since nearly all items get the places of a packing
 * without moves that leaves only a few out. */
#ifndef REMAT_CORE_PLAN_PACK_MOVES_H
#define REMAT_CORE_PLAN_PACK_MOVES_H

#include "core/plan/pack.h"

#include <stdbool.h>

/* From instruction `begin` to `end` a copy under way uses the item: it must not be moved right before begin + 1 .. end.
 */
struct remat_pack_pin {
    int32_t item, begin, end;
};

/* Right before instruction `at` the item goes to `offset`. */
struct remat_pack_move {
    int32_t item, at;
    int64_t offset;
};

struct remat_pack_moves {
    struct remat_pack_move *list; /* owned; in order */
    int32_t count;
};

/* Packs the items within [base_bytes, target), where `target` is the largest sum of bytes at one instruction, base
 * included, or more. The offsets of items are where they stand at first. The fewest moved bytes of `tries` tries, of
 * which a single one is a quick one.
 * Deterministic. *placed is false if pins leave no way; without any it is true. The caller frees out->list. */
REMAT_MUST_CHECK enum remat_status remat_pack_with_moves(struct remat_pack_item *items, int32_t count,
                                                         int64_t base_bytes, int64_t target,
                                                         const struct remat_pack_pin *pins, int32_t pins_count,
                                                         int32_t tries, struct remat_pack_moves *out, bool *placed,
                                                         struct remat_error *err);

#endif
