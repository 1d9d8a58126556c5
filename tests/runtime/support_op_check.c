/* The checks of a case. */
#include "support_op_case.h"

#include "core/base/memory.h"
#include "core/base/rng.h"
#include "runtime/backend/bf16.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct op_placement PLAIN = {.pattern = 0xFF, .gap = 64};
/* Other addresses and, in undeclared memory, large finite numbers (0x7F7F7F7F is 3.4e38) instead of NaNs. */
static const struct op_placement SHIFTED = {.pattern = 0x7F, .shift = 5 * 64, .gap = 3 * 64};

static double get(const struct remat_tensor *tensor, const void *data, int64_t i)
{
    switch (tensor->dtype) {
    case REMAT_F64:
        return ((const double *)data)[i];
    case REMAT_F32:
        return (double)((const float *)data)[i];
    case REMAT_BF16:
        return (double)remat_bf16_to_f32(((const uint16_t *)data)[i]);
    case REMAT_I32:
        return ((const int32_t *)data)[i];
    default:
        return ((const uint8_t *)data)[i];
    }
}

/* ---- gradients ---- */

static void widen(struct op_case *c)
{
    for (int32_t i = 0; i < c->slots_count; i++) {
        if (c->slots[i].tensor.dtype == REMAT_F32)
            c->slots[i].tensor.dtype = REMAT_F64;
    }
}

/* The objective at the point `at`: runs the forward call on copies. */
static double objective(const struct op_backend *ref, const struct op_case *c, const struct op_values *at)
{
    struct op_values values;
    double sum = 0;
    op_values_copy(c, at, &values);
    op_call_run(ref, c, &c->calls[0], 0, &PLAIN, at, &values);
    if (c->metrics != OP_NONE) {
        sum = (((double *)values.slot[c->metrics])[0] - ((double *)at->slot[c->metrics])[0]) *
              (double)c->record.loss_scale / (double)c->loss_rows;
    } else {
        for (int64_t i = 0; i < remat_tensor_elements(&c->slots[c->output].tensor); i++)
            sum += ((double *)values.slot[c->output])[i] * ((double *)values.slot[c->weight])[i];
    }
    op_values_free(&values);
    return sum;
}

static double direction(uint32_t stream, int64_t i)
{
    return (double)remat_rng_uniform(remat_rng(11, REMAT_RNG_SYNTHETIC, stream, 1, (uint64_t)i).word[0]) * 2 - 1;
}

/* The derivative along a random direction d, (f(x + h d) - f(x - h d)) / 2h, against the sum of gradient * d.
 * h = 1e-6: truncation ~ h^2, rounding ~ DBL_EPSILON |f| / h ~ 1e-9, few kinks are crossed. Tolerance: 1e-6 of
 * the sum of |gradient * d|, which is what the terms could cancel from, plus 1e-7. */
static void check_direction(const struct op_backend *ref, const struct op_case *c, const struct op_values *values,
                            const struct op_gradient *g, uint32_t stream)
{
    const double h = 1e-6;
    const struct remat_tensor *tensor = &c->slots[g->of].tensor;
    struct op_values at;
    double *x, analytic = 0, size = 0, up, down, numeric;
    op_values_copy(c, values, &at);
    x = at.slot[g->of];
    for (int64_t i = 0; i < remat_tensor_elements(tensor); i++) {
        double gradient = ((double *)values->slot[g->gradient])[i];
        gradient -= g->base == OP_NONE ? 0 : ((double *)values->slot[g->base])[i];
        analytic += gradient * direction(stream, i);
        size += fabs(gradient * direction(stream, i));
        x[i] += h * direction(stream, i);
    }
    up = objective(ref, c, &at);
    for (int64_t i = 0; i < remat_tensor_elements(tensor); i++)
        x[i] -= 2 * h * direction(stream, i);
    down = objective(ref, c, &at);
    op_values_free(&at);
    numeric = (up - down) / (2 * h);
    if (!(fabs(numeric - analytic) <= 1e-6 * size + 1e-7))
        fail_msg("%s: gradient by slot %d: analytic %.12g, numeric %.12g, terms' size %.3g", c->name, g->of, analytic,
                 numeric, size);
}

