/* Linear layers over x[M,C], w[K,C]: y = x w' + b; dx = dy w; dw = dy' x, db = column sums of dy. */
#include "runtime/backend/cuda/gemm.h"

#include "core/base/memory.h"

#include <stdlib.h>

struct linear {
    const struct remat_cuda_gemm *gemm;
    struct remat_device *device;
    int64_t rows, columns, product_bytes; /* dy is [rows, columns]; the product's scratch comes before the bias's */
    void *prepared;
};

static struct remat_cuda_product product_of(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *x = &spec->inputs[0];
    struct remat_cuda_product product = {.rows = remat_tensor_rows(x),
                                         .columns = remat_tensor_columns(&spec->outputs[0]),
                                         .inner = remat_tensor_columns(x),
                                         .from = x->dtype,
                                         .to = spec->outputs[0].dtype};
    if (spec->op == REMAT_OP_LINEAR_BWD_WEIGHTS) {
        product.inner = product.rows;
        product.rows = remat_tensor_columns(&spec->inputs[1]);
        product.a_turned = true;
    }
    product.b_turned = spec->op == REMAT_OP_LINEAR;
    product.bias = spec->op == REMAT_OP_LINEAR && spec->attr.bias;
    return product;
}

enum remat_status remat_cuda_linear_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                           const struct remat_kernel_spec *spec, void **state, int64_t *scratch_bytes,
                                           struct remat_error *err)
{
    struct remat_cuda_product product = product_of(spec);
    struct linear *l;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(l, 1, err));
    l->gemm = gemm;
    l->device = device;
    status = gemm->prepare(device, &product, &l->prepared, &l->product_bytes, err);
    if (status != REMAT_OK) {
        free(l);
        return status;
    }
    *scratch_bytes = l->product_bytes;
    if (spec->op == REMAT_OP_LINEAR_BWD_WEIGHTS && spec->attr.bias) {
        l->rows = remat_tensor_rows(&spec->inputs[1]);
        l->columns = remat_tensor_columns(&spec->inputs[1]);
        l->product_bytes = remat_align_up(l->product_bytes);
        *scratch_bytes = l->product_bytes + remat_cuda_bias_scratch_bytes(l->rows, l->columns);
    }
    *state = l;
    return REMAT_OK;
}

enum remat_status remat_cuda_linear_run(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct linear *l = state;
    const void *first = args->inputs[0];
    if (spec->op == REMAT_OP_LINEAR)
        return l->gemm->run(l->prepared, first, remat_cuda_weight(spec, args),
                            spec->attr.bias ? remat_cuda_bias(spec, args) : NULL, args->outputs[0], args->scratch, err);
    if (spec->op == REMAT_OP_LINEAR_BWD_DATA)
        return l->gemm->run(l->prepared, first, remat_cuda_weight(spec, args), NULL, args->outputs[0], args->scratch,
                            err);
    REMAT_TRY(l->gemm->run(l->prepared, args->inputs[1], first, NULL, args->outputs[0], args->scratch, err));
    if (!spec->attr.bias)
        return REMAT_OK;
    return remat_cuda_bias_gradient(l->device, spec->inputs[1].dtype, args->inputs[1], l->rows, l->columns,
                                    args->outputs[1], (char *)args->scratch + l->product_bytes, err);
}

void remat_cuda_linear_destroy(void *state)
{
    struct linear *l = state;
    l->gemm->destroy(l->prepared);
    free(l);
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_linear_create(&remat_cuda_gemm_plain, device, spec, state, scratch_bytes, err);
}

#define PLAIN(op_id)                                                                                            \
    {                                                                                                           \
        op_id, "tiles", 0, remat_cuda_supports_floats, create, remat_cuda_linear_run, remat_cuda_linear_destroy \
    }
const struct remat_op_impl remat_cuda_linear_plain = PLAIN(REMAT_OP_LINEAR);
const struct remat_op_impl remat_cuda_linear_bwd_data_plain = PLAIN(REMAT_OP_LINEAR_BWD_DATA);
const struct remat_op_impl remat_cuda_linear_bwd_weights_plain = PLAIN(REMAT_OP_LINEAR_BWD_WEIGHTS);
