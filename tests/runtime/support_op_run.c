/* One call in poisoned memory. */
#include "support_op_case.h"

#include "core/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_RANGES = REMAT_MAX_INPUTS + REMAT_MAX_OUTPUTS + REMAT_MAX_CELLS + 2 };

/* Memory of one call: declared ranges between guard bands, in ascending order. */
struct memory {
    unsigned char *base;        /* on the host; uploaded before the call, downloaded after it */
    struct remat_memory device; /* the same bytes where the kernel sees them */
    int64_t bytes, used;
    const struct op_placement *placement;
    int32_t ranges_count;
    struct {
        int64_t begin, end;
    } ranges[MAX_RANGES];
};

static int64_t total(int32_t count, const struct remat_tensor *tensors)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < count; i++)
        bytes += remat_align_up(remat_tensor_bytes(&tensors[i]));
    return bytes;
}

static void memory_open(struct memory *m, const struct op_backend *b, const struct remat_kernel_spec *spec,
                        int64_t scratch_bytes, const struct op_placement *placement)
{
    struct remat_error err = {0};
    memset(m, 0, sizeof *m);
    m->placement = placement;
    m->bytes = placement->shift + remat_align_up((int64_t)sizeof(struct remat_step_record)) +
               total(spec->inputs_count, spec->inputs) + total(spec->outputs_count, spec->outputs) +
               total(spec->cells_count, spec->cells) + remat_align_up(scratch_bytes) +
               (MAX_RANGES + 1) * placement->gap;
    m->bytes = remat_align_up(m->bytes);
    m->base = malloc((size_t)m->bytes);
    assert_non_null(m->base);
    if (b->backend->ops->memory_open(b->device, m->bytes, "the operands of one call", &m->device, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    memset(m->base, placement->pattern, (size_t)m->bytes);
    m->used = placement->shift + placement->gap;
}

/* Declares the next range; its bytes keep the pattern, or become `data`. Returns the device's address. */
static void *place(struct memory *m, int64_t bytes, const void *data)
{
    int64_t at = m->used;
    m->ranges[m->ranges_count].begin = m->used;
    m->ranges[m->ranges_count++].end = m->used + bytes;
    m->used += remat_align_up(bytes) + m->placement->gap;
    assert_true(m->used <= m->bytes);
    if (data)
        memcpy(m->base + at, data, (size_t)bytes);
    return m->device.base + at;
}

static void check_band(const struct memory *m, const char *what, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        if (m->base[i] != m->placement->pattern)
            fail_msg("%s: wrote outside its operands, at byte %lld of a guard band of %lld", what,
                     (long long)(i - begin), (long long)(end - begin));
    }
}

static void memory_check(const struct memory *m, const char *what)
{
    int64_t at = 0;
    for (int32_t i = 0; i < m->ranges_count; i++) {
        check_band(m, what, at, m->ranges[i].begin);
        at = m->ranges[i].end;
    }
    check_band(m, what, at, m->bytes);
}

/* What the device has at one of its addresses, once downloaded. */
static const void *seen(const struct memory *m, const void *address)
{
    return m->base + ((const unsigned char *)address - m->device.base);
}

/* The input that output j lies over, or -1. */
static int32_t under(const struct op_placement *placement, int32_t j)
{
    for (int32_t i = 0; i < placement->in_place; i++) {
        if (placement->pairs[i].output == j)
            return placement->pairs[i].input;
    }
    return -1;
}

static bool overwritten(const struct op_placement *placement, int32_t input)
{
    for (int32_t i = 0; i < placement->in_place; i++) {
        if (placement->pairs[i].input == input)
            return true;
    }
    return false;
}

static void place_operands(struct memory *m, const struct op_call *call, const struct remat_kernel_spec *spec,
                           const struct op_values *in, int64_t scratch_bytes, const struct remat_step_record *record,
                           struct remat_kernel_args *args)
{
    args->record = place(m, (int64_t)sizeof *args->record, record);
    for (int32_t i = 0; i < spec->inputs_count; i++)
        args->inputs[i] = place(m, remat_tensor_bytes(&spec->inputs[i]), in->slot[call->inputs[i]]);
    args->scratch = scratch_bytes ? place(m, scratch_bytes, NULL) : NULL;
    for (int32_t j = 0; j < spec->outputs_count; j++) {
        int32_t input = under(m->placement, j);
        args->outputs[j] =
            input < 0 ? place(m, remat_tensor_bytes(&spec->outputs[j]), NULL) : (void *)(uintptr_t)args->inputs[input];
    }
    for (int32_t i = 0; i < spec->cells_count; i++)
        args->cells[i] = place(m, remat_tensor_bytes(&spec->cells[i]), in->slot[call->cells[i]]);
}

static void take_results(const char *what, const struct memory *m, const struct op_placement *placement,
                         const struct op_call *call, const struct remat_kernel_spec *spec, const struct op_values *in,
                         const struct remat_kernel_args *args, struct op_values *out)
{
    for (int32_t i = 0; i < spec->inputs_count; i++) {
        if (!overwritten(placement, i) && memcmp(seen(m, args->inputs[i]), in->slot[call->inputs[i]],
                                                 (size_t)remat_tensor_bytes(&spec->inputs[i])) != 0)
            fail_msg("%s: changed its input %d", what, (int)i);
    }
    for (int32_t j = 0; j < spec->outputs_count; j++)
        memcpy(out->slot[call->outputs[j]], seen(m, args->outputs[j]), (size_t)remat_tensor_bytes(&spec->outputs[j]));
    for (int32_t i = 0; i < spec->cells_count; i++)
        memcpy(out->slot[call->cells[i]], seen(m, args->cells[i]), (size_t)remat_tensor_bytes(&spec->cells[i]));
}

static enum remat_status run(const struct op_backend *b, struct memory *m, const struct remat_kernel *kernel,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device_ops *ops = b->backend->ops;
    REMAT_TRY(ops->upload(b->device, m->device.base, m->base, m->bytes, err));
    REMAT_TRY(b->backend->kernel_run(kernel, args, err));
    return ops->download(b->device, m->base, m->device.base, m->bytes, err);
}

void op_call_run(const struct op_backend *b, const struct op_case *c, const struct op_call *call, int32_t option,
                 const struct op_placement *placement, const struct op_values *in, struct op_values *out)
{
    struct remat_kernel_spec spec = op_call_spec(c, call);
    struct remat_kernel_args args = {0};
    struct remat_kernel *kernel;
    struct remat_error err = {0};
    struct memory m;
    if (b->backend->kernel_create(b->device, &spec, option, &kernel, &err) != REMAT_OK)
        fail_msg("%s: %s", c->name, err.message);
    memory_open(&m, b, &spec, b->backend->kernel_scratch_bytes(kernel), placement);
    place_operands(&m, call, &spec, in, b->backend->kernel_scratch_bytes(kernel), &c->record, &args);
    if (run(b, &m, kernel, &args, &err) != REMAT_OK)
        fail_msg("%s: %s", c->name, err.message);
    memory_check(&m, c->name);
    take_results(c->name, &m, placement, call, &spec, in, &args, out);
    b->backend->kernel_destroy(kernel);
    remat_memory_close(&m.device);
    free(m.base);
}
