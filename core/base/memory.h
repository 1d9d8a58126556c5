/* Checked memory: overflow-safe arrays, growth, and a pool whose pieces are released together. */
#ifndef REMAT_CORE_BASE_MEMORY_H
#define REMAT_CORE_BASE_MEMORY_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

/* Alignment of every value, buffer and scratchpad: a cache line and the widest vector. */
enum { REMAT_ALIGNMENT = 64 };

static inline int64_t remat_align_up(int64_t bytes)
{
    return (bytes + REMAT_ALIGNMENT - 1) / REMAT_ALIGNMENT * REMAT_ALIGNMENT;
}

/* Zeroed array of count elements of `size` bytes; the caller owns it and releases it with free().
 * A count of 0 gives a valid pointer. Fails with REMAT_OUT_OF_MEMORY, also on overflow. */
REMAT_MUST_CHECK enum remat_status remat_alloc(void **out, int64_t count, size_t size, struct remat_error *err);
#define REMAT_ALLOC(pointer, count, err) remat_alloc((void **)&(pointer), (count), sizeof *(pointer), (err))

/* Makes room for `needed` elements in the array *array of *capacity elements (doubling; new room is zeroed). */
REMAT_MUST_CHECK enum remat_status remat_grow(void **array, int32_t *capacity, int32_t needed, size_t size,
                                              struct remat_error *err);
#define REMAT_GROW(array, capacity, needed, err) \
    remat_grow((void **)&(array), &(capacity), (needed), sizeof *(array), (err))

/* A pool owns many small pieces that live equally long. Zero-initialise it; pieces are zeroed. */
struct remat_pool {
    struct remat_pool_block *blocks;
};
REMAT_MUST_CHECK enum remat_status remat_pool_alloc(struct remat_pool *pool, void **out, int64_t count, size_t size,
                                                    struct remat_error *err);
#define REMAT_POOL_ALLOC(pool, pointer, count, err) \
    remat_pool_alloc((pool), (void **)&(pointer), (count), sizeof *(pointer), (err))
/* Formatted string in the pool. */
REMAT_MUST_CHECK enum remat_status remat_pool_printf(struct remat_pool *pool, const char **out, struct remat_error *err,
                                                     const char *format, ...) __attribute__((format(printf, 4, 5)));
void remat_pool_free(struct remat_pool *pool);

#endif
