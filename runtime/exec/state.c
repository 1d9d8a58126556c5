#include "runtime/exec/state.h"

#include "core/base/hash.h"
#include "core/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum remat_status place_cells(const struct remat_task_graph *graph, struct remat_state *state,
                                     struct remat_error *err)
{
    int64_t used = 0;
    for (int32_t i = 0; i < graph->cells_count; i++) {
        const struct remat_cell *cell = &graph->cells[i];
        if (cell->kind == REMAT_STAGING_SLOT)
            continue;
        if (used + cell->bytes > state->memory.bytes)
            return remat_fail(err, REMAT_INTERNAL, "graph %s: its cells take more than its %lld persistent bytes",
                              graph->name, (long long)state->memory.bytes);
        state->cells[state->count++] =
            (struct remat_state_cell){cell->name, cell->tensor, cell->kind, cell->parameter, state->memory.base + used};
        used += cell->bytes;
    }
    return REMAT_OK;
}

enum remat_status remat_state_create(const struct remat_backend *backend, struct remat_device *device,
                                     const struct remat_task_graph *graph, struct remat_state *out,
                                     struct remat_error *err)
{
    enum remat_status status;
    memset(out, 0, sizeof *out);
    out->ops = backend->ops;
    out->device = device;
    REMAT_TRY(REMAT_ALLOC(out->cells, graph->cells_count, err));
    REMAT_TRY_GOTO(
        backend->ops->memory_open(device, graph->persistent_bytes, "parameters and optimizer state", &out->memory, err),
        fail);
    REMAT_TRY_GOTO(place_cells(graph, out, err), fail);
    return REMAT_OK;
fail:
    remat_state_free(out);
    return status;
}

void remat_state_free(struct remat_state *state)
{
    remat_memory_close(&state->memory);
    free(state->cells);
    memset(state, 0, sizeof *state);
}

struct remat_state_cell *remat_state_find(const struct remat_state *state, const char *name)
{
    for (int32_t i = 0; i < state->count; i++)
        if (strcmp(state->cells[i].name, name) == 0)
            return &state->cells[i];
    return NULL;
}

static bool on_host(const struct remat_state *state)
{
    return !state->ops || state->ops->host;
}

static enum remat_status copy_to_host(const struct remat_state *state, struct remat_state *out, struct remat_error *err)
{
    REMAT_TRY(remat_memory_open(state->memory.bytes, "a copy of the training state", &out->memory, err));
    for (int32_t i = 0; i < out->count; i++)
        out->cells[i].data = out->memory.base + ((unsigned char *)state->cells[i].data - state->memory.base);
    return state->ops->download(state->device, out->memory.base, state->memory.base, state->memory.bytes, err);
}

enum remat_status remat_state_mirror(const struct remat_state *state, struct remat_state *out, struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_ALLOC(out->cells, state->count, err));
    memcpy(out->cells, state->cells, (size_t)state->count * sizeof *out->cells);
    out->count = state->count;
    return on_host(state) ? REMAT_OK : copy_to_host(state, out, err);
}

enum remat_status remat_state_restore(struct remat_state *state, const struct remat_state *mirror,
                                      struct remat_error *err)
{
    if (on_host(state))
        return REMAT_OK;
    return state->ops->upload(state->device, state->memory.base, mirror->memory.base, state->memory.bytes, err);
}

enum remat_status remat_state_read(const struct remat_state *state, const struct remat_state_cell *cell, void *out,
                                   struct remat_error *err)
{
    int64_t bytes = remat_tensor_bytes(&cell->tensor);
    if (!on_host(state))
        return state->ops->download(state->device, out, cell->data, bytes, err);
    memcpy(out, cell->data, (size_t)bytes);
    return REMAT_OK;
}

enum remat_status remat_state_zero(struct remat_state *state, const struct remat_state_cell *cell,
                                   struct remat_error *err)
{
    int64_t bytes = remat_tensor_bytes(&cell->tensor);
    if (!on_host(state))
        return state->ops->fill(state->device, cell->data, 0, bytes, err);
    memset(cell->data, 0, (size_t)bytes);
    return REMAT_OK;
}

