/* ReLU, addition, GELU (tanh form: Hendrycks, Gimpel 2016) and dropout. */
#include "runtime/backend/dropout.h"
#include "runtime/backend/ref/ref.h"

#include <math.h>

static enum remat_status relu(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array x = remat_ref_input(spec, args, 0), y = remat_ref_output(spec, args, 0);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++) {
        double v = remat_ref_get(x, i);
        remat_ref_set(y, i, 0 > v ? 0 : v);
    }
    return REMAT_OK;
}

static enum remat_status relu_bwd(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array y = remat_ref_input(spec, args, 0), dy = remat_ref_input(spec, args, 1);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++)
        remat_ref_set(remat_ref_output(spec, args, 0), i, remat_ref_get(y, i) > 0 ? remat_ref_get(dy, i) : 0);
    return REMAT_OK;
}

static enum remat_status add(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array a = remat_ref_input(spec, args, 0), b = remat_ref_input(spec, args, 1);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++)
        remat_ref_set(remat_ref_output(spec, args, 0), i, remat_ref_get(a, i) + remat_ref_get(b, i));
    return REMAT_OK;
}

static const double ROOT_2_OVER_PI = 0.79788456080286535588, CUBIC = 0.044715;

/* y = x / 2 (1 + tanh u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
static enum remat_status gelu(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array a = remat_ref_input(spec, args, 0);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++) {
        double x = remat_ref_get(a, i), u = ROOT_2_OVER_PI * (x + CUBIC * x * x * x);
        remat_ref_set(remat_ref_output(spec, args, 0), i, 0.5 * x * (1 + tanh(u)));
    }
    return REMAT_OK;
}

/* dy/dx = (1 + tanh u) / 2 + x / 2 (1 - tanh^2 u) u'. */
double remat_ref_gelu_slope(double x)
{
    double t = tanh(ROOT_2_OVER_PI * (x + CUBIC * x * x * x));
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * ROOT_2_OVER_PI * (1 + 3 * CUBIC * x * x);
}

static enum remat_status gelu_bwd(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array a = remat_ref_input(spec, args, 0), dy = remat_ref_input(spec, args, 1);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++)
        remat_ref_set(remat_ref_output(spec, args, 0), i,
                      remat_ref_get(dy, i) * remat_ref_gelu_slope(remat_ref_get(a, i)));
    return REMAT_OK;
}

/* Forward and backward are the same map: the mask times 1 / (1 - p). */
static enum remat_status dropout(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_ref_array x = remat_ref_input(spec, args, 0);
    double scale = 1 / (1 - (double)spec->attr.probability);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->inputs[0]); i++) {
        bool keep = remat_dropout_keeps_element(args->record, spec->attr.layer, i, spec->attr.probability);
        remat_ref_set(remat_ref_output(spec, args, 0), i, keep ? remat_ref_get(x, i) * scale : 0);
    }
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_relu, REMAT_OP_RELU, relu);
REMAT_REF_IMPL(remat_ref_relu_bwd, REMAT_OP_RELU_BWD, relu_bwd);
REMAT_REF_IMPL(remat_ref_add, REMAT_OP_ADD, add);
REMAT_REF_IMPL(remat_ref_gelu, REMAT_OP_GELU, gelu);
REMAT_REF_IMPL(remat_ref_gelu_bwd, REMAT_OP_GELU_BWD, gelu_bwd);
REMAT_REF_IMPL(remat_ref_dropout, REMAT_OP_DROPOUT, dropout);
REMAT_REF_IMPL(remat_ref_dropout_bwd, REMAT_OP_DROPOUT_BWD, dropout);
