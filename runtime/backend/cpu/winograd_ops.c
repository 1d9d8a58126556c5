/* The convolution ops by fast convolution, where it applies and pays. */
#include "runtime/backend/cpu/cpu.h"

#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/winograd.h"

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    return remat_cpu_is_f32(device, spec) && remat_winograd_pays(&shape);
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    (void)err;
    *state = device;
    *scratch_bytes = spec->op == REMAT_OP_CONV2D_BWD_WEIGHTS
                         ? remat_winograd_weights_scratch_bytes(device, &shape)
                         : remat_winograd_scratch_bytes(device, &shape, spec->op == REMAT_OP_CONV2D_BWD_DATA);
    return REMAT_OK;
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    (void)err;
    remat_winograd_run(state, &shape, spec->op == REMAT_OP_CONV2D_BWD_DATA, args->inputs[0], args->cells[0],
                       args->outputs[0], args->scratch);
    return REMAT_OK;
}

static enum remat_status run_weights(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    (void)err;
    remat_winograd_weights_run(state, &shape, args->inputs[0], args->inputs[1], args->outputs[0], args->scratch);
    return REMAT_OK;
}

enum { NUMERICS = 1 };

const struct remat_op_impl remat_cpu_winograd = {.op = REMAT_OP_CONV2D,
                                                 .name = "winograd",
                                                 .numerics = NUMERICS,
                                                 .supports = supports,
                                                 .create = create,
                                                 .run = run};
const struct remat_op_impl remat_cpu_winograd_bwd_data = {.op = REMAT_OP_CONV2D_BWD_DATA,
                                                          .name = "winograd",
                                                          .numerics = NUMERICS,
                                                          .supports = supports,
                                                          .create = create,
                                                          .run = run};
const struct remat_op_impl remat_cpu_winograd_bwd_weights = {.op = REMAT_OP_CONV2D_BWD_WEIGHTS,
                                                             .name = "winograd",
                                                             .numerics = NUMERICS,
                                                             .supports = supports,
                                                             .create = create,
                                                             .run = run_weights};
