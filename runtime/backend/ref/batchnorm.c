/* Batch normalisation over the rows of x[M,C]: Ioffe, Szegedy 2015, with an optional residual z and ReLU. */
#include "runtime/backend/ref/ref.h"

#include <math.h>

/* y before the residual; every use has this one expression, so that recomputed activations and signs agree. */
static double normalised(double x, double mean, double invstd, double gamma, double beta)
{
    return gamma * (x - mean) * invstd + beta;
}

struct channel {
    double mean, invstd, gamma, beta;
};

/* Writes channel c of y = f(normalised x + z); z_index < 0 if there is no residual. */
static void apply_channel(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int32_t z_index,
                          int64_t c, const struct channel *ch)
{
    struct remat_ref_array x = remat_ref_input(spec, args, 0), y = remat_ref_output(spec, args, 0);
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), channels = remat_tensor_columns(&spec->inputs[0]);
    for (int64_t i = c; i < rows * channels; i += channels) {
        double v = normalised(remat_ref_get(x, i), ch->mean, ch->invstd, ch->gamma, ch->beta);
        if (spec->attr.residual)
            v += remat_ref_get(remat_ref_input(spec, args, z_index), i);
        remat_ref_set(y, i, spec->attr.relu && 0 > v ? 0 : v);
    }
}

static void moments(struct remat_ref_array x, int64_t rows, int64_t channels, int64_t c, double *mean, double *variance)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < rows; i++)
        sum += remat_ref_get(x, i * channels + c);
    *mean = sum / (double)rows;
    for (int64_t i = 0; i < rows; i++) {
        double difference = remat_ref_get(x, i * channels + c) - *mean;
        squares += difference * difference;
    }
    *variance = squares / (double)rows;
}

static void follow(struct remat_ref_array running, int64_t c, double momentum, double value)
{
    double old = remat_ref_get(running, c);
    remat_ref_set(running, c, old + momentum * (value - old));
}

static struct channel saved_channel(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                                    struct remat_ref_array mean, struct remat_ref_array invstd, int64_t c)
{
    return (struct channel){remat_ref_get(mean, c), remat_ref_get(invstd, c),
                            remat_ref_get(remat_ref_cell(spec, args, 0), c),
                            remat_ref_get(remat_ref_cell(spec, args, 1), c)};
}

static enum remat_status train(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array mean_out = remat_ref_output(spec, args, 1), invstd_out = remat_ref_output(spec, args, 2);
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), channels = remat_tensor_columns(&spec->inputs[0]);
    (void)state;
    (void)err;
    for (int64_t c = 0; c < channels; c++) {
        double mean, variance, momentum = (double)spec->attr.momentum;
        struct channel ch;
        moments(remat_ref_input(spec, args, 0), rows, channels, c, &mean, &variance);
        remat_ref_set(mean_out, c, mean);
        remat_ref_set(invstd_out, c, 1 / sqrt(variance + (double)spec->attr.epsilon));
        follow(remat_ref_cell(spec, args, 2), c, momentum, mean);
        follow(remat_ref_cell(spec, args, 3), c, momentum,
               rows > 1 ? variance * (double)rows / (double)(rows - 1) : variance);
        ch = saved_channel(spec, args, mean_out, invstd_out, c); /* as rounded, so that APPLY gives the same bits */
        apply_channel(spec, args, 1, c, &ch);
    }
    return REMAT_OK;
}

static enum remat_status apply(const void *state, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    for (int64_t c = 0; c < remat_tensor_columns(&spec->inputs[0]); c++) {
        struct channel ch =
            saved_channel(spec, args, remat_ref_input(spec, args, 1), remat_ref_input(spec, args, 2), c);
        apply_channel(spec, args, 3, c, &ch);
    }
    return REMAT_OK;
}

static enum remat_status evaluate(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    for (int64_t c = 0; c < remat_tensor_columns(&spec->inputs[0]); c++) {
        struct channel ch = saved_channel(spec, args, remat_ref_cell(spec, args, 2), remat_ref_cell(spec, args, 3), c);
        ch.invstd = 1 / sqrt(ch.invstd + (double)spec->attr.epsilon);
        apply_channel(spec, args, 1, c, &ch);
    }
    return REMAT_OK;
}

/* The gradient of y's pre-activation at element i. */
static double masked(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t i,
                     const struct channel *ch)
{
    double dy = remat_ref_get(remat_ref_input(spec, args, 3), i), y;
    if (!spec->attr.relu)
        return dy;
    if (spec->attr.residual)
        y = remat_ref_get(remat_ref_input(spec, args, 4), i);
    else
        y = normalised(remat_ref_get(remat_ref_input(spec, args, 0), i), ch->mean, ch->invstd, ch->gamma, ch->beta);
    return y > 0 ? dy : 0;
}

/* dbeta = sum g, dgamma = sum g xhat, dx = gamma invstd (g - dbeta / M - xhat dgamma / M), dz = g. */
static void backward_channel(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t c,
                             const struct channel *ch)
{
    struct remat_ref_array x = remat_ref_input(spec, args, 0);
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), channels = remat_tensor_columns(&spec->inputs[0]);
    double dgamma = 0, dbeta = 0, m = (double)rows;
    for (int64_t i = c; i < rows * channels; i += channels) {
        double g = masked(spec, args, i, ch);
        dbeta += g;
        dgamma += g * (remat_ref_get(x, i) - ch->mean) * ch->invstd;
    }
    for (int64_t i = c; i < rows * channels; i += channels) {
        double g = masked(spec, args, i, ch), xhat = (remat_ref_get(x, i) - ch->mean) * ch->invstd;
        remat_ref_set(remat_ref_output(spec, args, 0), i, ch->gamma * ch->invstd * (g - dbeta / m - xhat * dgamma / m));
        if (spec->attr.residual)
            remat_ref_set(remat_ref_output(spec, args, 3), i, g);
    }
    remat_ref_set(remat_ref_output(spec, args, 1), c, dgamma);
    remat_ref_set(remat_ref_output(spec, args, 2), c, dbeta);
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    for (int64_t c = 0; c < remat_tensor_columns(&spec->inputs[0]); c++) {
        struct channel ch =
            saved_channel(spec, args, remat_ref_input(spec, args, 1), remat_ref_input(spec, args, 2), c);
        backward_channel(spec, args, c, &ch);
    }
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_batchnorm, REMAT_OP_BATCHNORM, train);
REMAT_REF_IMPL(remat_ref_batchnorm_apply, REMAT_OP_BATCHNORM_APPLY, apply);
REMAT_REF_IMPL(remat_ref_batchnorm_eval, REMAT_OP_BATCHNORM_EVAL, evaluate);
REMAT_REF_IMPL(remat_ref_batchnorm_bwd, REMAT_OP_BATCHNORM_BWD, backward);
