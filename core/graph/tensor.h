/* Element types, layouts and the description that every value and cell carries.
 *
 * Shapes are logical and written in storage order of the row-major layout: images [N,H,W,C], convolution weights
 * [K,R,S,C], tokens [B,T], hidden states [B,T,C], matrices [rows, columns]. Another layout permutes or blocks the
 * same logical shape and changes the bytes. */
#ifndef REMAT_CORE_GRAPH_TENSOR_H
#define REMAT_CORE_GRAPH_TENSOR_H

#include "core/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* name, text, bytes per element */
#define REMAT_DTYPE_LIST(X)  \
    X(REMAT_F32, "f32", 4)   \
    X(REMAT_F64, "f64", 8)   \
    X(REMAT_BF16, "bf16", 2) \
    X(REMAT_F16, "f16", 2)   \
    X(REMAT_I32, "i32", 4)   \
    X(REMAT_U8, "u8", 1)

enum remat_dtype {
#define X(name, text, bytes) name,
    REMAT_DTYPE_LIST(X)
#undef X
        REMAT_DTYPE_COUNT
};

#define REMAT_LAYOUT_LIST(X) X(REMAT_ROW_MAJOR, "row-major")

enum remat_layout {
#define X(name, text) name,
    REMAT_LAYOUT_LIST(X)
#undef X
        REMAT_LAYOUT_COUNT
};

enum { REMAT_MAX_DIMS = 4 };

struct remat_tensor {
    enum remat_dtype dtype;
    enum remat_layout layout;
    int32_t dims_count;
    int64_t dims[REMAT_MAX_DIMS];
};

const char *remat_dtype_text(enum remat_dtype dtype);
int64_t remat_dtype_bytes(enum remat_dtype dtype);
REMAT_MUST_CHECK enum remat_status remat_dtype_parse(const char *text, enum remat_dtype *out, struct remat_error *err);
const char *remat_layout_text(enum remat_layout layout);
REMAT_MUST_CHECK enum remat_status remat_layout_parse(const char *text, enum remat_layout *out,
                                                      struct remat_error *err);

struct remat_tensor remat_tensor_make(enum remat_dtype dtype, int32_t dims_count, const int64_t *dims);
/* Refuses unknown types, dimensions below 1 and tensors of more than 2^53 bytes; all graphs check what they take in. */
REMAT_MUST_CHECK enum remat_status remat_tensor_check(const struct remat_tensor *tensor, const char *where,
                                                      struct remat_error *err);
/* Saturates at 2^56 where the product would be larger. */
int64_t remat_tensor_elements(const struct remat_tensor *tensor);
/* Elements x element size, unaligned. */
int64_t remat_tensor_bytes(const struct remat_tensor *tensor);
bool remat_tensor_equal(const struct remat_tensor *a, const struct remat_tensor *b);
/* Over type, layout and shape, not over padding or unused dimensions. */
uint64_t remat_tensor_hash(const struct remat_tensor *tensor, uint64_t seed);
/* The product of all dimensions but the last, and the last: how row-wise operations see a tensor. */
int64_t remat_tensor_rows(const struct remat_tensor *tensor);
int64_t remat_tensor_columns(const struct remat_tensor *tensor);

#endif
