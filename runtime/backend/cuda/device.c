/* Memory of the GPU, copies, marks (CUDA events) and recordings (CUDA graphs). All work goes to one stream but uploads
 * of batches and copies beside the work. */
#include "runtime/backend/cuda/cuda.h"

#include "core/base/memory.h"
#include "core/base/size.h"

#include <stdlib.h>
#include <string.h>

/* --- memory ------------------------------------------------------------------------------------------------------- */

static int64_t available_bytes(struct remat_device *device)
{
    size_t available = 0, total = 0;
    if (cudaSetDevice(device->ordinal) != cudaSuccess || cudaMemGetInfo(&available, &total) != cudaSuccess)
        return -1;
    return (int64_t)available;
}

/* Small pieces share a page, so only the card's own count tells what one takes. */
static void count_pool(struct remat_device *device, int64_t free_before)
{
    int64_t taken = free_before - available_bytes(device);
    device->pool_bytes = device->pool_bytes + taken > 0 ? device->pool_bytes + taken : 0;
}

static void release_device(struct remat_memory *memory)
{
    int64_t free_before;
    if (!memory->mapping)
        return;
    free_before = available_bytes(memory->device);
    (void)cudaFree(memory->mapping);
    memory->device->asked_bytes -= memory->bytes;
    count_pool(memory->device, free_before);
}

static void release_pinned(struct remat_memory *memory)
{
    if (memory->mapping)
        (void)cudaFreeHost(memory->mapping);
}

static enum remat_status out_of_memory(struct remat_device *device, int64_t bytes, const char *purpose,
                                       struct remat_error *err)
{
    char wanted[32], available[32];
    int64_t free_bytes = available_bytes(device);
    (void)cudaGetLastError(); /* a refused allocation is no lasting error */
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "%s needs %s (%lld bytes) on the GPU, and %s are free", purpose,
                      remat_size_format(bytes, wanted, sizeof wanted), (long long)bytes,
                      remat_size_format(free_bytes, available, sizeof available));
}

/* No bytes still get an address: plans may be empty. */
static size_t at_least_one(int64_t bytes)
{
    return bytes > 0 ? (size_t)bytes : REMAT_ALIGNMENT;
}

static enum remat_status memory_open(struct remat_device *device, int64_t bytes, const char *purpose,
                                     struct remat_memory *out, struct remat_error *err)
{
    void *mapping = NULL;
    cudaError_t error;
    int64_t free_before;
    memset(out, 0, sizeof *out);
    if (bytes < 0 || bytes % REMAT_ALIGNMENT != 0)
        return remat_fail(err, REMAT_INTERNAL, "memory for %s: %lld bytes are not a multiple of %d", purpose,
                          (long long)bytes, REMAT_ALIGNMENT);
    REMAT_TRY(remat_cuda_check(cudaSetDevice(device->ordinal), "choosing the GPU", err));
    free_before = available_bytes(device);
    error = cudaMalloc(&mapping, at_least_one(bytes));
    if (error == cudaErrorMemoryAllocation)
        return out_of_memory(device, bytes, purpose, err);
    REMAT_TRY(remat_cuda_check(error, purpose, err));
    *out = (struct remat_memory){mapping, bytes, mapping, bytes, device, release_device};
    device->asked_bytes += bytes;
    count_pool(device, free_before);
    REMAT_TRY(remat_cuda_check(cudaMemsetAsync(mapping, 0, at_least_one(bytes), device->stream), purpose, err));
    /* Batches come on another stream, which must not be overtaken by the zeros. */
    return remat_cuda_check(cudaStreamSynchronize(device->stream), purpose, err);
}

static enum remat_status pinned_open(struct remat_device *device, int64_t bytes, const char *purpose,
                                     struct remat_memory *out, struct remat_error *err)
{
    void *mapping = NULL;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_cuda_check(cudaSetDevice(device->ordinal), "choosing the GPU", err));
    REMAT_TRY(remat_cuda_check(cudaHostAlloc(&mapping, at_least_one(bytes), cudaHostAllocDefault), purpose, err));
    memset(mapping, 0, at_least_one(bytes));
    *out = (struct remat_memory){mapping, bytes, mapping, bytes, device, release_pinned};
    return REMAT_OK;
}

