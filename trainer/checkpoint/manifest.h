/* manifest.json: the position of a run, and size and hash of each file of its checkpoint. */
#ifndef REMAT_TRAINER_CHECKPOINT_MANIFEST_H
#define REMAT_TRAINER_CHECKPOINT_MANIFEST_H

#include "trainer/checkpoint/checkpoint.h"

enum { REMAT_CHECKPOINT_FILES = 2 };
extern const char *const remat_checkpoint_files[REMAT_CHECKPOINT_FILES]; /* model.safetensors, state.safetensors */

struct remat_checkpoint_file {
    int64_t bytes;
    uint64_t hash;
};

/* Borrows the configuration. Writes durably to a new file. */
REMAT_MUST_CHECK enum remat_status remat_manifest_write(const char *path, const struct remat_checkpoint *checkpoint,
                                                        const struct remat_checkpoint_file *files,
                                                        struct remat_error *err);
/* The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_manifest_read(const char *path, struct remat_checkpoint *out,
                                                       struct remat_checkpoint_file *files, struct remat_error *err);

#endif
