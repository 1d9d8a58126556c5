/* The implementations by own loops: all that neither convolves nor multiplies matrices, in single precision. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_LOOPS_H
#define REMAT_RUNTIME_BACKEND_CPU_LOOPS_H

#include "runtime/backend/cpu/device.h"

#define REMAT_CPU_LOOPS(X)       \
    X(remat_cpu_feed)            \
    X(remat_cpu_batchnorm)       \
    X(remat_cpu_batchnorm_apply) \
    X(remat_cpu_batchnorm_eval)  \
    X(remat_cpu_batchnorm_bwd)   \
    X(remat_cpu_relu)            \
    X(remat_cpu_relu_bwd)        \
    X(remat_cpu_add)             \
    X(remat_cpu_maxpool)         \
    X(remat_cpu_maxpool_bwd)     \
    X(remat_cpu_avgpool)         \
    X(remat_cpu_avgpool_bwd)     \
    X(remat_cpu_loss)            \
    X(remat_cpu_loss_eval)       \
    X(remat_cpu_embedding)       \
    X(remat_cpu_embedding_bwd)   \
    X(remat_cpu_layernorm)       \
    X(remat_cpu_layernorm_apply) \
    X(remat_cpu_layernorm_bwd)   \
    X(remat_cpu_gelu)            \
    X(remat_cpu_gelu_bwd)        \
    X(remat_cpu_dropout)         \
    X(remat_cpu_dropout_bwd)     \
    X(remat_cpu_accumulate)      \
    X(remat_cpu_square_norm)     \
    X(remat_cpu_reset)           \
    X(remat_cpu_sgd)             \
    X(remat_cpu_adamw)

#define X(name) extern const struct remat_op_impl name;
REMAT_CPU_LOOPS(X)
#undef X

/* Whether every floating operand is f32. Integers, places and the f64 accumulators of metrics and norms have one type
 * each by the contract of core/graph/op.h. */
bool remat_cpu_is_f32(struct remat_device *device, const struct remat_kernel_spec *spec);

#define REMAT_CPU_LOOP(symbol, op_id, create_function, run_function) \
    const struct remat_op_impl symbol = {op_id, "loops", 0, remat_cpu_is_f32, create_function, run_function, NULL}

#endif
