#include "profiler/isolated.h"

#include "core/base/memory.h"
#include "profiler/synthetic.h"

#include <stdlib.h>

enum { EVICT_BYTES = 64 << 20 };

/* Sizes of everything that the kernel is handed, laid out one after the other. */
static int64_t needed_bytes(const struct remat_kernel_spec *spec, int64_t scratch_bytes)
{
    int64_t bytes = remat_align_up(scratch_bytes) + remat_align_up((int64_t)sizeof(struct remat_step_record));
    for (int32_t k = 0; k < spec->inputs_count; k++)
        bytes += remat_align_up(remat_tensor_bytes(&spec->inputs[k]));
    for (int32_t k = 0; k < spec->outputs_count; k++)
        bytes += remat_align_up(remat_tensor_bytes(&spec->outputs[k]));
    for (int32_t k = 0; k < spec->cells_count; k++)
        bytes += remat_align_up(remat_tensor_bytes(&spec->cells[k]));
    return bytes;
}

/* Classes or vocabulary: what an integer operand may at most be. */
static int64_t integer_bound(const struct remat_kernel_spec *spec)
{
    switch (spec->op) {
    case REMAT_OP_EMBEDDING:
        return spec->cells[0].dims[0];
    case REMAT_OP_CLASSIFIER_LOSS:
    case REMAT_OP_CLASSIFIER_EVAL:
        return remat_op_weight(spec)->dims[0];
    case REMAT_OP_EMBEDDING_BWD:
        return spec->outputs[0].dims[0];
    case REMAT_OP_LOSS:
    case REMAT_OP_LOSS_EVAL:
        return remat_tensor_columns(&spec->inputs[0]);
    default:
        return 1;
    }
}

/* Where the operands of one kernel lie. */
struct bench {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_memory memory, evicted; /* evicted: empty unless caches are to be cold */
    struct remat_marks *marks;
    int64_t used_bytes;
    struct remat_kernel_args args;
};

static unsigned char *take(struct bench *bench, int64_t bytes)
{
    unsigned char *taken = bench->memory.base + bench->used_bytes;
    bench->used_bytes += remat_align_up(bytes);
    return taken;
}

static enum remat_status put(struct bench *bench, const void *data, int64_t bytes, void **out, struct remat_error *err)
{
    *out = take(bench, bytes);
    return bench->backend->ops->upload(bench->device, *out, data, bytes, err);
}

static enum remat_status put_synthetic(struct bench *bench, const struct remat_tensor *tensor, int64_t bound,
                                       uint32_t stream, void **out, struct remat_error *err)
{
    int64_t bytes = remat_tensor_bytes(tensor);
    char *data;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(data, bytes, err));
    remat_fill_synthetic(tensor, data, bound, stream);
    status = put(bench, data, bytes, out, err);
    free(data);
    return status;
}

static enum remat_status bind(const struct remat_kernel_spec *spec, struct bench *bench, struct remat_error *err)
{
    const struct remat_step_record record = {.micro_count = 1, .loss_scale = 1.0f};
    int64_t bound = integer_bound(spec);
    void *input, *device_record;
    for (int32_t k = 0; k < spec->inputs_count; k++) {
        REMAT_TRY(put_synthetic(bench, &spec->inputs[k], bound, (uint32_t)k, &input, err));
        bench->args.inputs[k] = input;
    }
    for (int32_t k = 0; k < spec->cells_count; k++)
        REMAT_TRY(put_synthetic(bench, &spec->cells[k], bound, 16 + (uint32_t)k, &bench->args.cells[k], err));
    for (int32_t k = 0; k < spec->outputs_count; k++)
        bench->args.outputs[k] = take(bench, remat_tensor_bytes(&spec->outputs[k]));
    REMAT_TRY(put(bench, &record, (int64_t)sizeof record, &device_record, err));
    bench->args.record = device_record;
    bench->args.scratch = bench->memory.base + bench->used_bytes;
    return REMAT_OK;
}

static enum remat_status time_runs(struct bench *bench, const struct remat_kernel *kernel, int64_t *samples_ns,
                                   int32_t count, struct remat_error *err)
{
    const struct remat_device_ops *ops = bench->backend->ops;
    REMAT_TRY(bench->backend->kernel_run(kernel, &bench->args, err));
    for (int32_t i = 0; i < count; i++) {
        if (bench->evicted.base)
            REMAT_TRY(ops->fill(bench->device, bench->evicted.base, 1, bench->evicted.bytes, err));
        REMAT_TRY(ops->mark(bench->marks, 0, err));
        REMAT_TRY(bench->backend->kernel_run(kernel, &bench->args, err));
        REMAT_TRY(ops->mark(bench->marks, 1, err));
        REMAT_TRY(ops->marks_elapsed(bench->marks, 0, 1, &samples_ns[i], err));
        samples_ns[i] = samples_ns[i] > 0 ? samples_ns[i] : 1;
    }
    return REMAT_OK;
}

static enum remat_status open_memory(struct bench *bench, int64_t bytes, bool cold, struct remat_error *err)
{
    const struct remat_device_ops *ops = bench->backend->ops;
    REMAT_TRY(ops->marks_open(bench->device, 2, &bench->marks, err));
    REMAT_TRY(ops->memory_open(bench->device, bytes, "timing one task", &bench->memory, err));
    return cold ? ops->memory_open(bench->device, EVICT_BYTES, "evicting caches", &bench->evicted, err) : REMAT_OK;
}

enum remat_status remat_time_isolated(const struct remat_backend *backend, struct remat_device *device,
                                      const struct remat_kernel_spec *spec, int32_t option, bool cold,
                                      int64_t *samples_ns, int32_t count, struct remat_error *err)
{
    struct bench bench = {.backend = backend, .device = device};
    struct remat_kernel *kernel = NULL;
    enum remat_status status;
    REMAT_TRY(backend->kernel_create(device, spec, option, &kernel, err));
    REMAT_TRY_GOTO(open_memory(&bench, needed_bytes(spec, backend->kernel_scratch_bytes(kernel)), cold, err), done);
    REMAT_TRY_GOTO(bind(spec, &bench, err), done);
    status = time_runs(&bench, kernel, samples_ns, count, err);
done:
    backend->ops->marks_close(bench.marks);
    remat_memory_close(&bench.evicted);
    remat_memory_close(&bench.memory);
    backend->kernel_destroy(kernel);
    return status;
}
