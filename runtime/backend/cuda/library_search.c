#include "runtime/backend/cuda/library_search.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_BYTES = 512 };

/* Global: cuDNN looks for the others among what is loaded. */
static void *open_file(const char *path)
{
    return dlopen(path, RTLD_NOW | RTLD_GLOBAL);
}

static void *in_folder(const char *folder, const char *below, const char *file)
{
    char path[PATH_BYTES];
    if (!folder || !*folder || snprintf(path, sizeof path, "%s%s/%s", folder, below, file) >= (int)sizeof path)
        return NULL;
    return open_file(path);
}

static void *in_list(const char *folders, const char *file)
{
    void *found = NULL;
    while (folders && *folders && !found) {
        char folder[PATH_BYTES];
        size_t length = strcspn(folders, ":");
        snprintf(folder, sizeof folder, "%.*s", (int)length, folders);
        found = in_folder(folder, "", file);
        folders += length + (folders[length] == ':');
    }
    return found;
}

/* The first match of a pattern that can be loaded. */
static void *in_matches(const char *pattern)
{
    glob_t matches;
    void *found = NULL;
    if (glob(pattern, 0, NULL, &matches) != 0)
        return NULL;
    for (size_t i = 0; i < matches.gl_pathc && !found; i++)
        found = open_file(matches.gl_pathv[i]);
    globfree(&matches);
    return found;
}

/* nvidia/<package>/lib of the site-packages below `prefix`; a wheel keeps all of CUDA 13 in one folder. */
static void *in_python(const char *prefix, const struct remat_cuda_file *wanted)
{
    char pattern[PATH_BYTES];
    if (!prefix || !*prefix || !wanted->package)
        return NULL;
    snprintf(pattern, sizeof pattern, "%.200s/lib/python3*/*-packages/nvidia/%s/lib/%s", prefix, wanted->package,
             wanted->name);
    return in_matches(pattern);
}

void *remat_cuda_find(const struct remat_cuda_file *wanted)
{
    static const char *const prefixes[] = {"/usr", "/usr/local", "/opt/*/.venv", "/opt/*", "/opt/conda", NULL};
    void *found = in_list(getenv("REMAT_CUDA_LIBRARY_PATH"), wanted->name);
    if (!found)
        found = open_file(wanted->name);
    if (!found)
        found = in_folder(getenv("CUDA_HOME"), "/lib64", wanted->name);
    if (!found)
        found = in_folder("/usr/local/cuda", "/lib64", wanted->name);
    if (!found)
        found = in_python(getenv("VIRTUAL_ENV"), wanted);
    for (int i = 0; prefixes[i] && !found; i++)
        found = in_python(prefixes[i], wanted);
    return found;
}

bool remat_cuda_take(void *file, const char *name, void *function)
{
    void *symbol = file ? dlsym(file, name) : NULL;
    memcpy(function, &symbol, sizeof symbol);
    return symbol != NULL;
}
