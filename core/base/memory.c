#include "core/base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct remat_pool_block {
    struct remat_pool_block *next;
    int64_t used, capacity;
    _Alignas(16) unsigned char data[];
};

enum { POOL_BLOCK_BYTES = 1 << 16 };

static enum remat_status out_of_memory(struct remat_error *err, int64_t count, size_t size)
{
    return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory: asked for %lld elements of %zu bytes",
                      (long long)count, size);
}

static int overflows(int64_t count, size_t size)
{
    return count < 0 || (size != 0 && (uint64_t)count > (uint64_t)(INT64_MAX / 2) / size);
}

enum remat_status remat_alloc(void **out, int64_t count, size_t size, struct remat_error *err)
{
    *out = NULL;
    if (overflows(count, size))
        return out_of_memory(err, count, size);
    *out = calloc((size_t)count ? (size_t)count : 1, size);
    return *out ? REMAT_OK : out_of_memory(err, count, size);
}

enum remat_status remat_grow(void **array, int32_t *capacity, int32_t needed, size_t size, struct remat_error *err)
{
    int64_t wanted = *capacity > 0 ? *capacity : 16;
    void *grown;
    if (needed <= *capacity)
        return REMAT_OK;
    while (wanted < needed)
        wanted *= 2;
    if (wanted > INT32_MAX || overflows(wanted, size))
        return out_of_memory(err, wanted, size);
    grown = realloc(*array, (size_t)wanted * size);
    if (!grown)
        return out_of_memory(err, wanted, size);
    memset((char *)grown + (size_t)*capacity * size, 0, (size_t)(wanted - *capacity) * size);
    *array = grown;
    *capacity = (int32_t)wanted;
    return REMAT_OK;
}

enum remat_status remat_pool_alloc(struct remat_pool *pool, void **out, int64_t count, size_t size,
                                   struct remat_error *err)
{
    struct remat_pool_block *block = pool->blocks;
    int64_t bytes, capacity;
    *out = NULL;
    if (overflows(count, size))
        return out_of_memory(err, count, size);
    bytes = ((int64_t)((size_t)count * size) + 15) / 16 * 16;
    if (!block || block->capacity - block->used < bytes) {
        capacity = bytes > POOL_BLOCK_BYTES ? bytes : POOL_BLOCK_BYTES;
        block = calloc(1, sizeof *block + (size_t)capacity);
        if (!block)
            return out_of_memory(err, count, size);
        block->capacity = capacity;
        block->next = pool->blocks;
        pool->blocks = block;
    }
    *out = block->data + block->used;
    block->used += bytes;
    return REMAT_OK;
}

enum remat_status remat_pool_printf(struct remat_pool *pool, const char **out, struct remat_error *err,
                                    const char *format, ...)
{
    va_list args;
    char *text;
    int length;
    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    REMAT_TRY(REMAT_POOL_ALLOC(pool, text, (int64_t)length + 1, err));
    va_start(args, format);
    vsnprintf(text, (size_t)length + 1, format, args);
    va_end(args);
    *out = text;
    return REMAT_OK;
}

void remat_pool_free(struct remat_pool *pool)
{
    while (pool->blocks) {
        struct remat_pool_block *next = pool->blocks->next;
        free(pool->blocks);
        pool->blocks = next;
    }
}
