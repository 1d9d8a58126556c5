/* How loops are shared among threads: by shape and thread count alone, so that results repeat bit for bit. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_SPLIT_H
#define REMAT_RUNTIME_BACKEND_CPU_SPLIT_H

#include "runtime/backend/cpu/device.h"

struct remat_range {
    int64_t begin, end;
};

enum {
    /* Below this many elements a part, starting a thread costs more than it saves. */
    REMAT_PART_ELEMENTS = 4096,
    /* Flat arrays are cut between cache lines of floats. */
    REMAT_LINE_FLOATS = 16
};
/* Results at least this large leave the caches before anyone reads them: writing past the caches spares the read of
 * the old line that an ordinary store costs. */
#define REMAT_STREAM_BYTES ((int64_t)16 << 20)

/* Into how many parts, at most one a thread, to cut work on so many elements. */
static inline int32_t remat_parts(const struct remat_device *device, int64_t elements)
{
    int64_t parts = elements / REMAT_PART_ELEMENTS;
    return parts < 1 ? 1 : parts < device->threads ? (int32_t)parts : device->threads;
}

/* Part `part` of 0 .. count - 1, cut at multiples of `unit`. */
static inline struct remat_range remat_split(int64_t count, int64_t unit, int32_t part, int32_t parts)
{
    int64_t units = (count + unit - 1) / unit;
    struct remat_range range = {units * part / parts * unit, units * (part + 1) / parts * unit};
    if (range.end > count)
        range.end = count;
    return range;
}

/* Whether a result should be written past the caches: it is large, and none of its lines is in them as an input. */
static inline bool remat_streams(const struct remat_tensor *tensor, const void *output,
                                 const struct remat_kernel_args *args)
{
    for (int32_t i = 0; i < REMAT_MAX_INPUTS; i++) {
        if (args->inputs[i] == output)
            return false;
    }
    return remat_tensor_bytes(tensor) >= REMAT_STREAM_BYTES;
}

#endif
