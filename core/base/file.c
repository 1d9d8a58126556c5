#include "core/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum remat_status io_error(struct remat_error *err, const char *what, const char *path)
{
    int code = errno;
    return remat_fail(err, REMAT_IO, "cannot %s %s: %s%s", what, path, strerror(code),
                      code == ENOSPC ? "; free some space and try again" : "");
}

static enum remat_status write_all(int fd, const char *data, size_t bytes, const char *path, struct remat_error *err)
{
    while (bytes > 0) {
        ssize_t written = write(fd, data, bytes);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return io_error(err, "write", path);
        data += written;
        bytes -= (size_t)written;
    }
    return REMAT_OK;
}

/* Pipes, terminals and devices can neither be replaced nor synchronised. */
static enum remat_status write_special(const char *path, const void *data, size_t bytes, struct remat_error *err)
{
    enum remat_status status;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, "open", path);
    status = write_all(fd, data, bytes, path, err);
    if (close(fd) != 0 && status == REMAT_OK)
        status = io_error(err, "write", path);
    return status;
}

static enum remat_status write_synced(const char *path, const void *data, size_t bytes, struct remat_error *err)
{
    enum remat_status status;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return io_error(err, "create", path);
    status = write_all(fd, data, bytes, path, err);
    if (status == REMAT_OK && fsync(fd) != 0)
        status = io_error(err, "synchronise", path);
    if (close(fd) != 0 && status == REMAT_OK)
        status = io_error(err, "write", path);
    return status;
}

static enum remat_status sync_parent(const char *path, struct remat_error *err)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash)
        return remat_sync_folder(".", err);
    snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return remat_sync_folder(folder, err);
}

static enum remat_status replace(const char *path, const void *data, size_t bytes, struct remat_error *err)
{
    char temporary[PATH_MAX];
    enum remat_status status;
    int length = snprintf(temporary, sizeof temporary, "%s.tmp-%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary)
        return remat_fail(err, REMAT_IO, "cannot write %.200s...: the path is too long", path);
    status = write_synced(temporary, data, bytes, err);
    if (status == REMAT_OK && rename(temporary, path) != 0)
        status = io_error(err, "replace", path);
    if (status != REMAT_OK) {
        unlink(temporary);
        return status;
    }
    return sync_parent(path, err);
}

enum remat_status remat_file_write(const char *path, const void *data, size_t bytes, struct remat_error *err)
{
    char target[PATH_MAX];
    struct stat info;
    if (stat(path, &info) != 0)
        return replace(path, data, bytes, err);
    if (S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return io_error(err, "write", path);
    }
    if (!S_ISREG(info.st_mode))
        return write_special(path, data, bytes, err);
    if (!realpath(path, target)) /* what a symbolic link points to is replaced, not the link */
        return io_error(err, "find", path);
    return replace(target, data, bytes, err);
}

static enum remat_status read_all(int fd, const char *path, int64_t limit, char **out, size_t *bytes,
                                  struct remat_error *err)
{
    size_t capacity = 0, used = 0;
    ssize_t got = 1;
    while (got > 0) {
        if (capacity - used < 2) {
            size_t wanted = capacity ? 2 * capacity : 1 << 16;
            char *grown = realloc(*out, wanted);
            if (!grown)
                return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while reading %s", path);
            *out = grown;
            capacity = wanted;
        }
        got = read(fd, *out + used, capacity - used - 1);
        if (got < 0 && errno == EINTR) {
            got = 1;
            continue;
        }
        if (got < 0)
            return io_error(err, "read", path);
        used += (size_t)got;
        if ((int64_t)used > limit)
            return remat_fail(err, REMAT_BAD_DATA, "%s is larger than the %lld bytes that such a file may have", path,
                              (long long)limit);
    }
    (*out)[used] = 0;
    *bytes = used;
    return REMAT_OK;
}

enum remat_status remat_file_read(const char *path, int64_t limit, char **out, size_t *bytes, struct remat_error *err)
{
    enum remat_status status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = NULL;
    *bytes = 0;
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return remat_fail(err, REMAT_MISSING_INPUT, "there is no file %s", path);
    if (fd < 0)
        return io_error(err, "open", path);
    status = read_all(fd, path, limit, out, bytes, err);
    close(fd);
    if (status != REMAT_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

static enum remat_status make_folder(const char *path, struct remat_error *err)
{
    struct stat info;
    if (mkdir(path, 0777) == 0)
        return REMAT_OK;
    if (errno != EEXIST)
        return io_error(err, "create the folder", path);
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        errno = ENOTDIR;
        return io_error(err, "create the folder", path);
    }
    return REMAT_OK;
}

enum remat_status remat_make_folders(const char *path, struct remat_error *err)
{
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return remat_fail(err, REMAT_IO, "cannot create the folder \"%.200s\": its path is empty or too long", path);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i < length; i++)
        if (part[i] == '/') {
            part[i] = 0;
            REMAT_TRY(make_folder(part, err));
            part[i] = '/';
        }
    return make_folder(part, err);
}

enum remat_status remat_sync_folder(const char *path, struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return io_error(err, "open the folder", path);
    if (fsync(fd) != 0 && errno != EINVAL) /* EINVAL: a file system without it */
        status = io_error(err, "synchronise the folder", path);
    close(fd);
    return status;
}
