#include "core/graph/tensor.h"

#include "core/base/hash.h"

#include <string.h>

static const int64_t MAX_ELEMENTS = INT64_C(1) << 56, MAX_BYTES = INT64_C(1) << 53;

static const struct {
    const char *text;
    int64_t bytes;
} dtypes[] = {
#define X(name, text, bytes) {text, bytes},
    REMAT_DTYPE_LIST(X)
#undef X
};

static const char *const layouts[] = {
#define X(name, text) text,
    REMAT_LAYOUT_LIST(X)
#undef X
};

const char *remat_dtype_text(enum remat_dtype dtype)
{
    return (unsigned)dtype < REMAT_DTYPE_COUNT ? dtypes[dtype].text : "unknown type";
}

int64_t remat_dtype_bytes(enum remat_dtype dtype)
{
    return (unsigned)dtype < REMAT_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

enum remat_status remat_dtype_parse(const char *text, enum remat_dtype *out, struct remat_error *err)
{
    for (int i = 0; i < REMAT_DTYPE_COUNT; i++)
        if (strcmp(text, dtypes[i].text) == 0) {
            *out = (enum remat_dtype)i;
            return REMAT_OK;
        }
    return remat_fail(err, REMAT_BAD_DATA, "unknown element type \"%.64s\"; known are f32, f64, bf16, f16, i32, u8",
                      text);
}

const char *remat_layout_text(enum remat_layout layout)
{
    return (unsigned)layout < REMAT_LAYOUT_COUNT ? layouts[layout] : "unknown layout";
}

enum remat_status remat_layout_parse(const char *text, enum remat_layout *out, struct remat_error *err)
{
    for (int i = 0; i < REMAT_LAYOUT_COUNT; i++)
        if (strcmp(text, layouts[i]) == 0) {
            *out = (enum remat_layout)i;
            return REMAT_OK;
        }
    return remat_fail(err, REMAT_BAD_DATA, "unknown layout \"%.64s\"; known is row-major", text);
}

struct remat_tensor remat_tensor_make(enum remat_dtype dtype, int32_t dims_count, const int64_t *dims)
{
    struct remat_tensor tensor = {.dtype = dtype, .layout = REMAT_ROW_MAJOR, .dims_count = dims_count};
    for (int32_t i = 0; i < dims_count && i < REMAT_MAX_DIMS; i++)
        tensor.dims[i] = dims[i];
    return tensor;
}

static int64_t product(const int64_t *dims, int32_t count)
{
    int64_t result = 1;
    for (int32_t i = 0; i < count; i++)
        if (__builtin_mul_overflow(result, dims[i], &result) || result > MAX_ELEMENTS)
            return MAX_ELEMENTS;
    return result;
}

enum remat_status remat_tensor_check(const struct remat_tensor *tensor, const char *where, struct remat_error *err)
{
    if ((unsigned)tensor->dtype >= REMAT_DTYPE_COUNT || (unsigned)tensor->layout >= REMAT_LAYOUT_COUNT)
        return remat_fail(err, REMAT_BAD_DATA, "%s: unknown element type or layout (%d, %d)", where, tensor->dtype,
                          tensor->layout);
    if (tensor->dims_count < 0 || tensor->dims_count > REMAT_MAX_DIMS)
        return remat_fail(err, REMAT_BAD_DATA, "%s: %d dimensions; 0 to %d are possible", where, tensor->dims_count,
                          REMAT_MAX_DIMS);
    for (int32_t i = 0; i < tensor->dims_count; i++)
        if (tensor->dims[i] < 1)
            return remat_fail(err, REMAT_BAD_DATA, "%s: dimension %d is %lld; it must be at least 1", where, i,
                              (long long)tensor->dims[i]);
    if (remat_tensor_elements(tensor) >= MAX_ELEMENTS || remat_tensor_bytes(tensor) > MAX_BYTES)
        return remat_fail(err, REMAT_BAD_DATA, "%s: the tensor has more than 2^53 bytes", where);
    return REMAT_OK;
}

int64_t remat_tensor_elements(const struct remat_tensor *tensor)
{
    return product(tensor->dims, tensor->dims_count);
}

int64_t remat_tensor_bytes(const struct remat_tensor *tensor)
{
    return remat_tensor_elements(tensor) * remat_dtype_bytes(tensor->dtype);
}

bool remat_tensor_equal(const struct remat_tensor *a, const struct remat_tensor *b)
{
    return a->dtype == b->dtype && a->layout == b->layout && a->dims_count == b->dims_count &&
           memcmp(a->dims, b->dims, (size_t)a->dims_count * sizeof a->dims[0]) == 0;
}

int64_t remat_tensor_rows(const struct remat_tensor *tensor)
{
    return tensor->dims_count > 0 ? product(tensor->dims, tensor->dims_count - 1) : 1;
}

int64_t remat_tensor_columns(const struct remat_tensor *tensor)
{
    return tensor->dims_count > 0 ? tensor->dims[tensor->dims_count - 1] : 1;
}

uint64_t remat_tensor_hash(const struct remat_tensor *tensor, uint64_t seed)
{
    int64_t words[3 + REMAT_MAX_DIMS] = {tensor->dtype, tensor->layout, tensor->dims_count};
    for (int32_t i = 0; i < tensor->dims_count; i++)
        words[3 + i] = tensor->dims[i];
    return remat_hash(words, sizeof words, seed);
}
