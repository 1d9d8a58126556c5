/* Linear layers over x[M,C], w[K,C]: y = x w' + b (+ z); dx = dy w (+ g0), or (dy w) gelu'(a); dw = dy' x, db = column
 * sums of dy. Convolutions with 1x1 filters and stride 1 are linear layers over pixels, without a bias. */
#include "runtime/backend/cuda/gemm.h"

#include "core/base/memory.h"

#include <stdlib.h>

struct linear {
    const struct remat_cuda_gemm *gemm;
    struct remat_device *device;
    int64_t rows, columns, product_bytes; /* dy is [rows, columns]; the product's scratch comes before the bias's */
    void *prepared;
};

enum role { FORWARD, DATA, WEIGHTS };

static enum role role_of(const struct remat_kernel_spec *spec)
{
    switch (spec->op) {
    case REMAT_OP_CONV2D_BWD_WEIGHTS:
    case REMAT_OP_LINEAR_BWD_WEIGHTS:
        return WEIGHTS;
    case REMAT_OP_CONV2D_BWD_DATA:
    case REMAT_OP_CONV2D_BWD_DATA_ADD:
    case REMAT_OP_LINEAR_BWD_DATA:
    case REMAT_OP_LINEAR_GELU_BWD:
        return DATA;
    default:
        return FORWARD;
    }
}

static bool adds(const struct remat_kernel_spec *spec)
{
    return spec->op == REMAT_OP_LINEAR_ADD || spec->op == REMAT_OP_CONV2D_BWD_DATA_ADD;
}

static struct remat_cuda_product product_of(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *x = &spec->inputs[0];
    enum role role = role_of(spec);
    struct remat_cuda_product product = {.rows = remat_tensor_rows(x),
                                         .columns = remat_tensor_columns(&spec->outputs[0]),
                                         .inner = remat_tensor_columns(x),
                                         .b_turned = role == FORWARD,
                                         .add = adds(spec),
                                         .bias = role == FORWARD && spec->attr.bias,
                                         .gelu_slope = spec->op == REMAT_OP_LINEAR_GELU_BWD,
                                         .from = x->dtype,
                                         .to = spec->outputs[0].dtype};
    if (role == WEIGHTS) {
        product.inner = product.rows;
        product.rows = remat_tensor_columns(&spec->inputs[1]);
        product.a_turned = true;
    }
    return product;
}

enum remat_status remat_cuda_linear_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                           const struct remat_kernel_spec *spec, int rank, void **state,
                                           int64_t *scratch_bytes, struct remat_error *err)
{
    struct remat_cuda_product product = product_of(spec);
    struct linear *l;
    enum remat_status status;
    product.rank = rank;
    REMAT_TRY(REMAT_ALLOC(l, 1, err));
    l->gemm = gemm;
    l->device = device;
    status = gemm->prepare(device, &product, &l->prepared, &l->product_bytes, err);
    if (status != REMAT_OK) {
        free(l);
        return status;
    }
    *scratch_bytes = l->product_bytes;
    if (role_of(spec) == WEIGHTS && spec->attr.bias) {
        l->rows = remat_tensor_rows(&spec->inputs[1]);
        l->columns = remat_tensor_columns(&spec->inputs[1]);
        l->product_bytes = remat_align_up(l->product_bytes);
        *scratch_bytes = l->product_bytes + remat_cuda_bias_scratch_bytes(l->rows, l->columns);
    }
    *state = l;
    return REMAT_OK;
}

static enum remat_status run_weights(const struct linear *l, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_cuda_operands operands = {.a = args->inputs[1], .b = args->inputs[0], .d = args->outputs[0]};
    REMAT_TRY(l->gemm->run(l->prepared, &operands, args->scratch, err));
    if (!spec->attr.bias)
        return REMAT_OK;
    return remat_cuda_bias_gradient(l->device, spec->inputs[1].dtype, args->inputs[1], l->rows, l->columns,
                                    args->outputs[1], (char *)args->scratch + l->product_bytes, err);
}

enum remat_status remat_cuda_linear_run(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct linear *l = state;
    struct remat_cuda_operands operands = {.a = args->inputs[0], .d = args->outputs[0]};
    if (role_of(spec) == WEIGHTS)
        return run_weights(l, spec, args, err);
    operands.b = remat_cuda_weight(spec, args);
    operands.bias = role_of(spec) == FORWARD && spec->attr.bias ? remat_cuda_bias(spec, args) : NULL;
    operands.c = adds(spec) ? args->inputs[1] : NULL;
    operands.e = spec->op == REMAT_OP_LINEAR_GELU_BWD ? args->inputs[1] : NULL;
    return l->gemm->run(l->prepared, &operands, args->scratch, err);
}

void remat_cuda_linear_destroy(void *state)
{
    struct linear *l = state;
    l->gemm->destroy(l->prepared);
    free(l);
}

enum remat_status remat_cuda_linear_plain_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                                 void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_linear_create(&remat_cuda_gemm_plain, device, spec, 0, state, scratch_bytes, err);
}

bool remat_cuda_linear_plain_supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_cuda_supports_floats(device, spec) && !(remat_op_is_fusion(spec->op) && device->libraries);
}

#define PLAIN(op_id)                                                                                                \
    {                                                                                                               \
        op_id, "tiles", 0, remat_cuda_linear_plain_supports, remat_cuda_linear_plain_create, remat_cuda_linear_run, \
            remat_cuda_linear_destroy                                                                               \
    }
const struct remat_op_impl remat_cuda_linear_plain = PLAIN(REMAT_OP_LINEAR);
const struct remat_op_impl remat_cuda_linear_add_plain = PLAIN(REMAT_OP_LINEAR_ADD);
const struct remat_op_impl remat_cuda_linear_bwd_data_plain = PLAIN(REMAT_OP_LINEAR_BWD_DATA);
const struct remat_op_impl remat_cuda_linear_gelu_bwd_plain = PLAIN(REMAT_OP_LINEAR_GELU_BWD);
const struct remat_op_impl remat_cuda_linear_bwd_weights_plain = PLAIN(REMAT_OP_LINEAR_BWD_WEIGHTS);
