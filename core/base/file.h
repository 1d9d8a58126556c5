/* Files that are either the old or the new one, never half of one: temporary file, fsync, rename, fsync of the folder.
 */
#ifndef REMAT_CORE_BASE_FILE_H
#define REMAT_CORE_BASE_FILE_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

REMAT_MUST_CHECK enum remat_status remat_file_write(const char *path, const void *data, size_t bytes,
                                                    struct remat_error *err);
/* Reads a whole file of at most `limit` bytes; the caller owns *out (free), which has a final 0 after *bytes bytes. */
REMAT_MUST_CHECK enum remat_status remat_file_read(const char *path, int64_t limit, char **out, size_t *bytes,
                                                   struct remat_error *err);
/* Creates a folder and its parents; an existing one is fine. */
REMAT_MUST_CHECK enum remat_status remat_make_folders(const char *path, struct remat_error *err);
/* fsync of a folder, so that a rename inside it is durable. */
REMAT_MUST_CHECK enum remat_status remat_sync_folder(const char *path, struct remat_error *err);

#endif
