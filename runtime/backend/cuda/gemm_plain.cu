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

template <class A, class D> struct product {
    int64_t rows, columns, inner, a_row, a_step, b_row, b_step, pitch;
    const A *left, *right;
    const D *added, *bias, *slope_at; /* NULL: none */
    D *d;
    __device__ float a(int64_t i, int64_t k) const
    {
        return remat_float(left[i * a_row + k * a_step]);
    }
    __device__ float b(int64_t k, int64_t j) const
    {
        return remat_float(right[k * b_row + j * b_step]);
    }
    __device__ void put(int64_t i, int64_t j, float sum) const
    {
        int64_t at = i * pitch + j;
        float base = added ? remat_float(added[at]) : 0.0f, value = base + (bias ? sum + remat_float(bias[j]) : sum);
        remat_put(&d[at], slope_at ? value * remat_gelu_slope(remat_float(slope_at[at])) : value);
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

template <class A, class D>
enum remat_status run_typed(const struct prepared *p, const struct remat_cuda_operands *o, struct remat_error *err)
{
    const struct remat_cuda_product *of = &p->product;
    int64_t a_pitch = of->a_pitch > 0 ? of->a_pitch : of->a_turned ? of->rows : of->inner;
    struct product<A, D> kernel = {
        of->rows, of->columns, of->inner, of->a_turned ? 1 : a_pitch, of->a_turned ? a_pitch : 1,
            of->b_turned ? 1 : of->columns, of->b_turned ? of->inner : 1, of->d_pitch > 0 ? of->d_pitch : of->columns,
            (const A *)o->a, (const A *)o->b, of->add ? (const D *)o->c : NULL, of->bias ? (const D *)o->bias : NULL,
            of->gelu_slope ? (const D *)o->e : NULL, (D *)o->d
    };
    return remat_tiles_run(p->device, kernel, err);
}

enum remat_status run(const void *state, const struct remat_cuda_operands *operands, void *scratch,
                      struct remat_error *err)
{
    const struct prepared *p = (const struct prepared *)state;
    (void)scratch;
    if (p->product.from == REMAT_F32)
        return run_typed<float, float>(p, operands, err);
    return p->product.to == REMAT_F32 ? run_typed<remat_bf16, float>(p, operands, err)
                                      : run_typed<remat_bf16, remat_bf16>(p, operands, err);
}
} // namespace

const struct remat_cuda_gemm remat_cuda_gemm_plain = {prepare, run, free};
