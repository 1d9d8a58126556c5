/* Internal to the cuda backend: the device, and what every op needs. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_CUDA_H
#define REMAT_RUNTIME_BACKEND_CUDA_CUDA_H

#include "runtime/backend/op_table.h"

#include <cuda_runtime_api.h>

struct remat_cuda_libraries; /* libraries.h */
struct remat_nvml;           /* nvml.h */

struct remat_device {
    int ordinal;
    struct cudaDeviceProp properties;
    int driver_version, runtime_version;
    cudaStream_t stream;                    /* all work, in order */
    cudaEvent_t copied;                     /* behind the last upload from pinned memory */
    cudaStream_t uploads;                   /* of batches, beside the work */
    cudaEvent_t arrived[2], used[2];        /* of their two places: behind the upload, behind the work that read it */
    struct remat_cuda_libraries *libraries; /* owned; NULL where none are used */
    bool tf32;                              /* f32 products may round their operands to TF32 */
    bool alternatives;                      /* further engines are offered */
    struct remat_nvml *nvml;                /* owned; NULL where it is not there */
    char nvml_missing[128];                 /* why */
    int64_t asked_bytes, pool_bytes;        /* of memory_open: asked for, and taken from the card for that */
    int64_t context_bytes, libraries_bytes; /* taken from the card by opening; -1: unknown */
};

/* REMAT_OK, or a failure that names the call. Errors of work done earlier may show here too. */
REMAT_MUST_CHECK enum remat_status remat_cuda_check(cudaError_t error, const char *what, struct remat_error *err);

/* What this process holds on the card, all told; -1 with the reason in `note`, which is "" or a remark otherwise. */
int64_t remat_cuda_process_bytes(const struct remat_device *device, char *note, int capacity);

/* Memory, copies, marks, recordings: device.c. */
extern const struct remat_device_ops remat_cuda_ops;

/* `create` of ops that need nothing but the device, which becomes their state. */
enum remat_status remat_cuda_create_plain(struct remat_device *device, const struct remat_kernel_spec *spec,
                                          void **state, int64_t *scratch_bytes, struct remat_error *err);
/* `supports` of ops whose floating operands are f32, or those f32 and bf16 that op.h names. */
bool remat_cuda_supports_floats(struct remat_device *device, const struct remat_kernel_spec *spec);

/* The weight of a convolution, linear layer or classifier, and the bias behind it, wherever they are. */
static inline const void *remat_cuda_weight(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args)
{
    int32_t input = remat_op_cast_weight(spec);
    return input >= 0 ? args->inputs[input] : args->cells[0];
}

static inline const void *remat_cuda_bias(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args)
{
    int32_t input = remat_op_cast_weight(spec);
    return input >= 0 ? args->inputs[input + 1] : args->cells[1];
}

/* cuDNN and cuBLASLt on the device's stream; fills in device->libraries. */
REMAT_MUST_CHECK enum remat_status remat_cuda_libraries_open(struct remat_device *device, struct remat_error *err);
void remat_cuda_libraries_close(struct remat_device *device);
/* "cuBLASLt 130100, cuDNN 91900", of an open device, and of what a search finds now, with or without a GPU. */
void remat_cuda_libraries_describe(const struct remat_device *device, char *text, int capacity);
void remat_cuda_libraries_found(char *text, int capacity);

/* Updates in a row, each of its own parameter: update_joined.cu. */
bool remat_cuda_updates_join(const struct remat_kernel *first, const struct remat_kernel *next);
enum remat_status remat_cuda_update_joined(const struct remat_kernel *const *kernels,
                                           const struct remat_kernel_args *const *args, int32_t count,
                                           struct remat_error *err);

/* The table of a build: of all implementations, the preferred one of an op first; ended by NULL. */
extern const struct remat_op_impl *const remat_cuda_table[];

