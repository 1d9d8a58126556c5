#include "runtime/backend/cpu/onednn.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/conv_shape.h"

#include <omp.h>
#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Two primitives, run one after the other: weights into the layout that the second asks for, then the convolution. */
struct remat_onednn_conv {
    struct remat_device *device; /* borrows */
    bool backward;
    dnnl_primitive_desc_t forward_desc, desc, reorder_desc; /* the first is a hint of the second, backward */
    dnnl_primitive_t primitive, reorder;
    dnnl_memory_t image, result, plain, packed, scratchpad;
    int64_t packed_bytes, scratchpad_bytes;
};

enum remat_status remat_onednn_open(struct remat_device *device, struct remat_error *err)
{
    dnnl_status_t status = dnnl_engine_create(&device->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&device->stream, device->engine, dnnl_stream_default_flags);
    if (status != dnnl_success)
        return remat_fail(err, REMAT_UNAVAILABLE, "cpu: oneDNN has no CPU engine here (its status is %d)", (int)status);
    return REMAT_OK;
}

void remat_onednn_close(struct remat_device *device)
{
    if (device->stream)
        dnnl_stream_destroy(device->stream);
    if (device->engine)
        dnnl_engine_destroy(device->engine);
    device->stream = NULL;
    device->engine = NULL;
}

void remat_onednn_version(char *out, size_t capacity)
{
    const dnnl_version_t *version = dnnl_version();
    snprintf(out, capacity, "%d.%d.%d", version->major, version->minor, version->patch);
}

/* oneDNN divides work among as many threads as OpenMP would use now. */
static int use_threads(const struct remat_device *device)
{
    int before = omp_get_max_threads();
    omp_set_num_threads(device->threads);
    return before;
}

static void describe_operands(const struct remat_conv_shape *shape, dnnl_memory_desc_t *x, dnnl_memory_desc_t *y,
                              dnnl_memory_desc_t *plain, dnnl_memory_desc_t *any)
{
    dnnl_dims_t x_dims = {shape->n, shape->c, shape->in[0], shape->in[1]};
    dnnl_dims_t y_dims = {shape->n, shape->k, shape->out[0], shape->out[1]};
    dnnl_dims_t w_dims = {shape->k, shape->c, shape->kernel[0], shape->kernel[1]};
    dnnl_memory_desc_init_by_tag(x, 4, x_dims, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(y, 4, y_dims, dnnl_f32, dnnl_nhwc);
    dnnl_memory_desc_init_by_tag(plain, 4, w_dims, dnnl_f32, dnnl_ohwi);
    dnnl_memory_desc_init_by_tag(any, 4, w_dims, dnnl_f32, dnnl_format_tag_any);
}

/* The descriptor of the wanted direction; backward needs the forward one as a hint. */
static dnnl_status_t describe(struct remat_onednn_conv *conv, const struct remat_conv_shape *shape)
{
    dnnl_memory_desc_t x, y, plain, any;
    dnnl_convolution_desc_t convolution;
    dnnl_dims_t stride = {shape->stride[0], shape->stride[1]}, pad = {shape->pad[0], shape->pad[1]};
    dnnl_primitive_attr_t attr;
    dnnl_engine_t engine = conv->device->engine;
    dnnl_status_t status = dnnl_primitive_attr_create(&attr);
    if (status != dnnl_success)
        return status;
    describe_operands(shape, &x, &y, &plain, &any);
    status = dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (status == dnnl_success)
        status = dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_training, dnnl_convolution_direct, &x,
                                                    &any, NULL, &y, stride, pad, pad);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&conv->forward_desc, &convolution, attr, engine, NULL);
    if (status == dnnl_success && conv->backward) {
        status = dnnl_convolution_backward_data_desc_init(&convolution, dnnl_convolution_direct, &x, &any, &y, stride,
                                                          pad, pad);
        if (status == dnnl_success)
            status = dnnl_primitive_desc_create(&conv->desc, &convolution, attr, engine, conv->forward_desc);
    } else if (status == dnnl_success) {
        status = dnnl_primitive_desc_clone(&conv->desc, conv->forward_desc);
    }
    dnnl_primitive_attr_destroy(attr);
    return status;
}

bool remat_onednn_conv_offered(const struct remat_device *device, const struct remat_conv_shape *shape, bool backward)
{
    struct remat_onednn_conv conv = {.device = (struct remat_device *)device, .backward = backward};
    int threads = use_threads(device);
    const char *name = "";
    bool offered = describe(&conv, shape) == dnnl_success &&
                   dnnl_primitive_desc_query(conv.desc, dnnl_query_impl_info_str, 0, &name) == dnnl_success &&
                   strncmp(name, "jit", 3) == 0;
    if (conv.desc)
        dnnl_primitive_desc_destroy(conv.desc);
    if (conv.forward_desc)
        dnnl_primitive_desc_destroy(conv.forward_desc);
    omp_set_num_threads(threads);
    return offered;
}

