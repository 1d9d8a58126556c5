#include "runtime/backend/ref/ref.h"

#include "core/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct remat_op_impl *const table[] = {
#define X(name) &name,
    REMAT_REF_IMPLS(X)
#undef X
        NULL};

struct remat_device {
    int64_t memory_bytes;
};

static enum remat_status open_device(const struct remat_device_config *config, struct remat_device **out,
                                     struct remat_error *err)
{
    *out = NULL;
    if (config->ordinal != 0)
        return remat_fail(err, REMAT_UNAVAILABLE, "ref:%d: there is one reference device, ref:0", (int)config->ordinal);
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    (*out)->memory_bytes = (int64_t)sysconf(_SC_AVPHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    return REMAT_OK;
}

static void close_device(struct remat_device *device)
{
    free(device);
}

static void describe(struct remat_device *device, struct remat_device_info *out)
{
    *out = (struct remat_device_info){.threads = 1, .memory_bytes = device->memory_bytes};
    snprintf(out->name, sizeof out->name, "ref");
    snprintf(out->description, sizeof out->description, "plain loops in double precision, one thread");
    snprintf(out->fingerprint, sizeof out->fingerprint, "ref 1");
}

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

const struct remat_backend remat_backend_ref = {
    .name = "ref",
    .ops = &remat_host_ops,
    .open = open_device,
    .close = close_device,
    .describe = describe,
    .options = options,
    .kernel_create = kernel_create,
    .kernel_scratch_bytes = remat_op_table_scratch_bytes,
    .kernel_run = remat_op_table_run,
    .kernel_destroy = remat_op_table_destroy,
};
