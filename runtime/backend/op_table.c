#include "runtime/backend/op_table.h"

#include "core/base/memory.h"

#include <stdlib.h>

struct remat_kernel {
    const struct remat_op_impl *impl;
    struct remat_kernel_spec spec;
    void *state;
    int64_t scratch_bytes;
};

static bool fits(const struct remat_op_impl *impl, struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return impl->op == spec->op && (!impl->supports || impl->supports(device, spec));
}

/* The implementation that is option `option` of the spec, or NULL. */
static const struct remat_op_impl *find(const struct remat_op_impl *const *table, struct remat_device *device,
                                        const struct remat_kernel_spec *spec, int32_t option)
{
    for (; *table; table++) {
        if (fits(*table, device, spec) && option-- == 0)
            return *table;
    }
    return NULL;
}

static enum remat_status make(const struct remat_op_impl *impl, struct remat_device *device,
                              const struct remat_kernel_spec *spec, struct remat_kernel *kernel,
                              struct remat_error *err)
{
    kernel->impl = impl;
    kernel->spec = *spec;
    if (!impl->create)
        return REMAT_OK;
    if (impl->create(device, spec, &kernel->state, &kernel->scratch_bytes, err) == REMAT_OK)
        return REMAT_OK;
    return remat_error_prefix(err, "%s (%s)", remat_op_text(spec->op), impl->name);
}

static void release(struct remat_kernel *kernel)
{
    if (kernel->impl->destroy && kernel->state)
        kernel->impl->destroy(kernel->state);
}

enum remat_status remat_op_table_options(const struct remat_op_impl *const *table, struct remat_device *device,
                                         const struct remat_kernel_spec *spec,
                                         struct remat_kernel_option out[REMAT_MAX_OPTIONS], int32_t *count,
                                         struct remat_error *err)
{
    *count = 0;
    for (; *table && *count < REMAT_MAX_OPTIONS; table++) {
        struct remat_kernel kernel = {0};
        if (!fits(*table, device, spec))
            continue;
        REMAT_TRY(make(*table, device, spec, &kernel, err));
        out[*count] = (struct remat_kernel_option){(*table)->name, kernel.scratch_bytes, (*table)->numerics};
        ++*count;
        release(&kernel);
    }
    if (*count == 0)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "%s: this backend has no kernel for these element types and shapes; use --device ref",
                          remat_op_text(spec->op));
    return REMAT_OK;
}

enum remat_status remat_op_table_create(const struct remat_op_impl *const *table, struct remat_device *device,
                                        const struct remat_kernel_spec *spec, int32_t option, struct remat_kernel **out,
                                        struct remat_error *err)
{
    const struct remat_op_impl *impl = find(table, device, spec, option);
    enum remat_status status;
    *out = NULL;
    if (!impl)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "%s: this backend has no option %d for these element types and shapes",
                          remat_op_text(spec->op), (int)option);
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    status = make(impl, device, spec, *out, err);
    if (status != REMAT_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

const struct remat_op_impl *remat_op_table_impl(const struct remat_kernel *kernel)
{
    return kernel->impl;
}

const struct remat_kernel_spec *remat_op_table_spec(const struct remat_kernel *kernel)
{
    return &kernel->spec;
}

void *remat_op_table_state(const struct remat_kernel *kernel)
{
    return kernel->state;
}

int64_t remat_op_table_scratch_bytes(const struct remat_kernel *kernel)
{
    return kernel->scratch_bytes;
}

enum remat_status remat_op_table_run(const struct remat_kernel *kernel, const struct remat_kernel_args *args,
                                     struct remat_error *err)
{
    if (kernel->impl->run(kernel->state, &kernel->spec, args, err) == REMAT_OK)
        return REMAT_OK;
    return remat_error_prefix(err, "%s (%s)", remat_op_text(kernel->spec.op), kernel->impl->name);
}

void remat_op_table_destroy(struct remat_kernel *kernel)
{
    if (!kernel)
        return;
    release(kernel);
    free(kernel);
}