static dnnl_status_t make_memory(struct remat_onednn_conv *conv, const struct remat_conv_shape *shape,
                                 const dnnl_memory_desc_t *packed, const dnnl_memory_desc_t *scratchpad)
{
    dnnl_memory_desc_t x, y, plain, any;
    dnnl_engine_t engine = conv->device->engine;
    dnnl_status_t status;
    describe_operands(shape, &x, &y, &plain, &any);
    conv->packed_bytes = remat_align_up((int64_t)dnnl_memory_desc_get_size(packed));
    conv->scratchpad_bytes = (int64_t)dnnl_memory_desc_get_size(scratchpad);
    status = dnnl_memory_create(&conv->image, conv->backward ? &y : &x, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&conv->result, conv->backward ? &x : &y, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&conv->plain, &plain, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&conv->packed, packed, engine, DNNL_MEMORY_NONE);
    if (status == dnnl_success)
        status = dnnl_memory_create(&conv->scratchpad, scratchpad, engine, DNNL_MEMORY_NONE);
    return status;
}

static dnnl_status_t make(struct remat_onednn_conv *conv, const struct remat_conv_shape *shape)
{
    dnnl_memory_desc_t x, y, plain, any;
    const dnnl_memory_desc_t *packed;
    dnnl_engine_t engine = conv->device->engine;
    dnnl_status_t status = describe(conv, shape);
    if (status != dnnl_success)
        return status;
    describe_operands(shape, &x, &y, &plain, &any);
    packed = dnnl_primitive_desc_query_md(conv->desc, dnnl_query_weights_md, 0);
    status = make_memory(conv, shape, packed, dnnl_primitive_desc_query_md(conv->desc, dnnl_query_scratchpad_md, 0));
    if (status == dnnl_success)
        status = dnnl_reorder_primitive_desc_create(&conv->reorder_desc, &plain, engine, packed, engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&conv->reorder, conv->reorder_desc);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&conv->primitive, conv->desc);
    return status;
}

enum remat_status remat_onednn_conv_create(struct remat_device *device, const struct remat_conv_shape *shape,
                                           bool backward, struct remat_onednn_conv **out, struct remat_error *err)
{
    struct remat_onednn_conv *conv;
    dnnl_status_t status;
    int threads = use_threads(device);
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(conv, 1, err));
    conv->device = device;
    conv->backward = backward;
    status = make(conv, shape);
    omp_set_num_threads(threads);
    if (status != dnnl_success) {
        remat_onednn_conv_destroy(conv);
        return remat_fail(err, REMAT_FAILED, "oneDNN could not make a convolution (its status is %d)", (int)status);
    }
    *out = conv;
    return REMAT_OK;
}

void remat_onednn_conv_destroy(struct remat_onednn_conv *conv)
{
    dnnl_memory_t memory[] = {conv->image, conv->result, conv->plain, conv->packed, conv->scratchpad};
    dnnl_primitive_desc_t descs[] = {conv->forward_desc, conv->desc, conv->reorder_desc};
    dnnl_primitive_t primitives[] = {conv->primitive, conv->reorder};
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
        if (primitives[i])
            dnnl_primitive_destroy(primitives[i]);
    for (size_t i = 0; i < sizeof descs / sizeof *descs; i++)
        if (descs[i])
            dnnl_primitive_desc_destroy(descs[i]);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (memory[i])
            dnnl_memory_destroy(memory[i]);
    free(conv);
}

int64_t remat_onednn_conv_scratch_bytes(const struct remat_onednn_conv *conv)
{
    return conv->packed_bytes + conv->scratchpad_bytes;
}

static dnnl_status_t set_addresses(const struct remat_onednn_conv *conv, const float *source, const float *weights,
                                   float *target, void *scratch)
{
    dnnl_status_t status = dnnl_memory_set_data_handle(conv->image, (void *)(uintptr_t)source);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(conv->plain, (void *)(uintptr_t)weights);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(conv->result, target);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(conv->packed, scratch);
    if (status == dnnl_success)
        status = dnnl_memory_set_data_handle(conv->scratchpad, (char *)scratch + conv->packed_bytes);
    return status;
}

enum remat_status remat_onednn_conv_run(const struct remat_onednn_conv *conv, const float *source, const float *weights,
                                        float *target, void *scratch, struct remat_error *err)
{
    dnnl_exec_arg_t reorder[] = {{DNNL_ARG_FROM, conv->plain}, {DNNL_ARG_TO, conv->packed}};
    dnnl_exec_arg_t convolution[] = {{conv->backward ? DNNL_ARG_DIFF_DST : DNNL_ARG_SRC, conv->image},
                                     {DNNL_ARG_WEIGHTS, conv->packed},
                                     {conv->backward ? DNNL_ARG_DIFF_SRC : DNNL_ARG_DST, conv->result},
                                     {DNNL_ARG_SCRATCHPAD, conv->scratchpad}};
    int threads = use_threads(conv->device);
    dnnl_status_t status = set_addresses(conv, source, weights, target, scratch);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(conv->reorder, conv->device->stream, 2, reorder);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(conv->primitive, conv->device->stream, 4, convolution);
    if (status == dnnl_success)
        status = dnnl_stream_wait(conv->device->stream);
    omp_set_num_threads(threads);
    if (status != dnnl_success)
        return remat_fail(err, REMAT_FAILED, "oneDNN could not run a convolution (its status is %d)", (int)status);
    return REMAT_OK;
}
