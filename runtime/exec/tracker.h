/* The memory tracker: what kernels were really handed, and the high-water marks that follow from it.
 *
 * A record is one operand range of one instruction. A range is live from the write that makes it to its last read
 * before the next write at its address (at least during the writing instruction); scratch is live during its
 * instruction; a range written where the same instruction reads counts once there, what a move's ranges share too. The
 * live peak is the largest sum of live bytes at one instruction. Sums, not unions: ranges that overlap by mistake show.
 * Nothing here looks at the plan. All memory is taken at creation. */
#ifndef REMAT_RUNTIME_EXEC_TRACKER_H
#define REMAT_RUNTIME_EXEC_TRACKER_H

#include "core/base/status.h"

#include <stdint.h>

struct remat_tracker;

enum remat_access { REMAT_ACCESS_READ, REMAT_ACCESS_WRITE, REMAT_ACCESS_SCRATCH };

/* `records` is the most ranges a step can have, `instructions` the number of its instructions. [base, base +
 * resident_bytes) is staging memory: live all the time. */
REMAT_MUST_CHECK enum remat_status remat_tracker_create(int64_t records, int32_t instructions,
                                                        const unsigned char *base, int64_t resident_bytes,
                                                        struct remat_tracker **out, struct remat_error *err);
void remat_tracker_destroy(struct remat_tracker *tracker);

/* Forgets the records, not the highest extent. */
void remat_tracker_begin(struct remat_tracker *tracker);
/* Instructions come in ascending order; an instruction's reads come before its writes. Zero bytes are ignored. */
void remat_tracker_record(struct remat_tracker *tracker, int32_t instruction, const void *address, int64_t bytes,
                          enum remat_access access);

/* What a move's two ranges share counts once at it. */
void remat_tracker_share(struct remat_tracker *tracker, int32_t instruction, const void *from, const void *to,
                         int64_t bytes);

/* The highest end of a range so far, relative to the base. */
int64_t remat_tracker_extent_bytes(const struct remat_tracker *tracker);
/* The live peak of the current records. */
int64_t remat_tracker_live_peak_bytes(const struct remat_tracker *tracker);

#endif
