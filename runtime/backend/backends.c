#include "runtime/backend/backend.h"
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/ref/ref.h"

#include <stdio.h>
#include <string.h>

const struct remat_backend *const remat_backends[] = {&remat_backend_cpu, &remat_backend_ref, NULL};

enum remat_status remat_backend_find(const char *name, const struct remat_backend **out, struct remat_error *err)
{
    char known[128] = "";
    for (const struct remat_backend *const *backend = remat_backends; *backend; backend++) {
        size_t used = strlen(known);
        if (strcmp((*backend)->name, name) == 0) {
            *out = *backend;
            return REMAT_OK;
        }
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", (*backend)->name);
    }
    *out = NULL;
    return remat_fail(err, REMAT_USAGE, "unknown device '%s'; known are: %s", name, known);
}