void op_check_gradients(const struct op_backend *ref, const struct op_case *c32)
{
    struct op_case c = *c32;
    struct op_values values;
    widen(&c);
    op_values_fill(&c, &values);
    for (int32_t k = 0; k < c.calls_count; k++)
        op_call_run(ref, &c, &c.calls[k], 0, &PLAIN, &values, &values);
    for (int32_t k = 0; k < c.gradients_count; k++)
        for (uint32_t stream = 0; stream < 3; stream++)
            check_direction(ref, &c, &values, &c.gradients[k], stream);
    op_values_free(&values);
}

/* ---- comparison ---- */

/* The longest sum behind a result of the call. */
static int64_t reduction_length(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *x = &spec->inputs[0];
    int64_t window = (int64_t)spec->attr.kernel[0] * spec->attr.kernel[1];
    switch (spec->op) {
    case REMAT_OP_CONV2D:
    case REMAT_OP_CONV2D_BWD_DATA:
    case REMAT_OP_CONV2D_BWD_DATA_ADD:
        return window * remat_tensor_columns(x);
    case REMAT_OP_MAXPOOL_BWD:
        return window;
    case REMAT_OP_CONV2D_BWD_WEIGHTS:
    case REMAT_OP_LINEAR_BWD_WEIGHTS:
    case REMAT_OP_BATCHNORM:
    case REMAT_OP_BATCHNORM_BWD:
        return remat_tensor_rows(x);
    case REMAT_OP_AVGPOOL:
        return x->dims[1] * x->dims[2];
    case REMAT_OP_LINEAR:
    case REMAT_OP_LINEAR_ADD:
    case REMAT_OP_LINEAR_BWD_DATA:
    case REMAT_OP_LINEAR_GELU_BWD:
    case REMAT_OP_LOSS:
    case REMAT_OP_LOSS_EVAL:
    case REMAT_OP_LAYERNORM:
        return remat_tensor_columns(x);
    case REMAT_OP_LAYERNORM_BWD:
    case REMAT_OP_ATTENTION:
    case REMAT_OP_ATTENTION_BWD:
        return remat_tensor_rows(x) + remat_tensor_columns(x);
    case REMAT_OP_CLASSIFIER_LOSS:
    case REMAT_OP_CLASSIFIER_EVAL:
        return remat_tensor_rows(x) + remat_tensor_columns(x) + remat_op_weight(spec)->dims[0];
    case REMAT_OP_EMBEDDING_BWD:
        return remat_tensor_elements(x);
    case REMAT_OP_SQUARE_NORM:
        return remat_tensor_elements(&spec->cells[0]);
    default:
        return 1;
    }
}

/* A sum of L terms of random signs, rounded at every step, is off by about 0.35 sqrt(L) epsilon times its own usual
 * size (partial sums grow as sqrt(k), each rounding errs by epsilon / 2 of them); 2 sqrt(L) is over five deviations.
 * 16 covers the elementwise part: divisions, roots, exponentials within 2 ulp.
 *
 *     |found - expected| <= epsilon (16 + 2 sqrt(L)) (|expected| + rms of the tensor)
 *
 * epsilon is single precision's also for metrics, whose terms were single. Integers must be equal.
 *
 * bf16 results come from nearly the same f32 number, rounded: they are equal or neighbours, 2^-7 |expected| apart at
 * most. Where terms of a sum were rounded to bf16 first (`rounded_terms`), each by at most 2^-8 of itself, the sum is
 * off by about 0.4 * 2^-8 of its usual size; 2^-7 is five deviations. */
static double tolerance(const struct remat_tensor *tensor, double expected, double rms, int64_t length,
                        bool rounded_terms)
{
    const double neighbour = 1.0 / 128;
    double factor = (double)FLT_EPSILON * (16 + 2 * sqrt((double)length)) + (rounded_terms ? neighbour : 0);
    if (tensor->dtype != REMAT_F32 && tensor->dtype != REMAT_F64 && tensor->dtype != REMAT_BF16)
        return 0;
    return factor * (fabs(expected) + rms) + (tensor->dtype == REMAT_BF16 ? neighbour * fabs(expected) : 0);
}

