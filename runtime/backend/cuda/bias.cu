/* db[c] = sum over rows of dy[row, c]. */
#include "runtime/backend/cuda/columns.h"

extern "C" {
#include "runtime/backend/cuda/gemm.h"
}

namespace
{
struct terms {
    const float *dy;
    int64_t columns;
    __device__ void operator()(int64_t row, int64_t c, float *a, float *) const
    {
        *a += dy[row * columns + c];
    }
};

struct sums {
    float *db;
    __device__ void operator()(int64_t c, double a, double) const
    {
        db[c] = (float)a;
    }
};
} // namespace

int64_t remat_cuda_bias_scratch_bytes(int64_t rows, int64_t columns)
{
    return remat_slices_bytes(rows, columns);
}

enum remat_status remat_cuda_bias_gradient(const struct remat_device *device, const float *dy, int64_t rows,
                                           int64_t columns, float *db, void *scratch, struct remat_error *err)
{
    struct terms of = {dy, columns};
    struct sums done = {db};
    return remat_column_sums(device, of, done, rows, columns, (float *)scratch, err);
}
