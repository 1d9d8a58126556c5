#include "runtime/backend/backend.h"
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/plugin.h"
#include "runtime/backend/ref/ref.h"

#include <string.h>

const struct remat_backend *const remat_backends[] = {&remat_backend_cpu, &remat_backend_ref, NULL};

enum remat_status remat_backend_find(const char *name, const struct remat_backend **out, struct remat_error *err)
{
    for (const struct remat_backend *const *backend = remat_backends; *backend; backend++)
        if (strcmp((*backend)->name, name) == 0) {
            *out = *backend;
            return REMAT_OK;
        }
    if (strcmp(name, "cuda") == 0 || remat_plugin_exists(name))
        return remat_plugin_load(name, out, err);
    *out = NULL;
    return remat_fail(err, REMAT_USAGE, "unknown device '%.64s'; known are: cpu, ref, cuda", name);
}
