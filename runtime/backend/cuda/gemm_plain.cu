/* Matrix products by an own kernel: the oracle of cuBLASLt's on a GPU, and what there is without it. */
#include "runtime/backend/cuda/tile.h"

extern "C" {
#include "runtime/backend/cuda/gemm.h"
}

namespace
{
struct prepared {
    const struct remat_device *device;
    struct remat_cuda_product product;
};

struct product {
    int64_t rows, columns, inner, a_row, a_step, b_row, b_step;
    bool add;
    const float *left, *right, *bias;
    float *d;
    __device__ float a(int64_t i, int64_t k) const
    {
        return left[i * a_row + k * a_step];
    }
    __device__ float b(int64_t k, int64_t j) const
    {
        return right[k * b_row + j * b_step];
    }
    __device__ void put(int64_t i, int64_t j, float sum) const
    {
        float base = add ? d[i * columns + j] : 0.0f;
        d[i * columns + j] = base + (bias ? sum + bias[j] : sum);
    }
};

enum remat_status prepare(struct remat_device *device, const struct remat_cuda_product *of, void **out,
                          int64_t *scratch_bytes, struct remat_error *err)
{
    struct prepared *p;
    REMAT_TRY(remat_alloc(out, 1, sizeof *p, err));
    p = (struct prepared *)*out;
    p->device = device;
    p->product = *of;
    *scratch_bytes = 0;
    return REMAT_OK;
}

enum remat_status run(const void *state, const float *a, const float *b, const float *bias, float *d, void *scratch,
                      struct remat_error *err)
{
    const struct prepared *p = (const struct prepared *)state;
    const struct remat_cuda_product *of = &p->product;
    struct product kernel = {of->rows,
                             of->columns,
                             of->inner,
                             of->a_turned ? 1 : of->inner,
                             of->a_turned ? of->rows : 1,
                             of->b_turned ? 1 : of->columns,
                             of->b_turned ? of->inner : 1,
                             of->add,
                             a,
                             b,
                             of->bias ? bias : NULL,
                             d};
    (void)scratch;
    return remat_tiles_run(p->device, kernel, err);
}
} // namespace

const struct remat_cuda_gemm remat_cuda_gemm_plain = {prepare, run, free};
