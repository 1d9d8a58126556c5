/* A libnvidia-ml.so.1 for the emulated card: this process alone is on it. Functions and layout are NVML's. */
#include <stdio.h>
#include <unistd.h>

struct process {
    unsigned pid;
    unsigned long long used_bytes;
    unsigned gpu_instance, compute_instance;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlSystemGetDriverVersion(char *text, unsigned capacity);
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **out);
int nvmlDeviceGetComputeRunningProcesses_v3(const void *device, unsigned *count, struct process *out);

int nvmlInit_v2(void)
{
    return 0;
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlSystemGetDriverVersion(char *text, unsigned capacity)
{
    snprintf(text, capacity, "1.2.3");
    return 0;
}

/* The handle is where the emulator counts. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **out)
{
    return sscanf(bus, "emulated:%p", out) == 1 ? 0 : 6;
}

int nvmlDeviceGetComputeRunningProcesses_v3(const void *device, unsigned *count, struct process *out)
{
    const unsigned long long *bytes_in_use = device;
    if (*count < 1)
        return 7;
    out[0] = (struct process){(unsigned)getpid(), *bytes_in_use, 0, 0};
    *count = 1;
    return 0;
}
