/* db[c] = sum over rows of dy[row, c]. */
#include "runtime/backend/cuda/columns.h"

extern "C" {
#include "runtime/backend/cuda/gemm.h"
}

namespace
{
template <class T> struct terms {
    const T *dy;
    int64_t columns;
    template <int W> struct of {
    };
    template <int W> struct row {
        struct remat_raw<W, T> dy;
    };
    template <int W> __device__ void prepare(int64_t, of<W> *) const
    {
    }
    template <int W> __device__ void load(int64_t at, int64_t c, row<W> *r) const
    {
        r->dy = remat_fetch<W>(dy, at * columns + c);
    }
    template <int W> __device__ void add(const of<W> &, const row<W> &r, float *a, float *) const
    {
        float g[W];
        remat_decode<W, T>(r.dy, g);
        for (int e = 0; e < W; e++)
            a[e] += g[e];
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

enum remat_status remat_cuda_bias_gradient(const struct remat_device *device, enum remat_dtype type, const void *dy,
                                           int64_t rows, int64_t columns, float *db, void *scratch,
                                           struct remat_error *err)
{
    struct terms<float> wide = {
        (const float *)dy, columns
    };
    struct terms<remat_bf16> narrow = {
        (const remat_bf16 *)dy, columns
    };
    struct sums done = {db};
    if (type == REMAT_BF16)
        return remat_column_sums<remat_bf16>(device, narrow, done, rows, columns, (float *)scratch, err);
    return remat_column_sums<float>(device, wide, done, rows, columns, (float *)scratch, err);
}
