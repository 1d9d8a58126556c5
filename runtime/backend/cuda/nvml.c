#include "runtime/backend/cuda/nvml.h"

#include "core/base/memory.h"
#include "runtime/backend/cuda/library_search.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* NVML's binary interface, of which so little is used that its header need not be there. */
enum { NVML_SUCCESS = 0, NVML_INSUFFICIENT_SIZE = 7, MOST_PROCESSES = 64 };
typedef struct nvmlDevice_st *nvmlDevice_t;
struct process { /* nvmlProcessInfo_t of the _v2 and _v3 functions */
    unsigned pid;
    unsigned long long used_bytes; /* all ones: not told */
    unsigned gpu_instance, compute_instance;
};
typedef int processes_function(nvmlDevice_t device, unsigned *count, struct process *out);

struct remat_nvml {
    nvmlDevice_t device;
    int (*shutdown)(void);
    int (*driver_version)(char *text, unsigned capacity);
    processes_function *processes;
};

static const struct remat_cuda_file wanted = {"libnvidia-ml.so.1", NULL};

static bool load(void *file, struct remat_nvml *out, int (**init)(void), int (**by_bus)(const char *, nvmlDevice_t *))
{
    return remat_cuda_take(file, "nvmlInit_v2", init) && remat_cuda_take(file, "nvmlShutdown", &out->shutdown) &&
           remat_cuda_take(file, "nvmlSystemGetDriverVersion", &out->driver_version) &&
           remat_cuda_take(file, "nvmlDeviceGetHandleByPciBusId_v2", by_bus) &&
           (remat_cuda_take(file, "nvmlDeviceGetComputeRunningProcesses_v3", &out->processes) ||
            remat_cuda_take(file, "nvmlDeviceGetComputeRunningProcesses_v2", &out->processes));
}

static const char *open_nvml(const struct remat_device *device, struct remat_nvml *nvml)
{
    int (*init)(void) = NULL, (*by_bus)(const char *, nvmlDevice_t *) = NULL;
    char bus[32];
    void *file = remat_cuda_find(&wanted);
    if (!file)
        return "NVML (libnvidia-ml.so.1) was not found";
    if (!load(file, nvml, &init, &by_bus))
        return "NVML (libnvidia-ml.so.1) lacks a function";
    if (init() != NVML_SUCCESS)
        return "NVML does not start";
    if (cudaDeviceGetPCIBusId(bus, sizeof bus, device->ordinal) == cudaSuccess &&
        by_bus(bus, &nvml->device) == NVML_SUCCESS)
        return NULL;
    nvml->shutdown();
    return "NVML does not know this card";
}

void remat_cuda_nvml_open(struct remat_device *device)
{
    const char *missing = "out of host memory";
    struct remat_nvml *nvml = calloc(1, sizeof *nvml);
    if (nvml)
        missing = open_nvml(device, nvml);
    if (missing) {
        free(nvml);
        nvml = NULL;
        snprintf(device->nvml_missing, sizeof device->nvml_missing, "%s", missing);
    }
    device->nvml = nvml;
}

void remat_cuda_nvml_close(struct remat_device *device)
{
    if (device->nvml)
        device->nvml->shutdown();
    free(device->nvml);
    device->nvml = NULL;
}

void remat_cuda_driver_version(const struct remat_device *device, char *text, int capacity)
{
    if (!device->nvml || device->nvml->driver_version(text, (unsigned)capacity) != NVML_SUCCESS)
        snprintf(text, (size_t)capacity, "?");
}

/* Under namespaces of processes the card knows this one by another number; who is alone there is meant. */
static const struct process *own(const struct process *processes, unsigned count, char *note, int capacity)
{
    for (unsigned i = 0; i < count; i++)
        if (processes[i].pid == (unsigned)getpid())
            return &processes[i];
    if (count == 1) {
        snprintf(note, (size_t)capacity, "NVML knows the one process on this card as %u, and this one is %d",
                 processes[0].pid, (int)getpid());
        return &processes[0];
    }
    snprintf(note, (size_t)capacity, "NVML lists %u processes on this card, none of them by this one's number %d",
             count, (int)getpid());
    return NULL;
}

int64_t remat_cuda_process_bytes(const struct remat_device *device, char *note, int capacity)
{
    struct process processes[MOST_PROCESSES];
    unsigned count = MOST_PROCESSES;
    const struct process *found;
    int failed;
    note[0] = '\0';
    if (!device->nvml) {
        snprintf(note, (size_t)capacity, "%s", device->nvml_missing);
        return -1;
    }
    failed = device->nvml->processes(device->nvml->device, &count, processes);
    if (failed) {
        snprintf(note, (size_t)capacity, "NVML does not list this card's processes (%s, code %d)",
                 failed == NVML_INSUFFICIENT_SIZE ? "too many" : "refused", failed);
        return -1;
    }
    found = own(processes, count, note, capacity);
    if (!found)
        return -1;
    if (found->used_bytes == ~0ull) {
        snprintf(note, (size_t)capacity, "NVML does not tell processes' memory here");
        return -1;
    }
    return (int64_t)found->used_bytes;
}
