#include "cuda_runtime.h"

#include <algorithm>
#include <deque>
#include <map>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <vector>

emulated_place emulated;

/* --- a block's threads as fibers ---------------------------------------------------------------------------------- */

namespace
{
enum state { RUNNING, AT_BLOCK_BARRIER, AT_WARP_BARRIER, DONE };
enum { STACK_BYTES = 128 << 10, MOST_THREADS = 1024, WARP = 32 };

struct fiber {
    ucontext_t context;
    jmp_buf at;
    bool started;
    state now;
    uint64_t lane_bits[2]; /* what the lane shows, of two shuffles by turns */
    int turn;
    void *stack;
};

fiber fibers[MOST_THREADS];
jmp_buf scheduler;
ucontext_t scheduler_context;
int current;
std::function<void()> body;

[[noreturn]] void broken(const char *what)
{
    fprintf(stderr, "emulated GPU: %s (block %u of %u, thread %d)\n", what, emulated.block.x, emulated.grid.x, current);
    abort();
}

void wait_as(state now)
{
    fiber *self = &fibers[current];
    self->now = now;
    if (_setjmp(self->at) == 0)
        _longjmp(scheduler, 1);
}

void enter()
{
    body();
    fibers[current].now = DONE;
    _longjmp(scheduler, 1);
}

void place(int thread)
{
    unsigned x = emulated.block_size.x, y = emulated.block_size.y;
    current = thread;
    emulated.thread = dim3(thread % x, thread / x % y, thread / x / y);
}

void resume(int thread)
{
    fiber *f = &fibers[thread];
    place(thread);
    f->now = RUNNING;
    if (_setjmp(scheduler) != 0)
        return;
    if (f->started)
        _longjmp(f->at, 1);
    f->started = true;
    getcontext(&f->context);
    if (!f->stack)
        f->stack = malloc(STACK_BYTES);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = &scheduler_context;
    makecontext(&f->context, enter, 0);
    setcontext(&f->context);
}

bool all(int begin, int end, state wanted)
{
    for (int i = begin; i < end; i++)
        if (fibers[i].now != wanted)
            return false;
    return true;
}

/* Lets a group go on whose threads all wait alike. A group in which some have ended and others wait is a fault. */
void run_block(int threads)
{
    for (int i = 0; i < threads; i++) {
        fibers[i].started = false;
        fibers[i].turn = 0;
        resume(i);
    }
    while (!all(0, threads, DONE)) {
        bool progress = false;
        for (int w = 0; w < threads; w += WARP) {
            int end = w + WARP < threads ? w + WARP : threads;
            if (!all(w, end, AT_WARP_BARRIER))
                continue;
            for (int i = w; i < end; i++)
                resume(i);
            progress = true;
        }
        if (progress)
            continue;
        if (!all(0, threads, AT_BLOCK_BARRIER))
            broken("not all threads reach the same barrier");
        for (int i = 0; i < threads; i++)
            resume(i);
    }
}

void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &kernel)
{
    std::vector<float> shared(shared_bytes / sizeof(float) + 16);
    unsigned long long blocks = 1ull * grid.x * grid.y * grid.z;
    int threads = (int)(block.x * block.y * block.z);
    if (threads > MOST_THREADS || blocks == 0 || threads == 0 || shared_bytes > 227u << 10)
        broken("a launch that no GPU takes");
    body = kernel;
    emulated.grid = grid;
    emulated.block_size = block;
    emulated.shared = (float *)(((uintptr_t)shared.data() + 15) / 16 * 16);
    for (unsigned long long b = 0; b < blocks; b++) {
        memset(shared.data(), 0xFF, shared.size() * sizeof(float)); /* shared memory begins undefined */
        emulated.block = dim3((unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y), (unsigned)(b / grid.x / grid.y));
        run_block(threads);
    }
    body = nullptr;
}
} // namespace

void __syncthreads()
{
    wait_as(AT_BLOCK_BARRIER);
}

void __syncwarp()
{
    wait_as(AT_WARP_BARRIER);
}

uint64_t emulated_shuffle(uint64_t bits, int mask)
{
    int turn = fibers[current].turn, lane = current;
    fibers[lane].lane_bits[turn] = bits;
    fibers[lane].turn = 1 - turn;
    wait_as(AT_WARP_BARRIER);
    return fibers[lane ^ mask].lane_bits[turn];
}

/* --- memory that only work may touch ------------------------------------------------------------------------------ */

