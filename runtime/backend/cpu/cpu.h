/* The cpu backend and the implementations that its table lists; declared here by the files that export them. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CPU_H
#define REMAT_RUNTIME_BACKEND_CPU_CPU_H

#include "runtime/backend/op_table.h"

extern const struct remat_backend remat_backend_cpu;

/* classifier.c */
extern const struct remat_op_impl remat_cpu_classifier_loss, remat_cpu_classifier_eval;
/* attention.c */
extern const struct remat_op_impl remat_cpu_attention, remat_cpu_attention_bwd;
/* conv.c */
extern const struct remat_op_impl remat_cpu_conv, remat_cpu_conv_bwd_data, remat_cpu_conv_bwd_weights;
/* onednn_ops.c */
extern const struct remat_op_impl remat_cpu_onednn_conv, remat_cpu_onednn_conv_bwd_data;
/* winograd_ops.c */
extern const struct remat_op_impl remat_cpu_winograd, remat_cpu_winograd_bwd_data, remat_cpu_winograd_bwd_weights;
/* linear.c */
extern const struct remat_op_impl remat_cpu_linear, remat_cpu_linear_bwd_data, remat_cpu_linear_bwd_weights;

#endif
