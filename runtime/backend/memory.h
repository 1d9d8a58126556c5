/* Exactly the bytes asked for, once. Of the host: mapped, touched, and ending at a page that faults. Of a device: as
 * its backend gives it (backend.h). */
#ifndef REMAT_RUNTIME_BACKEND_MEMORY_H
#define REMAT_RUNTIME_BACKEND_MEMORY_H

#include "core/base/status.h"

#include <stdint.h>

struct remat_device;

struct remat_memory {
    unsigned char *base; /* aligned to REMAT_ALIGNMENT; on the host base + bytes is the guard page */
    int64_t bytes;
    void *mapping;
    int64_t mapping_bytes;
    struct remat_device *device;                  /* borrows; of memory that a backend gave */
    void (*release)(struct remat_memory *memory); /* how to close that */
};

/* bytes is a multiple of REMAT_ALIGNMENT, >= 0. Zeroed. REMAT_OUT_OF_MEMORY tells what was asked and what is available
 * (checked against MemAvailable first, so that the kernel never has to kill the process). */
REMAT_MUST_CHECK enum remat_status remat_memory_open(int64_t bytes, const char *purpose, struct remat_memory *out,
                                                     struct remat_error *err);
void remat_memory_close(struct remat_memory *memory);

/* The process's own peak (VmHWM) and current (VmRSS) resident bytes, the machine's MemAvailable (less what the
 * process's control group denies) and MemTotal; -1 if unknown. */
int64_t remat_process_peak_bytes(void);
int64_t remat_process_resident_bytes(void);
int64_t remat_available_bytes(void);
int64_t remat_total_bytes(void);

#endif
