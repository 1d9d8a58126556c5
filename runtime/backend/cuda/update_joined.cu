/* The optimizers of update.cu over many parameters at once: their addresses and sizes travel as a table among the
 * kernel's arguments. Each element is computed as there, so the bits are the same; a launch costs about as much as a
 * hundred thousand elements. */
#include "runtime/backend/cuda/launch.h"

namespace
{
enum { ELEMENTS_A_BLOCK = 16 * REMAT_BLOCK };

struct parameter {
    const float *gradient;
    float *w, *first, *second; /* momentum (or NULL); m and v */
    int64_t count;
    int64_t first_block;
};

struct parameters {
    struct parameter entries[REMAT_MAX_JOINED];
    int count;
};

/* The parameter that this block works on: the last that begins at it or before. */
__device__ const struct parameter *find_parameter(const struct parameters *table)
{
    int low = 0, high = table->count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table->entries[middle].first_block <= (int64_t)blockIdx.x)
            low = middle;
        else
            high = middle - 1;
    }
    return &table->entries[low];
}

struct by_sgd {
    struct remat_sgd_f32 factors;
    __device__ void prepare(const struct remat_op_attr *attr, const struct remat_step_record *record,
                            const double *norm)
    {
        factors = remat_sgd_make_f32(attr, record, norm);
    }
    __device__ void apply(const struct parameter *p, int64_t i) const
    {
        p->w[i] = p->first ? remat_sgd_momentum_f32(&factors, p->gradient[i], p->w[i], &p->first[i])
                           : remat_sgd_plain_f32(&factors, p->gradient[i], p->w[i]);
    }
};

struct by_adamw {
    struct remat_adamw_f32 factors;
    __device__ void prepare(const struct remat_op_attr *attr, const struct remat_step_record *record,
                            const double *norm)
    {
        factors = remat_adamw_make_f32(attr, record, norm);
    }
    __device__ void apply(const struct parameter *p, int64_t i) const
    {
        p->w[i] = remat_adamw_f32(&factors, p->gradient[i], p->w[i], &p->first[i], &p->second[i]);
    }
};

template <class Rule>
__global__ void update(const __grid_constant__ struct parameters table, const struct remat_op_attr attr,
                       const struct remat_step_record *record, const double *norm)
{
    __shared__ Rule rule;
    const struct parameter *p = find_parameter(&table);
    int64_t begin = ((int64_t)blockIdx.x - p->first_block) * ELEMENTS_A_BLOCK, end = begin + ELEMENTS_A_BLOCK;
    if (threadIdx.x == 0)
        rule.prepare(&attr, record, norm);
    __syncthreads();
    for (int64_t i = begin + threadIdx.x; i < end && i < p->count; i += REMAT_BLOCK)
        rule.apply(p, i);
}

/* The gradient is input 0 or, with grad_in_cell, the cell behind w and the state, followed by the norm. */
struct parameter parameter_of(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int states,
                              int64_t first_block)
{
    struct parameter p;
    p.gradient = (const float *)(spec->attr.grad_in_cell ? args->cells[1 + states] : args->inputs[0]);
    p.w = (float *)args->cells[0];
    p.first = states > 0 ? (float *)args->cells[1] : NULL;
    p.second = states > 1 ? (float *)args->cells[2] : NULL;
    p.count = remat_tensor_elements(&spec->cells[0]);
    p.first_block = first_block;
    return p;
}

int states_of(const struct remat_kernel_spec *spec)
{
    return spec->op == REMAT_OP_ADAMW ? 2 : spec->attr.momentum != 0 ? 1 : 0;
}
} // namespace

extern "C" enum remat_status remat_cuda_update_joined(const struct remat_kernel *const *kernels,
                                                      const struct remat_kernel_args *const *args, int32_t count,
                                                      struct remat_error *err)
{
    const struct remat_kernel_spec *first = remat_op_table_spec(kernels[0]);
    const struct remat_device *device = (const struct remat_device *)remat_op_table_state(kernels[0]);
    int states = states_of(first);
    const double *norm = first->attr.grad_in_cell ? (const double *)args[0]->cells[2 + states] : NULL;
    struct parameters table;
    int64_t blocks = 0;
    memset(&table, 0, sizeof table);
    for (table.count = 0; table.count < count; table.count++) {
        struct parameter p = parameter_of(remat_op_table_spec(kernels[table.count]), args[table.count], states, blocks);
        table.entries[table.count] = p;
        blocks += remat_ceil(p.count, ELEMENTS_A_BLOCK);
    }
    if (first->op == REMAT_OP_ADAMW)
        REMAT_LAUNCH(update<by_adamw>, (unsigned)blocks, REMAT_BLOCK, 0, device->stream)
    (table, first->attr, args[0]->record, norm);
    else REMAT_LAUNCH(update<by_sgd>, (unsigned)blocks, REMAT_BLOCK, 0, device->stream)(table, first->attr,
                                                                                        args[0]->record, norm);
    return remat_launched(err);
}
