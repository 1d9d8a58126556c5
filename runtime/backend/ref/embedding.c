/* x[b,t,:] = wte[token[b,t],:] + wpe[t,:]. */
#include "runtime/backend/ref/ref.h"

#include <string.h>

static enum remat_status check_tokens(const struct remat_kernel_spec *spec, const int32_t *tokens, int64_t vocabulary,
                                      struct remat_error *err)
{
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++) {
        if (tokens[i] < 0 || tokens[i] >= vocabulary)
            return remat_fail(err, REMAT_BAD_DATA, "token %d at %lld is outside the vocabulary of %lld", (int)tokens[i],
                              (long long)i, (long long)vocabulary);
    }
    return REMAT_OK;
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const int32_t *tokens = args->inputs[0];
    int64_t length = spec->inputs[0].dims[1], channels = remat_tensor_columns(&spec->outputs[0]);
    struct remat_ref_array wte = remat_ref_cell(spec, args, 0), wpe = remat_ref_cell(spec, args, 1);
    (void)state;
    REMAT_TRY(check_tokens(spec, tokens, spec->cells[0].dims[0], err));
    for (int64_t i = 0; i < remat_tensor_elements(&spec->outputs[0]); i++) {
        int64_t row = i / channels, c = i % channels;
        remat_ref_set(remat_ref_output(spec, args, 0), i,
                      remat_ref_get(wte, tokens[row] * channels + c) + remat_ref_get(wpe, row % length * channels + c));
    }
    return REMAT_OK;
}

/* Row `row` of a gradient: the sum of the dx rows that match it, after what was there. */
static void sum_rows(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t row,
                     bool by_token, double *sum)
{
    const int32_t *tokens = args->inputs[0];
    int64_t length = spec->inputs[0].dims[1], channels = remat_tensor_columns(&spec->inputs[1]);
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++) {
        if ((by_token ? tokens[i] : i % length) == row)
            remat_ref_axpy(sum, 1, remat_ref_input(spec, args, 1), i * channels, channels);
    }
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t vocabulary = spec->outputs[0].dims[0], positions = spec->outputs[1].dims[0],
            channels = remat_tensor_columns(&spec->outputs[0]);
    double *sum = args->scratch;
    (void)state;
    REMAT_TRY(check_tokens(spec, args->inputs[0], vocabulary, err));
    for (int64_t row = 0; row < vocabulary; row++) {
        memset(sum, 0, (size_t)channels * sizeof *sum);
        sum_rows(spec, args, row, true, sum);
        if (spec->attr.accumulate)
            remat_ref_axpy(sum, 1, remat_ref_input(spec, args, 2), row * channels, channels);
        remat_ref_store(remat_ref_output(spec, args, 0), row * channels, sum, channels);
    }
    for (int64_t row = 0; row < positions; row++) {
        memset(sum, 0, (size_t)channels * sizeof *sum);
        sum_rows(spec, args, row, false, sum);
        remat_ref_store(remat_ref_output(spec, args, 1), row * channels, sum, channels);
    }
    return REMAT_OK;
}

/* One double a channel. */
static enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec,
                                         void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = remat_tensor_columns(&spec->outputs[0]) * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_embedding, REMAT_OP_EMBEDDING, forward);
REMAT_REF_IMPL_SCRATCH(remat_ref_embedding_bwd, REMAT_OP_EMBEDDING_BWD, backward, create_backward);
