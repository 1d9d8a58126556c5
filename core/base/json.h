/* JSON files: reading with messages that say where, and writing that never leaves half a file.
 *
 * Getters take the object, a key and `where` (a path such as "plan.json: steps[3]") that starts every message.
 * A missing key or a wrong type is REMAT_BAD_DATA. Strings borrow from the JSON tree. */
#ifndef REMAT_CORE_BASE_JSON_H
#define REMAT_CORE_BASE_JSON_H

#include "core/base/status.h"

#include <jansson.h>
#include <stdint.h>

/* Reads a file of at most 1 GiB; duplicate keys are refused. The caller owns *out (json_decref).
 * A missing file is REMAT_MISSING_INPUT, an unreadable one REMAT_IO, a malformed one REMAT_BAD_DATA. */
REMAT_MUST_CHECK enum remat_status remat_json_load(const char *path, json_t **out, struct remat_error *err);
/* Checks the "format" and "version" members that all our files start with. */
REMAT_MUST_CHECK enum remat_status remat_json_expect(const json_t *object, const char *where, const char *format,
                                                     int version, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_json_int(const json_t *object, const char *key, const char *where,
                                                  int64_t minimum, int64_t maximum, int64_t *out,
                                                  struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_json_number(const json_t *object, const char *key, const char *where,
                                                     double *out, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_json_text(const json_t *object, const char *key, const char *where,
                                                   const char **out, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_json_array(const json_t *object, const char *key, const char *where,
                                                    const json_t **out, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_json_object(const json_t *object, const char *key, const char *where,
                                                     const json_t **out, struct remat_error *err);
/* 64-bit hashes travel as 16 hexadecimal digits. */
REMAT_MUST_CHECK enum remat_status remat_json_hash(const json_t *object, const char *key, const char *where,
                                                   uint64_t *out, struct remat_error *err);
json_t *remat_json_from_hash(uint64_t hash);

/* Writes an object atomically (file.h), a line for each member and each object in a member's array. Borrows `value`;
 * NULL (out of memory while it was made) is REMAT_OUT_OF_MEMORY. */
REMAT_MUST_CHECK enum remat_status remat_json_save(const char *path, const json_t *value, struct remat_error *err);

#endif
