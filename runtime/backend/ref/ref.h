/* The reference backend: every op as plain loops in double, the oracle of all op tests.
 *
 * Floating operands are f32, f64 or bf16, each as its tensor says; arithmetic is in double, so that gradient checks can
 * run in double and results are rounded when they are stored (to bf16 by way of f32, as all other backends do). One
 * thread, so that all sums have one order. */
#ifndef REMAT_RUNTIME_BACKEND_REF_REF_H
#define REMAT_RUNTIME_BACKEND_REF_REF_H

#include "runtime/backend/bf16.h"
#include "runtime/backend/op_table.h"

extern const struct remat_backend remat_backend_ref;

#define REMAT_REF_IMPLS(X)           \
    X(remat_ref_feed)                \
    X(remat_ref_cast)                \
    X(remat_ref_conv2d)              \
    X(remat_ref_conv2d_bwd_data)     \
    X(remat_ref_conv2d_bwd_data_add) \
    X(remat_ref_conv2d_bwd_weights)  \
    X(remat_ref_batchnorm)           \
    X(remat_ref_batchnorm_apply)     \
    X(remat_ref_batchnorm_eval)      \
    X(remat_ref_batchnorm_bwd)       \
    X(remat_ref_relu)                \
    X(remat_ref_relu_bwd)            \
    X(remat_ref_add)                 \
    X(remat_ref_maxpool)             \
    X(remat_ref_maxpool_bwd)         \
    X(remat_ref_avgpool)             \
    X(remat_ref_avgpool_bwd)         \
    X(remat_ref_linear)              \
    X(remat_ref_linear_add)          \
    X(remat_ref_linear_bwd_data)     \
    X(remat_ref_linear_bwd_weights)  \
    X(remat_ref_linear_gelu_bwd)     \
    X(remat_ref_loss)                \
    X(remat_ref_loss_eval)           \
    X(remat_ref_embedding)           \
    X(remat_ref_embedding_bwd)       \
    X(remat_ref_layernorm)           \
    X(remat_ref_layernorm_apply)     \
    X(remat_ref_layernorm_bwd)       \
    X(remat_ref_gelu)                \
    X(remat_ref_gelu_bwd)            \
    X(remat_ref_dropout)             \
    X(remat_ref_dropout_bwd)         \
    X(remat_ref_attention)           \
    X(remat_ref_attention_bwd)       \
    X(remat_ref_classifier_loss)     \
    X(remat_ref_classifier_eval)     \
    X(remat_ref_accumulate)          \
    X(remat_ref_square_norm)         \
    X(remat_ref_reset)               \
    X(remat_ref_sgd)                 \
    X(remat_ref_adamw)

#define X(name) extern const struct remat_op_impl name;
REMAT_REF_IMPLS(X)
#undef X

/* Element types that ref computes with. */
bool remat_ref_supports(struct remat_device *device, const struct remat_kernel_spec *spec);

/* Defines an implementation by loops, without scratch or with the scratch that `create_function` tells. */
#define REMAT_REF_IMPL(symbol, op_id, run_function) \
    const struct remat_op_impl symbol = {op_id, "loops", 0, remat_ref_supports, NULL, run_function, NULL}
#define REMAT_REF_IMPL_SCRATCH(symbol, op_id, run_function, create_function) \
    const struct remat_op_impl symbol = {op_id, "loops", 0, remat_ref_supports, create_function, run_function, NULL}

/* The derivative of GELU (pointwise.c). */
double remat_ref_gelu_slope(double x);

/* A floating array, read and written as double. Borrows the operand's memory. */
struct remat_ref_array {
    void *base;
    enum remat_dtype dtype;
};

static inline struct remat_ref_array remat_ref_input(const struct remat_kernel_spec *spec,
                                                     const struct remat_kernel_args *args, int32_t i)
{
    return (struct remat_ref_array){(void *)(uintptr_t)args->inputs[i], spec->inputs[i].dtype};
}

static inline struct remat_ref_array remat_ref_output(const struct remat_kernel_spec *spec,
                                                      const struct remat_kernel_args *args, int32_t i)
{
    return (struct remat_ref_array){args->outputs[i], spec->outputs[i].dtype};
}

static inline struct remat_ref_array remat_ref_cell(const struct remat_kernel_spec *spec,
                                                    const struct remat_kernel_args *args, int32_t i)
{
    return (struct remat_ref_array){args->cells[i], spec->cells[i].dtype};
}

/* The weight, cast or not, of an op that has one; its bias comes next. */
static inline struct remat_ref_array remat_ref_weight(const struct remat_kernel_spec *spec,
                                                      const struct remat_kernel_args *args)
{
    int32_t input = remat_op_cast_weight(spec);
    return input >= 0 ? remat_ref_input(spec, args, input) : remat_ref_cell(spec, args, 0);
}

static inline struct remat_ref_array remat_ref_bias(const struct remat_kernel_spec *spec,
                                                    const struct remat_kernel_args *args)
{
    int32_t input = remat_op_cast_weight(spec);
    return input >= 0 ? remat_ref_input(spec, args, input + 1) : remat_ref_cell(spec, args, 1);
}

static inline double remat_ref_get(struct remat_ref_array a, int64_t i)
{
    if (a.dtype == REMAT_F32)
        return (double)((const float *)a.base)[i];
    return a.dtype == REMAT_F64 ? ((const double *)a.base)[i]
                                : (double)remat_bf16_to_f32(((const uint16_t *)a.base)[i]);
}

static inline void remat_ref_set(struct remat_ref_array a, int64_t i, double x)
{
    if (a.dtype == REMAT_F32)
        ((float *)a.base)[i] = (float)x;
    else if (a.dtype == REMAT_F64)
        ((double *)a.base)[i] = x;
    else
        ((uint16_t *)a.base)[i] = remat_bf16_from_f32((float)x);
}

/* The sum over i < count of a[a_at + i] * b[b_at + i]. */
double remat_ref_dot(struct remat_ref_array a, int64_t a_at, struct remat_ref_array b, int64_t b_at, int64_t count);
/* sum[i] += factor * a[at + i]. */
void remat_ref_axpy(double *sum, double factor, struct remat_ref_array a, int64_t at, int64_t count);
/* a[at + i] = sum[i]. */
void remat_ref_store(struct remat_ref_array a, int64_t at, const double *sum, int64_t count);

#endif
