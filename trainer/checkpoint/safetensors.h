/* Files in the safetensors format (https://github.com/huggingface/safetensors): 8 bytes little-endian header length,
 * a JSON header that starts with '{' and may end with spaces, then the tensors' bytes without holes. Any PyTorch
 * program can read them.
 *
 * The reader trusts nothing: lengths, UTF-8, JSON, duplicate names, types, overflow of shapes, and that the tensors
 * cover the data exactly, are all checked before anything is allocated for data. */
#ifndef REMAT_TRAINER_CHECKPOINT_SAFETENSORS_H
#define REMAT_TRAINER_CHECKPOINT_SAFETENSORS_H

#include "core/base/memory.h"
#include "trainer/checkpoint/output.h"

#include <jansson.h>

enum { REMAT_SAFETENSORS_DIMS = 8 };

struct remat_safetensor {
    const char *name;
    const char *dtype; /* the format's word: "F32", "BF16", ... */
    int32_t dims_count;
    int64_t dims[REMAT_SAFETENSORS_DIMS];
    int64_t begin, end; /* bytes of the data section */
};

/* A header that passed all checks. */
struct remat_safetensors {
    struct remat_pool pool;           /* owns names */
    struct remat_safetensor *tensors; /* by ascending offset */
    int32_t count;
    int64_t data_begin; /* of the data section in the file */
};

/* Bits of an element, or 0 for an unknown type. */
int32_t remat_safetensors_bits(const char *dtype);

/* Checks the first `bytes` bytes of a file of file_bytes; at least 8 + header length of them must be there. `where`
 * starts the messages. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_safetensors_parse(const void *head, int64_t bytes, int64_t file_bytes,
                                                           const char *where, struct remat_safetensors *out,
                                                           struct remat_error *err);
/* Reads and checks the header of an open file. */
REMAT_MUST_CHECK enum remat_status remat_safetensors_open(int descriptor, const char *path,
                                                          struct remat_safetensors *out, struct remat_error *err);
void remat_safetensors_free(struct remat_safetensors *file);
/* NULL if there is none of that name. */
const struct remat_safetensor *remat_safetensors_find(const struct remat_safetensors *file, const char *name);

/* Sets begin and end of the tensors in the order given, and returns the whole file's bytes through *bytes. */
REMAT_MUST_CHECK enum remat_status remat_safetensors_layout(struct remat_safetensor *tensors, int32_t count,
                                                            struct remat_error *err);
/* The header with its length, to be written first; the caller frees *out. Borrows `metadata`, an object of strings. */
REMAT_MUST_CHECK enum remat_status remat_safetensors_header(const struct remat_safetensor *tensors, int32_t count,
                                                            const json_t *metadata, char **out, size_t *bytes,
                                                            struct remat_error *err);

#endif
