/* Passes over the instructions that place items as they begin, near their wishes, and move others out of their way
 * where nothing else helps. */
#ifndef REMAT_CORE_PLAN_PACK_SWEEP_H
#define REMAT_CORE_PLAN_PACK_SWEEP_H

#include "core/plan/pack_moves.h"
#include "core/plan/pack_segments.h"

/* Of large sets of items no more work than this is put into good ways to make room; then any will do. */
enum { REMAT_PACK_MOST_WORK = 400000000 };

struct remat_pack_sweep {
    const struct remat_pack_item *items; /* bytes > 0 */
    const int64_t *wishes;               /* where each would stand, -1 = anywhere */
    const int32_t *by_begin;             /* items, those that begin first, first */
    int32_t count;
    int64_t base, target;
    const struct remat_pack_pin *pins; /* by begin */
    int32_t pins_count;
    uint64_t seed;
    int64_t *work;       /* done so far, in items looked at, about */
    int64_t limit_bytes; /* whatever moves as much is given up */
    bool once;           /* one pass instead of several at once */
};

/* *placed: see remat_pack_with_moves(); false, too, if the limit was reached. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_pack_sweep(const struct remat_pack_sweep *task,
                                                    struct remat_pack_segments *out, bool *placed,
                                                    struct remat_error *err);

#endif
