/* Layer normalisation of each row of x[M,C]: y = gamma (x - mean) rstd + beta; Ba, Kiros, Hinton 2016. */
#include "runtime/backend/ref/ref.h"

#include <math.h>
#include <string.h>

static void apply_row(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t i,
                      double mean, double rstd)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]);
    struct remat_ref_array gamma = remat_ref_cell(spec, args, 0), beta = remat_ref_cell(spec, args, 1);
    for (int64_t c = 0; c < columns; c++) {
        double xhat = (remat_ref_get(remat_ref_input(spec, args, 0), i * columns + c) - mean) * rstd;
        remat_ref_set(remat_ref_output(spec, args, 0), i * columns + c,
                      remat_ref_get(gamma, c) * xhat + remat_ref_get(beta, c));
    }
}

static void moments(struct remat_ref_array x, int64_t at, int64_t columns, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < columns; c++)
        sum += remat_ref_get(x, at + c);
    *mean = sum / (double)columns;
    for (int64_t c = 0; c < columns; c++) {
        double difference = remat_ref_get(x, at + c) - *mean;
        squares += difference * difference;
    }
    *variance = squares / (double)columns;
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array mean_out = remat_ref_output(spec, args, 1), rstd_out = remat_ref_output(spec, args, 2);
    int64_t columns = remat_tensor_columns(&spec->inputs[0]);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_rows(&spec->inputs[0]); i++) {
        double mean, variance;
        moments(remat_ref_input(spec, args, 0), i * columns, columns, &mean, &variance);
        remat_ref_set(mean_out, i, mean);
        remat_ref_set(rstd_out, i, 1 / sqrt(variance + (double)spec->attr.epsilon));
        /* As rounded, so that APPLY gives the same bits. */
        apply_row(spec, args, i, remat_ref_get(mean_out, i), remat_ref_get(rstd_out, i));
    }
    return REMAT_OK;
}

static enum remat_status apply(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_rows(&spec->inputs[0]); i++)
        apply_row(spec, args, i, remat_ref_get(remat_ref_input(spec, args, 1), i),
                  remat_ref_get(remat_ref_input(spec, args, 2), i));
    return REMAT_OK;
}

/* With e = gamma dy: dx = rstd (e - mean(e) - xhat mean(e xhat)); dgamma += dy xhat, dbeta += dy. */
static void backward_row(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t i,
                         double *dgamma, double *dbeta)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]);
    struct remat_ref_array x = remat_ref_input(spec, args, 0), dy = remat_ref_input(spec, args, 3),
                           gamma = remat_ref_cell(spec, args, 0);
    double mean = remat_ref_get(remat_ref_input(spec, args, 1), i),
           rstd = remat_ref_get(remat_ref_input(spec, args, 2), i), sum = 0, moment = 0;
    for (int64_t c = 0; c < columns; c++) {
        double g = remat_ref_get(dy, i * columns + c), xhat = (remat_ref_get(x, i * columns + c) - mean) * rstd;
        sum += g * remat_ref_get(gamma, c) / (double)columns;
        moment += g * remat_ref_get(gamma, c) * xhat / (double)columns;
        dgamma[c] += g * xhat;
        dbeta[c] += g;
    }
    for (int64_t c = 0; c < columns; c++) {
        double e = remat_ref_get(dy, i * columns + c) * remat_ref_get(gamma, c);
        double dx = rstd * (e - sum - (remat_ref_get(x, i * columns + c) - mean) * rstd * moment);
        if (spec->attr.accumulate)
            dx += remat_ref_get(remat_ref_input(spec, args, 4), i * columns + c);
        remat_ref_set(remat_ref_output(spec, args, 0), i * columns + c, dx);
    }
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]);
    double *dgamma = args->scratch, *dbeta = dgamma + columns;
    (void)state;
    (void)err;
    memset(dgamma, 0, (size_t)(2 * columns) * sizeof *dgamma);
    for (int64_t i = 0; i < remat_tensor_rows(&spec->inputs[0]); i++)
        backward_row(spec, args, i, dgamma, dbeta);
    remat_ref_store(remat_ref_output(spec, args, 1), 0, dgamma, columns);
    remat_ref_store(remat_ref_output(spec, args, 2), 0, dbeta, columns);
    return REMAT_OK;
}

/* dgamma and dbeta in double. */
static enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec,
                                         void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = 2 * remat_tensor_columns(&spec->inputs[0]) * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_layernorm, REMAT_OP_LAYERNORM, forward);
REMAT_REF_IMPL(remat_ref_layernorm_apply, REMAT_OP_LAYERNORM_APPLY, apply);
REMAT_REF_IMPL_SCRATCH(remat_ref_layernorm_bwd, REMAT_OP_LAYERNORM_BWD, backward, create_backward);
