#include "solver/search_team.h"

#include "core/base/thread.h"

#include <stdlib.h>

struct helper {
    const struct remat_search *search;
    struct remat_walker *walker;
    const struct remat_walks *walks;
    struct remat_prover *prover; /* NULL = walks at once */
    struct remat_best best;
    pthread_t thread;
    enum remat_status status;
    struct remat_error error;
};

static enum remat_status prove(struct helper *helper)
{
    struct remat_prover *prover = helper->prover;
    if (!prover)
        return REMAT_OK;
    return remat_closure_strengthen(prover->closure, &prover->effort, helper->walks->progress, &prover->bound,
                                    &helper->error);
}

/* Where one fails, all end. */
static void *help(void *context)
{
    struct helper *helper = context;
    helper->status = prove(helper);
    if (helper->status == REMAT_OK)
        helper->status =
            remat_search_walk(helper->search, helper->walker, helper->walks, &helper->best, &helper->error);
    if (helper->status != REMAT_OK)
        atomic_store(&helper->walks->progress->is_over, true);
    return NULL;
}

static enum remat_status start_helpers(struct remat_search *search, const struct remat_walks *walks,
                                       struct remat_prover *prover, const struct remat_best *best,
                                       struct helper *helpers, int32_t count, int32_t *started, struct remat_error *err)
{
    for (*started = 0; *started < count; (*started)++) {
        struct helper *helper = &helpers[*started];
        helper->search = search;
        helper->walker = &search->walkers[*started + 1];
        helper->walks = walks;
        helper->prover = *started == count - 1 ? prover : NULL;
        REMAT_TRY(remat_best_copy(&helper->best, best, search->model.nodes_count, err));
        REMAT_TRY(remat_thread_start(&helper->thread, help, helper, "a thread of the search", err));
    }
    return REMAT_OK;
}

static enum remat_status end_helpers(struct helper *helpers, int32_t count, struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    int32_t k;
    for (k = 0; k < count; k++) {
        pthread_join(helpers[k].thread, NULL);
        if (helpers[k].status == REMAT_OK)
            continue;
        status = helpers[k].status;
        if (err)
            *err = helpers[k].error;
    }
    return status;
}

static enum remat_status walk_together(struct remat_search *search, int32_t count, const struct remat_walks *walks,
                                       struct remat_prover *prover, struct remat_best *best, struct remat_error *err)
{
    struct helper *helpers;
    struct remat_error other;
    enum remat_status status, ended;
    int32_t started, k;
    REMAT_TRY(remat_search_add_walkers(search, count, err));
    REMAT_TRY(REMAT_ALLOC(helpers, count - 1, err));
    status = start_helpers(search, walks, prover, best, helpers, count - 1, &started, err);
    if (status == REMAT_OK)
        status = remat_search_walk(search, &search->walkers[0], walks, best, err);
    if (status != REMAT_OK)
        atomic_store(&walks->progress->is_over, true);
    ended = end_helpers(helpers, started, status == REMAT_OK ? err : &other);
    for (k = 0; k < count - 1; k++)
        remat_best_free(&helpers[k].best);
    free(helpers);
    return status == REMAT_OK ? ended : status;
}

enum remat_status remat_team_walk(struct remat_search *search, int32_t count, const struct remat_walks *walks,
                                  struct remat_prover *prover, struct remat_best *best, struct remat_error *err)
{
    struct remat_walks shared = *walks;
    struct remat_exchange exchange = {.best = {0}};
    enum remat_status status;
    count = count < REMAT_SEARCH_MOST_WALKERS ? count : REMAT_SEARCH_MOST_WALKERS;
    if (count <= 1)
        return remat_search_walk(search, &search->walkers[0], walks, best, err);
    pthread_mutex_init(&exchange.lock, NULL);
    shared.exchange = &exchange;
    status = walk_together(search, count, &shared, prover, best, err);
    if (status == REMAT_OK)
        status = remat_best_copy(best, &exchange.best, search->model.nodes_count, err);
    remat_best_free(&exchange.best);
    pthread_mutex_destroy(&exchange.lock);
    return status;
}
