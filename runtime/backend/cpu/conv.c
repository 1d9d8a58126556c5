/* The convolution ops as matrix products. */
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/cpu/loops.h"

#include "runtime/backend/cpu/conv_gather.h"
#include "runtime/backend/cpu/conv_weights.h"

#include <stdlib.h>

static void gather_destroy(void *state)
{
    remat_gather_free(state);
    free(state);
}

static enum remat_status gather_create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                       int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    struct remat_gather *gather;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(gather, 1, err));
    status = remat_gather_init(gather, device, &shape, spec->op == REMAT_OP_CONV2D_BWD_DATA, err);
    if (status != REMAT_OK) {
        gather_destroy(gather);
        return status;
    }
    *state = gather;
    *scratch_bytes = remat_gather_scratch_bytes(gather);
    return REMAT_OK;
}

static enum remat_status gather_run(const void *state, const struct remat_kernel_spec *spec,
                                    const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)spec;
    (void)err;
    remat_gather_run(state, args->inputs[0], args->cells[0], args->outputs[0], args->scratch);
    return REMAT_OK;
}

static enum remat_status weights_create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                        int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    (void)err;
    *state = device;
    *scratch_bytes = remat_conv_weights_scratch_bytes(device, &shape);
    return REMAT_OK;
}

static enum remat_status weights_run(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    struct remat_conv_shape shape = remat_conv_shape_of(spec);
    (void)err;
    remat_conv_weights_run(state, &shape, args->inputs[0], args->inputs[1], args->outputs[0], args->scratch);
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_conv = {.op = REMAT_OP_CONV2D,
                                             .name = "gemm",
                                             .supports = remat_cpu_is_f32,
                                             .create = gather_create,
                                             .run = gather_run,
                                             .destroy = gather_destroy};
const struct remat_op_impl remat_cpu_conv_bwd_data = {.op = REMAT_OP_CONV2D_BWD_DATA,
                                                      .name = "gemm",
                                                      .supports = remat_cpu_is_f32,
                                                      .create = gather_create,
                                                      .run = gather_run,
                                                      .destroy = gather_destroy};
const struct remat_op_impl remat_cpu_conv_bwd_weights = {.op = REMAT_OP_CONV2D_BWD_WEIGHTS,
                                                         .name = "gemm",
                                                         .supports = remat_cpu_is_f32,
                                                         .create = weights_create,
                                                         .run = weights_run};
