/* Test aid: bytes that no task may rely on are NaN. A range is filled when its buffer begins, unless it continues an
 * input in place, and when its buffer ends, unless an output continues it. 0xFF in every byte is NaN in all
 * floating-point types, -1 in i32 and 255 in u8. */
#ifndef REMAT_RUNTIME_EXEC_POISON_H
#define REMAT_RUNTIME_EXEC_POISON_H

#include "core/plan/plan.h"
#include "runtime/backend/backend.h"

REMAT_MUST_CHECK enum remat_status remat_poison_before(const struct remat_device_ops *ops, struct remat_device *device,
                                                       const struct remat_plan *plan, int32_t instruction,
                                                       unsigned char *arena, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_poison_after(const struct remat_device_ops *ops, struct remat_device *device,
                                                      const struct remat_plan *plan, int32_t instruction,
                                                      unsigned char *arena, struct remat_error *err);

#endif
