/* Test aid: bytes that no task may rely on are NaN. A range is filled when its buffer begins, unless it continues an
 * input in place, and when its buffer ends, unless an output continues it; in both spaces. 0xFF in every byte is NaN in
 * all floating-point types, -1 in i32 and 255 in u8. */
#ifndef REMAT_RUNTIME_EXEC_POISON_H
#define REMAT_RUNTIME_EXEC_POISON_H

#include "core/plan/plan.h"
#include "runtime/backend/backend.h"

typedef enum remat_status remat_poison_function(const struct remat_device_ops *ops, struct remat_device *device,
                                                const struct remat_plan *plan, int32_t instruction,
                                                unsigned char *const spaces[REMAT_SPACE_COUNT],
                                                struct remat_error *err);
REMAT_MUST_CHECK remat_poison_function remat_poison_before, remat_poison_after;

#endif
