/* Where items lie when, if they may be moved: each item is a chain of segments, each at one offset. Whatever items
 * there are, no two of them share bytes at one tick. */
#ifndef REMAT_CORE_PLAN_PACK_SEGMENTS_H
#define REMAT_CORE_PLAN_PACK_SEGMENTS_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Time in ticks: one an instruction, and before each some for moves. At the tick of a move an item stands in both of
 * its places. */
int64_t remat_tick_of_instruction(int32_t instruction);
/* The move number `turn` (0 is the first) right before an instruction; -1 if there are too many. */
int64_t remat_tick_of_move(int32_t instruction, int32_t turn);
int32_t remat_instruction_of_tick(int64_t tick);

struct remat_pack_segment {
    int32_t item;   /* -1: joined with another */
    int32_t before; /* where the item was moved from, or -1 */
    int32_t after;  /* where it is moved to, or -1 */
    int64_t offset, bytes;
    int64_t from, to; /* ticks, both included; while it is not known how long it stands there, INT64_MAX */
};

struct remat_pack_segments {
    struct remat_pack_segment *list; /* owned */
    int32_t count, capacity;
};

void remat_pack_segments_free(struct remat_pack_segments *segments);
REMAT_MUST_CHECK enum remat_status remat_pack_segments_add(struct remat_pack_segments *segments,
                                                           const struct remat_pack_segment *segment,
                                                           struct remat_error *err);
/* Whether segment `id` could stand at `offset` all the time instead, in nobody else's way. */
bool remat_pack_segments_free_at(const struct remat_pack_segments *segments, int32_t id, int64_t offset);
/* Puts it there; where it was moved from there or is moved to there, it is moved no more. */
void remat_pack_segments_shift(struct remat_pack_segments *segments, int32_t id, int64_t offset);
/* Takes away moves without which the item finds one place in [base, target) for the time before and after. */
REMAT_MUST_CHECK enum remat_status remat_pack_segments_join(struct remat_pack_segments *segments, int64_t base,
                                                            int64_t target, struct remat_error *err);
/* Bytes that are moved. */
int64_t remat_pack_segments_moved(const struct remat_pack_segments *segments);

#endif