static void memory_used(struct remat_device *device, struct remat_device_memory *out)
{
    size_t available = 0, total = 0;
    *out = (struct remat_device_memory){.total_bytes = -1,
                                        .free_bytes = -1,
                                        .asked_bytes = device->asked_bytes,
                                        .pool_bytes = device->pool_bytes,
                                        .context_bytes = device->context_bytes,
                                        .libraries_bytes = device->libraries_bytes};
    if (cudaSetDevice(device->ordinal) == cudaSuccess && cudaMemGetInfo(&available, &total) == cudaSuccess) {
        out->total_bytes = (int64_t)total;
        out->free_bytes = (int64_t)available;
    }
    out->process_bytes = remat_cuda_process_bytes(device, out->note, sizeof out->note);
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

static bool is_pinned(const void *address)
{
    struct cudaPointerAttributes attributes;
    if (cudaPointerGetAttributes(&attributes, address) != cudaSuccess) {
        (void)cudaGetLastError();
        return false;
    }
    return attributes.type == cudaMemoryTypeHost;
}

/* A copy from ordinary memory has taken its bytes when the call returns; one from pinned memory may still be reading.
 */
static enum remat_status upload(struct remat_device *device, void *to, const void *from, int64_t bytes,
                                struct remat_error *err)
{
    REMAT_TRY(remat_cuda_check(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, device->stream),
                               "copying to the GPU", err));
    if (!is_pinned(from))
        return REMAT_OK;
    REMAT_TRY(remat_cuda_check(cudaEventRecord(device->copied, device->stream), "marking a copy", err));
    return remat_cuda_check(cudaEventSynchronize(device->copied), "copying to the GPU", err);
}

/* --- batches, beside the work --------------------------------------------------------------------------------------
 */

/* An event that was never recorded holds nothing back. */
static enum remat_status upload_ahead(struct remat_device *device, int32_t place, void *to, const void *from,
                                      int64_t bytes, struct remat_error *err)
{
    REMAT_TRY(
        remat_cuda_check(cudaStreamWaitEvent(device->uploads, device->used[place], 0), "waiting with a batch", err));
    REMAT_TRY(remat_cuda_check(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyHostToDevice, device->uploads),
                               "copying a batch to the GPU", err));
    return remat_cuda_check(cudaEventRecord(device->arrived[place], device->uploads), "marking a batch", err);
}

static enum remat_status upload_arrived(struct remat_device *device, int32_t place, struct remat_error *err)
{
    return remat_cuda_check(cudaStreamWaitEvent(device->stream, device->arrived[place], 0), "waiting for a batch", err);
}

static enum remat_status upload_used(struct remat_device *device, int32_t place, struct remat_error *err)
{
    return remat_cuda_check(cudaEventRecord(device->used[place], device->stream), "marking a batch's end", err);
}

static enum remat_status upload_done(struct remat_device *device, int32_t place, struct remat_error *err)
{
    return remat_cuda_check(cudaEventSynchronize(device->arrived[place]), "copying a batch to the GPU", err);
}

/* --- copies between the spaces, beside the work --------------------------------------------------------------------
 */

/* `asked` marks the work that a copy comes after, `copied` the end of each copy. While work is recorded both lanes join
 * the recording by waiting for the one, and leave it by the waits for the others. */
struct remat_copies {
    struct remat_device *device;
    cudaStream_t lanes[REMAT_LANE_COUNT];
    cudaEvent_t asked, *copied;
    int32_t count; /* events made */
};

static void copies_close(struct remat_copies *copies)
{
    if (!copies)
        return;
    for (int lane = 0; lane < REMAT_LANE_COUNT; lane++)
        if (copies->lanes[lane]) {
            (void)cudaStreamSynchronize(copies->lanes[lane]);
            (void)cudaStreamDestroy(copies->lanes[lane]);
        }
    for (int32_t i = 0; i < copies->count; i++)
        (void)cudaEventDestroy(copies->copied[i]);
    if (copies->asked)
        (void)cudaEventDestroy(copies->asked);
    free(copies->copied);
    free(copies);
}

