#include "runtime/backend/plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

/* A search: the names tried so far, for the message. */
struct search {
    const char *name;
    char tried[PATH_BYTES / 2], found[PATH_BYTES];
};

static bool try_folder(struct search *search, const char *folder, int length)
{
    size_t used = strlen(search->tried);
    if (length == 0)
        return false;
    snprintf(search->tried + used, sizeof search->tried - used, "%s%.*s", used ? ", " : "", length, folder);
    snprintf(search->found, sizeof search->found, "%.*s/libremat_%s.so", length, folder, search->name);
    return access(search->found, R_OK) == 0;
}

static bool try_list(struct search *search, const char *folders)
{
    while (folders && *folders) {
        size_t length = strcspn(folders, ":");
        if (try_folder(search, folders, (int)length))
            return true;
        folders += length + (folders[length] == ':');
    }
    return false;
}

/* Beside the running program, then in ../lib/remat. */
static bool try_program(struct search *search)
{
    char program[PATH_BYTES / 2];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 16);
    char *slash;
    if (length <= 0)
        return false;
    program[length] = '\0';
    slash = strrchr(program, '/');
    if (!slash)
        return false;
    *slash = '\0';
    if (try_folder(search, program, (int)strlen(program)))
        return true;
    strcat(program, "/../lib/remat");
    return try_folder(search, program, (int)strlen(program));
}

static bool is_name(const char *name)
{
    return *name && strlen(name) < 32 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static bool find(struct search *search)
{
    return is_name(search->name) && (try_list(search, getenv("REMAT_BACKEND_PATH")) || try_program(search));
}

bool remat_plugin_exists(const char *name)
{
    struct search search = {.name = name};
    return find(&search);
}

static enum remat_status enter(const struct search *search, void *library, const struct remat_backend **out,
                               struct remat_error *err)
{
    remat_backend_plugin_function *function;
    void *symbol = dlsym(library, "remat_backend_plugin");
    if (!symbol)
        return remat_fail(err, REMAT_UNAVAILABLE, "%s is no backend of remat: it lacks remat_backend_plugin",
                          search->found);
    memcpy(&function, &symbol, sizeof function);
    *out = function(remat_plugin_abi());
    if (!*out)
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "%s was built for another version of remat; build both from the same sources", search->found);
    return REMAT_OK;
}

enum remat_status remat_plugin_load(const char *name, const struct remat_backend **out, struct remat_error *err)
{
    struct search search = {.name = name};
    void *library;
    *out = NULL;
    if (!find(&search))
        return remat_fail(err, REMAT_UNAVAILABLE,
                          "device %s needs libremat_%s.so, which is not in %s; build it (docs/cuda.md), or name its "
                          "folder in REMAT_BACKEND_PATH",
                          name, name, search.tried);
    library = dlopen(search.found, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return remat_fail(err, REMAT_UNAVAILABLE, "device %s: %s", name, dlerror());
    return enter(&search, library, out, err);
}
