#include "runtime/backend/memory.h"

#include "core/base/memory.h"
#include "core/base/size.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Value in bytes of the line "key:  123 kB" of a /proc file, or -1. */
static int64_t proc_bytes(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char line[256];
    long long kibibytes = -1;
    size_t length = strlen(key);
    if (!file)
        return -1;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, length) == 0 && sscanf(line + length, ": %lld", &kibibytes) == 1)
            break;
    fclose(file);
    return kibibytes < 0 ? -1 : kibibytes * 1024;
}

/* The number that a one-line file holds, or -1 ("max" in control groups). */
static int64_t file_number(const char *path)
{
    FILE *file = fopen(path, "r");
    long long number = -1;
    if (!file)
        return -1;
    if (fscanf(file, "%lld", &number) != 1)
        number = -1;
    fclose(file);
    return number;
}

/* The number after "key " in a control group's memory.stat, or 0. */
static int64_t group_stat(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    char name[64];
    long long number, found = 0;
    if (!file)
        return 0;
    while (fscanf(file, "%63s %lld", name, &number) == 2)
        if (strcmp(name, key) == 0)
            found = number;
    fclose(file);
    return found;
}

enum { PATH_BYTES = 512 };

/* The folder of this process's control group below `mount`: what follows `key` in /proc/self/cgroup; the mount itself
 * where that folder cannot be seen, as in containers. */
static void group_folder(const char *mount, const char *key, const char *probe, char out[PATH_BYTES])
{
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[PATH_BYTES / 2], name[PATH_BYTES + 64];
    const char *found = NULL;
    while (file && !found && fgets(line, sizeof line, file)) {
        found = strstr(line, key);
        line[strcspn(line, "\n")] = '\0';
    }
    if (file)
        fclose(file);
    snprintf(out, PATH_BYTES, "%s%s", mount, found ? found + strlen(key) : "");
    snprintf(name, sizeof name, "%s/%s", out, probe);
    if (access(name, R_OK) != 0)
        snprintf(out, PATH_BYTES, "%s", mount);
}

/* `limit` less `used`, the reclaimable page cache counted as free; INT64_MAX without a limit. */
static int64_t group_room(const char *folder, const char *limit_file, const char *used_file, const char *cache_key)
{
    char name[PATH_BYTES + 64];
    int64_t limit, used, room;
    snprintf(name, sizeof name, "%s/%s", folder, limit_file);
    limit = file_number(name);
    snprintf(name, sizeof name, "%s/%s", folder, used_file);
    used = file_number(name);
    if (limit < 0 || used < 0)
        return INT64_MAX;
    snprintf(name, sizeof name, "%s/memory.stat", folder);
    room = limit - used + group_stat(name, cache_key);
    return room > 0 ? room : 0;
}

/* What this process's control group (version 2 or 1) still allows. */
static int64_t group_available_bytes(void)
{
    char folder[PATH_BYTES];
    int64_t second, first;
    group_folder("/sys/fs/cgroup", "0::", "memory.max", folder);
    second = group_room(folder, "memory.max", "memory.current", "inactive_file");
    group_folder("/sys/fs/cgroup/memory", ":memory:", "memory.limit_in_bytes", folder);
    first = group_room(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
    return first < second ? first : second;
}

int64_t remat_process_peak_bytes(void)
{
    return proc_bytes("/proc/self/status", "VmHWM");
}

int64_t remat_process_resident_bytes(void)
{
    return proc_bytes("/proc/self/status", "VmRSS");
}

int64_t remat_available_bytes(void)
{
    int64_t machine = proc_bytes("/proc/meminfo", "MemAvailable"), group = group_available_bytes();
    return machine < 0 || machine < group ? machine : group;
}

int64_t remat_total_bytes(void)
{
    return proc_bytes("/proc/meminfo", "MemTotal");
}

static enum remat_status out_of_memory(int64_t bytes, int64_t available, const char *purpose, struct remat_error *err)
{
    char asked_text[32], available_text[32];
    return remat_fail(err, REMAT_OUT_OF_MEMORY,
                      "out of memory: %s needs %s (%lld bytes), available are %s (%lld bytes); choose a smaller batch, "
                      "model or budget",
                      purpose, remat_size_format(bytes, asked_text, sizeof asked_text), (long long)bytes,
                      available < 0 ? "an unknown amount"
                                    : remat_size_format(available, available_text, sizeof available_text),
                      (long long)available);
}

/* Page tables take 8 bytes a page beside the pages. */
static bool fits(int64_t bytes, int64_t available)
{
    return available < 0 || bytes + bytes / 512 <= available;
}

static void touch(unsigned char *base, int64_t bytes, int64_t page)
{
    volatile unsigned char *bytes_to_touch = base;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < bytes; i += page)
        bytes_to_touch[i] = 0;
}

enum remat_status remat_memory_open(int64_t bytes, const char *purpose, struct remat_memory *out,
                                    struct remat_error *err)
{
    int64_t page = sysconf(_SC_PAGESIZE), available = remat_available_bytes(), body;
    unsigned char *mapping;
    memset(out, 0, sizeof *out);
    if (bytes < 0 || bytes % REMAT_ALIGNMENT != 0)
        return remat_fail(err, REMAT_INTERNAL, "memory for %s: %lld bytes are not a multiple of %d", purpose,
                          (long long)bytes, REMAT_ALIGNMENT);
    if (!fits(bytes, available))
        return out_of_memory(bytes, available, purpose, err);
    body = (bytes + page - 1) / page * page;
    mapping = mmap(NULL, (size_t)(body + page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return out_of_memory(bytes, available, purpose, err);
    if (mprotect(mapping + body, (size_t)page, PROT_NONE) != 0) {
        munmap(mapping, (size_t)(body + page));
        return remat_fail(err, REMAT_FAILED, "memory for %s: the guard page could not be protected", purpose);
    }
    /* Large pages are welcome, not needed: the result is deliberately ignored. */
    (void)madvise(mapping, (size_t)body, MADV_HUGEPAGE);
    touch(mapping, body, page);
    *out = (struct remat_memory){mapping + (body - bytes), bytes, mapping, body + page, NULL, NULL};
    return REMAT_OK;
}

void remat_memory_close(struct remat_memory *memory)
{
    if (memory->release)
        memory->release(memory);
    else if (memory->mapping)
        munmap(memory->mapping, (size_t)memory->mapping_bytes);
    memset(memory, 0, sizeof *memory);
}
