#include "trainer/runner.h"

#include "trainer/data/prefetch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

double remat_totals_loss(const struct remat_totals *totals)
{
    return totals->rows > 0 ? totals->loss / (double)totals->rows : NAN;
}

double remat_totals_accuracy(const struct remat_totals *totals)
{
    return totals->rows > 0 ? (double)totals->correct / (double)totals->rows : NAN;
}

static const struct remat_layer *find_layer(const struct remat_layer_graph *layers, enum remat_layer_kind kind)
{
    for (int32_t i = 0; i < layers->layers_count; i++)
        if (layers->layers[i].kind == kind)
            return &layers->layers[i];
    return NULL;
}

/* The slot's memory for an input layer; its bytes a sample must be those of the data. */
static enum remat_status find_slot(struct remat_exec *exec, const struct remat_layer_graph *layers,
                                   enum remat_layer_kind kind, int32_t slot, int64_t sample_bytes, void **out,
                                   struct remat_error *err)
{
    const struct remat_layer *layer = find_layer(layers, kind);
    struct remat_tensor tensor;
    char name[256];
    if (!layer)
        return remat_fail(err, REMAT_INTERNAL, "model %s has no %s layer", layers->name,
                          kind == REMAT_LAYER_INPUT ? "input" : "labels");
    snprintf(name, sizeof name, "staging.%s", layer->name);
    *out = remat_exec_staging(exec, slot, name, &tensor);
    if (!*out)
        return remat_fail(err, REMAT_INTERNAL, "model %s: its graph has no cell '%s'", layers->name, name);
    if (remat_tensor_bytes(&tensor) != sample_bytes * tensor.dims[0])
        return remat_fail(err, REMAT_USAGE, "model %s takes %lld bytes of '%s' a sample and the data has %lld",
                          layers->name, (long long)(remat_tensor_bytes(&tensor) / tensor.dims[0]), layer->name,
                          (long long)sample_bytes);
    return REMAT_OK;
}

enum remat_status remat_runner_open(const struct remat_backend *backend, struct remat_device *device,
                                    const struct remat_layer_graph *layers, const struct remat_task_graph *graph,
                                    const struct remat_plan *plan, struct remat_state *state,
                                    const struct remat_memory *arena, const struct remat_sample_shape *shape,
                                    bool track, struct remat_runner *out, struct remat_error *err)
{
    struct remat_exec_options options = {.track = track};
    const struct remat_state_cell *metrics = remat_state_find(state, "metrics");
    int64_t label_bytes = remat_sample_labels(shape) * (int64_t)sizeof(int32_t);
    memset(out, 0, sizeof *out);
    if (!metrics)
        return remat_fail(err, REMAT_INTERNAL, "graph %s has no cell 'metrics'", graph->name);
    out->state = state;
    out->metrics = metrics;
    out->ahead = -1;
    REMAT_TRY(remat_exec_create(backend, device, graph, plan, state, arena, &options, &out->exec, err));
    for (int32_t slot = 0; slot < 2; slot++) {
        void *labels;
        REMAT_TRY(find_slot(out->exec, layers, REMAT_LAYER_INPUT, slot, remat_sample_bytes(shape),
                            &out->slots[slot].inputs, err));
        REMAT_TRY(find_slot(out->exec, layers, REMAT_LAYER_LABELS, slot, label_bytes, &labels, err));
        out->slots[slot].labels = labels;
    }
    return REMAT_OK;
}

void remat_runner_close(struct remat_runner *runner)
{
    remat_exec_destroy(runner->exec);
    memset(runner, 0, sizeof *runner);
}

void remat_runner_begin(struct remat_runner *runner, struct remat_prefetch *prefetch, enum remat_split split,
                        int64_t epoch, int64_t first, int64_t end)
{
    runner->ahead = -1;
    remat_prefetch_begin(prefetch, split, epoch, first, end, runner->slots);
}

static enum remat_status next_slot(struct remat_runner *runner, struct remat_prefetch *prefetch, int32_t *slot,
                                   struct remat_error *err)
{
    *slot = runner->ahead;
    runner->ahead = -1;
    return *slot >= 0 ? REMAT_OK : remat_prefetch_next(prefetch, slot, err);
}

/* While the device works. A batch that cannot be read is an error only when its turn comes. */
static enum remat_status take_ahead(struct remat_runner *runner, struct remat_prefetch *prefetch,
                                    struct remat_error *err)
{
    struct remat_error later;
    int32_t slot;
    if (!remat_prefetch_more(prefetch) || remat_prefetch_next(prefetch, &slot, &later) != REMAT_OK)
        return REMAT_OK;
    runner->ahead = slot;
    return remat_exec_stage(runner->exec, slot, err);
}

enum remat_status remat_runner_step(struct remat_runner *runner, struct remat_prefetch *prefetch,
                                    const struct remat_step_record *record, struct remat_totals *totals,
                                    struct remat_error *err)
{
    struct remat_step_record micro = *record;
    double metrics[4];
    REMAT_TRY(remat_state_zero(runner->state, runner->metrics, err));
    for (micro.micro = 0; micro.micro < micro.micro_count; micro.micro++) {
        int32_t slot;
        REMAT_TRY(next_slot(runner, prefetch, &slot, err));
        REMAT_TRY(remat_exec_micro(runner->exec, slot, &micro, err));
        if (micro.micro + 1 == micro.micro_count)
            REMAT_TRY(remat_exec_finish(runner->exec, record, err));
        REMAT_TRY(take_ahead(runner, prefetch, err));
    }
    REMAT_TRY(remat_state_read(runner->state, runner->metrics, metrics, err));
    totals->loss = metrics[0];
    totals->rows = (int64_t)metrics[1];
    totals->correct = (int64_t)metrics[2];
    return REMAT_OK;
}

enum remat_status remat_runner_evaluate(struct remat_runner *runner, struct remat_prefetch *prefetch, int64_t batches,
                                        struct remat_totals *totals, struct remat_error *err)
{
    struct remat_step_record record = {.micro_count = 1, .loss_scale = 1};
    enum remat_status status = REMAT_OK;
    memset(totals, 0, sizeof *totals);
    remat_runner_begin(runner, prefetch, REMAT_TEST_SET, 0, 0, batches);
    for (int64_t i = 0; i < batches && status == REMAT_OK; i++) {
        struct remat_totals batch;
        status = remat_runner_step(runner, prefetch, &record, &batch, err);
        if (status == REMAT_OK) {
            totals->loss += batch.loss;
            totals->rows += batch.rows;
            totals->correct += batch.correct;
        }
    }
    remat_prefetch_end(prefetch);
    return status;
}
