#include "runtime/backend/cpu/map.h"

void remat_cpu_map1(const struct remat_device *device, remat_map1 *loop, const struct remat_kernel_spec *spec,
                    const struct remat_kernel_args *args)
{
    int64_t n = remat_tensor_elements(&spec->outputs[0]);
    int32_t parts = remat_parts(device, n);
    bool stream = remat_streams(&spec->outputs[0], args->outputs[0], args);
    const float *a = args->inputs[0];
    float *out = args->outputs[0];
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        loop(a + range.begin, out + range.begin, range.end - range.begin, stream);
    }
}

void remat_cpu_map2(const struct remat_device *device, remat_map2 *loop, const struct remat_kernel_spec *spec,
                    const struct remat_kernel_args *args)
{
    int64_t n = remat_tensor_elements(&spec->outputs[0]);
    int32_t parts = remat_parts(device, n);
    bool stream = remat_streams(&spec->outputs[0], args->outputs[0], args);
    const float *a = args->inputs[0], *b = args->inputs[1];
    float *out = args->outputs[0];
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(n, REMAT_LINE_FLOATS, part, parts);
        loop(a + range.begin, b + range.begin, out + range.begin, range.end - range.begin, stream);
    }
}
