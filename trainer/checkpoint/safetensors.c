#include "trainer/checkpoint/safetensors.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100000000, TENSORS_LIMIT = 10000000 };

static const struct {
    const char *name;
    int32_t bits;
} types[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
    {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
    {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
    {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64},
};

int32_t remat_safetensors_bits(const char *dtype)
{
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, dtype) == 0)
            return types[i].bits;
    return 0;
}

void remat_safetensors_free(struct remat_safetensors *file)
{
    remat_pool_free(&file->pool);
    free(file->tensors);
    memset(file, 0, sizeof *file);
}

const struct remat_safetensor *remat_safetensors_find(const struct remat_safetensors *file, const char *name)
{
    for (int32_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

static uint64_t read_length(const unsigned char *bytes)
{
    uint64_t length = 0;
    for (int i = LENGTH_BYTES - 1; i >= 0; i--)
        length = length << 8 | bytes[i];
    return length;
}

/* Bytes of a tensor of this type and shape; false on overflow or a fraction of a byte. */
static bool tensor_bytes(const struct remat_safetensor *tensor, int64_t *out)
{
    int64_t bits = remat_safetensors_bits(tensor->dtype);
    for (int32_t i = 0; i < tensor->dims_count; i++)
        if (__builtin_mul_overflow(bits, tensor->dims[i], &bits))
            return false;
    *out = bits / 8;
    return bits % 8 == 0;
}

static enum remat_status parse_shape(const json_t *shape, const char *where, struct remat_safetensor *tensor,
                                     struct remat_error *err)
{
    if (!json_is_array(shape) || json_array_size(shape) > REMAT_SAFETENSORS_DIMS)
        return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s': 'shape' must be an array of at most %d sizes", where,
                          tensor->name, REMAT_SAFETENSORS_DIMS);
    tensor->dims_count = (int32_t)json_array_size(shape);
    for (int32_t i = 0; i < tensor->dims_count; i++) {
        const json_t *size = json_array_get(shape, (size_t)i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s': size %d of its shape is not a whole number >= 0",
                              where, tensor->name, i);
        tensor->dims[i] = json_integer_value(size);
    }
    return REMAT_OK;
}

static enum remat_status parse_offsets(const json_t *offsets, const char *where, struct remat_safetensor *tensor,
                                       struct remat_error *err)
{
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    int64_t bytes;
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) ||
        json_integer_value(begin) < 0 || json_integer_value(end) < json_integer_value(begin))
        return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s': 'data_offsets' must be [begin, end], begin <= end",
                          where, tensor->name);
    tensor->begin = json_integer_value(begin);
    tensor->end = json_integer_value(end);
    if (!tensor_bytes(tensor, &bytes))
        return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s': its shape has too many elements or no whole bytes",
                          where, tensor->name);
    if (tensor->end - tensor->begin != bytes)
        return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s' has %lld bytes; its type and shape need %lld", where,
                          tensor->name, (long long)(tensor->end - tensor->begin), (long long)bytes);
    return REMAT_OK;
}

static enum remat_status parse_tensor(struct remat_safetensors *file, const char *name, const json_t *entry,
                                      const char *where, struct remat_error *err)
{
    struct remat_safetensor *tensor = &file->tensors[file->count];
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    REMAT_TRY(remat_pool_printf(&file->pool, &tensor->name, err, "%s", name));
    if (!json_is_object(entry) || json_object_size(entry) != 3)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: tensor '%s': expected an object of 'dtype', 'shape' and 'data_offsets'", where, name);
    if (!dtype || remat_safetensors_bits(dtype) == 0)
        return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s': unknown type '%s'", where, name, dtype ? dtype : "");
    REMAT_TRY(remat_pool_printf(&file->pool, &tensor->dtype, err, "%s", dtype));
    REMAT_TRY(parse_shape(json_object_get(entry, "shape"), where, tensor, err));
    REMAT_TRY(parse_offsets(json_object_get(entry, "data_offsets"), where, tensor, err));
    file->count++;
    return REMAT_OK;
}

