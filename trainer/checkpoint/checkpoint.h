/* Checkpoints: a folder step-00001234 with
 *
 *   model.safetensors   parameters and running statistics under the reference implementation's names; filters as
 *                       [K,C,R,S] and linear weights as [out,in], so that PyTorch loads it as a state dict
 *   state.safetensors   optimizer state and metrics, as they are in memory
 *   manifest.json       format "remat-checkpoint": position in the run, configuration, size and XXH3 of both files
 *
 * Saving survives SIGKILL and power loss at any instruction: all is written into a temporary folder, each file and the
 * folder synced, then renamed; the rename is the commit. Deleting renames first, too. Loading takes the newest
 * checkpoint that validates completely. One run saves into a folder at a time. */
#ifndef REMAT_TRAINER_CHECKPOINT_CHECKPOINT_H
#define REMAT_TRAINER_CHECKPOINT_CHECKPOINT_H

#include "runtime/exec/state.h"

#include <jansson.h>
#include <stdbool.h>

enum { REMAT_LOG_FILES = 3 };

/* The position of a run: everything but the cells that continuing needs. */
struct remat_checkpoint {
    int64_t step, epoch, samples; /* optimizer steps done, epochs done, training samples consumed */
    uint64_t seed, graph_hash;
    double epoch_loss; /* sums over the steps of the current epoch */
    int64_t epoch_rows, epoch_correct;
    int64_t log_bytes[REMAT_LOG_FILES]; /* lengths of the log files */
    json_t *config;                     /* owned; what the run was started with */
};
void remat_checkpoint_free(struct remat_checkpoint *checkpoint);

/* Takes messages such as "step-00000040 is damaged (...): trying the one before"; may be NULL. */
struct remat_notes {
    void (*note)(void *context, const char *text);
    void *context;
};

/* Saves as `folder`/step-NNNNNNNN, then deletes all but the newest `keep` (at least 2) and what killed runs left.
 * Refuses non-finite parameters. On failure older checkpoints stay as they were. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_save(const char *folder, const struct remat_state *state,
                                                         const struct remat_checkpoint *checkpoint, int32_t keep,
                                                         struct remat_error *err);

/* Steps of all checkpoints in a folder, ascending, valid or not; the caller frees *steps. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_list(const char *folder, int64_t **steps, int32_t *count,
                                                         struct remat_error *err);
/* "folder/step-NNNNNNNN"; the caller frees it. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_path(const char *folder, int64_t step, char **out,
                                                         struct remat_error *err);
/* Validates one checkpoint (a step-NNNNNNNN folder) completely, hashes included, and reads its manifest. The caller
 * frees *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_open(const char *path, struct remat_checkpoint *out,
                                                         struct remat_error *err);
/* The newest valid checkpoint of `folder` (or `folder` itself, if it is one). The caller frees *path and *out.
 * REMAT_MISSING_INPUT if there is none, REMAT_BAD_DATA if all are damaged. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_latest(const char *folder, const struct remat_notes *notes,
                                                           char **path, struct remat_checkpoint *out,
                                                           struct remat_error *err);
/* Reads cells: all parameters and running statistics of `state` and, with `optimizer`, the rest. Names, types and
 * shapes must match exactly, and numbers be finite. */
REMAT_MUST_CHECK enum remat_status remat_checkpoint_load(const char *path, bool optimizer, struct remat_state *state,
                                                         struct remat_error *err);

/* Removes temporary and trash folders that dead runs left. */
void remat_checkpoint_clean(const char *folder);

#endif