namespace
{
struct region {
    size_t bytes, mapped;
};
std::map<char *, region> device_memory, pinned_memory;
const size_t TOTAL_BYTES = 4ull << 30, CONTEXT_BYTES = 64ull << 20;
/* Of this process; what a context takes is there from the start. */
unsigned long long bytes_in_use = CONTEXT_BYTES;

/* Of large regions the first and the last part alone: changing many pages takes longer than small kernels. */
void protect(int how)
{
    const size_t part = 64 << 10;
    for (auto &entry : device_memory) {
        size_t mapped = entry.second.mapped;
        mprotect(entry.first, mapped < 2 * part ? mapped : part, how);
        if (mapped >= 2 * part)
            mprotect(entry.first + mapped - part, part, how);
    }
}

/* --- the queue ---------------------------------------------------------------------------------------------------- */

typedef std::function<void()> work;
/* Returns false if it must wait. */
typedef std::function<bool()> item;
std::vector<emulated_stream *> streams;

/* A step of a recording: work, the recording of an event, or the wait for one, by the branch-th stream of it. */
struct step {
    size_t branch;
    work what; /* empty: an event */
    bool waits;
    emulated_event *event;
};

/* The first stream is the one that is recorded; the others joined it. */
struct recording {
    std::vector<emulated_stream *> members;
    std::vector<size_t> held, awaited; /* per member: its steps, and how many of them the first has waited for */
    std::map<emulated_event *, std::pair<size_t, size_t>> events; /* member, and its steps before */
    std::vector<step> steps;
};
recording *capture;
} // namespace

struct emulated_stream {
    std::deque<item> queue;
};
struct emulated_event {
    double time;
    long recorded, finished; /* how often */
};

namespace
{
double now_milliseconds()
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

/* The stream's number in what is recorded now; none if it does not take part. */
const size_t NONE = ~(size_t)0;
size_t member_of(cudaStream_t stream)
{
    for (size_t i = 0; capture && i < capture->members.size(); i++)
        if (capture->members[i] == stream)
            return i;
    return NONE;
}

size_t join(cudaStream_t stream)
{
    size_t member = member_of(stream);
    if (member != NONE)
        return member;
    capture->members.push_back(stream);
    capture->held.push_back(0);
    capture->awaited.push_back(0);
    return capture->members.size() - 1;
}

void note(size_t member, work what, bool waits, emulated_event *event)
{
    capture->steps.push_back(step{member, what, waits, event});
    capture->held[member]++;
}

void submit(cudaStream_t stream, work w)
{
    size_t member = member_of(stream);
    if (member != NONE)
        note(member, w, false, nullptr);
    else
        stream->queue.push_back([=] {
            w();
            return true;
        });
}

void put_record(cudaStream_t stream, cudaEvent_t event)
{
    event->recorded++;
    submit(stream, [=] {
        event->time = now_milliseconds();
        event->finished++;
    });
}

void put_wait(cudaStream_t stream, cudaEvent_t event)
{
    long wanted = event->recorded;
    stream->queue.push_back([=] { return event->finished >= wanted; });
}

/* As far as its waits allow; whether anything was done. */
bool run(emulated_stream *stream)
{
    bool progress = false;
    while (!stream->queue.empty() && stream->queue.front()()) {
        stream->queue.pop_front();
        progress = true;
    }
    return progress;
}

bool idle()
{
    for (emulated_stream *stream : streams)
        if (!stream->queue.empty())
            return false;
    return true;
}

void drain()
{
    bool last_first = getenv("EMULATED_LAST_STREAM_FIRST") != nullptr;
    if (idle())
        return;
    protect(PROT_READ | PROT_WRITE);
    while (!idle()) {
        bool progress = false;
        for (size_t i = 0; i < streams.size(); i++)
            progress |= run(streams[last_first ? streams.size() - 1 - i : i]);
        if (!progress)
            broken("streams wait for each other");
    }
    protect(PROT_NONE);
}

/* Waiting and allocating are not allowed while work is recorded. */
bool refused()
{
    return capture != nullptr;
}

bool within(const std::map<char *, region> &regions, const void *address)
{
    auto after = regions.upper_bound((char *)address);
    if (after == regions.begin())
        return false;
    --after;
    return (const char *)address < after->first + after->second.mapped;
}
} // namespace

void emulated_launch(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, std::function<void()> kernel)
{
    submit(stream, [=] { run_grid(grid, block, shared_bytes, kernel); });
}

struct emulated_graph {
    size_t branches;
    std::vector<step> steps;
};
/* Streams and events of its own, but for the first branch, which is the stream that it is launched on. */
struct emulated_graph_exec {
    std::vector<cudaStream_t> branches;
    std::map<emulated_event *, cudaEvent_t> events;
    std::vector<step> steps;
};

const char *cudaGetErrorString(cudaError_t error)
{
    return error == cudaSuccess ? "no error" : "refused by the emulated GPU";
}

cudaError_t cudaGetLastError(void)
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    (void)device;
    *properties = cudaDeviceProp{};
    snprintf(properties->name, sizeof properties->name, "emulated GPU");
    properties->totalGlobalMem = TOTAL_BYTES;
    properties->major = 9;
    properties->multiProcessorCount = 1;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char *out, int capacity, int device)
{
    (void)device;
    snprintf(out, (size_t)capacity, "emulated:%p", (void *)&bytes_in_use);
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *total)
{
    *total = TOTAL_BYTES;
    *available = TOTAL_BYTES - bytes_in_use;
    return cudaSuccess;
}

