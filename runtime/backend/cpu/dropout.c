/* Dropout, forward and backward alike: the mask is made again from the step record (runtime/backend/dropout.h). */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/elementwise_kernels.h"
#include "runtime/backend/cpu/split.h"

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_elementwise_kernels *kernels = REMAT_SIMD_TABLE(device, remat_elementwise_kernels);
    int64_t n = remat_tensor_elements(&spec->outputs[0]);
    int32_t parts = remat_parts(device, n);
    const float *x = args->inputs[0];
    float *y = args->outputs[0];
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        struct remat_dropout_range dropout = {args->record, spec->attr.layer, spec->attr.probability, range.begin};
        kernels->dropout(&dropout, x + range.begin, y + range.begin, range.end - range.begin);
    }
    return REMAT_OK;
}

REMAT_CPU_LOOP(remat_cpu_dropout, REMAT_OP_DROPOUT, remat_cpu_create_stateless, run);
REMAT_CPU_LOOP(remat_cpu_dropout_bwd, REMAT_OP_DROPOUT_BWD, remat_cpu_create_stateless, run);
