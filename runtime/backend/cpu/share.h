/* How work in whole units is divided among the threads of one parallel region. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SHARE_H
#define REMAT_RUNTIME_BACKEND_CPU_SHARE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline int64_t remat_at_most(int64_t value, int64_t limit)
{
    return value < limit ? value : limit;
}

static inline int64_t remat_at_least(int64_t value, int64_t limit)
{
    return value > limit ? value : limit;
}

static inline int64_t remat_units(int64_t total, int64_t unit)
{
    return (total + unit - 1) / unit;
}

/* Where share `index` of `count` of 0..total begins; it ends where the next one begins. */
static inline int64_t remat_share(int64_t total, int64_t unit, int64_t index, int64_t count)
{
    return remat_at_most(remat_units(total, unit) * index / count * unit, total);
}

/* Phases of numbered items that the threads take one by one, so that a thread that is held up delays nobody for long.
 * What an item computes may not depend on who takes it. Phases use three counters in turn: while one phase runs, the
 * next one's counter is zero already, and that of the phase before is used by nobody any more. */
struct remat_queue {
    atomic_int_fast64_t next[3];
    bool shared; /* by the threads of the innermost parallel region; else by nobody */
};

/* Before the parallel region. */
static inline void remat_queue_init(struct remat_queue *queue, int32_t threads)
{
    for (int i = 0; i < 3; i++)
        atomic_init(&queue->next[i], 0);
    queue->shared = threads > 1;
}

/* One thread's position in the queue; phase 0 is the first. */
struct remat_turn {
    struct remat_queue *queue;
    int64_t phase;
};

/* The next item of a phase of `items`, or -1 after the last, when all items are taken but perhaps not done. */
static inline int64_t remat_turn_take(const struct remat_turn *turn, int64_t items)
{
    int64_t item = (int64_t)atomic_fetch_add_explicit(&turn->queue->next[turn->phase % 3], 1, memory_order_relaxed);
    return item < items ? item : -1;
}

/* Waits until all threads have done the phase, and goes on to the next. */
static inline void remat_turn_finish(struct remat_turn *turn)
{
    atomic_store_explicit(&turn->queue->next[(turn->phase + 2) % 3], 0, memory_order_relaxed);
    turn->phase++;
    if (turn->queue->shared) {
#pragma omp barrier
    }
}

#endif
