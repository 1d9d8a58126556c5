/* What is known of one budget while several methods, or threads, are at work on it: the best schedule's time and the
 * bound. */
#ifndef REMAT_SOLVER_PROGRESS_H
#define REMAT_SOLVER_PROGRESS_H

#include "core/base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct remat_progress {
    _Atomic int64_t best_ns;   /* of the schedules found within the budget; INT64_MAX = none */
    _Atomic int64_t proven_ns; /* no schedule within it is faster; INT64_MAX: whatever is found is good enough */
    double gap;                /* good enough: so much above what is proven, relative to it */
    atomic_bool is_over;       /* nobody needs more */
    int64_t patience_ns;       /* so long proofs may stand still while schedules get faster; 0 = for ever */
    /* What was found and proven when it last had changed noticeably, and when that was. */
    _Atomic int64_t found_mark_ns, found_at_ns, proven_mark_ns, proven_at_ns;
};

enum { REMAT_PROGRESS_NOTICEABLE = 5000 }; /* a change by a part of this many */

static inline void remat_progress_find(struct remat_progress *progress, int64_t time_ns)
{
    int64_t now = atomic_load(&progress->best_ns), mark = atomic_load(&progress->found_mark_ns);
    while (time_ns < now && !atomic_compare_exchange_weak(&progress->best_ns, &now, time_ns))
        continue;
    if (mark > 0 && time_ns >= mark - mark / REMAT_PROGRESS_NOTICEABLE)
        return;
    atomic_store(&progress->found_mark_ns, time_ns);
    atomic_store(&progress->found_at_ns, remat_clock_ns());
}

static inline void remat_progress_prove(struct remat_progress *progress, int64_t time_ns)
{
    int64_t now = atomic_load(&progress->proven_ns), mark = atomic_load(&progress->proven_mark_ns);
    while (time_ns > now && !atomic_compare_exchange_weak(&progress->proven_ns, &now, time_ns))
        continue;
    if (time_ns <= mark + mark / REMAT_PROGRESS_NOTICEABLE)
        return;
    atomic_store(&progress->proven_mark_ns, time_ns);
    atomic_store(&progress->proven_at_ns, remat_clock_ns());
}

/* Whether whoever proves would do better to look for schedules. */
static inline bool remat_progress_proofs_stall(const struct remat_progress *progress)
{
    int64_t proven_at_ns = atomic_load(&progress->proven_at_ns);
    return progress->patience_ns > 0 && atomic_load(&progress->found_at_ns) > proven_at_ns &&
           remat_clock_ns() - proven_at_ns > progress->patience_ns;
}

/* Whether proving this much would end the work. */
static inline bool remat_progress_suffices(const struct remat_progress *progress, int64_t proven_ns)
{
    int64_t best_ns = atomic_load(&progress->best_ns);
    return best_ns < INT64_MAX && (double)best_ns <= (1 + progress->gap) * (double)proven_ns;
}

static inline bool remat_progress_is_enough(const struct remat_progress *progress)
{
    return atomic_load(&progress->is_over) || remat_progress_suffices(progress, atomic_load(&progress->proven_ns));
}

#endif
