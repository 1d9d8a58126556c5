/* Devices whose memory is the host's: all work is done when a call returns. */
#include "core/base/clock.h"
#include "core/base/memory.h"
#include "runtime/backend/backend.h"
#include "runtime/backend/host_copies.h"

#include <stdlib.h>
#include <string.h>

struct remat_marks {
    int64_t *time_ns;
};

static enum remat_status memory_open(struct remat_device *device, int64_t bytes, const char *purpose,
                                     struct remat_memory *out, struct remat_error *err)
{
    (void)device;
    return remat_memory_open(bytes, purpose, out, err);
}

static int64_t available_bytes(struct remat_device *device)
{
    (void)device;
    return remat_available_bytes();
}

static void memory_used(struct remat_device *device, struct remat_device_memory *out)
{
    (void)device;
    *out = (struct remat_device_memory){.total_bytes = remat_total_bytes(),
                                        .free_bytes = remat_available_bytes(),
                                        .asked_bytes = -1,
                                        .pool_bytes = -1,
                                        .context_bytes = -1,
                                        .libraries_bytes = -1,
                                        .process_bytes = remat_process_resident_bytes()};
}

enum { PIECE_BYTES = 1 << 20 };

/* Of ranges apart: in pieces on all threads, since one thread does not fill a memory bus. What is small does not ask
 * for threads at all: a team of another size than the last would have to be allocated. */
static void copy_apart(char *to, const char *from, int64_t bytes)
{
    if (bytes <= PIECE_BYTES) {
        memcpy(to, from, (size_t)bytes);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < bytes; i += PIECE_BYTES)
        memcpy(to + i, from + i, (size_t)(bytes - i < PIECE_BYTES ? bytes - i : PIECE_BYTES));
}

/* Ranges that overlap: in parts as long as they are apart, that first which nothing that is still to be read lies
 * under. */
static enum remat_status copy(struct remat_device *device, void *to, const void *from, int64_t bytes,
                              struct remat_error *err)
{
    int64_t by = (int64_t)((intptr_t)to - (intptr_t)from), apart = by < 0 ? -by : by;
    (void)device;
    (void)err;
    if (apart < bytes && apart < PIECE_BYTES) {
        memmove(to, from, (size_t)bytes);
        return REMAT_OK;
    }
    for (int64_t done = 0, part; done < bytes; done += part) {
        part = bytes - done < apart ? bytes - done : apart;
        int64_t at = by < 0 ? done : bytes - done - part;
        copy_apart((char *)to + at, (const char *)from + at, part);
    }
    return REMAT_OK;
}

static enum remat_status transfer(struct remat_device *device, void *to, const void *from, int64_t bytes,
                                  struct remat_error *err)
{
    (void)device;
    (void)err;
    memcpy(to, from, (size_t)bytes);
    return REMAT_OK;
}

static enum remat_status fill(struct remat_device *device, void *to, uint8_t byte, int64_t bytes,
                              struct remat_error *err)
{
    (void)device;
    (void)err;
    memset(to, byte, (size_t)bytes);
    return REMAT_OK;
}

static enum remat_status synchronise(struct remat_device *device, struct remat_error *err)
{
    (void)device;
    (void)err;
    return REMAT_OK;
}

static void marks_close(struct remat_marks *marks)
{
    if (marks)
        free(marks->time_ns);
    free(marks);
}

static enum remat_status marks_open(struct remat_device *device, int32_t count, struct remat_marks **out,
                                    struct remat_error *err)
{
    enum remat_status status;
    (void)device;
    REMAT_TRY(REMAT_ALLOC(*out, 1, err));
    status = REMAT_ALLOC((*out)->time_ns, count, err);
    if (status != REMAT_OK) {
        marks_close(*out);
        *out = NULL;
    }
    return status;
}

static enum remat_status mark(struct remat_marks *marks, int32_t index, struct remat_error *err)
{
    (void)err;
    marks->time_ns[index] = remat_clock_ns();
    return REMAT_OK;
}

static enum remat_status marks_elapsed(struct remat_marks *marks, int32_t from, int32_t to, int64_t *time_ns,
                                       struct remat_error *err)
{
    (void)err;
    *time_ns = marks->time_ns[to] - marks->time_ns[from];
    return REMAT_OK;
}

const struct remat_device_ops remat_host_ops = {
    .host = true,
    .memory_open = memory_open,
    .pinned_open = memory_open,
    .available_bytes = available_bytes,
    .memory_used = memory_used,
    .upload = transfer,
    .copies_open = remat_host_copies_open,
    .copies_close = remat_host_copies_close,
    .copy_beside = remat_host_copy_beside,
    .copy_await = remat_host_copy_await,
    .download = transfer,
    .copy = copy,
    .fill = fill,
    .synchronise = synchronise,
    .marks_open = marks_open,
    .marks_close = marks_close,
    .mark = mark,
    .marks_elapsed = marks_elapsed,
};
