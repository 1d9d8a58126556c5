/* Backends that are shared objects: the device NAME is libremat_NAME.so, looked for in the folders of
 * REMAT_BACKEND_PATH (separated by colons), beside the running program, and in ../lib/remat from there. It exports one
 * function, remat_backend_plugin, and must be of the same build as the program: the sizes of what both share are
 * compared. */
#ifndef REMAT_RUNTIME_BACKEND_PLUGIN_H
#define REMAT_RUNTIME_BACKEND_PLUGIN_H

#include "runtime/backend/backend.h"

enum { REMAT_PLUGIN_VERSION = 2 };

/* What a program and a plugin must agree on. */
static inline int64_t remat_plugin_abi(void)
{
    const int64_t sizes[] = {REMAT_PLUGIN_VERSION,
                             REMAT_OP_COUNT,
                             (int64_t)sizeof(struct remat_backend),
                             (int64_t)sizeof(struct remat_device_ops),
                             (int64_t)sizeof(struct remat_device_memory),
                             (int64_t)sizeof(struct remat_kernel_spec),
                             (int64_t)sizeof(struct remat_kernel_args),
                             (int64_t)sizeof(struct remat_step_record),
                             (int64_t)sizeof(struct remat_device_info)};
    int64_t abi = 0;
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        abi = (abi * 1009 + sizes[i]) % 2147483647;
    return abi;
}

/* What a plugin exports; NULL if it was built for another program. */
typedef const struct remat_backend *remat_backend_plugin_function(int64_t abi);

/* Whether there is a file for it. */
bool remat_plugin_exists(const char *name);
/* Loads the backend `name`, which stays loaded; loading again gives the same. REMAT_UNAVAILABLE tells where it was
 * looked for. */
REMAT_MUST_CHECK enum remat_status remat_plugin_load(const char *name, const struct remat_backend **out,
                                                     struct remat_error *err);

#endif
