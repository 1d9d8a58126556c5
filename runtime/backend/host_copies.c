#include "runtime/backend/host_copies.h"

#include "core/base/memory.h"
#include "core/base/thread.h"

#include <stdlib.h>
#include <string.h>

/* The addresses and bytes of a copy under way belong to its lane's thread. */
struct copy {
    void *to;
    const void *from;
    int64_t bytes;
    int32_t next; /* of the same lane; -1 = none */
    bool under_way;
};

struct lane {
    struct remat_copies *copies;
    pthread_t thread;
    pthread_cond_t asked;
    int32_t first, last; /* what is to be copied, in order; -1 = nothing */
};

/* All but the threads under `lock`. */
struct remat_copies {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct lane lanes[REMAT_LANE_COUNT];
    struct copy *list;
    int32_t threads; /* started */
    bool closing;
};

static void copy_first(struct lane *lane)
{
    struct remat_copies *copies = lane->copies;
    struct copy *copy = &copies->list[lane->first];
    pthread_mutex_unlock(&copies->lock);
    memcpy(copy->to, copy->from, (size_t)copy->bytes);
    pthread_mutex_lock(&copies->lock);
    lane->first = copy->next;
    copy->under_way = false;
    pthread_cond_broadcast(&copies->done);
}

/* What was asked for is done even if the end has come. */
static void *work(void *context)
{
    struct lane *lane = context;
    pthread_mutex_lock(&lane->copies->lock);
    while (lane->first >= 0 || !lane->copies->closing) {
        if (lane->first >= 0)
            copy_first(lane);
        else
            pthread_cond_wait(&lane->asked, &lane->copies->lock);
    }
    pthread_mutex_unlock(&lane->copies->lock);
    return NULL;
}

static enum remat_status start_threads(struct remat_copies *copies, struct remat_error *err)
{
    for (; copies->threads < REMAT_LANE_COUNT; copies->threads++) {
        struct lane *lane = &copies->lanes[copies->threads];
        REMAT_TRY(remat_thread_start(&lane->thread, work, lane, "a copy thread", err));
    }
    return REMAT_OK;
}

enum remat_status remat_host_copies_open(struct remat_device *device, int32_t count, struct remat_copies **out,
                                         struct remat_error *err)
{
    struct remat_copies *copies;
    enum remat_status status;
    (void)device;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(copies, 1, err));
    pthread_mutex_init(&copies->lock, NULL);
    pthread_cond_init(&copies->done, NULL);
    for (int l = 0; l < REMAT_LANE_COUNT; l++) {
        copies->lanes[l] = (struct lane){.copies = copies, .first = -1, .last = -1};
        pthread_cond_init(&copies->lanes[l].asked, NULL);
    }
    status = REMAT_ALLOC(copies->list, count, err);
    if (status == REMAT_OK)
        status = start_threads(copies, err);
    if (status == REMAT_OK)
        *out = copies;
    else
        remat_host_copies_close(copies);
    return status;
}

void remat_host_copies_close(struct remat_copies *copies)
{
    if (!copies)
        return;
    pthread_mutex_lock(&copies->lock);
    copies->closing = true;
    for (int l = 0; l < REMAT_LANE_COUNT; l++)
        pthread_cond_signal(&copies->lanes[l].asked);
    pthread_mutex_unlock(&copies->lock);
    for (int32_t l = 0; l < copies->threads; l++)
        pthread_join(copies->lanes[l].thread, NULL);
    for (int l = 0; l < REMAT_LANE_COUNT; l++)
        pthread_cond_destroy(&copies->lanes[l].asked);
    pthread_cond_destroy(&copies->done);
    pthread_mutex_destroy(&copies->lock);
    free(copies->list);
    free(copies);
}

enum remat_status remat_host_copy_beside(struct remat_copies *copies, enum remat_lane lane, int32_t index, void *to,
                                         const void *from, int64_t bytes, struct remat_error *err)
{
    struct lane *queue = &copies->lanes[lane];
    bool under_way;
    pthread_mutex_lock(&copies->lock);
    under_way = copies->list[index].under_way;
    if (!under_way) {
        copies->list[index] = (struct copy){to, from, bytes, -1, true};
        if (queue->first < 0)
            queue->first = index;
        else
            copies->list[queue->last].next = index;
        queue->last = index;
        pthread_cond_signal(&queue->asked);
    }
    pthread_mutex_unlock(&copies->lock);
    if (under_way)
        return remat_fail(err, REMAT_INTERNAL, "copy %d is asked for again before it was waited for", index);
    return REMAT_OK;
}

enum remat_status remat_host_copy_await(struct remat_copies *copies, int32_t index, struct remat_error *err)
{
    (void)err;
    pthread_mutex_lock(&copies->lock);
    while (copies->list[index].under_way)
        pthread_cond_wait(&copies->done, &copies->lock);
    pthread_mutex_unlock(&copies->lock);
    return REMAT_OK;
}
