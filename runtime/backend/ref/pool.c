/* Max pooling with the place of each maximum (r * S + s within the window), and global average pooling. */
#include "runtime/backend/ref/ref.h"

#include <math.h>

/* The pixel of x under window position (r, s) of output pixel `out`, or -1 in the padding. */
static int64_t pixel(const struct remat_op_attr *attr, const struct remat_tensor *x, const struct remat_tensor *y,
                     int64_t out, int64_t r, int64_t s)
{
    int64_t q = out % y->dims[2], p = out / y->dims[2] % y->dims[1], n = out / y->dims[2] / y->dims[1];
    int64_t i = p * attr->stride[0] + r - attr->pad[0], j = q * attr->stride[1] + s - attr->pad[1];
    if (i < 0 || i >= x->dims[1] || j < 0 || j >= x->dims[2])
        return -1;
    return (n * x->dims[1] + i) * x->dims[2] + j;
}

static enum remat_status maxpool(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *x = &spec->inputs[0], *y = &spec->outputs[0];
    int64_t channels = x->dims[3], columns = spec->attr.kernel[1], window = spec->attr.kernel[0] * columns;
    (void)state;
    (void)err;
    for (int64_t o = 0; o < remat_tensor_elements(y); o++) {
        double best = -INFINITY;
        int64_t place = -1;
        for (int64_t k = 0; k < window; k++) {
            int64_t at = pixel(&spec->attr, x, y, o / channels, k / columns, k % columns);
            double v = at < 0 ? 0 : remat_ref_get(remat_ref_input(spec, args, 0), at * channels + o % channels);
            if (at >= 0 && (place < 0 || v > best)) {
                best = v;
                place = k;
            }
        }
        remat_ref_set(remat_ref_output(spec, args, 0), o, best);
        ((uint8_t *)args->outputs[1])[o] = (uint8_t)place;
    }
    return REMAT_OK;
}

/* Gathers: dx of a pixel is the sum of dy over the windows, row by row, whose maximum it is. */
static double gathered(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, const int64_t at[4])
{
    const struct remat_op_attr *attr = &spec->attr;
    const struct remat_tensor *y = &spec->inputs[0];
    const uint8_t *places = args->inputs[1];
    double sum = 0;
    for (int64_t k = (int64_t)attr->kernel[0] * attr->kernel[1] - 1; k >= 0; k--) {
        int64_t i = at[1] + attr->pad[0] - k / attr->kernel[1], j = at[2] + attr->pad[1] - k % attr->kernel[1], o;
        if (i < 0 || j < 0 || i % attr->stride[0] || j % attr->stride[1])
            continue;
        if (i / attr->stride[0] >= y->dims[1] || j / attr->stride[1] >= y->dims[2])
            continue;
        o = ((at[0] * y->dims[1] + i / attr->stride[0]) * y->dims[2] + j / attr->stride[1]) * y->dims[3] + at[3];
        if (places[o] == k)
            sum += remat_ref_get(remat_ref_input(spec, args, 0), o);
    }
    return sum;
}

static enum remat_status maxpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *x = &spec->outputs[0];
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(x); i++) {
        int64_t c = i % x->dims[3], w = i / x->dims[3] % x->dims[2], h = i / x->dims[3] / x->dims[2] % x->dims[1];
        int64_t at[4] = {i / x->dims[3] / x->dims[2] / x->dims[1], h, w, c};
        remat_ref_set(remat_ref_output(spec, args, 0), i, gathered(spec, args, at));
    }
    return REMAT_OK;
}

static enum remat_status avgpool(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *x = &spec->inputs[0];
    int64_t pixels = x->dims[1] * x->dims[2], channels = x->dims[3];
    (void)state;
    (void)err;
    for (int64_t o = 0; o < x->dims[0] * channels; o++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += remat_ref_get(remat_ref_input(spec, args, 0), (o / channels * pixels + i) * channels + o % channels);
        remat_ref_set(remat_ref_output(spec, args, 0), o, sum / (double)pixels);
    }
    return REMAT_OK;
}

static enum remat_status avgpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *x = &spec->outputs[0];
    int64_t pixels = x->dims[1] * x->dims[2], channels = x->dims[3];
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(x); i++) {
        double dy = remat_ref_get(remat_ref_input(spec, args, 0), i / channels / pixels * channels + i % channels);
        remat_ref_set(remat_ref_output(spec, args, 0), i, dy / (double)pixels);
    }
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_maxpool, REMAT_OP_MAXPOOL, maxpool);
REMAT_REF_IMPL(remat_ref_maxpool_bwd, REMAT_OP_MAXPOOL_BWD, maxpool_bwd);
REMAT_REF_IMPL(remat_ref_avgpool, REMAT_OP_AVGPOOL, avgpool);
REMAT_REF_IMPL(remat_ref_avgpool_bwd, REMAT_OP_AVGPOOL_BWD, avgpool_bwd);