static void check_close(const char *what, const struct remat_tensor *tensor, const void *expected, const void *found,
                        int64_t length, bool rounded_terms)
{
    int64_t count = remat_tensor_elements(tensor);
    double squares = 0;
    for (int64_t i = 0; i < count; i++)
        squares += pow(get(tensor, expected, i), 2);
    for (int64_t i = 0; i < count; i++) {
        double e = get(tensor, expected, i), f = get(tensor, found, i);
        double most = tolerance(tensor, e, sqrt(squares / (double)count), length, rounded_terms);
        if (!(fabs(f - e) <= most))
            fail_msg("%s: element %lld: expected %.9g, found %.9g, tolerance %.3g", what, (long long)i, e, f, most);
    }
}

/* Gradients of logits, weights of attention and their gradients may be rounded before they are multiplied. */
static bool rounds_terms(const struct remat_kernel_spec *spec)
{
    return (spec->op == REMAT_OP_CLASSIFIER_LOSS || spec->op == REMAT_OP_ATTENTION ||
            spec->op == REMAT_OP_ATTENTION_BWD) &&
           spec->inputs[0].dtype == REMAT_BF16;
}

/* What a call yields: outputs, then cells; ended by OP_NONE. */
static void results(const struct op_call *call, int out[REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 1])
{
    int count = 0;
    for (int j = 0; call->outputs[j] != OP_NONE; j++)
        out[count++] = call->outputs[j];
    for (int i = 0; call->cells[i] != OP_NONE; i++)
        out[count++] = call->cells[i];
    out[count] = OP_NONE;
}

static void check_same(const char *what, const struct op_case *c, const struct op_call *call,
                       const struct op_values *expected, const struct op_values *found)
{
    int slots[REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 1];
    results(call, slots);
    for (int k = 0; slots[k] != OP_NONE; k++) {
        if (memcmp(expected->slot[slots[k]], found->slot[slots[k]],
                   (size_t)remat_tensor_bytes(&c->slots[slots[k]].tensor)) != 0)
            fail_msg("%s: result %d differs in bits", what, k);
    }
}

/* Against ref; what ref leaves untouched must be untouched. */
static void compare(const char *what, const struct op_case *c, const struct op_call *call,
                    const struct op_values *before, const struct op_values *expected, const struct op_values *found)
{
    struct remat_kernel_spec spec = op_call_spec(c, call);
    int slots[REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 1];
    results(call, slots);
    for (int k = 0; slots[k] != OP_NONE; k++) {
        const struct remat_tensor *tensor = &c->slots[slots[k]].tensor;
        size_t bytes = (size_t)remat_tensor_bytes(tensor);
        char name[256];
        snprintf(name, sizeof name, "%.200s: result %d", what, k);
        if (k >= spec.outputs_count && memcmp(before->slot[slots[k]], expected->slot[slots[k]], bytes) == 0)
            assert_memory_equal(before->slot[slots[k]], found->slot[slots[k]], bytes);
        else
            check_close(name, tensor, expected->slot[slots[k]], found->slot[slots[k]], reduction_length(&spec),
                        rounds_terms(&spec) && k < spec.outputs_count);
    }
}

/* ---- poisoning, repetition, in place ---- */

struct trial {
    const struct op_backend *b;
    const struct op_case *c;
    const struct op_call *call;
    int32_t option;
    const struct op_values *before, *plain; /* before the call; its result in plain placement */
};

static void try_placement(const struct trial *t, const char *what, const struct op_placement *placement)
{
    struct op_values found;
    char name[256];
    snprintf(name, sizeof name, "%s: %s option %d %s", t->c->name, remat_op_text(t->call->op), (int)t->option, what);
    op_values_copy(t->c, t->before, &found);
    op_call_run(t->b, t->c, t->call, t->option, placement, t->before, &found);
    check_same(name, t->c, t->call, t->plain, &found);
    op_values_free(&found);
}

