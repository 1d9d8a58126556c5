/* Gradient sums, norms and the optimizers, on gradients of any type and f32 for the rest; formulas in optimizer.h. What
 * varies from step to step is read from the record in device memory, once a block. */
#include "runtime/backend/cuda/launch.h"

namespace
{
template <class T>
__global__ void accumulate(const struct remat_step_record *record, const T *gradient, float *sum, int64_t count)
{
    bool first = record->micro == 0;
    for (int64_t i = remat_thread(); i < count; i += remat_threads())
        sum[i] = first ? remat_float(gradient[i]) : sum[i] + remat_float(gradient[i]);
}

__global__ void square_parts(const float *gradient, double *parts, int64_t count)
{
    __shared__ double room[REMAT_BLOCK / REMAT_WARP];
    double sum = 0;
    for (int64_t i = remat_thread(); i < count; i += remat_threads())
        sum += (double)gradient[i] * (double)gradient[i];
    sum = remat_over_block(sum, remat_take_sum(), room);
    if (threadIdx.x == 0)
        parts[blockIdx.x] = sum;
}

__global__ void add_parts(const double *parts, int count, double *norm)
{
    __shared__ double room[REMAT_BLOCK / REMAT_WARP];
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += REMAT_BLOCK)
        sum += parts[i];
    sum = remat_over_block(sum, remat_take_sum(), room);
    if (threadIdx.x == 0)
        norm[0] += sum;
}

template <class T>
__global__ void sgd(struct remat_op_attr attr, const struct remat_step_record *record, const double *norm,
                    const T *gradient, float *w, float *momentum, int64_t count)
{
    __shared__ struct remat_sgd_f32 factors;
    if (threadIdx.x == 0)
        factors = remat_sgd_make_f32(&attr, record, norm);
    __syncthreads();
    for (int64_t i = remat_thread(); i < count; i += remat_threads())
        w[i] = momentum ? remat_sgd_momentum_f32(&factors, remat_float(gradient[i]), w[i], &momentum[i])
                        : remat_sgd_plain_f32(&factors, remat_float(gradient[i]), w[i]);
}

template <class T>
__global__ void adamw(struct remat_op_attr attr, const struct remat_step_record *record, const double *norm,
                      const T *gradient, float *w, float *m, float *v, int64_t count)
{
    __shared__ struct remat_adamw_f32 factors;
    if (threadIdx.x == 0)
        factors = remat_adamw_make_f32(&attr, record, norm);
    __syncthreads();
    for (int64_t i = remat_thread(); i < count; i += remat_threads())
        w[i] = remat_adamw_f32(&factors, remat_float(gradient[i]), w[i], &m[i], &v[i]);
}

unsigned few_blocks(int64_t count)
{
    unsigned blocks = remat_grid(count, 16 * REMAT_BLOCK);
    return blocks > 1024 ? 1024 : blocks;
}

template <class T>
enum remat_status run_accumulate(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->inputs[0]);
    REMAT_LAUNCH(accumulate<T>, remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (args->record, (const T *)args->inputs[0], (float *)args->cells[0], count);
    return remat_launched(err);
}

enum remat_status run_square_norm(const void *state, const struct remat_kernel_spec *spec,
                                  const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->cells[0]);
    unsigned blocks = few_blocks(count);
    double *parts = (double *)args->scratch;
    REMAT_LAUNCH(square_parts, blocks, REMAT_BLOCK, 0, device->stream)((const float *)args->cells[0], parts, count);
    REMAT_LAUNCH(add_parts, 1, REMAT_BLOCK, 0, device->stream)
    ((const double *)parts, (int)blocks, (double *)args->cells[1]);
    return remat_launched(err);
}

enum remat_status create_square_norm(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                     int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = few_blocks(remat_tensor_elements(&spec->cells[0])) * (int64_t)sizeof(double);
    return REMAT_OK;
}

enum remat_status run_reset(const void *state, const struct remat_kernel_spec *spec,
                            const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    return remat_cuda_check(
        cudaMemsetAsync(args->cells[0], 0, (size_t)remat_tensor_bytes(&spec->cells[0]), device->stream),
        "clearing a cell", err);
}

/* The gradient is input 0 or, with grad_in_cell, cell `next`, followed by the norm. */
const void *gradient_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int next,
                        const double **norm)
{
    *norm = spec->attr.grad_in_cell ? (const double *)args->cells[next + 1] : NULL;
    return spec->attr.grad_in_cell ? args->cells[next] : args->inputs[0];
}

template <class T>
enum remat_status run_sgd(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                          struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->cells[0]);
    bool momentum = spec->attr.momentum != 0;
    const double *norm;
    const T *gradient = (const T *)gradient_of(spec, args, momentum ? 2 : 1, &norm);
    REMAT_LAUNCH(sgd<T>, remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (spec->attr, args->record, norm, gradient, (float *)args->cells[0], momentum ? (float *)args->cells[1] : NULL,
     count);
    return remat_launched(err);
}

template <class T>
enum remat_status run_adamw(const void *state, const struct remat_kernel_spec *spec,
                            const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    int64_t count = remat_tensor_elements(&spec->cells[0]);
    const double *norm;
    const T *gradient = (const T *)gradient_of(spec, args, 3, &norm);
    REMAT_LAUNCH(adamw<T>, remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (spec->attr, args->record, norm, gradient, (float *)args->cells[0], (float *)args->cells[1],
     (float *)args->cells[2], count);
    return remat_launched(err);
}
} // namespace

const struct remat_op_impl remat_cuda_accumulate = {
    REMAT_OP_ACCUMULATE,           "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain,
    REMAT_BY_TYPE(run_accumulate), NULL};
const struct remat_op_impl remat_cuda_square_norm = {
    REMAT_OP_SQUARE_NORM, "kernel", 0, remat_cuda_supports_floats, create_square_norm, run_square_norm, NULL};
const struct remat_op_impl remat_cuda_reset = {REMAT_OP_RESET,          "memset",  0,   remat_cuda_supports_floats,
                                               remat_cuda_create_plain, run_reset, NULL};
const struct remat_op_impl remat_cuda_sgd = {
    REMAT_OP_SGD, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(run_sgd), NULL};
const struct remat_op_impl remat_cuda_adamw = {
    REMAT_OP_ADAMW, "kernel", 0, remat_cuda_supports_floats, remat_cuda_create_plain, REMAT_BY_TYPE(run_adamw), NULL};
