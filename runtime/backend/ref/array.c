#include "runtime/backend/ref/ref.h"

static bool known(const struct remat_tensor *tensors, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        if (tensors[i].dtype == REMAT_F16 || tensors[i].layout != REMAT_ROW_MAJOR)
            return false;
    }
    return true;
}

bool remat_ref_supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return known(spec->inputs, spec->inputs_count) && known(spec->outputs, spec->outputs_count) &&
           known(spec->cells, spec->cells_count);
}

double remat_ref_dot(struct remat_ref_array a, int64_t a_at, struct remat_ref_array b, int64_t b_at, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += remat_ref_get(a, a_at + i) * remat_ref_get(b, b_at + i);
    return sum;
}

void remat_ref_axpy(double *sum, double factor, struct remat_ref_array a, int64_t at, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        sum[i] += factor * remat_ref_get(a, at + i);
}

void remat_ref_store(struct remat_ref_array a, int64_t at, const double *sum, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        remat_ref_set(a, at + i, sum[i]);
}
