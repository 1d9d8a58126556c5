/* x[b,t,:] = wte[token[b,t],:] + wpe[t,:]. Backward, each thread owns columns of dwte, so that the rows that share a
 * token are added in the order of the batch. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/elementwise_kernels.h"
#include "runtime/backend/cpu/split.h"

#include <string.h>

static enum remat_status check_tokens(const int32_t *tokens, int64_t count, int64_t vocabulary, struct remat_error *err)
{
    for (int64_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocabulary)
            return remat_fail(err, REMAT_BAD_DATA, "token %d at %lld is outside the vocabulary of %lld", (int)tokens[i],
                              (long long)i, (long long)vocabulary);
    }
    return REMAT_OK;
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    remat_map2 *add = REMAT_SIMD_TABLE(device, remat_elementwise_kernels)->add;
    int64_t tokens_count = remat_tensor_elements(&spec->inputs[0]), length = remat_tensor_columns(&spec->inputs[0]),
            channels = remat_tensor_columns(&spec->outputs[0]);
    int32_t parts = remat_parts(device, tokens_count * channels);
    const int32_t *tokens = args->inputs[0];
    const float *wte = args->cells[0], *wpe = args->cells[1];
    float *x = args->outputs[0];
    REMAT_TRY(check_tokens(tokens, tokens_count, spec->cells[0].dims[0], err));
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(tokens_count, 1, part, parts);
        for (int64_t i = range.begin; i < range.end; i++)
            add(wte + tokens[i] * channels, wpe + i % length * channels, x + i * channels, channels, false);
    }
    return REMAT_OK;
}

/* What dwte starts from: zero, or the gradient that another use of the table left. */
static void start_rows(const struct remat_device *device, float *dwte, const float *before, int64_t n)
{
    int32_t parts = remat_parts(device, n);
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        size_t bytes = (size_t)(range.end - range.begin) * sizeof *dwte;
        if (!before)
            memset(dwte + range.begin, 0, bytes);
        else if (before != dwte)
            memcpy(dwte + range.begin, before + range.begin, bytes);
    }
}

struct table_gradient {
    remat_map2 *add;
    const int32_t *tokens;
    const float *dx;
    int64_t tokens_count, length, channels, positions;
};

static void add_tokens(const struct table_gradient *work, float *dwte, struct remat_range columns)
{
    for (int64_t i = 0; i < work->tokens_count; i++) {
        float *row = dwte + work->tokens[i] * work->channels + columns.begin;
        work->add(row, work->dx + i * work->channels + columns.begin, row, columns.end - columns.begin, false);
    }
}

/* Row t of dwpe: the sum over the batch. */
static void add_position(const struct table_gradient *work, float *dwpe, int64_t t)
{
    float *row = dwpe + t * work->channels;
    if (t >= work->length) {
        memset(row, 0, (size_t)work->channels * sizeof *row);
        return;
    }
    memcpy(row, work->dx + t * work->channels, (size_t)work->channels * sizeof *row);
    for (int64_t i = t + work->length; i < work->tokens_count; i += work->length)
        work->add(row, work->dx + i * work->channels, row, work->channels, false);
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    struct table_gradient work = {REMAT_SIMD_TABLE(device, remat_elementwise_kernels)->add,
                                  args->inputs[0],
                                  args->inputs[1],
                                  remat_tensor_elements(&spec->inputs[0]),
                                  remat_tensor_columns(&spec->inputs[0]),
                                  remat_tensor_columns(&spec->outputs[0]),
                                  spec->outputs[1].dims[0]};
    int64_t n = remat_tensor_elements(&spec->outputs[0]);
    int32_t parts = remat_parts(device, work.tokens_count * work.channels);
    float *dwte = args->outputs[0], *dwpe = args->outputs[1];
    REMAT_TRY(check_tokens(work.tokens, work.tokens_count, spec->outputs[0].dims[0], err));
    start_rows(device, dwte, spec->attr.accumulate ? args->inputs[2] : NULL, n);
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range rows = remat_split(work.positions, 1, part, parts);
        add_tokens(&work, dwte, remat_split(work.channels, REMAT_LINE_FLOATS, part, parts));
        for (int64_t t = rows.begin; t < rows.end; t++)
            add_position(&work, dwpe, t);
    }
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_embedding, REMAT_OP_EMBEDDING, remat_cpu_create_stateless, forward);
REMAT_CPU_LOOP(remat_cpu_embedding_bwd, REMAT_OP_EMBEDDING_BWD, remat_cpu_create_stateless, backward);
