#include "runtime/backend/ref/ref.h"

#include <string.h>

static void normalise(const struct remat_op_attr *attr, const uint8_t *bytes, struct remat_ref_array x, int64_t rows,
                      int64_t channels)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < channels; c++) {
            double deviation = attr->std[c] != 0 ? (double)attr->std[c] : 1;
            double level = bytes[i * channels + c] / 255.0;
            remat_ref_set(x, i * channels + c, (level - (double)attr->mean[c]) / deviation);
        }
    }
}

static enum remat_status feed(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_tensor *staging = &spec->cells[0];
    (void)state;
    if (staging->dtype == spec->outputs[0].dtype) {
        memcpy(args->outputs[0], args->cells[0], (size_t)remat_tensor_bytes(staging));
        return REMAT_OK;
    }
    if (staging->dtype != REMAT_U8 || remat_tensor_columns(staging) > 4)
        return remat_fail(err, REMAT_UNAVAILABLE, "expected u8 images of at most 4 channels, found %s with %lld",
                          remat_dtype_text(staging->dtype), (long long)remat_tensor_columns(staging));
    normalise(&spec->attr, args->cells[0], remat_ref_output(spec, args, 0), remat_tensor_rows(staging),
              remat_tensor_columns(staging));
    return REMAT_OK;
}

static enum remat_status cast(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)state;
    (void)err;
    for (int64_t i = 0; i < remat_tensor_elements(&spec->outputs[0]); i++)
        remat_ref_set(remat_ref_output(spec, args, 0), i, remat_ref_get(remat_ref_cell(spec, args, 0), i));
    return REMAT_OK;
}

REMAT_REF_IMPL(remat_ref_cast, REMAT_OP_CAST, cast);
REMAT_REF_IMPL(remat_ref_feed, REMAT_OP_FEED, feed);
