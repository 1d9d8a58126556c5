#include "core/base/file.h"
#include "core/base/memory.h"
#include "trainer/checkpoint/cells.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/folder.h"
#include "trainer/checkpoint/manifest.h"
#include "trainer/checkpoint/output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MINIMUM_KEPT = 2, MANIFEST_ROOM_BYTES = 1 << 20 };

/* The tensors of one file and the cells they come from, in the state's order. */
struct contents {
    struct remat_safetensor *tensors;
    const struct remat_state_cell **cells;
    int32_t count;
    int64_t widest_row_bytes;
};

static void free_contents(struct contents *contents)
{
    free(contents->tensors);
    free(contents->cells);
}

static enum remat_status check_finite(const struct remat_state_cell *cell, struct remat_error *err)
{
    int64_t index = remat_cell_not_finite(cell);
    if (index < 0)
        return REMAT_OK;
    return remat_fail(err, REMAT_FAILED,
                      "'%s' element %lld is not finite: training has diverged, nothing was saved; resume from an "
                      "earlier checkpoint with a smaller learning rate or gradient clipping",
                      cell->name, (long long)index);
}

static enum remat_status gather(const struct remat_state *state, enum remat_cell_file file, struct contents *out,
                                struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(REMAT_ALLOC(out->tensors, state->count, err));
    REMAT_TRY(REMAT_ALLOC(out->cells, state->count, err));
    for (int32_t i = 0; i < state->count; i++) {
        const struct remat_state_cell *cell = &state->cells[i];
        int64_t row_bytes = remat_cell_row_bytes(cell);
        if (remat_cell_file(cell) != file)
            continue;
        REMAT_TRY(check_finite(cell, err));
        REMAT_TRY(remat_cell_tensor(cell, &out->tensors[out->count], err));
        out->cells[out->count++] = cell;
        if (row_bytes > out->widest_row_bytes)
            out->widest_row_bytes = row_bytes;
    }
    return remat_safetensors_layout(out->tensors, out->count, err);
}

static enum remat_status write_cells(const struct contents *contents, struct remat_output *output,
                                     struct remat_error *err)
{
    char *row_data;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(row_data, contents->widest_row_bytes, err));
    status = REMAT_OK;
    for (int32_t i = 0; i < contents->count && status == REMAT_OK; i++) {
        int64_t rows = remat_cell_rows(contents->cells[i]), bytes = remat_cell_row_bytes(contents->cells[i]);
        for (int64_t row = 0; row < rows && status == REMAT_OK; row++) {
            remat_cell_get_row(contents->cells[i], row, row_data);
            status = remat_output_write(output, row_data, (size_t)bytes, err);
        }
    }
    free(row_data);
    return status;
}

static json_t *model_metadata(void)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "format", "pt", "filters", "[K,C,R,S]", "linear_weights", "[out,in]",
                     "writer", "remat");
}

static enum remat_status write_file(const char *path, const struct contents *contents, const json_t *metadata,
                                    struct remat_checkpoint_file *file, struct remat_error *err)
{
    struct remat_output *output = NULL;
    char *header;
    size_t header_bytes;
    int64_t data_bytes = contents->count > 0 ? contents->tensors[contents->count - 1].end : 0;
    enum remat_status status;
    REMAT_TRY(remat_safetensors_header(contents->tensors, contents->count, metadata, &header, &header_bytes, err));
    status = remat_output_open(path, (int64_t)header_bytes + data_bytes, &output, err);
    if (status == REMAT_OK)
        status = remat_output_write(output, header, header_bytes, err);
    free(header);
    if (status == REMAT_OK)
        status = write_cells(contents, output, err);
    if (status == REMAT_OK)
        return remat_output_finish(output, &file->bytes, &file->hash, err);
    remat_output_abandon(output);
    return status;
}

