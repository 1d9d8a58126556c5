#include "runtime/backend/cpu/onednn.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdio.h>

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
