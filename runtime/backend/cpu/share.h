/* How work in whole units is divided among the threads of one parallel region. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SHARE_H
#define REMAT_RUNTIME_BACKEND_CPU_SHARE_H

#include <stdatomic.h>
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
 * What an item computes may not depend on who takes it. */
struct remat_queue {
    atomic_int_fast64_t next;
    int32_t threads;
};

static inline void remat_queue_init(struct remat_queue *queue, int32_t threads)
{
    atomic_init(&queue->next, 0);
    queue->threads = threads;
}

/* One thread's position in the queue. */
struct remat_turn {
    struct remat_queue *queue;
    int64_t base; /* number of the phase's first item */
};

/* The next item of a phase of `items`, or -1 after the last, when all items are taken but perhaps not done. */
static inline int64_t remat_turn_take(const struct remat_turn *turn, int64_t items)
{
    int64_t item = (int64_t)atomic_fetch_add_explicit(&turn->queue->next, 1, memory_order_relaxed) - turn->base;
    return item < items ? item : -1;
}

/* Waits until all threads have done the phase. Every thread was once told -1: that many numbers are used up too. */
static inline void remat_turn_finish(struct remat_turn *turn, int64_t items)
{
    turn->base += items + turn->queue->threads;
    if (turn->queue->threads > 1) {
#pragma omp barrier
    }
}

#endif