static void try_in_place(const struct trial *t)
{
    struct remat_kernel_spec spec = op_call_spec(t->c, t->call);
    struct remat_in_place pairs[4];
    int32_t count = remat_op_in_place(&spec, pairs);
    for (int32_t i = 0; i < count; i++) {
        struct op_placement placement = PLAIN;
        char what[64];
        snprintf(what, sizeof what, "output %d over input %d", pairs[i].output, pairs[i].input);
        placement.in_place = 1;
        placement.pairs[0] = pairs[i];
        try_placement(t, what, &placement);
        for (int32_t j = 0; j < i; j++) {
            if (pairs[j].output == pairs[i].output || pairs[j].input == pairs[i].input)
                continue;
            placement.in_place = 2;
            placement.pairs[1] = pairs[j];
            try_placement(t, "two outputs in place", &placement);
            placement.in_place = 1;
        }
    }
}

/* Checks one option; leaves its result in *found. */
static void check_option(const struct op_backend *b, const struct op_case *c, const struct op_call *call,
                         int32_t option, const struct op_values *before, const struct op_values *expected,
                         struct op_values *found)
{
    struct trial trial = {b, c, call, option, before, found};
    char name[256];
    snprintf(name, sizeof name, "%s: %s option %d", c->name, remat_op_text(call->op), (int)option);
    op_values_copy(c, before, found);
    op_call_run(b, c, call, option, &PLAIN, before, found);
    compare(name, c, call, before, expected, found);
    try_placement(&trial, "run again", &PLAIN);
    try_placement(&trial, "at other addresses", &SHIFTED);
    try_in_place(&trial);
}

static void check_scratch(const struct op_backend *b, const struct remat_kernel_spec *spec, int32_t option,
                          int64_t promised)
{
    struct remat_kernel *kernel;
    struct remat_error err = {0};
    assert_int_equal(b->backend->kernel_create(b->device, spec, option, &kernel, &err), REMAT_OK);
    assert_int_equal(b->backend->kernel_scratch_bytes(kernel), promised);
    b->backend->kernel_destroy(kernel);
}

static void check_options(const struct op_backend *b, const struct op_case *c, const struct op_call *call,
                          const struct op_values *before, const struct op_values *expected)
{
    struct remat_kernel_spec spec = op_call_spec(c, call);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    struct op_values found[REMAT_MAX_OPTIONS];
    int32_t count = 0;
    struct remat_error err = {0};
    enum remat_status status = b->backend->options(b->device, &spec, options, &count, &err);
    if (status != REMAT_OK)
        fail_msg("%s: %s", c->name, err.message);
    for (int32_t k = 0; k < count; k++) {
        if (getenv("REMAT_TEST_BACKEND")) /* which kernels were there to be checked */
            print_message("%s: %s by %s\n", c->name, remat_op_text(spec.op), options[k].name);
        check_scratch(b, &spec, k, options[k].scratch_bytes);
        check_option(b, c, call, k, before, expected, &found[k]);
        for (int32_t i = 0; i < k; i++) {
            if (options[i].numerics == options[k].numerics)
                check_same("options of one numerics class", c, call, &found[i], &found[k]);
        }
    }
    for (int32_t k = 0; k < count; k++)
        op_values_free(&found[k]);
}

void op_check_call(const struct op_backend *ref, const struct op_backend *b, const struct op_case *c,
                   const struct op_call *call, struct op_values *values)
{
    struct op_values before;
    op_values_copy(c, values, &before);
    op_call_run(ref, c, call, 0, &PLAIN, &before, values);
    if (b)
        check_options(b, c, call, &before, values);
    op_values_free(&before);
}

void op_check_twins(const struct op_backend *b, const struct op_case *c)
{
    struct op_values values;
    op_values_fill(c, &values);
    for (int32_t k = 0; k < c->calls_count; k++)
        op_call_run(b, c, &c->calls[k], 0, &PLAIN, &values, &values);
    for (int32_t k = 0; k < c->twins_count; k++) {
        int first = c->twins[k].a, second = c->twins[k].b;
        if (memcmp(values.slot[first], values.slot[second], (size_t)remat_tensor_bytes(&c->slots[first].tensor)) != 0)
            fail_msg("%s: slots %d and %d differ in bits", c->name, first, second);
    }
    op_values_free(&values);
}