static enum remat_status check_metadata(const json_t *metadata, const char *where, struct remat_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return remat_fail(err, REMAT_BAD_DATA, "%s: '__metadata__' must be an object", where);
    json_object_foreach((json_t *)metadata, key, value)
    {
        if (!json_is_string(value))
            return remat_fail(err, REMAT_BAD_DATA, "%s: '__metadata__': '%s' must be a string", where, key);
    }
    return REMAT_OK;
}

static enum remat_status parse_entries(struct remat_safetensors *file, json_t *header, const char *where,
                                       struct remat_error *err)
{
    const char *name;
    json_t *entry;
    if (!json_is_object(header) || json_object_size(header) > TENSORS_LIMIT)
        return remat_fail(err, REMAT_BAD_DATA, "%s: its header must be an object of at most %d tensors", where,
                          TENSORS_LIMIT);
    REMAT_TRY(REMAT_ALLOC(file->tensors, (int64_t)json_object_size(header), err));
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            REMAT_TRY(check_metadata(entry, where, err));
        else
            REMAT_TRY(parse_tensor(file, name, entry, where, err));
    }
    return REMAT_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct remat_safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Tensors must cover the data section exactly: no hole can hide another file, no byte belongs to two tensors. */
static enum remat_status check_cover(struct remat_safetensors *file, int64_t data_bytes, const char *where,
                                     struct remat_error *err)
{
    int64_t covered = 0;
    qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_offset);
    for (int32_t i = 0; i < file->count; i++) {
        if (file->tensors[i].begin != covered)
            return remat_fail(err, REMAT_BAD_DATA, "%s: tensor '%s' begins at byte %lld of the data; expected %lld: %s",
                              where, file->tensors[i].name, (long long)file->tensors[i].begin, (long long)covered,
                              file->tensors[i].begin < covered ? "tensors overlap" : "there is a hole");
        covered = file->tensors[i].end;
    }
    if (covered != data_bytes)
        return remat_fail(err, REMAT_BAD_DATA, "%s is %s: its tensors need %lld bytes and %lld are there", where,
                          covered > data_bytes ? "truncated" : "oversized", (long long)covered, (long long)data_bytes);
    return REMAT_OK;
}

static enum remat_status check_length(const unsigned char *head, int64_t bytes, int64_t file_bytes, const char *where,
                                      int64_t *length, struct remat_error *err)
{
    uint64_t claimed;
    if (file_bytes < LENGTH_BYTES || bytes < LENGTH_BYTES)
        return remat_fail(err, REMAT_BAD_DATA, "%s is truncated: %lld bytes, and a safetensors file has 8 at least",
                          where, (long long)file_bytes);
    claimed = read_length(head);
    if (claimed > HEADER_LIMIT)
        return remat_fail(err, REMAT_BAD_DATA, "%s: its header claims %llu bytes; at most %d are allowed", where,
                          (unsigned long long)claimed, HEADER_LIMIT);
    if ((int64_t)claimed > file_bytes - LENGTH_BYTES)
        return remat_fail(err, REMAT_BAD_DATA, "%s is truncated: its header claims %llu bytes and %lld follow", where,
                          (unsigned long long)claimed, (long long)(file_bytes - LENGTH_BYTES));
    if ((int64_t)claimed > bytes - LENGTH_BYTES)
        return remat_fail(err, REMAT_INTERNAL, "%s: only a part of the header was read", where);
    if (claimed == 0 || head[LENGTH_BYTES] != '{')
        return remat_fail(err, REMAT_BAD_DATA, "%s: its header does not start with '{'", where);
    *length = (int64_t)claimed;
    return REMAT_OK;
}

