/* loss = (1 - s) (lse - logit[label]) + s (lse - mean of logits), dlogits = (p - target) loss_scale / M, a block a row.
 *
 * metrics += {sum of losses, rows, rows whose argmax is the label, 0}: first {loss, counted, right} a row in scratch,
 * then one block adds them up in a fixed order. A negative label leaves a row out; a label beyond the classes, which no
 * kernel can report, makes the loss NaN, and the training loop stops. */
#include "runtime/backend/cuda/launch.h"

extern "C" {
#include "runtime/backend/cuda/loss.h"
}

namespace
{
enum { ROW_RESULTS = 3 };

/* Orders floats as integers, and of equal ones the smaller index last: the maximum is the first of the largest. */
__device__ unsigned long long rank_of(float value, int64_t index)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u;
    return (unsigned long long)bits << 32 | (0xFFFFFFFFu - (uint32_t)index);
}

__device__ float value_of(unsigned long long rank)
{
    uint32_t bits = (uint32_t)(rank >> 32);
    float value;
    bits = bits >> 31 ? bits & 0x7FFFFFFFu : ~bits;
    memcpy(&value, &bits, sizeof value);
    return value;
}

struct take_higher {
    __device__ unsigned long long operator()(unsigned long long a, unsigned long long b) const
    {
        return a > b ? a : b;
    }
};

__device__ void store_row(double *results, float loss, bool counted, bool right)
{
    if (threadIdx.x != 0)
        return;
    results[0] = counted ? (double)loss : 0.0;
    results[1] = counted ? 1.0 : 0.0;
    results[2] = counted && right ? 1.0 : 0.0;
}

/* X: of logits, D: of their gradient. */
template <class X, class D> __global__ void rows_loss(struct remat_cuda_loss_rows l)
{
    __shared__ unsigned long long ranks[REMAT_BLOCK / REMAT_WARP];
    __shared__ float room[REMAT_BLOCK / REMAT_WARP];
    const X *row = (const X *)l.logits + (int64_t)blockIdx.x * l.pitch;
    D *gradient = (D *)l.dlogits + (int64_t)blockIdx.x * l.pitch;
    double *results = (double *)l.scratch + (int64_t)blockIdx.x * ROW_RESULTS;
    int32_t label = l.labels[blockIdx.x];
    bool counted = label >= 0, known = label < l.classes;
    float at_label = counted && known ? remat_float(row[label]) : nanf(""), sum = 0, total = 0, largest, loss, factor,
          share;
    unsigned long long best = 0;
    for (int64_t v = threadIdx.x; v < l.classes; v += REMAT_BLOCK) {
        unsigned long long rank = rank_of(remat_float(row[v]), v);
        best = rank > best ? rank : best;
        total += remat_float(row[v]);
    }
    best = remat_over_block(best, take_higher(), ranks);
    total = remat_over_block(total, remat_take_sum(), room);
    largest = value_of(best);
    for (int64_t v = threadIdx.x; v < l.classes; v += REMAT_BLOCK)
        sum += remat_exp(remat_float(row[v]) - largest);
    sum = remat_over_block(sum, remat_take_sum(), room);
    loss = largest + logf(sum);
    loss = (1.0f - l.smoothing) * (loss - at_label) + l.smoothing * (loss - total / (float)l.classes);
    store_row(results, loss, counted, 0xFFFFFFFFu - (uint32_t)best == (uint32_t)label);
    if (!l.dlogits)
        return;
    factor = counted ? l.record->loss_scale / (float)l.mean_over : 0.0f;
    share = l.smoothing / (float)l.classes;
    for (int64_t v = threadIdx.x; v < l.classes; v += REMAT_BLOCK) {
        float p = remat_exp(remat_float(row[v]) - largest) / sum - share - (v == label ? 1.0f - l.smoothing : 0.0f);
        remat_put(&gradient[v], counted ? p * factor : 0.0f);
    }
}

__global__ void add_metrics(const double *results, int64_t rows, double *metrics)
{
    __shared__ double room[REMAT_BLOCK / REMAT_WARP];
    for (int k = 0; k < ROW_RESULTS; k++) {
        double sum = 0;
        for (int64_t row = threadIdx.x; row < rows; row += REMAT_BLOCK)
            sum += results[row * ROW_RESULTS + k];
        sum = remat_over_block(sum, remat_take_sum(), room);
        if (threadIdx.x == 0)
            metrics[k] += sum;
    }
}

enum remat_status run(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                      struct remat_error *err)
{
    bool training = spec->op == REMAT_OP_LOSS;
    struct remat_cuda_loss_rows loss = {};
    loss.rows = loss.mean_over = remat_tensor_rows(&spec->inputs[0]);
    loss.classes = loss.pitch = remat_tensor_columns(&spec->inputs[0]);
    loss.smoothing = training ? spec->attr.smoothing : 0.0f;
    loss.type = loss.gradient_type = spec->inputs[0].dtype;
    loss.logits = args->inputs[0];
    loss.labels = (const int32_t *)args->inputs[1];
    loss.dlogits = training ? args->outputs[0] : NULL;
    loss.metrics = (double *)args->cells[0];
    loss.record = args->record;
    loss.scratch = args->scratch;
    return remat_cuda_loss_run((const struct remat_device *)state, &loss, err);
}

enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                         int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = remat_cuda_loss_scratch_bytes(remat_tensor_rows(&spec->inputs[0]));
    return REMAT_OK;
}
} // namespace

int64_t remat_cuda_loss_scratch_bytes(int64_t rows)
{
    return rows * ROW_RESULTS * (int64_t)sizeof(double);
}

enum remat_status remat_cuda_loss_run(const struct remat_device *device, const struct remat_cuda_loss_rows *loss,
                                      struct remat_error *err)
{
    if (loss->type == REMAT_BF16)
        REMAT_LAUNCH((rows_loss<remat_bf16, remat_bf16>), (unsigned)loss->rows, REMAT_BLOCK, 0, device->stream)(*loss);
    else if (loss->gradient_type == REMAT_BF16)
        REMAT_LAUNCH((rows_loss<float, remat_bf16>), (unsigned)loss->rows, REMAT_BLOCK, 0, device->stream)(*loss);
    else
        REMAT_LAUNCH((rows_loss<float, float>), (unsigned)loss->rows, REMAT_BLOCK, 0, device->stream)(*loss);
    REMAT_LAUNCH(add_metrics, 1, REMAT_BLOCK, 0, device->stream)
    ((const double *)loss->scratch, loss->rows, loss->metrics);
    return remat_launched(err);
}

const struct remat_op_impl remat_cuda_loss = {REMAT_OP_LOSS, "kernel", 0,   remat_cuda_supports_floats,
                                              create,        run,      NULL};
const struct remat_op_impl remat_cuda_loss_eval = {
    REMAT_OP_LOSS_EVAL, "kernel", 0, remat_cuda_supports_floats, create, run, NULL};
