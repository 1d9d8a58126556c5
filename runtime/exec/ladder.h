/* The ladder from the plan to the device: what was planned <= what was allocated for it <= what the device gave for all
 * allocations <= what the process holds there, with a name for each gap. Everything but the plan's rung is measured. */
#ifndef REMAT_RUNTIME_EXEC_LADDER_H
#define REMAT_RUNTIME_EXEC_LADDER_H

#include "runtime/backend/backend.h"

#include <jansson.h>

/* In bytes; -1: unknown. A gap is unknown where one of its ends is. */
struct remat_memory_ladder {
    int64_t plan_bytes;  /* arena of the plan, and cells */
    int64_t arena_bytes; /* opened for arena and cells */
    int64_t asked_bytes; /* opened in all */
    int64_t pool_bytes;  /* given by the device for that */
    int64_t process_bytes;
    /* From rung to rung. */
    int64_t other_plans_bytes; /* plan -> arena: another plan that uses the same arena needs more */
    int64_t records_bytes;     /* arena -> asked: step records */
    int64_t pages_bytes;       /* asked -> pool: memory is given in whole pages */
    int64_t context_bytes;     /* pool -> process: the device's context, */
    int64_t libraries_bytes;   /* libraries when they were opened, */
    int64_t code_bytes;        /* and what was loaded since: code of kernels, libraries' own memory */
    struct remat_device_memory device;
};

/* `plan_bytes` and `arena_bytes` as above; -1 without a plan. */
void remat_memory_ladder(const struct remat_device_ops *ops, struct remat_device *device, int64_t plan_bytes,
                         int64_t arena_bytes, struct remat_memory_ladder *out);
/* An object of the known rungs, with "gaps" and, if something is unknown, "note"; NULL out of memory. */
json_t *remat_memory_ladder_json(const struct remat_memory_ladder *ladder);

#endif
