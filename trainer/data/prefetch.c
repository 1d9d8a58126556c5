#include "trainer/data/prefetch.h"

#include "core/base/memory.h"
#include "core/base/thread.h"

#include <stdlib.h>
#include <string.h>

/* All but `loader` and `thread` under `lock`. Batches [taken, filled) are ready; with `in_use` batch taken - 1 is being
 * read by the trainer. Ready and used batches together fill at most the two slots. */
struct remat_prefetch {
    struct remat_loader *loader;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum remat_split split;
    int64_t epoch, end;
    int64_t filled, taken; /* next batch to fill, next batch to take */
    struct remat_batch slots[2];
    bool in_use, filling, stop;
    struct remat_error error; /* of batch `filled`; REMAT_OK = none */
};

static bool may_fill(const struct remat_prefetch *p)
{
    return p->filled < p->end && p->error.status == REMAT_OK && p->filled - p->taken + p->in_use < 2;
}

static void fill_one(struct remat_prefetch *p)
{
    enum remat_split split = p->split;
    int64_t epoch = p->epoch, index = p->filled;
    struct remat_batch batch = p->slots[index % 2];
    struct remat_error error = {0};
    p->filling = true;
    pthread_mutex_unlock(&p->lock);
    error.status = remat_loader_fill(p->loader, split, epoch, index, &batch, &error);
    pthread_mutex_lock(&p->lock);
    p->filling = false;
    if (error.status == REMAT_OK)
        p->filled++;
    else
        p->error = error;
    pthread_cond_broadcast(&p->changed);
}

static void *work(void *context)
{
    struct remat_prefetch *p = context;
    pthread_mutex_lock(&p->lock);
    while (!p->stop) {
        if (may_fill(p))
            fill_one(p);
        else
            pthread_cond_wait(&p->changed, &p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum remat_status remat_prefetch_open(struct remat_loader *loader, struct remat_prefetch **out, struct remat_error *err)
{
    struct remat_prefetch *p;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(p, 1, err));
    p->loader = loader;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    status = remat_thread_start(&p->thread, work, p, "the data thread", err);
    if (status != REMAT_OK) {
        pthread_cond_destroy(&p->changed);
        pthread_mutex_destroy(&p->lock);
        free(p);
        return status;
    }
    *out = p;
    return REMAT_OK;
}

void remat_prefetch_close(struct remat_prefetch *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
    pthread_join(p->thread, NULL);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void remat_prefetch_begin(struct remat_prefetch *p, enum remat_split split, int64_t epoch, int64_t first, int64_t end,
                          const struct remat_batch slots[2])
{
    remat_prefetch_end(p);
    pthread_mutex_lock(&p->lock);
    p->split = split;
    p->epoch = epoch;
    p->filled = p->taken = first;
    p->end = end;
    p->slots[0] = slots[0];
    p->slots[1] = slots[1];
    p->error.status = REMAT_OK;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

bool remat_prefetch_more(struct remat_prefetch *p)
{
    bool more;
    pthread_mutex_lock(&p->lock);
    more = p->taken < p->end && p->error.status == REMAT_OK;
    pthread_mutex_unlock(&p->lock);
    return more;
}

enum remat_status remat_prefetch_next(struct remat_prefetch *p, int32_t *slot, struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    int64_t wanted;
    pthread_mutex_lock(&p->lock);
    wanted = p->taken;
    if (wanted >= p->end) {
        pthread_mutex_unlock(&p->lock);
        return remat_fail(err, REMAT_INTERNAL, "batch %lld asked for behind the end of the pass", (long long)wanted);
    }
    p->in_use = false;
    pthread_cond_broadcast(&p->changed);
    while (p->filled <= wanted && p->error.status == REMAT_OK)
        pthread_cond_wait(&p->changed, &p->lock);
    if (p->filled > wanted) {
        *slot = (int32_t)(wanted % 2);
        p->taken = wanted + 1;
        p->in_use = true;
    } else {
        status = remat_fail(err, p->error.status, "%s", p->error.message);
    }
    pthread_mutex_unlock(&p->lock);
    return status;
}

void remat_prefetch_end(struct remat_prefetch *p)
{
    pthread_mutex_lock(&p->lock);
    p->end = p->filled;
    while (p->filling)
        pthread_cond_wait(&p->changed, &p->lock);
    p->end = p->taken = p->filled;
    p->in_use = false;
    pthread_mutex_unlock(&p->lock);
}
