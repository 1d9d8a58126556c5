/* A file that is written once, hashed on the way and made durable: room is reserved before the first byte, so that a
 * full disk is known early, and finishing ends with fsync. */
#ifndef REMAT_TRAINER_CHECKPOINT_OUTPUT_H
#define REMAT_TRAINER_CHECKPOINT_OUTPUT_H

#include "core/base/status.h"

#include <stddef.h>
#include <stdint.h>

struct remat_output; /* owns the descriptor and a buffer */

/* Creates the file, which must not exist, and reserves `bytes` where the file system can. */
REMAT_MUST_CHECK enum remat_status remat_output_open(const char *path, int64_t bytes, struct remat_output **out,
                                                     struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_output_write(struct remat_output *output, const void *data, size_t bytes,
                                                      struct remat_error *err);
/* Writes what is buffered, syncs and closes; tells size and XXH3 hash. Takes the output, also on failure. */
REMAT_MUST_CHECK enum remat_status remat_output_finish(struct remat_output *output, int64_t *bytes, uint64_t *hash,
                                                       struct remat_error *err);
/* Closes without a promise; NULL is fine. */
void remat_output_abandon(struct remat_output *output);

#endif
