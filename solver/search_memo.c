#include "solver/search_memo.h"

#include <stdlib.h>

static const double CHAIN_SHARE = 0.25; /* of a limit of time */
#include <string.h>

static void free_search(void *memo)
{
    struct remat_search *search = memo;
    int32_t k;
    remat_solving_end(&search->chain);
    for (k = 0; k < search->known_count; k++)
        remat_schedule_free(&search->known[k].schedule);
    remat_schedule_free(&search->last.schedule);
    remat_schedule_free(&search->smallest.schedule);
    for (k = 0; k < search->walkers_count; k++) {
        remat_mover_free(&search->walkers[k].mover);
        remat_sequence_free(&search->walkers[k].sequence);
    }
    remat_model_free(&search->model);
    free(search);
}

enum remat_status remat_search_of(struct remat_solving *solving, const struct remat_solve_options *options,
                                  struct remat_search **out, struct remat_error *err)
{
    const struct remat_task_graph *graph = solving->graph;
    struct remat_search *search = solving->memo;
    *out = search;
    if (search)
        return REMAT_OK;
    REMAT_TRY(REMAT_ALLOC(search, 1, err));
    *out = solving->memo = search;
    solving->release = free_search;
    search->graph = search->chain.graph = graph;
    search->seed = options->seed;
    REMAT_TRY(remat_solving_closure(solving, &search->closure, err));
    REMAT_TRY(remat_model_of_graph(graph, &search->model, err));
    return remat_search_add_walkers(search, 1, err);
}

enum remat_status remat_search_add_walkers(struct remat_search *search, int32_t count, struct remat_error *err)
{
    const struct remat_task_graph *graph = search->graph;
    while (search->walkers_count < count) {
        uint64_t seed = search->seed + (uint64_t)search->walkers_count;
        struct remat_walker *walker = &search->walkers[search->walkers_count++];
        REMAT_TRY(remat_sequence_init(&walker->sequence, &search->model, graph, graph->order, graph->order_count, err));
        REMAT_TRY(remat_mover_init(&walker->mover, &walker->sequence, seed, err));
    }
    return REMAT_OK;
}

struct remat_solve_options remat_search_for_chain(const struct remat_solve_options *options)
{
    struct remat_solve_options asked = *options;
    asked.time_limit_seconds *= CHAIN_SHARE;
    return asked;
}

enum remat_status remat_search_know_smallest(struct remat_search *search, const struct remat_solve_options *options,
                                             struct remat_error *err)
{
    const struct remat_solve_options asked = remat_search_for_chain(options);
    struct remat_schedule schedule = {0};
    enum remat_status status;
    if (search->smallest.found)
        return REMAT_OK;
    status = remat_chain_smallest(&search->chain, &asked, &schedule, err);
    return remat_incumbent_offer_answer(search->graph, &search->smallest, 0, status, &schedule, err);
}

static bool dominates(int64_t peak, int64_t cost, const struct remat_search_known *other)
{
    return peak <= other->peak_bytes && cost <= other->cost_ns;
}

enum remat_status remat_search_remember(struct remat_search *search, const struct remat_incumbent *found,
                                        struct remat_error *err)
{
    struct remat_search_known fresh = {.peak_bytes = found->peak_bytes, .cost_ns = found->cost_ns};
    int32_t k, kept = 0;
    for (k = 0; k < search->known_count; k++)
        if (dominates(search->known[k].peak_bytes, search->known[k].cost_ns, &fresh))
            return REMAT_OK;
    for (k = 0; k < search->known_count; k++)
        if (dominates(fresh.peak_bytes, fresh.cost_ns, &search->known[k]))
            remat_schedule_free(&search->known[k].schedule);
        else
            search->known[kept++] = search->known[k];
    search->known_count = kept;
    if (kept == REMAT_SEARCH_MOST_KNOWN)
        return REMAT_OK;
    REMAT_TRY(remat_schedule_copy(&found->schedule, &fresh.schedule, err));
    search->known[search->known_count++] = fresh;
    return REMAT_OK;
}

enum remat_status remat_search_answer(struct remat_search *search, const struct remat_incumbent *found,
                                      int64_t budget_bytes, struct remat_error *err)
{
    remat_schedule_free(&search->last.schedule);
    search->last_budget = budget_bytes;
    search->last.cost_ns = found->cost_ns;
    search->last.peak_bytes = found->peak_bytes;
    REMAT_TRY(remat_schedule_copy(&found->schedule, &search->last.schedule, err));
    return remat_search_remember(search, found, err);
}

enum remat_status remat_search_offer_known(const struct remat_search *search, int64_t budget_bytes,
                                           struct remat_incumbent *best, struct remat_error *err)
{
    int32_t k;
    for (k = 0; k < search->known_count; k++) {
        struct remat_schedule schedule;
        enum remat_status status;
        if (search->known[k].peak_bytes > budget_bytes)
            continue;
        status = remat_schedule_copy(&search->known[k].schedule, &schedule, err);
        REMAT_TRY(remat_incumbent_offer_answer(search->graph, best, budget_bytes, status, &schedule, err));
    }
    return REMAT_OK;
}

/* Gives every task the option of least scratch that any of its runs has: it fits at all of them. */
static enum remat_status load_options(struct remat_sequence *s, const struct remat_task_graph *graph,
                                      const struct remat_schedule *schedule, struct remat_error *err)
{
    int32_t *least, r;
    enum remat_status status = REMAT_OK;
    REMAT_TRY(REMAT_ALLOC(least, graph->tasks_count, err));
    memset(least, -1, (size_t)graph->tasks_count * sizeof *least);
    for (r = 0; r < schedule->count; r++) {
        const struct remat_entry *run = &schedule->entries[r];
        const struct remat_option *options = graph->tasks[run->task].options;
        int32_t *option = &least[run->task];
        if (*option < 0 || options[run->option].scratch_bytes < options[*option].scratch_bytes)
            *option = run->option;
    }
    for (r = 0; r < graph->tasks_count && status == REMAT_OK; r++)
        if (least[r] >= 0 && least[r] != s->option[r])
            status = remat_sequence_set_option(s, r, least[r], err);
    free(least);
    return status;
}

enum remat_status remat_walker_load(struct remat_walker *walker, const struct remat_task_graph *graph,
                                    const struct remat_schedule *schedule, struct remat_error *err)
{
    struct remat_sequence *s = &walker->sequence;
    int32_t *nodes, r;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(nodes, schedule->count, err));
    for (r = 0; r < schedule->count; r++)
        nodes[r] = schedule->entries[r].task; /* the whole graph's nodes are its tasks */
    status = remat_sequence_load(s, nodes, schedule->count, err);
    free(nodes);
    if (status == REMAT_OK)
        status = load_options(s, graph, schedule, err);
    remat_sequence_commit(s);
    return status;
}

enum remat_status remat_search_offer(struct remat_search *search, int64_t budget_bytes, const struct remat_best *found,
                                     struct remat_incumbent *best, struct remat_error *err)
{
    struct remat_sequence *sequence = &search->walkers[0].sequence;
    struct remat_schedule schedule = {0};
    if (!found->found)
        return REMAT_OK;
    REMAT_TRY(remat_best_restore(found, sequence, err));
    REMAT_TRY(remat_sequence_schedule(sequence, &schedule, err));
    return remat_incumbent_offer(search->graph, best, budget_bytes, &schedule, err);
}
