/* Convolution: y[n,p,q,k] = sum over r, s, c of x[n, p*stride + r - pad, q*stride + s - pad, c] * w[k,r,s,c]. */
#include "runtime/backend/ref/ref.h"

#include <string.h>

struct shape {
    int64_t n, h, w, c, p, q, k, r, s;
};

/* x is [N,H,W,C], y is [N,P,Q,K]; the kernel's size comes from the attributes. */
static struct shape shape_of(const struct remat_op_attr *attr, const struct remat_tensor *x,
                             const struct remat_tensor *y)
{
    return (struct shape){x->dims[0], x->dims[1], x->dims[2],      x->dims[3],     y->dims[1],
                          y->dims[2], y->dims[3], attr->kernel[0], attr->kernel[1]};
}

/* Where x[n, ., ., 0] under kernel position (r, s) of output (p, q) begins, or -1 in the padding. */
static int64_t pixel(const struct shape *d, const struct remat_op_attr *attr, int64_t n, int64_t p, int64_t q,
                     int64_t r, int64_t s)
{
    int64_t i = p * attr->stride[0] + r - attr->pad[0], j = q * attr->stride[1] + s - attr->pad[1];
    if (i < 0 || i >= d->h || j < 0 || j >= d->w)
        return -1;
    return ((n * d->h + i) * d->w + j) * d->c;
}

static double output(const struct shape *d, const struct remat_op_attr *attr, struct remat_ref_array x,
                     struct remat_ref_array w, const int64_t at[4])
{
    double sum = 0;
    for (int64_t r = 0; r < d->r; r++) {
        for (int64_t s = 0; s < d->s; s++) {
            int64_t from = pixel(d, attr, at[0], at[1], at[2], r, s);
            if (from >= 0)
                sum += remat_ref_dot(x, from, w, ((at[3] * d->r + r) * d->s + s) * d->c, d->c);
        }
    }
    return sum;
}

static enum remat_status forward(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(&spec->attr, &spec->inputs[0], &spec->outputs[0]);
    struct remat_ref_array x = remat_ref_input(spec, args, 0), w = remat_ref_weight(spec, args),
                           y = remat_ref_output(spec, args, 0);
    (void)state;
    (void)err;
    for (int64_t i = 0; i < d.n * d.p * d.q * d.k; i++) {
        int64_t at[4] = {i / (d.k * d.q * d.p), i / (d.k * d.q) % d.p, i / d.k % d.q, i % d.k};
        remat_ref_set(y, i, output(&d, &spec->attr, x, w, at));
    }
    return REMAT_OK;
}

/* Adds what output row (n, p, q) gives to the pixel (i, j), if the window of (p, q) covers it. */
static void scatter(const struct shape *d, const struct remat_op_attr *attr, struct remat_ref_array dy,
                    struct remat_ref_array w, const int64_t at[3], int64_t r, int64_t s, double *sum)
{
    int64_t p = at[1] + attr->pad[0] - r, q = at[2] + attr->pad[1] - s;
    if (p % attr->stride[0] || q % attr->stride[1])
        return;
    p /= attr->stride[0];
    q /= attr->stride[1];
    if (p < 0 || p >= d->p || q < 0 || q >= d->q)
        return;
    for (int64_t k = 0; k < d->k; k++)
        remat_ref_axpy(sum, remat_ref_get(dy, ((at[0] * d->p + p) * d->q + q) * d->k + k), w,
                       ((k * d->r + r) * d->s + s) * d->c, d->c);
}

/* What row i of the gradient starts from: 0, or what is to be added. */
static void start_row(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t i,
                      double *sum, int64_t channels)
{
    memset(sum, 0, (size_t)channels * sizeof *sum);
    for (int64_t c = 0; c < channels && spec->op == REMAT_OP_CONV2D_BWD_DATA_ADD; c++)
        sum[c] = remat_ref_get(remat_ref_input(spec, args, 1), i * channels + c);
}

static enum remat_status backward_data(const void *state, const struct remat_kernel_spec *spec,
                                       const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(&spec->attr, &spec->outputs[0], &spec->inputs[0]);
    struct remat_ref_array dy = remat_ref_input(spec, args, 0), w = remat_ref_weight(spec, args);
    double *sum = args->scratch;
    (void)state;
    (void)err;
    for (int64_t i = 0; i < d.n * d.h * d.w; i++) {
        int64_t at[3] = {i / (d.w * d.h), i / d.w % d.h, i % d.w};
        start_row(spec, args, i, sum, d.c);
        for (int64_t r = 0; r < d.r; r++)
            for (int64_t s = 0; s < d.s; s++)
                scatter(&d, &spec->attr, dy, w, at, r, s, sum);
        remat_ref_store(remat_ref_output(spec, args, 0), i * d.c, sum, d.c);
    }
    return REMAT_OK;
}

static enum remat_status backward_weights(const void *state, const struct remat_kernel_spec *spec,
                                          const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(&spec->attr, &spec->inputs[0], &spec->inputs[1]);
    struct remat_ref_array x = remat_ref_input(spec, args, 0), dy = remat_ref_input(spec, args, 1);
    double *sum = args->scratch;
    (void)state;
    (void)err;
    for (int64_t i = 0; i < d.k * d.r * d.s; i++) {
        int64_t k = i / (d.s * d.r), r = i / d.s % d.r, s = i % d.s;
        memset(sum, 0, (size_t)d.c * sizeof *sum);
        for (int64_t j = 0; j < d.n * d.p * d.q; j++) {
            int64_t from = pixel(&d, &spec->attr, j / (d.q * d.p), j / d.q % d.p, j % d.q, r, s);
            if (from >= 0)
                remat_ref_axpy(sum, remat_ref_get(dy, j * d.k + k), x, from, d.c);
        }
        remat_ref_store(remat_ref_output(spec, args, 0), i * d.c, sum, d.c);
    }
    return REMAT_OK;
}

/* One double a channel of x. */
static enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec,
                                         void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = remat_tensor_columns(&spec->outputs[0]) * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_conv2d, REMAT_OP_CONV2D, forward);
REMAT_REF_IMPL_SCRATCH(remat_ref_conv2d_bwd_data, REMAT_OP_CONV2D_BWD_DATA, backward_data, create_backward);
REMAT_REF_IMPL_SCRATCH(remat_ref_conv2d_bwd_data_add, REMAT_OP_CONV2D_BWD_DATA_ADD, backward_data, create_backward);
REMAT_REF_IMPL_SCRATCH(remat_ref_conv2d_bwd_weights, REMAT_OP_CONV2D_BWD_WEIGHTS, backward_weights, create_backward);
