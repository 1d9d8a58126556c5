#include "trainer/checkpoint/output.h"

#include "core/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { BUFFER_BYTES = 1 << 18 };

struct remat_output {
    int descriptor;
    char path[4096];
    int64_t written;
    size_t buffered;
    XXH3_state_t *hash;
    unsigned char buffer[BUFFER_BYTES];
};

static enum remat_status io_error(const struct remat_output *output, const char *what, int number,
                                  struct remat_error *err)
{
    const char *advice =
        number == ENOSPC || number == EDQUOT || number == EFBIG ? "; free space there or name another folder" : "";
    return remat_fail(err, REMAT_IO, "%s: %s failed: %s%s", output->path, what, strerror(number), advice);
}

/* fallocate itself, since posix_fallocate writes zeros where the file system cannot reserve. */
static enum remat_status reserve(const struct remat_output *output, int64_t bytes, struct remat_error *err)
{
    if (bytes == 0 || fallocate(output->descriptor, FALLOC_FL_KEEP_SIZE, 0, bytes) == 0)
        return REMAT_OK;
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == EINTR)
        return REMAT_OK;
    return io_error(output, "reserving space", errno, err);
}

enum remat_status remat_output_open(const char *path, int64_t bytes, struct remat_output **out, struct remat_error *err)
{
    struct remat_output *output;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(output, 1, err));
    output->descriptor = -1;
    output->hash = XXH3_createState();
    if (!output->hash) {
        status = remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while writing %s", path);
        goto fail;
    }
    XXH3_64bits_reset(output->hash);
    snprintf(output->path, sizeof output->path, "%s", path);
    output->descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (output->descriptor < 0) {
        status = io_error(output, "creating the file", errno, err);
        goto fail;
    }
    REMAT_TRY_GOTO(reserve(output, bytes, err), fail);
    *out = output;
    return REMAT_OK;
fail:
    remat_output_abandon(output);
    return status;
}

static enum remat_status write_fully(struct remat_output *output, const unsigned char *data, size_t bytes,
                                     struct remat_error *err)
{
    XXH3_64bits_update(output->hash, data, bytes);
    while (bytes > 0) {
        ssize_t done = write(output->descriptor, data, bytes);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return io_error(output, "writing", errno, err);
        data += done;
        bytes -= (size_t)done;
        output->written += done;
    }
    return REMAT_OK;
}

static enum remat_status flush(struct remat_output *output, struct remat_error *err)
{
    size_t bytes = output->buffered;
    output->buffered = 0;
    return write_fully(output, output->buffer, bytes, err);
}

enum remat_status remat_output_write(struct remat_output *output, const void *data, size_t bytes,
                                     struct remat_error *err)
{
    if (bytes > BUFFER_BYTES - output->buffered)
        REMAT_TRY(flush(output, err));
    if (bytes > BUFFER_BYTES)
        return write_fully(output, data, bytes, err);
    memcpy(output->buffer + output->buffered, data, bytes);
    output->buffered += bytes;
    return REMAT_OK;
}

/* A failed fsync is final: the kernel may have dropped the pages, and a second one could lie. */
enum remat_status remat_output_finish(struct remat_output *output, int64_t *bytes, uint64_t *hash,
                                      struct remat_error *err)
{
    enum remat_status status = flush(output, err);
    if (status == REMAT_OK && fsync(output->descriptor) != 0)
        status = io_error(output, "fsync", errno, err);
    if (status == REMAT_OK) {
        int descriptor = output->descriptor;
        output->descriptor = -1;
        if (close(descriptor) != 0)
            status = io_error(output, "closing", errno, err);
    }
    *bytes = output->written;
    *hash = XXH3_64bits_digest(output->hash);
    remat_output_abandon(output);
    return status;
}

void remat_output_abandon(struct remat_output *output)
{
    if (!output)
        return;
    if (output->descriptor >= 0)
        close(output->descriptor);
    XXH3_freeState(output->hash);
    free(output);
}