enum remat_status remat_safetensors_parse(const void *head, int64_t bytes, int64_t file_bytes, const char *where,
                                          struct remat_safetensors *out, struct remat_error *err)
{
    json_error_t json_error;
    json_t *header;
    int64_t length = 0;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(check_length(head, bytes, file_bytes, where, &length, err));
    out->data_begin = LENGTH_BYTES + length;
    header = json_loadb((const char *)head + LENGTH_BYTES, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
    if (!header)
        return remat_fail(err, REMAT_BAD_DATA, "%s: its header is no valid JSON: %s (byte %d)", where, json_error.text,
                          json_error.position);
    status = parse_entries(out, header, where, err);
    json_decref(header);
    if (status != REMAT_OK)
        return status;
    return check_cover(out, file_bytes - out->data_begin, where, err);
}

static enum remat_status read_at(int descriptor, const char *path, void *out, int64_t bytes, int64_t offset,
                                 struct remat_error *err)
{
    for (int64_t done = 0; done < bytes;) {
        ssize_t got = pread(descriptor, (char *)out + done, (size_t)(bytes - done), offset + done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return remat_fail(err, REMAT_IO, "%s: reading %lld bytes at %lld failed: %s", path, (long long)bytes,
                              (long long)offset, got < 0 ? strerror(errno) : "the file ends before");
        done += got;
    }
    return REMAT_OK;
}

enum remat_status remat_safetensors_open(int descriptor, const char *path, struct remat_safetensors *out,
                                         struct remat_error *err)
{
    struct stat info;
    unsigned char *head = NULL, length[LENGTH_BYTES] = {0};
    int64_t bytes;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    if (fstat(descriptor, &info) != 0)
        return remat_fail(err, REMAT_IO, "%s: %s", path, strerror(errno));
    bytes = info.st_size < LENGTH_BYTES ? info.st_size : LENGTH_BYTES;
    REMAT_TRY(read_at(descriptor, path, length, bytes, 0, err));
    if (bytes == LENGTH_BYTES && read_length(length) <= HEADER_LIMIT &&
        (int64_t)read_length(length) <= info.st_size - LENGTH_BYTES)
        bytes += (int64_t)read_length(length);
    REMAT_TRY(REMAT_ALLOC(head, bytes, err));
    REMAT_TRY_GOTO(read_at(descriptor, path, head, bytes, 0, err), done);
    status = remat_safetensors_parse(head, bytes, info.st_size, path, out, err);
done:
    free(head);
    return status;
}

enum remat_status remat_safetensors_layout(struct remat_safetensor *tensors, int32_t count, struct remat_error *err)
{
    int64_t offset = 0, bytes;
    for (int32_t i = 0; i < count; i++) {
        if (!tensor_bytes(&tensors[i], &bytes) || __builtin_add_overflow(offset, bytes, &tensors[i].end))
            return remat_fail(err, REMAT_INTERNAL, "tensor '%s': type %s and its shape make no size", tensors[i].name,
                              tensors[i].dtype);
        tensors[i].begin = offset;
        offset = tensors[i].end;
    }
    return REMAT_OK;
}

static json_t *entry_json(const struct remat_safetensor *tensor)
{
    json_t *shape = json_array();
    for (int32_t i = 0; i < tensor->dims_count; i++)
        json_array_append_new(shape, json_integer(tensor->dims[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tensor->dtype, "shape", shape, "data_offsets",
                     (json_int_t)tensor->begin, (json_int_t)tensor->end);
}

static char *header_text(const struct remat_safetensor *tensors, int32_t count, const json_t *metadata)
{
    json_t *header = json_object();
    char *text;
    int failed = 0;
    if (metadata)
        failed |= json_object_set(header, "__metadata__", (json_t *)metadata);
    for (int32_t i = 0; i < count; i++)
        failed |= json_object_set_new(header, tensors[i].name, entry_json(&tensors[i]));
    text = failed ? NULL : json_dumps(header, JSON_COMPACT);
    json_decref(header);
    return text;
}

enum remat_status remat_safetensors_header(const struct remat_safetensor *tensors, int32_t count,
                                           const json_t *metadata, char **out, size_t *bytes, struct remat_error *err)
{
    char *text = header_text(tensors, count, metadata);
    size_t used = text ? strlen(text) : 0, padded = (used + 7) / 8 * 8;
    enum remat_status status;
    *out = NULL;
    if (!text)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while writing a header of %d tensors", count);
    status = REMAT_ALLOC(*out, (int64_t)(LENGTH_BYTES + padded), err);
    if (status == REMAT_OK) {
        for (int i = 0; i < LENGTH_BYTES; i++)
            (*out)[i] = (char)(padded >> (8 * i));
        memset(*out + LENGTH_BYTES, ' ', padded);
        memcpy(*out + LENGTH_BYTES, text, used);
        *bytes = LENGTH_BYTES + padded;
    }
    free(text);
    return status;
}
