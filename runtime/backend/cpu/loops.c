#include "runtime/backend/cpu/loops.h"

static bool fits(const struct remat_tensor *tensors, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (tensors[i].dtype == REMAT_BF16 || tensors[i].dtype == REMAT_F16 || tensors[i].layout != REMAT_ROW_MAJOR)
            return false;
    }
    return true;
}

/* The first operand tells f32 from f64, whichever kind it is; f64 cells beside it are metrics and norms. */
static bool is_double(const struct remat_kernel_spec *spec)
{
    if (spec->inputs_count > 0)
        return spec->inputs[0].dtype == REMAT_F64;
    return spec->cells_count > 0 && spec->op != REMAT_OP_RESET && spec->cells[0].dtype == REMAT_F64;
}

bool remat_cpu_is_f32(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return !is_double(spec) && fits(spec->inputs, spec->inputs_count) && fits(spec->outputs, spec->outputs_count) &&
           fits(spec->cells, spec->cells_count) && (spec->outputs_count == 0 || spec->outputs[0].dtype != REMAT_F64);
}