static enum remat_status save_file(const char *folder, int32_t index, const struct remat_state *state,
                                   struct remat_checkpoint_file *file, struct remat_error *err)
{
    struct contents contents;
    char *path = NULL;
    json_t *metadata = index == REMAT_MODEL_FILE ? model_metadata() : NULL;
    enum remat_status status = gather(state, (enum remat_cell_file)index, &contents, err);
    if (status == REMAT_OK)
        status = remat_format_path(&path, err, "%s/%s", folder, remat_checkpoint_files[index]);
    if (status == REMAT_OK)
        status = write_file(path, &contents, metadata, file, err);
    json_decref(metadata);
    free(path);
    free_contents(&contents);
    return status;
}

/* 1.1 times the state's bytes must be free, so that a full disk is reported before anything is written. */
static enum remat_status check_space(const char *folder, const struct remat_state *state, struct remat_error *err)
{
    struct statvfs info;
    int64_t needed = MANIFEST_ROOM_BYTES, available;
    for (int32_t i = 0; i < state->count; i++)
        if (remat_cell_file(&state->cells[i]) != REMAT_NO_FILE)
            needed += remat_tensor_bytes(&state->cells[i].tensor);
    needed += needed / 10;
    if (statvfs(folder, &info) != 0)
        return remat_fail(err, REMAT_IO, "checkpoint folder %s: %s", folder, strerror(errno));
    available = (int64_t)info.f_bavail * (int64_t)info.f_frsize;
    if (available >= needed)
        return REMAT_OK;
    return remat_fail(err, REMAT_IO,
                      "checkpoint folder %s: the disk is full: a checkpoint needs %lld bytes and %lld are free; the "
                      "older checkpoints are untouched",
                      folder, (long long)needed, (long long)available);
}

static enum remat_status fill_temporary(const char *temporary, const struct remat_state *state,
                                        const struct remat_checkpoint *checkpoint, struct remat_error *err)
{
    struct remat_checkpoint_file files[REMAT_CHECKPOINT_FILES];
    char *manifest;
    enum remat_status status;
    if (mkdir(temporary, 0777) != 0)
        return remat_fail(err, REMAT_IO, "creating %s failed: %s", temporary, strerror(errno));
    for (int32_t i = 0; i < REMAT_CHECKPOINT_FILES; i++)
        REMAT_TRY(save_file(temporary, i, state, &files[i], err));
    REMAT_TRY(remat_format_path(&manifest, err, "%s/manifest.json", temporary));
    status = remat_manifest_write(manifest, checkpoint, files, err);
    free(manifest);
    return status == REMAT_OK ? remat_sync_folder(temporary, err) : status;
}

enum remat_status remat_checkpoint_save(const char *folder, const struct remat_state *state,
                                        const struct remat_checkpoint *checkpoint, int32_t keep,
                                        struct remat_error *err)
{
    char *temporary = NULL, *final = NULL;
    struct remat_state mirror = {0};
    enum remat_status status;
    REMAT_TRY(remat_make_folders(folder, err));
    remat_checkpoint_clean(folder);
    REMAT_TRY(check_space(folder, state, err));
    REMAT_TRY_GOTO(remat_checkpoint_path(folder, checkpoint->step, &final, err), done);
    REMAT_TRY_GOTO(remat_format_path(&temporary, err, "%s/.tmp-step-%08lld-%ld", folder, (long long)checkpoint->step,
                                     (long)getpid()),
                   done);
    REMAT_TRY_GOTO(remat_state_mirror(state, &mirror, err), done);
    status = fill_temporary(temporary, &mirror, checkpoint, err);
    if (status == REMAT_OK)
        status = remat_folder_commit(folder, temporary, final, err);
    if (status == REMAT_OK)
        remat_folder_prune(folder, keep < MINIMUM_KEPT ? MINIMUM_KEPT : keep);
    else
        remat_folder_delete(temporary);
done:
    remat_state_free(&mirror);
    free(temporary);
    free(final);
    return status;
}
