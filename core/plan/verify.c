#include "core/plan/verify.h"

#include <stdlib.h>
#include <string.h>

static bool sizes_are_aligned(const struct remat_task_graph *graph)
{
    int32_t i, k;
    if (graph->staging_bytes % REMAT_ALIGNMENT != 0)
        return false;
    for (i = 0; i < graph->values_count; i++)
        if (graph->values[i].bytes % REMAT_ALIGNMENT != 0)
            return false;
    for (i = 0; i < graph->tasks_count; i++)
        for (k = 0; k < graph->tasks[i].options_count; k++)
            if (graph->tasks[i].options[k].scratch_bytes % REMAT_ALIGNMENT != 0)
                return false;
    return true;
}

static enum remat_status check_identity(const struct remat_verify *verify)
{
    uint64_t hash = remat_task_graph_hash(verify->graph);
    if (verify->plan->graph_hash != hash)
        return remat_fail(verify->err, REMAT_BAD_DATA,
                          "plan: was made for graph %016llx, but this one is %016llx (other model, sizes, device, "
                          "threads or library); solve again for this graph",
                          (unsigned long long)verify->plan->graph_hash, (unsigned long long)hash);
    if (!memchr(verify->plan->solver, 0, sizeof verify->plan->solver))
        return remat_fail(verify->err, REMAT_BAD_DATA, "plan: the solver's name does not end");
    return REMAT_OK;
}

/* A buffer lives exactly as long, and is exactly as large, as its uses need. */
static enum remat_status check_tight(const struct remat_verify *verify)
{
    int32_t b;
    for (b = 0; b < verify->plan->buffers_count; b++) {
        const struct remat_buffer *buffer = &verify->plan->buffers[b];
        if (verify->first_use[b] != buffer->begin || verify->last_use[b] != buffer->end)
            return remat_fail(verify->err, REMAT_BAD_DATA,
                              "plan: buffer %d lives from instruction %d to %d, but is used from %d to %d", b,
                              buffer->begin, buffer->end, verify->first_use[b], verify->last_use[b]);
        if (verify->used_bytes[b] != buffer->bytes)
            return remat_fail(verify->err, REMAT_BAD_DATA, "plan: buffer %d has %lld bytes, but %lld are used", b,
                              (long long)buffer->bytes, (long long)verify->used_bytes[b]);
    }
    return REMAT_OK;
}

static enum remat_status check_all(struct remat_verify *verify)
{
    int64_t buffers = verify->plan->buffers_count;
    REMAT_TRY(REMAT_ALLOC(verify->first_use, buffers, verify->err));
    REMAT_TRY(REMAT_ALLOC(verify->last_use, buffers, verify->err));
    REMAT_TRY(REMAT_ALLOC(verify->used_bytes, buffers, verify->err));
    memset(verify->first_use, 0xff, (size_t)buffers * sizeof *verify->first_use);
    memset(verify->last_use, 0xff, (size_t)buffers * sizeof *verify->last_use);
    REMAT_TRY(check_identity(verify));
    REMAT_TRY(remat_verify_layout(verify));
    REMAT_TRY(remat_verify_instructions(verify));
    REMAT_TRY(check_tight(verify));
    return remat_verify_times(verify);
}

enum remat_status remat_plan_verify(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                    struct remat_error *err)
{
    struct remat_verify verify = {.graph = graph, .plan = plan, .err = err};
    enum remat_status status;
    verify.aligned = sizes_are_aligned(graph);
    status = check_all(&verify);
    free(verify.first_use);
    free(verify.last_use);
    free(verify.used_bytes);
    return status;
}