static cudaError_t map(std::map<char *, region> &regions, void **out, size_t bytes, bool out_of_reach)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped = (bytes + page - 1) / page * page;
    size_t available, total;
    cudaMemGetInfo(&available, &total);
    if (refused())
        return cudaErrorStreamCaptureUnsupported;
    if (mapped > available)
        return cudaErrorMemoryAllocation;
    char *at = (char *)mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return cudaErrorMemoryAllocation;
    regions[at] = region{bytes, mapped};
    if (&regions == &device_memory)
        bytes_in_use += mapped;
    *out = at;
    if (out_of_reach)
        protect(PROT_NONE);
    return cudaSuccess;
}

static cudaError_t unmap(std::map<char *, region> &regions, void *memory)
{
    auto found = regions.find((char *)memory);
    if (found == regions.end() || refused())
        return cudaErrorInvalidValue;
    drain();
    munmap(memory, found->second.mapped);
    if (&regions == &device_memory)
        bytes_in_use -= found->second.mapped;
    regions.erase(found);
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **out, size_t bytes)
{
    return map(device_memory, out, bytes, true);
}

cudaError_t cudaFree(void *memory)
{
    return unmap(device_memory, memory);
}

cudaError_t cudaHostAlloc(void **out, size_t bytes, unsigned flags)
{
    (void)flags;
    return map(pinned_memory, out, bytes, false);
}

cudaError_t cudaFreeHost(void *memory)
{
    return unmap(pinned_memory, memory);
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *out, const void *address)
{
    out->type = within(pinned_memory, address)   ? cudaMemoryTypeHost
                : within(device_memory, address) ? cudaMemoryTypeDevice
                                                 : cudaMemoryTypeUnregistered;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    if (kind == cudaMemcpyHostToDevice && !within(pinned_memory, from)) {
        std::vector<char> taken((const char *)from, (const char *)from + bytes);
        submit(stream, [=] { memcpy(to, taken.data(), bytes); });
        return cudaSuccess;
    }
    submit(stream, [=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int byte, size_t bytes, cudaStream_t stream)
{
    submit(stream, [=] { memset(to, byte, bytes); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, unsigned flags)
{
    (void)flags;
    *out = new emulated_stream;
    streams.push_back(*out);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    drain();
    streams.erase(std::find(streams.begin(), streams.end(), stream));
    delete stream;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    (void)stream;
    if (refused())
        return cudaErrorStreamCaptureUnsupported;
    drain();
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    (void)mode;
    if (capture)
        return cudaErrorInvalidValue;
    capture = new recording;
    join(stream);
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *out)
{
    bool joined = true;
    if (!capture || member_of(stream) != 0)
        return cudaErrorInvalidValue;
    for (size_t i = 1; i < capture->members.size(); i++)
        joined &= capture->awaited[i] == capture->held[i];
    *out = joined ? new emulated_graph{capture->members.size(), capture->steps} : nullptr;
    delete capture;
    capture = nullptr;
    return joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *out, unsigned flags)
{
    (void)flags;
    *out = new emulated_event{0, 0, 0};
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *out)
{
    return cudaEventCreateWithFlags(out, 0);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    size_t member = member_of(stream);
    if (member == NONE) {
        put_record(stream, event);
        if (capture)
            capture->events.erase(event);
        return cudaSuccess;
    }
    note(member, nullptr, false, event);
    capture->events[event] = {member, capture->held[member]};
    return cudaSuccess;
}

/* Waits for what was recorded so far. */
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    auto found = capture ? capture->events.find(event) : decltype(capture->events.find(event))();
    bool recorded = capture && found != capture->events.end();
    (void)flags;
    if (!recorded && member_of(stream) != NONE)
        return cudaErrorStreamCaptureIsolation;
    if (!recorded) {
        put_wait(stream, event);
        return cudaSuccess;
    }
    if (member_of(stream) == 0)
        capture->awaited[found->second.first] = std::max(capture->awaited[found->second.first], found->second.second);
    note(join(stream), nullptr, true, event);
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    (void)event;
    return cudaStreamSynchronize(nullptr);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t begin, cudaEvent_t end)
{
    if (begin->finished < begin->recorded || end->finished < end->recorded || !begin->finished || !end->finished)
        return cudaErrorNotReady;
    *milliseconds = (float)(end->time - begin->time);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    drain();
    delete event;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    (void)flags;
    *out = new emulated_graph_exec;
    (*out)->steps = graph->steps;
    (*out)->branches.resize(graph->branches);
    for (size_t i = 1; i < graph->branches; i++)
        cudaStreamCreateWithFlags(&(*out)->branches[i], cudaStreamNonBlocking);
    for (auto &step : graph->steps)
        if (step.event && !(*out)->events[step.event])
            cudaEventCreate(&(*out)->events[step.event]);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (refused())
        return cudaErrorStreamCaptureUnsupported;
    exec->branches[0] = stream;
    for (auto &step : exec->steps) {
        cudaStream_t branch = exec->branches[step.branch];
        if (!step.event)
            submit(branch, step.what);
        else if (step.waits)
            put_wait(branch, exec->events[step.event]);
        else
            put_record(branch, exec->events[step.event]);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    drain();
    for (size_t i = 1; i < exec->branches.size(); i++)
        cudaStreamDestroy(exec->branches[i]);
    for (auto &event : exec->events)
        cudaEventDestroy(event.second);
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}
