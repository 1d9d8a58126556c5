/* The folders of checkpoints: names, listing, atomic appearance and disappearance. */
#ifndef REMAT_TRAINER_CHECKPOINT_FOLDER_H
#define REMAT_TRAINER_CHECKPOINT_FOLDER_H

#include "core/base/status.h"

#include <stdint.h>

/* Formats a path; the caller frees *out. */
REMAT_MUST_CHECK enum remat_status remat_format_path(char **out, struct remat_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Deletes a folder of plain files; best effort. */
void remat_folder_delete(const char *path);
/* Puts `temporary` at `final`, replacing what is there, durably. Both are in `parent`. */
REMAT_MUST_CHECK enum remat_status remat_folder_commit(const char *parent, const char *temporary, const char *final,
                                                       struct remat_error *err);
/* Deletes all but the newest `keep` checkpoints: each is renamed out of the way first. */
void remat_folder_prune(const char *folder, int32_t keep);

#endif