static enum remat_status open_lanes(struct remat_copies *copies, int32_t count, struct remat_error *err)
{
    for (int lane = 0; lane < REMAT_LANE_COUNT; lane++)
        REMAT_TRY(
            remat_cuda_check(cudaStreamCreateWithFlags(&copies->lanes[lane], cudaStreamNonBlocking), "a stream", err));
    REMAT_TRY(remat_cuda_check(cudaEventCreateWithFlags(&copies->asked, cudaEventDisableTiming), "an event", err));
    REMAT_TRY(REMAT_ALLOC(copies->copied, count, err));
    for (; copies->count < count; copies->count++)
        REMAT_TRY(remat_cuda_check(cudaEventCreateWithFlags(&copies->copied[copies->count], cudaEventDisableTiming),
                                   "an event", err));
    return REMAT_OK;
}

static enum remat_status copies_open(struct remat_device *device, int32_t count, struct remat_copies **out,
                                     struct remat_error *err)
{
    struct remat_copies *copies;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(copies, 1, err));
    copies->device = device;
    status = open_lanes(copies, count, err);
    if (status == REMAT_OK)
        *out = copies;
    else
        copies_close(copies);
    return status;
}

static enum remat_status copy_beside(struct remat_copies *copies, enum remat_lane lane, int32_t index, void *to,
                                     const void *from, int64_t bytes, struct remat_error *err)
{
    enum cudaMemcpyKind kind = lane == REMAT_TO_HOST ? cudaMemcpyDeviceToHost : cudaMemcpyHostToDevice;
    cudaStream_t stream = copies->lanes[lane];
    REMAT_TRY(remat_cuda_check(cudaEventRecord(copies->asked, copies->device->stream), "marking work", err));
    REMAT_TRY(remat_cuda_check(cudaStreamWaitEvent(stream, copies->asked, 0), "waiting with a copy", err));
    REMAT_TRY(remat_cuda_check(cudaMemcpyAsync(to, from, (size_t)bytes, kind, stream), "copying beside the work", err));
    return remat_cuda_check(cudaEventRecord(copies->copied[index], stream), "marking a copy", err);
}

static enum remat_status copy_await(struct remat_copies *copies, int32_t index, struct remat_error *err)
{
    return remat_cuda_check(cudaStreamWaitEvent(copies->device->stream, copies->copied[index], 0), "waiting for a copy",
                            err);
}

static enum remat_status synchronise(struct remat_device *device, struct remat_error *err)
{
    return remat_cuda_check(cudaStreamSynchronize(device->stream), "waiting for the GPU", err);
}

static enum remat_status download(struct remat_device *device, void *to, const void *from, int64_t bytes,
                                  struct remat_error *err)
{
    REMAT_TRY(remat_cuda_check(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDeviceToHost, device->stream),
                               "copying from the GPU", err));
    return synchronise(device, err);
}

/* Ranges that overlap: in parts as long as they are apart, that first which nothing that is still to be read lies
 * under. A copy of overlapping ranges is undefined. */
static enum remat_status copy(struct remat_device *device, void *to, const void *from, int64_t bytes,
                              struct remat_error *err)
{
    int64_t by = (int64_t)((intptr_t)to - (intptr_t)from), apart = by < 0 ? -by : by;
    for (int64_t done = 0, part; done < bytes && apart > 0; done += part) {
        part = bytes - done < apart ? bytes - done : apart;
        int64_t at = by < 0 ? done : bytes - done - part;
        REMAT_TRY(remat_cuda_check(cudaMemcpyAsync((char *)to + at, (const char *)from + at, (size_t)part,
                                                   cudaMemcpyDeviceToDevice, device->stream),
                                   "copying on the GPU", err));
    }
    return REMAT_OK;
}

static enum remat_status fill(struct remat_device *device, void *to, uint8_t byte, int64_t bytes,
                              struct remat_error *err)
{
    return remat_cuda_check(cudaMemsetAsync(to, byte, (size_t)bytes, device->stream), "filling memory", err);
}

/* --- marks -------------------------------------------------------------------------------------------------------- */

struct remat_marks {
    struct remat_device *device;
    int32_t count;
    cudaEvent_t *events;
};

