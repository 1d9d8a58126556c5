/* Convolutions by oneDNN's generated kernels, where they were measured to be faster than our own.
 *
 * Measured on AVX2 (one thread, ResNet-50's layers, oneDNN 2.6.3, against conv.c): 1x1 forward 1.1 to 1.25 times as
 * fast at 14x14 pixels times batch 16 and more, backward data 1.0 to 1.2; filters of 3x3 and all weight gradients are
 * slower than ours, and below some thousand pixels starting two primitives costs more than it saves. */
#include "runtime/backend/cpu/cpu.h"

#include "runtime/backend/cpu/conv_shape.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/onednn.h"

enum { NUMERICS = 2, LEAST_PIXELS = 3000 };

static bool is_backward(const struct remat_kernel_spec *spec)
{
    return spec->op == REMAT_OP_CONV2D_BWD_DATA;
}

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    bool pointwise = shape.kernel[0] == 1 && shape.kernel[1] == 1 && shape.pad[0] == 0 && shape.pad[1] == 0;
    return remat_cpu_is_f32(device, spec) && pointwise && shape.c % 16 == 0 && shape.k % 16 == 0 &&
           shape.n * shape.out[0] * shape.out[1] >= LEAST_PIXELS &&
           remat_onednn_conv_offered(device, &shape, is_backward(spec));
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    struct remat_onednn_conv *conv;
    REMAT_TRY(remat_onednn_conv_create(device, &shape, is_backward(spec), &conv, err));
    *state = conv;
    *scratch_bytes = remat_onednn_conv_scratch_bytes(conv);
    return REMAT_OK;
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)spec;
    return remat_onednn_conv_run(state, args->inputs[0], args->cells[0], args->outputs[0], args->scratch, err);
}

static void destroy(void *state)
{
    remat_onednn_conv_destroy(state);
}

const struct remat_op_impl remat_cpu_onednn_conv = {.op = REMAT_OP_CONV2D,
                                                    .name = "onednn",
                                                    .numerics = NUMERICS,
                                                    .supports = supports,
                                                    .create = create,
                                                    .run = run,
                                                    .destroy = destroy};
const struct remat_op_impl remat_cpu_onednn_conv_bwd_data = {.op = REMAT_OP_CONV2D_BWD_DATA,
                                                             .name = "onednn",
                                                             .numerics = NUMERICS,
                                                             .supports = supports,
                                                             .create = create,
                                                             .run = run,
                                                             .destroy = destroy};
