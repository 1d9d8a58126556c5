/* The cpu backend: its implementations, the preferred one of each op first. */
#include "runtime/backend/cpu/cpu.h"

#include "runtime/backend/cpu/device.h"
#include "runtime/backend/cpu/loops.h"

#include <stddef.h>

/* Each family's lines stand together, with its file's name. */
static const struct remat_op_impl *const table[] = {
    /* attention.c */
    &remat_cpu_attention,
    &remat_cpu_attention_bwd,
    /* classifier.c */
    &remat_cpu_classifier_loss,
    &remat_cpu_classifier_eval,
    /* winograd_ops.c: before conv.c, as it is offered only where it is faster */
    &remat_cpu_winograd,
    &remat_cpu_winograd_bwd_data,
    &remat_cpu_winograd_bwd_weights,
    /* onednn_ops.c: likewise */
    &remat_cpu_onednn_conv,
    &remat_cpu_onednn_conv_bwd_data,
    /* conv.c */
    &remat_cpu_conv,
    &remat_cpu_conv_bwd_data,
    &remat_cpu_conv_bwd_weights,
    /* linear.c */
    &remat_cpu_linear,
    &remat_cpu_linear_bwd_data,
    &remat_cpu_linear_bwd_weights,
/* loops.h */
#define X(name) &name,
    REMAT_CPU_LOOPS(X)
#undef X
        NULL,
};

static enum remat_status options(struct remat_device *device, const struct remat_kernel_spec *spec,
                                 struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                 struct remat_error *err)
{
    return remat_op_table_options(table, device, spec, out, count, err);
}

static enum remat_status kernel_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                       int32_t option, struct remat_kernel **out, struct remat_error *err)
{
    return remat_op_table_create(table, device, spec, option, out, err);
}

const struct remat_backend remat_backend_cpu = {
    .name = "cpu",
    .ops = &remat_host_ops,
    .open = remat_cpu_open,
    .close = remat_cpu_close,
    .describe = remat_cpu_describe,
    .options = options,
    .kernel_create = kernel_create,
    .kernel_scratch_bytes = remat_op_table_scratch_bytes,
    .kernel_run = remat_op_table_run,
    .kernel_destroy = remat_op_table_destroy,
};