static void marks_close(struct remat_marks *marks)
{
    if (!marks)
        return;
    for (int32_t i = 0; i < marks->count; i++)
        (void)cudaEventDestroy(marks->events[i]);
    free(marks->events);
    free(marks);
}

static enum remat_status marks_open(struct remat_device *device, int32_t count, struct remat_marks **out,
                                    struct remat_error *err)
{
    struct remat_marks *marks;
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(REMAT_ALLOC(marks, 1, err));
    marks->device = device;
    REMAT_TRY_GOTO(REMAT_ALLOC(marks->events, count, err), fail);
    for (; marks->count < count; marks->count++)
        REMAT_TRY_GOTO(remat_cuda_check(cudaEventCreate(&marks->events[marks->count]), "an event", err), fail);
    *out = marks;
    return REMAT_OK;
fail:
    marks_close(marks);
    return status;
}

static enum remat_status mark(struct remat_marks *marks, int32_t index, struct remat_error *err)
{
    return remat_cuda_check(cudaEventRecord(marks->events[index], marks->device->stream), "marking a time", err);
}

static enum remat_status marks_elapsed(struct remat_marks *marks, int32_t from, int32_t to, int64_t *time_ns,
                                       struct remat_error *err)
{
    float milliseconds = 0;
    REMAT_TRY(remat_cuda_check(cudaEventSynchronize(marks->events[to]), "waiting for the GPU", err));
    REMAT_TRY(remat_cuda_check(cudaEventElapsedTime(&milliseconds, marks->events[from], marks->events[to]),
                               "reading a time", err));
    *time_ns = (int64_t)((double)milliseconds * 1e6);
    return REMAT_OK;
}

/* --- recordings --------------------------------------------------------------------------------------------------- */

struct remat_recording {
    struct remat_device *device;
    cudaGraph_t graph;
    cudaGraphExec_t executable;
};

static enum remat_status record_begin(struct remat_device *device, struct remat_error *err)
{
    return remat_cuda_check(cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal),
                            "recording a step", err);
}

static void recording_close(struct remat_recording *recording)
{
    if (!recording)
        return;
    if (recording->executable)
        (void)cudaGraphExecDestroy(recording->executable);
    if (recording->graph)
        (void)cudaGraphDestroy(recording->graph);
    free(recording);
}

static enum remat_status record_end(struct remat_device *device, struct remat_recording **out, struct remat_error *err)
{
    struct remat_recording *recording;
    cudaGraph_t graph = NULL;
    cudaError_t error = cudaStreamEndCapture(device->stream, &graph);
    enum remat_status status;
    *out = NULL;
    REMAT_TRY(remat_cuda_check(error, "recording a step", err));
    REMAT_TRY(REMAT_ALLOC(recording, 1, err));
    recording->device = device;
    recording->graph = graph;
    status = remat_cuda_check(cudaGraphInstantiate(&recording->executable, graph, 0), "preparing a step", err);
    if (status == REMAT_OK)
        *out = recording;
    else
        recording_close(recording);
    return status;
}

static enum remat_status replay(struct remat_recording *recording, struct remat_error *err)
{
    return remat_cuda_check(cudaGraphLaunch(recording->executable, recording->device->stream), "running a step", err);
}

const struct remat_device_ops remat_cuda_ops = {
    .host = false,
    .memory_open = memory_open,
    .pinned_open = pinned_open,
    .available_bytes = available_bytes,
    .memory_used = memory_used,
    .upload = upload,
    .upload_ahead = upload_ahead,
    .upload_arrived = upload_arrived,
    .upload_used = upload_used,
    .upload_done = upload_done,
    .copies_open = copies_open,
    .copies_close = copies_close,
    .copy_beside = copy_beside,
    .copy_await = copy_await,
    .download = download,
    .copy = copy,
    .fill = fill,
    .synchronise = synchronise,
    .marks_open = marks_open,
    .marks_close = marks_close,
    .mark = mark,
    .marks_elapsed = marks_elapsed,
    .record_begin = record_begin,
    .record_end = record_end,
    .replay = replay,
    .recording_close = recording_close,
};
