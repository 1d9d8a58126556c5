/* The batch, from its staging slot: bytes become normalised floats, everything else is copied. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/elementwise_kernels.h"
#include "runtime/backend/cpu/split.h"

#include <string.h>

enum { MAX_CHANNELS = 4, REPEAT = 64 };

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    if (spec->cells[0].dtype == spec->outputs[0].dtype)
        return true;
    return spec->cells[0].dtype == REMAT_U8 && spec->outputs[0].dtype == REMAT_F32 &&
           remat_tensor_columns(&spec->cells[0]) <= MAX_CHANNELS;
}

/* (byte / 255 - mean) / std = byte * scale + shift, repeated so that a whole vector has its factors. */
struct factors {
    int64_t width;
    float scale[MAX_CHANNELS * REPEAT], shift[MAX_CHANNELS * REPEAT];
};

static void factors_fill(struct factors *factors, const struct remat_op_attr *attr, int64_t channels)
{
    factors->width = channels * REPEAT;
    for (int64_t i = 0; i < factors->width; i++) {
        double deviation = attr->std[i % channels] != 0 ? (double)attr->std[i % channels] : 1;
        factors->scale[i] = (float)(1 / (255 * deviation));
        factors->shift[i] = (float)(-(double)attr->mean[i % channels] / deviation);
    }
}

static void convert(const struct remat_device *device, const struct remat_kernel_spec *spec, const uint8_t *bytes,
                    float *x)
{
    int64_t n = remat_tensor_elements(&spec->outputs[0]);
    int32_t parts = remat_parts(device, n);
    struct factors factors;
    factors_fill(&factors, &spec->attr, remat_tensor_columns(&spec->outputs[0]));
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, factors.width, part, parts);
        REMAT_SIMD_TABLE(device, remat_elementwise_kernels)
            ->scale_bytes(bytes + range.begin, factors.scale, factors.shift, factors.width, x + range.begin,
                          range.end - range.begin);
    }
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    if (spec->cells[0].dtype == spec->outputs[0].dtype)
        memcpy(args->outputs[0], args->cells[0], (size_t)remat_tensor_bytes(&spec->outputs[0]));
    else
        convert(state, spec, args->cells[0], args->outputs[0]);
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_feed = {REMAT_OP_FEED, "loops", 0, supports, remat_cpu_create_stateless,
                                             run,           NULL};
