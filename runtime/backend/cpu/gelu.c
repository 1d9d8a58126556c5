/* GELU in its tanh form; the mathematics is in runtime/backend/pointwise.h. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/map.h"

static enum remat_status run_gelu(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    remat_cpu_map1(state, REMAT_SIMD_TABLE((const struct remat_device *)state, remat_elementwise_kernels)->gelu, spec,
                   args);
    return REMAT_OK;
}

static enum remat_status run_gelu_bwd(const void *state, const struct remat_kernel_spec *spec,
                                      const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)err;
    remat_cpu_map2(state, REMAT_SIMD_TABLE((const struct remat_device *)state, remat_elementwise_kernels)->gelu_bwd,
                   spec, args);
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_gelu, REMAT_OP_GELU, remat_cpu_create_stateless, run_gelu);
REMAT_CPU_LOOP(remat_cpu_gelu_bwd, REMAT_OP_GELU_BWD, remat_cpu_create_stateless, run_gelu_bwd);
