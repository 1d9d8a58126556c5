#include "profiler/isolated.h"

#include "core/base/memory.h"
#include "profiler/clock.h"
#include "profiler/synthetic.h"
#include "runtime/exec/memory.h"

#include <string.h>

enum { EVICT_BYTES = 64 << 20 };

/* Sizes of everything that the kernel is handed, laid out one after the other. */
static int64_t needed_bytes(const struct remat_kernel_spec *spec, int64_t scratch_bytes)
{
    int64_t bytes = remat_align_up(scratch_bytes);
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
    case REMAT_OP_CLASSIFIER_LOSS:
    case REMAT_OP_CLASSIFIER_EVAL:
        return spec->cells[0].dims[0];
    case REMAT_OP_EMBEDDING_BWD:
        return spec->outputs[0].dims[0];
    case REMAT_OP_LOSS:
    case REMAT_OP_LOSS_EVAL:
        return remat_tensor_columns(&spec->inputs[0]);
    default:
        return 1;
    }
}

static unsigned char *take(unsigned char **next, const struct remat_tensor *tensor)
{
    unsigned char *taken = *next;
    *next += remat_align_up(remat_tensor_bytes(tensor));
    return taken;
}

static void bind(const struct remat_kernel_spec *spec, unsigned char *base, struct remat_kernel_args *args)
{
    int64_t bound = integer_bound(spec);
    for (int32_t k = 0; k < spec->inputs_count; k++) {
        void *data = take(&base, &spec->inputs[k]);
        remat_fill_synthetic(&spec->inputs[k], data, bound, (uint32_t)k);
        args->inputs[k] = data;
    }
    for (int32_t k = 0; k < spec->cells_count; k++) {
        args->cells[k] = take(&base, &spec->cells[k]);
        remat_fill_synthetic(&spec->cells[k], args->cells[k], bound, 16 + (uint32_t)k);
    }
    for (int32_t k = 0; k < spec->outputs_count; k++)
        args->outputs[k] = take(&base, &spec->outputs[k]);
    args->scratch = base;
}

static void evict(struct remat_memory *memory)
{
    memset(memory->base, 1, (size_t)memory->bytes);
}

static enum remat_status time_runs(const struct remat_backend *backend, const struct remat_kernel *kernel,
                                   const struct remat_kernel_args *args, struct remat_memory *evicted,
                                   int64_t *samples_ns, int32_t count, struct remat_error *err)
{
    REMAT_TRY(backend->kernel_run(kernel, args, err));
    for (int32_t i = 0; i < count; i++) {
        int64_t begin;
        if (evicted->base)
            evict(evicted);
        begin = remat_clock_ns();
        REMAT_TRY(backend->kernel_run(kernel, args, err));
        samples_ns[i] = remat_clock_ns() - begin;
        samples_ns[i] = samples_ns[i] > 0 ? samples_ns[i] : 1;
    }
    return REMAT_OK;
}

enum remat_status remat_time_isolated(const struct remat_backend *backend, struct remat_device *device,
                                      const struct remat_kernel_spec *spec, int32_t option, bool cold,
                                      int64_t *samples_ns, int32_t count, struct remat_error *err)
{
    struct remat_memory memory = {0}, evicted = {0};
    struct remat_step_record record = {.micro_count = 1, .loss_scale = 1.0f};
    struct remat_kernel_args args;
    struct remat_kernel *kernel = NULL;
    enum remat_status status;
    memset(&args, 0, sizeof args);
    args.record = &record;
    REMAT_TRY(backend->kernel_create(device, spec, option, &kernel, err));
    REMAT_TRY_GOTO(
        remat_memory_open(needed_bytes(spec, backend->kernel_scratch_bytes(kernel)), "timing one task", &memory, err),
        done);
    if (cold)
        REMAT_TRY_GOTO(remat_memory_open(EVICT_BYTES, "evicting caches", &evicted, err), done);
    bind(spec, memory.base, &args);
    status = time_runs(backend, kernel, &args, &evicted, samples_ns, count, err);
done:
    remat_memory_close(&evicted);
    remat_memory_close(&memory);
    backend->kernel_destroy(kernel);
    return status;
}