/* Own kernels. */
#define REMAT_CUDA_OWN_IMPLS(X)                     \
    X(remat_cuda_feed)                              \
    X(remat_cuda_cast)                              \
    X(remat_cuda_conv2d_plain)                      \
    X(remat_cuda_conv2d_bwd_data_plain)             \
    X(remat_cuda_conv2d_bwd_weights_plain)          \
    X(remat_cuda_conv2d_product_plain)              \
    X(remat_cuda_conv2d_bwd_data_product_plain)     \
    X(remat_cuda_conv2d_bwd_data_add_product_plain) \
    X(remat_cuda_conv2d_bwd_weights_product_plain)  \
    X(remat_cuda_batchnorm)                         \
    X(remat_cuda_batchnorm_apply)                   \
    X(remat_cuda_batchnorm_eval)                    \
    X(remat_cuda_batchnorm_bwd)                     \
    X(remat_cuda_relu)                              \
    X(remat_cuda_relu_bwd)                          \
    X(remat_cuda_add)                               \
    X(remat_cuda_maxpool)                           \
    X(remat_cuda_maxpool_bwd)                       \
    X(remat_cuda_avgpool)                           \
    X(remat_cuda_avgpool_bwd)                       \
    X(remat_cuda_linear_plain)                      \
    X(remat_cuda_linear_add_plain)                  \
    X(remat_cuda_linear_bwd_data_plain)             \
    X(remat_cuda_linear_gelu_bwd_plain)             \
    X(remat_cuda_linear_bwd_weights_plain)          \
    X(remat_cuda_loss)                              \
    X(remat_cuda_loss_eval)                         \
    X(remat_cuda_embedding)                         \
    X(remat_cuda_embedding_bwd)                     \
    X(remat_cuda_layernorm)                         \
    X(remat_cuda_layernorm_apply)                   \
    X(remat_cuda_layernorm_bwd)                     \
    X(remat_cuda_gelu)                              \
    X(remat_cuda_gelu_bwd)                          \
    X(remat_cuda_dropout)                           \
    X(remat_cuda_dropout_bwd)                       \
    X(remat_cuda_attention)                         \
    X(remat_cuda_attention_bwd)                     \
    X(remat_cuda_classifier_loss_plain)             \
    X(remat_cuda_classifier_eval_plain)             \
    X(remat_cuda_accumulate)                        \
    X(remat_cuda_square_norm)                       \
    X(remat_cuda_reset)                             \
    X(remat_cuda_sgd)                               \
    X(remat_cuda_adamw)
/* Kernels of NVIDIA's libraries. */
#define REMAT_CUDA_LIBRARY_IMPLS(X)                \
    X(remat_cuda_conv2d_product)                   \
    X(remat_cuda_conv2d_bwd_data_product)          \
    X(remat_cuda_conv2d_bwd_data_add)              \
    X(remat_cuda_conv2d_bwd_weights_product)       \
    X(remat_cuda_conv2d)                           \
    X(remat_cuda_conv2d_bwd_data)                  \
    X(remat_cuda_conv2d_bwd_weights)               \
    X(remat_cuda_conv2d_second)                    \
    X(remat_cuda_conv2d_bwd_data_second)           \
    X(remat_cuda_conv2d_bwd_weights_second)        \
    X(remat_cuda_conv2d_third)                     \
    X(remat_cuda_conv2d_bwd_data_third)            \
    X(remat_cuda_conv2d_bwd_weights_third)         \
    X(remat_cuda_conv2d_product_later)             \
    X(remat_cuda_conv2d_bwd_data_product_later)    \
    X(remat_cuda_conv2d_bwd_weights_product_later) \
    X(remat_cuda_linear)                           \
    X(remat_cuda_linear_add)                       \
    X(remat_cuda_linear_bwd_data)                  \
    X(remat_cuda_linear_gelu_bwd)                  \
    X(remat_cuda_linear_bwd_weights)               \
    X(remat_cuda_linear_second)                    \
    X(remat_cuda_linear_add_second)                \
    X(remat_cuda_linear_bwd_data_second)           \
    X(remat_cuda_linear_gelu_bwd_second)           \
    X(remat_cuda_linear_bwd_weights_second)        \
    X(remat_cuda_linear_third)                     \
    X(remat_cuda_linear_add_third)                 \
    X(remat_cuda_linear_bwd_data_third)            \
    X(remat_cuda_linear_gelu_bwd_third)            \
    X(remat_cuda_linear_bwd_weights_third)         \
    X(remat_cuda_classifier_loss)                  \
    X(remat_cuda_classifier_eval)                  \
    X(remat_cuda_attention_fused)                  \
    X(remat_cuda_attention_bwd_fused)

#define X(name) extern const struct remat_op_impl name;
REMAT_CUDA_OWN_IMPLS(X)
REMAT_CUDA_LIBRARY_IMPLS(X)
#undef X

#endif
