#include "trainer/checkpoint/folder.h"

#include "core/base/file.h"
#include "core/base/memory.h"
#include "trainer/checkpoint/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char step_prefix[] = "step-", temporary_prefix[] = ".tmp-step-", trash_prefix[] = ".trash-";

enum remat_status remat_format_path(char **out, struct remat_error *err, const char *format, ...)
{
    va_list args;
    int length;
    va_start(args, format);
    length = vasprintf(out, format, args);
    va_end(args);
    if (length >= 0)
        return REMAT_OK;
    *out = NULL;
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for a path");
}

enum remat_status remat_checkpoint_path(const char *folder, int64_t step, char **out, struct remat_error *err)
{
    return remat_format_path(out, err, "%s/%s%08lld", folder, step_prefix, (long long)step);
}

/* The step in "step-NNNNNNNN", or -1. */
static int64_t step_of(const char *name)
{
    const char *digits = name + sizeof step_prefix - 1;
    if (strncmp(name, step_prefix, sizeof step_prefix - 1) != 0 || strlen(digits) < 8 || strlen(digits) > 18 ||
        digits[strspn(digits, "0123456789")] != 0)
        return -1;
    return strtoll(digits, NULL, 10);
}

static int ascending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

enum remat_status remat_checkpoint_list(const char *folder, int64_t **steps, int32_t *count, struct remat_error *err)
{
    DIR *stream = opendir(folder);
    int32_t capacity = 0;
    enum remat_status status = REMAT_OK;
    *steps = NULL;
    *count = 0;
    if (!stream)
        return remat_fail(err, errno == ENOENT ? REMAT_MISSING_INPUT : REMAT_IO, "checkpoint folder %s: %s", folder,
                          strerror(errno));
    for (struct dirent *entry = readdir(stream); entry && status == REMAT_OK; entry = readdir(stream)) {
        int64_t step = step_of(entry->d_name);
        if (step < 0)
            continue;
        status = REMAT_GROW(*steps, capacity, *count + 1, err);
        if (status == REMAT_OK)
            (*steps)[(*count)++] = step;
    }
    closedir(stream);
    if (*count > 0)
        qsort(*steps, (size_t)*count, sizeof **steps, ascending);
    return status;
}

void remat_folder_delete(const char *path)
{
    DIR *stream = opendir(path);
    if (!stream)
        return;
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(stream), entry->d_name, 0);
    closedir(stream);
    rmdir(path);
}

static enum remat_status rename_failed(const char *from, const char *to, struct remat_error *err)
{
    return remat_fail(err, REMAT_IO, "renaming %s to %s failed: %s", from, to, strerror(errno));
}

/* Without RENAME_EXCHANGE the old folder goes to the trash first; older checkpoints cover the moment between. */
static enum remat_status replace(const char *parent, const char *temporary, const char *final, struct remat_error *err)
{
    char *trash;
    enum remat_status status = REMAT_OK;
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, final, RENAME_EXCHANGE) == 0) {
        remat_folder_delete(temporary);
        return REMAT_OK;
    }
    REMAT_TRY(remat_format_path(&trash, err, "%s/%s%ld-replaced", parent, trash_prefix, (long)getpid()));
    if (rename(final, trash) != 0)
        status = rename_failed(final, trash, err);
    else if (rename(temporary, final) != 0)
        status = rename_failed(temporary, final, err);
    remat_folder_delete(trash);
    free(trash);
    return status;
}

enum remat_status remat_folder_commit(const char *parent, const char *temporary, const char *final,
                                      struct remat_error *err)
{
    struct stat info;
    if (stat(final, &info) == 0)
        REMAT_TRY(replace(parent, temporary, final, err));
    else if (rename(temporary, final) != 0)
        return rename_failed(temporary, final, err);
    return remat_sync_folder(parent, err);
}

static void throw_away(const char *folder, int64_t step)
{
    char *path = NULL, *trash = NULL;
    struct remat_error ignored;
    if (remat_checkpoint_path(folder, step, &path, &ignored) == REMAT_OK &&
        remat_format_path(&trash, &ignored, "%s/%s%08lld", folder, trash_prefix, (long long)step) == REMAT_OK &&
        rename(path, trash) == 0)
        remat_folder_delete(trash);
    free(path);
    free(trash);
}

void remat_folder_prune(const char *folder, int32_t keep)
{
    int64_t *steps;
    int32_t count;
    struct remat_error ignored;
    if (remat_checkpoint_list(folder, &steps, &count, &ignored) == REMAT_OK)
        for (int32_t i = 0; i < count - keep; i++)
            throw_away(folder, steps[i]);
    free(steps);
}

/* A temporary folder ends in the id of the process that writes it. Our own would be left from an earlier save. */
static bool is_dead(const char *name)
{
    const char *dash = strrchr(name, '-');
    long id = strtol(dash + 1, NULL, 10);
    if (strncmp(name, trash_prefix, sizeof trash_prefix - 1) == 0)
        return true;
    if (strncmp(name, temporary_prefix, sizeof temporary_prefix - 1) != 0 || id <= 0)
        return false;
    return id == (long)getpid() || (kill((pid_t)id, 0) != 0 && errno == ESRCH);
}

void remat_checkpoint_clean(const char *folder)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return;
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream)) {
        char *path = NULL;
        struct remat_error ignored;
        if (entry->d_name[0] == '.' && strchr(entry->d_name, '-') && is_dead(entry->d_name) &&
            remat_format_path(&path, &ignored, "%s/%s", folder, entry->d_name) == REMAT_OK)
            remat_folder_delete(path);
        free(path);
    }
    closedir(stream);
}