/* Two independent normal numbers from two uniform ones: Box and Muller, Ann. Math. Statist. 29 (1958). In double, so
 * that the rounding to f32 hides the last bit of the machine's logarithm and cosine. */
static void normal_pair(const uint32_t word[2], double out[2])
{
    const double two_pi = 6.283185307179586;
    double radius = sqrt(-2.0 * log(1.0 - (double)remat_rng_uniform(word[0])));
    double angle = two_pi * (double)remat_rng_uniform(word[1]);
    out[0] = radius * cos(angle);
    out[1] = radius * sin(angle);
}

/* The four first values number 4 * counter + 0 .. 3 of a parameter. */
static void draw(const struct remat_parameter *parameter, int32_t index, uint64_t seed, int64_t counter, float out[4])
{
    struct remat_rng_block block = remat_rng(seed, REMAT_RNG_INIT, (uint32_t)index, 0, (uint64_t)counter);
    double normal[4];
    normal_pair(block.word, normal);
    normal_pair(block.word + 2, normal + 2);
    for (int k = 0; k < 4; k++)
        if (parameter->init == REMAT_INIT_NORMAL)
            out[k] = (float)((double)parameter->scale * normal[k]);
        else
            out[k] = parameter->scale * (2.0f * remat_rng_uniform(block.word[k]) - 1.0f);
}

static void store(const struct remat_tensor *tensor, void *data, int64_t first, int64_t count, const float *values)
{
    for (int64_t k = 0; k < count; k++)
        if (tensor->dtype == REMAT_F64)
            ((double *)data)[first + k] = (double)values[k];
        else
            ((float *)data)[first + k] = values[k];
}

static void init_cell(const struct remat_state_cell *cell, const struct remat_parameter *parameter, int32_t index,
                      uint64_t seed)
{
    int64_t elements = remat_tensor_elements(&cell->tensor), blocks = (elements + 3) / 4;
    bool random = parameter->init == REMAT_INIT_NORMAL || parameter->init == REMAT_INIT_UNIFORM;
    float constant = parameter->init == REMAT_INIT_ONES ? 1.0f : 0.0f;
#pragma omp parallel for schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        float values[4] = {constant, constant, constant, constant};
        int64_t left = elements - 4 * b;
        if (random)
            draw(parameter, index, seed, b, values);
        store(&cell->tensor, cell->data, 4 * b, left < 4 ? left : 4, values);
    }
}

static void init_cells(const struct remat_state *mirror, const struct remat_layer_graph *layers, uint64_t seed)
{
    for (int32_t i = 0; i < mirror->count; i++) {
        const struct remat_state_cell *cell = &mirror->cells[i];
        bool drawn = cell->kind == REMAT_PARAMETER || cell->kind == REMAT_RUNNING_STATISTIC;
        if (drawn && cell->parameter >= 0 && cell->parameter < layers->parameters_count)
            init_cell(cell, &layers->parameters[cell->parameter], cell->parameter, seed);
    }
}

enum remat_status remat_state_init_parameters(struct remat_state *state, const struct remat_layer_graph *layers,
                                              uint64_t seed, struct remat_error *err)
{
    struct remat_state mirror;
    enum remat_status status = remat_state_mirror(state, &mirror, err);
    if (status == REMAT_OK) {
        init_cells(&mirror, layers, seed);
        status = remat_state_restore(state, &mirror, err);
    }
    remat_state_free(&mirror);
    return status;
}

enum remat_status remat_state_hash(const struct remat_state *state, uint64_t *out, struct remat_error *err)
{
    struct remat_state mirror;
    enum remat_status status = remat_state_mirror(state, &mirror, err);
    *out = 0;
    for (int32_t i = 0; i < mirror.count && status == REMAT_OK; i++) {
        const struct remat_state_cell *cell = &mirror.cells[i];
        *out = remat_hash_text(cell->name, *out);
        *out = remat_hash(cell->data, (size_t)remat_tensor_bytes(&cell->tensor), *out);
    }
    remat_state_free(&mirror);
    return status;
}
