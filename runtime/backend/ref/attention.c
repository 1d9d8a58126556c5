/* Causal self-attention: o_i = sum over j <= i of p_ij v_j, p_i = softmax(q_i k_j / sqrt(D)), lse_i the logarithm of
 * the softmax's denominator. Row (b, t) of qkv holds q, k and v of C = heads * D channels each. */
#include "runtime/backend/ref/ref.h"

#include <math.h>
#include <string.h>

struct shape {
    int64_t batch, length, channels, heads, size; /* size D of a head */
    double scale;
};

static struct shape shape_of(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *qkv = &spec->inputs[0];
    int64_t channels = qkv->dims[2] / 3, size = channels / spec->attr.heads;
    return (struct shape){qkv->dims[0], qkv->dims[1], channels, spec->attr.heads, size, 1 / sqrt((double)size)};
}

enum part { QUERY, KEY, VALUE };

/* Where the head's part of row t begins in qkv. */
static int64_t at(const struct shape *d, int64_t b, int64_t head, int64_t t, enum part part)
{
    return ((b * d->length + t) * 3 + part) * d->channels + head * d->size;
}

static double score(const struct shape *d, struct remat_ref_array qkv, int64_t b, int64_t head, int64_t i, int64_t j)
{
    return d->scale * remat_ref_dot(qkv, at(d, b, head, i, QUERY), qkv, at(d, b, head, j, KEY), d->size);
}

/* scores: T doubles, sum: D doubles. Returns the log-sum-exp. */
static double attend(const struct shape *d, struct remat_ref_array qkv, int64_t b, int64_t head, int64_t i,
                     double *scores, double *sum)
{
    double largest = -INFINITY, total = 0;
    for (int64_t j = 0; j <= i; j++) {
        scores[j] = score(d, qkv, b, head, i, j);
        largest = scores[j] > largest ? scores[j] : largest;
    }
    memset(sum, 0, (size_t)d->size * sizeof *sum);
    for (int64_t j = 0; j <= i; j++) {
        double p = exp(scores[j] - largest);
        total += p;
        remat_ref_axpy(sum, p, qkv, at(d, b, head, j, VALUE), d->size);
    }
    for (int64_t c = 0; c < d->size; c++)
        sum[c] /= total;
    return largest + log(total);
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(spec);
    double *scores = args->scratch, *sum = scores + d.length;
    (void)state;
    (void)err;
    for (int64_t n = 0; n < d.batch * d.heads * d.length; n++) {
        int64_t i = n % d.length, head = n / d.length % d.heads, b = n / d.length / d.heads;
        double lse = attend(&d, remat_ref_input(spec, args, 0), b, head, i, scores, sum);
        remat_ref_set(remat_ref_output(spec, args, 1), n, lse);
        remat_ref_store(remat_ref_output(spec, args, 0), (b * d.length + i) * d.channels + head * d.size, sum, d.size);
    }
    return REMAT_OK;
}

/* Adds row i of one head to the sums dq, dk, dv [T,D]: dv_j += p_ij do_i, ds_ij = p_ij (do_i v_j - do_i o_i),
 * dq_i += scale ds_ij k_j, dk_j += scale ds_ij q_i. */
static void backward_row(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                         const struct shape *d, int64_t b, int64_t head, int64_t i, double *const sums[3])
{
    struct remat_ref_array qkv = remat_ref_input(spec, args, 0), o = remat_ref_input(spec, args, 1),
                           out_gradient = remat_ref_input(spec, args, 3);
    int64_t row = (b * d->length + i) * d->channels + head * d->size;
    double lse = remat_ref_get(remat_ref_input(spec, args, 2), (b * d->heads + head) * d->length + i);
    double mean = remat_ref_dot(out_gradient, row, o, row, d->size);
    for (int64_t j = 0; j <= i; j++) {
        double p = exp(score(d, qkv, b, head, i, j) - lse);
        double dp = remat_ref_dot(out_gradient, row, qkv, at(d, b, head, j, VALUE), d->size);
        double ds = d->scale * p * (dp - mean);
        remat_ref_axpy(sums[QUERY] + i * d->size, ds, qkv, at(d, b, head, j, KEY), d->size);
        remat_ref_axpy(sums[KEY] + j * d->size, ds, qkv, at(d, b, head, i, QUERY), d->size);
        remat_ref_axpy(sums[VALUE] + j * d->size, p, out_gradient, row, d->size);
    }
}

static enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(spec);
    int64_t elements = d.length * d.size;
    double *first = args->scratch, *const sums[3] = {first, first + elements, first + 2 * elements};
    (void)state;
    (void)err;
    for (int64_t n = 0; n < d.batch * d.heads; n++) {
        memset(first, 0, (size_t)(3 * elements) * sizeof *first);
        for (int64_t i = 0; i < d.length; i++)
            backward_row(spec, args, &d, n / d.heads, n % d.heads, i, sums);
        for (int64_t t = 0; t < d.length; t++)
            for (int part = QUERY; part <= VALUE; part++)
                remat_ref_store(remat_ref_output(spec, args, 0), at(&d, n / d.heads, n % d.heads, t, (enum part)part),
                                sums[part] + t * d.size, d.size);
    }
    return REMAT_OK;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct shape d = shape_of(spec);
    int64_t doubles = spec->op == REMAT_OP_ATTENTION ? d.length + d.size : 3 * d.length * d.size;
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = doubles * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL_SCRATCH(remat_ref_attention, REMAT_OP_ATTENTION, forward, create);
REMAT_REF_IMPL_SCRATCH(remat_ref_attention_bwd, REMAT_OP_ATTENTION_BWD, backward, create);
