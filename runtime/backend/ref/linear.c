/* y[M,K] = x[M,C] w[K,C]' + b[K] + z[M,K], the bias and z where there are. */
#include "runtime/backend/ref/ref.h"

#include <string.h>

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]),
            outputs = remat_tensor_columns(&spec->outputs[0]);
    struct remat_ref_array x = remat_ref_input(spec, args, 0), w = remat_ref_weight(spec, args);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < rows * outputs; i++) {
        double y = remat_ref_dot(x, i / outputs * columns, w, i % outputs * columns, columns);
        if (spec->attr.bias)
            y += remat_ref_get(remat_ref_bias(spec, args), i % outputs);
        if (spec->op == REMAT_OP_LINEAR_ADD)
            y += remat_ref_get(remat_ref_input(spec, args, 1), i);
        remat_ref_set(remat_ref_output(spec, args, 0), i, y);
    }
    return REMAT_OK;
}

static enum remat_status backward_data(const void *state, const struct remat_kernel_spec *spec,
                                       const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->outputs[0]), columns = remat_tensor_columns(&spec->outputs[0]),
            outputs = remat_tensor_columns(&spec->inputs[0]);
    struct remat_ref_array dy = remat_ref_input(spec, args, 0), w = remat_ref_weight(spec, args);
    double *sum = args->scratch;
    (void)state;
    (void)err;
    for (int64_t i = 0; i < rows; i++) {
        memset(sum, 0, (size_t)columns * sizeof *sum);
        for (int64_t k = 0; k < outputs; k++)
            remat_ref_axpy(sum, remat_ref_get(dy, i * outputs + k), w, k * columns, columns);
        for (int64_t c = 0; c < columns && spec->op == REMAT_OP_LINEAR_GELU_BWD; c++)
            sum[c] *= remat_ref_gelu_slope(remat_ref_get(remat_ref_input(spec, args, 1), i * columns + c));
        remat_ref_store(remat_ref_output(spec, args, 0), i * columns, sum, columns);
    }
    return REMAT_OK;
}

static enum remat_status backward_weights(const void *state, const struct remat_kernel_spec *spec,
                                          const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]),
            outputs = remat_tensor_columns(&spec->inputs[1]);
    struct remat_ref_array x = remat_ref_input(spec, args, 0), dy = remat_ref_input(spec, args, 1);
    double *sum = args->scratch;
    (void)state;
    (void)err;
    for (int64_t k = 0; k < outputs; k++) {
        double bias = 0;
        memset(sum, 0, (size_t)columns * sizeof *sum);
        for (int64_t i = 0; i < rows; i++) {
            double g = remat_ref_get(dy, i * outputs + k);
            remat_ref_axpy(sum, g, x, i * columns, columns);
            bias += g;
        }
        remat_ref_store(remat_ref_output(spec, args, 0), k * columns, sum, columns);
        if (spec->attr.bias)
            remat_ref_set(remat_ref_output(spec, args, 1), k, bias);
    }
    return REMAT_OK;
}

/* One double a column of x. */
static enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec,
                                         void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = remat_tensor_columns(&spec->outputs[0]) * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_linear, REMAT_OP_LINEAR, forward);
REMAT_REF_IMPL(remat_ref_linear_add, REMAT_OP_LINEAR_ADD, forward);
REMAT_REF_IMPL_SCRATCH(remat_ref_linear_gelu_bwd, REMAT_OP_LINEAR_GELU_BWD, backward_data, create_backward);
REMAT_REF_IMPL_SCRATCH(remat_ref_linear_bwd_data, REMAT_OP_LINEAR_BWD_DATA, backward_data, create_backward);
REMAT_REF_IMPL_SCRATCH(remat_ref_linear_bwd_weights, REMAT_OP_LINEAR_BWD_WEIGHTS, backward_weights, create_backward);
