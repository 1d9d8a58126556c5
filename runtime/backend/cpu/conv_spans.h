/* Which positions of a convolution's kernel touch which pixels, along one axis, with no padding left: outputs that
 * have the same live positions form a span. Forward and backward-data differ in nothing else.
 *
 * Forward: output i reads inputs i * stride - pad + r, live where they exist. Backward data: input i receives from
 * outputs (i + pad - r) / stride where that is a whole number and exists; inputs of one remainder (phase) form a
 * stride-1 problem of their own. Positions are listed so that those of a span are consecutive, both in the list and
 * in the pixels that they read. Positions that never touch a pixel are not listed. */
#ifndef REMAT_RUNTIME_BACKEND_CPU_CONV_SPANS_H
#define REMAT_RUNTIME_BACKEND_CPU_CONV_SPANS_H

#include "core/base/memory.h"

/* Targets target, target + target_step, ... (count of them); the j-th reads sources
 * source + j * source_step + 0, 1, ... positions - 1, with the kernel positions first, first + 1, ... of the list. */
struct remat_span {
    int64_t target, count, source;
    int32_t first, positions;
};

struct remat_spans {
    int64_t target_step, source_step;
    int32_t spans_count, positions_count;
    struct remat_span *spans;
    int32_t *positions; /* r or s of each listed position */
};

struct remat_axis {
    int64_t in, out, kernel, stride, pad;
};

/* Arrays are owned by the pool. */
REMAT_MUST_CHECK enum remat_status remat_spans_forward(const struct remat_axis *axis, struct remat_pool *pool,
                                                       struct remat_spans *out, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_spans_backward(const struct remat_axis *axis, struct remat_pool *pool,
                                                        struct remat_spans *out, struct remat_error *err);

#endif
