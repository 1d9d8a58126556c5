#include "core/base/json.h"

#include "core/base/file.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MAX_FILE_BYTES = INT64_C(1) << 30;

enum remat_status remat_json_load(const char *path, json_t **out, struct remat_error *err)
{
    json_error_t where;
    char *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    REMAT_TRY(remat_file_read(path, MAX_FILE_BYTES, &text, &bytes, err));
    *out = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &where);
    free(text);
    if (!*out)
        return remat_fail(
            err, REMAT_BAD_DATA,
            "%s, line %d, column %d: malformed JSON: %s; a damaged or shortened file must be written again", path,
            where.line, where.column, where.text);
    return REMAT_OK;
}

static const char *kind_text(const json_t *value)
{
    if (!value)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "a whole number";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "null";
    }
    return "something unknown";
}

static enum remat_status expected(const char *what, const json_t *found, const char *key, const char *where,
                                  struct remat_error *err)
{
    return remat_fail(err, REMAT_BAD_DATA, "%s: expected %s as \"%s\", found %s; docs/formats.md describes the formats",
                      where, what, key, kind_text(found));
}

enum remat_status remat_json_text(const json_t *object, const char *key, const char *where, const char **out,
                                  struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = "";
    if (!json_is_string(value))
        return expected("a text", value, key, where, err);
    *out = json_string_value(value);
    return REMAT_OK;
}

enum remat_status remat_json_int(const json_t *object, const char *key, const char *where, int64_t minimum,
                                 int64_t maximum, int64_t *out, struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = 0;
    if (!json_is_integer(value))
        return expected("a whole number", value, key, where, err);
    *out = json_integer_value(value);
    if (*out < minimum || *out > maximum)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" is %lld; it must be from %lld to %lld", where, key,
                          (long long)*out, (long long)minimum, (long long)maximum);
    return REMAT_OK;
}

enum remat_status remat_json_number(const json_t *object, const char *key, const char *where, double *out,
                                    struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = 0.0;
    if (!json_is_number(value))
        return expected("a number", value, key, where, err);
    *out = json_number_value(value);
    return REMAT_OK;
}

enum remat_status remat_json_array(const json_t *object, const char *key, const char *where, const json_t **out,
                                   struct remat_error *err)
{
    *out = json_object_get(object, key);
    return json_is_array(*out) ? REMAT_OK : expected("an array", *out, key, where, err);
}

enum remat_status remat_json_object(const json_t *object, const char *key, const char *where, const json_t **out,
                                    struct remat_error *err)
{
    *out = json_object_get(object, key);
    return json_is_object(*out) ? REMAT_OK : expected("an object", *out, key, where, err);
}

enum remat_status remat_json_expect(const json_t *object, const char *where, const char *format, int version,
                                    struct remat_error *err)
{
    const char *found;
    int64_t number;
    if (!json_is_object(object))
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: expected an object, found %s; docs/formats.md describes the formats", where,
                          kind_text(object));
    REMAT_TRY(remat_json_text(object, "format", where, &found, err));
    if (strcmp(found, format) != 0)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: expected the format \"%s\", found \"%.64s\"; give a file of that format", where, format,
                          found);
    REMAT_TRY(remat_json_int(object, "version", where, 1, INT32_MAX, &number, err));
    if (number != version)
        return remat_fail(
            err, REMAT_BAD_DATA,
            "%s: this program reads version %d of \"%s\", found version %lld; write it again with this program", where,
            version, format, (long long)number);
    return REMAT_OK;
}

enum remat_status remat_json_hash(const json_t *object, const char *key, const char *where, uint64_t *out,
                                  struct remat_error *err)
{
    const char *text;
    *out = 0;
    REMAT_TRY(remat_json_text(object, key, where, &text, err));
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" is not a hash of 16 hexadecimal digits", where, key);
    *out = strtoull(text, NULL, 16);
    return REMAT_OK;
}

json_t *remat_json_from_hash(uint64_t hash)
{
    return json_sprintf("%016" PRIx64, hash);
}

/* One line for each member, and for each element of a member that is an array of objects or arrays: files are
 * compact and yet can be read and compared line by line. */
static bool write_member(FILE *stream, const char *key, const json_t *value)
{
    const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17);
    size_t count = json_array_size(value);
    json_t *name = json_string(key);
    bool good = name && json_dumpf(name, stream, flags) == 0 && fputs(": ", stream) >= 0;
    json_decref(name);
    if (!good || count == 0 || !json_is_object(json_array_get(value, 0)))
        return good && json_dumpf(value, stream, flags) == 0;
    good = fputs("[", stream) >= 0;
    for (size_t i = 0; good && i < count; i++)
        good = fputs(i ? ",\n  " : "\n  ", stream) >= 0 && json_dumpf(json_array_get(value, i), stream, flags) == 0;
    return good && fputs("\n ]", stream) >= 0;
}

static bool write_file(FILE *stream, const json_t *file)
{
    const char *key;
    json_t *value;
    const char *separator = "{\n ";
    json_object_foreach((json_t *)file, key, value)
    {
        if (fputs(separator, stream) < 0 || !write_member(stream, key, value))
            return false;
        separator = ",\n ";
    }
    return fputs(json_object_size(file) ? "\n}\n" : "{}\n", stream) >= 0;
}

enum remat_status remat_json_save(const char *path, const json_t *value, struct remat_error *err)
{
    enum remat_status status = REMAT_OUT_OF_MEMORY;
    char *text = NULL;
    size_t length = 0;
    FILE *stream = json_is_object(value) ? open_memstream(&text, &length) : NULL;
    bool good = stream && write_file(stream, value);
    if (stream && fclose(stream) != 0)
        good = false;
    if (good)
        status = remat_file_write(path, text, length, err);
    else
        remat_fail(err, status, "out of host memory while writing %s", path);
    free(text);
    return status;
}
