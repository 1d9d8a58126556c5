/* The rectifier, and the sum of two branches. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/map.h"

static enum remat_status run_relu(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    remat_cpu_map1(state, REMAT_SIMD_TABLE((const struct remat_device *)state, remat_elementwise_kernels)->relu, spec,
                   args);
    return REMAT_OK;
}

static enum remat_status run_relu_bwd(const void *state, const struct remat_kernel_spec *spec,
                                      const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    remat_cpu_map2(state, REMAT_SIMD_TABLE((const struct remat_device *)state, remat_elementwise_kernels)->relu_bwd,
                   spec, args);
    return REMAT_OK;
}

static enum remat_status run_add(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    remat_cpu_map2(state, REMAT_SIMD_TABLE((const struct remat_device *)state, remat_elementwise_kernels)->add, spec,
                   args);
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_relu, REMAT_OP_RELU, remat_cpu_create_stateless, run_relu);
REMAT_CPU_LOOP(remat_cpu_relu_bwd, REMAT_OP_RELU_BWD, remat_cpu_create_stateless, run_relu_bwd);
REMAT_CPU_LOOP(remat_cpu_add, REMAT_OP_ADD, remat_cpu_create_stateless, run_add);
