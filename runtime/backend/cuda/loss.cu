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

/* What a thread, then the block, knows of a row: the largest logit and the first place that has it, the sum of
 * exp(logit - largest), and that of the logits. */
struct summary {
    float largest, sum, total;
    int32_t place;

    template <int W> __device__ void take(const float *v, int32_t at)
    {
        float before = largest;
        for (int k = 0; k < W; k++) {
            place = v[k] > largest ? at + k : place;
            largest = v[k] > largest ? v[k] : largest;
            total += v[k];
        }
        if (largest > before)
            sum *= remat_exp(before - largest);
        for (int k = 0; k < W; k++)
            sum += remat_exp(v[k] - largest);
    }
};

/* f.run<W>(at) for the vectors of a row that fall to this thread, then run<1> for what is left over. */
template <int W, class F> __device__ void over_row(int32_t classes, F f)
{
    int32_t whole = classes / W * W;
    for (int32_t at = (int32_t)threadIdx.x * W; at < whole; at += REMAT_BLOCK * W)
        f.template run<W>(at);
    for (int32_t at = whole + (int32_t)threadIdx.x; at < classes && W > 1; at += REMAT_BLOCK)
        f.template run<1>(at);
}

template <class X> struct summing {
    const X *row;
    struct summary *of;
    template <int W> __device__ void run(int32_t at)
    {
        float v[W];
        remat_load<W>(row, at, v);
        of->template take<W>(v, at);
    }
};

template <class X, class D> struct gradients {
    const X *row;
    D *gradient;
    int32_t label;
    float largest, scale, share,
        at_label; /* (exp(v - largest) / sum - share - at_label) times the factor of the loss */
    template <int W> __device__ void run(int32_t at)
    {
        float v[W];
        remat_load<W>(row, at, v);
        for (int k = 0; k < W; k++)
            v[k] = remat_exp(v[k] - largest) * scale - share - (at + k == label ? at_label : 0.0f);
        remat_store<W>(gradient, at, v);
    }
};

template <class D> struct clearing {
    D *gradient;
    template <int W> __device__ void run(int32_t at)
    {
        float v[W] = {};
        remat_store<W>(gradient, at, v);
    }
};

/* The same in all threads. */
__device__ struct summary over_block(struct summary mine)
{
    __shared__ unsigned long long ranks[REMAT_BLOCK / REMAT_WARP];
    __shared__ float room[REMAT_BLOCK / REMAT_WARP];
    unsigned long long best = remat_over_block(rank_of(mine.largest, mine.place), take_higher(), ranks);
    float own = mine.largest;
    mine.largest = value_of(best);
    mine.place = (int32_t)(0xFFFFFFFFu - (uint32_t)best);
    mine.sum = remat_over_block(mine.sum * remat_exp(own - mine.largest), remat_take_sum(), room);
    mine.total = remat_over_block(mine.total, remat_take_sum(), room);
    return mine;
}

/* X: of logits, D: of their gradient. Rows begin at multiples of W elements. */
template <int W, class X, class D> __global__ void rows_loss(struct remat_cuda_loss_rows l)
{
    const X *row = (const X *)l.logits + (int64_t)blockIdx.x * l.pitch;
    D *gradient = (D *)l.dlogits + (int64_t)blockIdx.x * l.pitch;
    double *results = (double *)l.scratch + (int64_t)blockIdx.x * ROW_RESULTS;
    int32_t label = l.labels[blockIdx.x], classes = (int32_t)l.classes;
    bool counted = label >= 0, known = label < classes;
    float at_label = counted && known ? remat_float(row[label]) : nanf(""), lse, loss, factor;
    struct summary s = {-INFINITY, 0, 0, classes};
    struct summing<X> summing = {
        row, &s
    };
    over_row<W>(classes, summing);
    s = over_block(s);
    lse = s.largest + logf(s.sum);
    loss = (1.0f - l.smoothing) * (lse - at_label) + l.smoothing * (lse - s.total / (float)classes);
    store_row(results, loss, counted, s.place == label);
    if (!l.dlogits)
        return;
    factor = l.record->loss_scale / (float)l.mean_over;
    struct gradients<X, D> gradients = {
        row, gradient, label, s.largest, factor / s.sum,
            factor *l.smoothing / (float)classes, factor *(1.0f - l.smoothing)
    };
    struct clearing<D> clearing = {
        gradient
    };
    if (counted)
        over_row<W>(classes, gradients);
    else
        over_row<W>(classes, clearing);
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

template <class X, class D> void start(const struct remat_device *device, const struct remat_cuda_loss_rows *loss)
{
    enum { W = 8 };
    if (loss->pitch % W == 0)
        REMAT_LAUNCH((rows_loss<W, X, D>), (unsigned)loss->rows, REMAT_BLOCK, 0, device->stream)(*loss);
    else
        REMAT_LAUNCH((rows_loss<1, X, D>), (unsigned)loss->rows, REMAT_BLOCK, 0, device->stream)(*loss);
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
        start<remat_bf16, remat_bf16>(device, loss);
    else if (loss->gradient_type == REMAT_BF16)
        start<float, remat_bf16>(device, loss);
    else
        start<float, float>(device, loss);
    REMAT_LAUNCH(add_metrics, 1, REMAT_BLOCK, 0, device->stream)
    ((const double *)loss->scratch, loss->rows, loss->metrics);
    return remat_launched(err);
}

const struct remat_op_impl remat_cuda_loss = {REMAT_OP_LOSS, "kernel", 0,   remat_cuda_supports_floats,
                                              create,        run,      NULL};
const struct remat_op_impl remat_cuda_loss_eval = {
    REMAT_OP_LOSS_EVAL, "kernel", 0, remat_cuda_supports_floats, create, run, NULL};
