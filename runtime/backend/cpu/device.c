#include "runtime/backend/cpu/device.h"

#include "core/base/thread.h"
#include "runtime/backend/cpu/onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *isa_text(enum remat_isa isa)
{
    static const char *const texts[] = {
#define X(name, text) text,
        REMAT_ISA_LIST(X)
#undef X
    };
    return texts[isa];
}

enum remat_isa remat_cpu_best_isa(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq"))
        return REMAT_ISA_AVX512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return REMAT_ISA_AVX2;
#endif
    return REMAT_ISA_BASELINE;
}

enum remat_status remat_cpu_create_stateless(struct remat_device *device, const struct remat_kernel_spec *spec,
                                             void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    (void)spec;
    (void)err;
    *state = device;
    *scratch_bytes = 0;
    return REMAT_OK;
}

/* The value of the first "KEY : value" line of a /proc file; false if there is none. */
static bool proc_field(const char *path, const char *key, char *out, size_t capacity)
{
    char line[256];
    FILE *file = fopen(path, "re");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        char *colon = strchr(line, ':');
        if (!colon || strncmp(line, key, strlen(key)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, capacity, "%s", colon);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

static int64_t available_memory_bytes(void)
{
    char text[64];
    if (proc_field("/proc/meminfo", "MemAvailable", text, sizeof text))
        return strtoll(text, NULL, 10) * 1024;
    return (int64_t)sysconf(_SC_AVPHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

enum remat_status remat_cpu_open(const struct remat_device_config *config, struct remat_device **out,
                                 struct remat_error *err)
{
    struct remat_device *device;
    enum remat_status status;
    *out = NULL;
    if (config->threads < 0 || config->threads > REMAT_CPU_MAX_THREADS)
        return remat_fail(err, REMAT_USAGE, "cpu: %d threads asked for, expected 0 (all cores) to %d", config->threads,
                          REMAT_CPU_MAX_THREADS);
    if (config->ordinal != 0)
        return remat_fail(err, REMAT_UNAVAILABLE, "cpu: there is one device, number 0; %d was asked for",
                          config->ordinal);
    REMAT_TRY(REMAT_ALLOC(device, 1, err));
    device->threads = config->threads ? config->threads : remat_processors();
    device->isa = remat_cpu_best_isa();
    if (!proc_field("/proc/cpuinfo", "model name", device->processor, sizeof device->processor))
        snprintf(device->processor, sizeof device->processor, "processor");
    status = remat_onednn_open(device, err);
    if (status != REMAT_OK) {
        remat_cpu_close(device);
        return status;
    }
    *out = device;
    return REMAT_OK;
}

void remat_cpu_close(struct remat_device *device)
{
    if (!device)
        return;
    remat_onednn_close(device);
    free(device);
}

void remat_cpu_describe(struct remat_device *device, struct remat_device_info *out)
{
    char library[32];
    memset(out, 0, sizeof *out);
    remat_onednn_version(library, sizeof library);
    snprintf(out->name, sizeof out->name, "cpu");
    snprintf(out->description, sizeof out->description, "%s", device->processor);
    snprintf(out->fingerprint, sizeof out->fingerprint, "cpu/%s/%s/%d threads/oneDNN %s", device->processor,
             isa_text(device->isa), device->threads, library);
    out->threads = device->threads;
    out->memory_bytes = available_memory_bytes();
}
