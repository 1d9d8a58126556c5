/* Elementwise ops: one output, elements apart, all operands of one shape. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_MAP_H
#define REMAT_RUNTIME_BACKEND_CPU_MAP_H

#include "runtime/backend/cpu/simd/elementwise_kernels.h"
#include "runtime/backend/cpu/split.h"

void remat_cpu_map1(const struct remat_device *device, remat_map1 *loop, const struct remat_kernel_spec *spec,
                    const struct remat_kernel_args *args);
void remat_cpu_map2(const struct remat_device *device, remat_map2 *loop, const struct remat_kernel_spec *spec,
                    const struct remat_kernel_args *args);

#endif
