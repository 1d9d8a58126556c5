#include "core/base/memory.h"
#include "trainer/checkpoint/cells.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/folder.h"
#include "trainer/checkpoint/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { BLOCK_BYTES = 1 << 18 };

static enum remat_status read_failed(const char *path, ssize_t got, struct remat_error *err)
{
    return remat_fail(err, REMAT_IO, "%s: %s", path, got < 0 ? strerror(errno) : "the file ends too early");
}

static enum remat_status hash_file(int descriptor, const char *path, uint64_t *hash, struct remat_error *err)
{
    unsigned char *block;
    XXH3_state_t *state = XXH3_createState();
    ssize_t got = -1;
    enum remat_status status = REMAT_ALLOC(block, BLOCK_BYTES, err);
    if (status == REMAT_OK && !state)
        status = remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while reading %s", path);
    if (status == REMAT_OK) {
        XXH3_64bits_reset(state);
        while ((got = read(descriptor, block, BLOCK_BYTES)) > 0)
            XXH3_64bits_update(state, block, (size_t)got);
        *hash = XXH3_64bits_digest(state);
        if (got < 0)
            status = read_failed(path, got, err);
    }
    XXH3_freeState(state);
    free(block);
    return status;
}

static enum remat_status open_for_reading(const char *path, int *descriptor, struct remat_error *err)
{
    *descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (*descriptor >= 0)
        return REMAT_OK;
    return remat_fail(err, errno == ENOENT ? REMAT_BAD_DATA : REMAT_IO, "%s: %s", path, strerror(errno));
}

static enum remat_status check_content(int descriptor, const char *path, const struct remat_checkpoint_file *expected,
                                       struct remat_error *err)
{
    struct remat_safetensors tensors;
    struct stat info;
    uint64_t hash;
    enum remat_status status;
    if (fstat(descriptor, &info) != 0)
        return read_failed(path, -1, err);
    if (info.st_size != expected->bytes)
        return remat_fail(err, REMAT_BAD_DATA, "%s has %lld bytes; its manifest says %lld", path,
                          (long long)info.st_size, (long long)expected->bytes);
    REMAT_TRY(hash_file(descriptor, path, &hash, err));
    if (hash != expected->hash)
        return remat_fail(err, REMAT_BAD_DATA, "%s is corrupted: its XXH3 is %016llx; its manifest says %016llx", path,
                          (unsigned long long)hash, (unsigned long long)expected->hash);
    status = remat_safetensors_open(descriptor, path, &tensors, err);
    remat_safetensors_free(&tensors);
    return status;
}

static enum remat_status check_file(const char *folder, int32_t index, const struct remat_checkpoint_file *expected,
                                    struct remat_error *err)
{
    char *path;
    int descriptor;
    enum remat_status status;
    REMAT_TRY(remat_format_path(&path, err, "%s/%s", folder, remat_checkpoint_files[index]));
    status = open_for_reading(path, &descriptor, err);
    if (status == REMAT_OK) {
        status = check_content(descriptor, path, expected, err);
        close(descriptor);
    }
    free(path);
    return status;
}

enum remat_status remat_checkpoint_open(const char *path, struct remat_checkpoint *out, struct remat_error *err)
{
    struct remat_checkpoint_file files[REMAT_CHECKPOINT_FILES];
    char *manifest;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_format_path(&manifest, err, "%s/manifest.json", path));
    status = remat_manifest_read(manifest, out, files, err);
    free(manifest);
    for (int32_t i = 0; i < REMAT_CHECKPOINT_FILES && status == REMAT_OK; i++)
        status = check_file(path, i, &files[i], err);
    return status;
}

static bool is_checkpoint(const char *folder)
{
    char *manifest;
    struct stat info;
    bool found;
    struct remat_error ignored;
    if (remat_format_path(&manifest, &ignored, "%s/manifest.json", folder) != REMAT_OK)
        return false;
    found = stat(manifest, &info) == 0;
    free(manifest);
    return found;
}

static void tell(const struct remat_notes *notes, const char *path, const char *reason)
{
    char *text;
    struct remat_error ignored;
    if (!notes || !notes->note)
        return;
    if (remat_format_path(&text, &ignored, "checkpoint %s cannot be used (%s); trying the one before", path, reason) ==
        REMAT_OK)
        notes->note(notes->context, text);
    free(text);
}

static enum remat_status newest_of(const char *folder, const int64_t *steps, int32_t count,
                                   const struct remat_notes *notes, char **path, struct remat_checkpoint *out,
                                   struct remat_error *err)
{
    enum remat_status status = REMAT_MISSING_INPUT;
    struct remat_error first = {0};
    for (int32_t i = count - 1; i >= 0; i--) {
        struct remat_error found;
        REMAT_TRY(remat_checkpoint_path(folder, steps[i], path, err));
        status = remat_checkpoint_open(*path, out, &found);
        if (status == REMAT_OK)
            return REMAT_OK;
        remat_checkpoint_free(out);
        tell(notes, *path, found.message);
        if (first.status == REMAT_OK)
            first = found;
        free(*path);
        *path = NULL;
    }
    if (count == 0)
        return remat_fail(err, REMAT_MISSING_INPUT, "%s holds no checkpoint (step-NNNNNNNN)", folder);
    return remat_fail(err, REMAT_BAD_DATA, "%s: none of its %d checkpoints is intact; the newest: %.600s", folder,
                      count, first.message);
}

enum remat_status remat_checkpoint_latest(const char *folder, const struct remat_notes *notes, char **path,
                                          struct remat_checkpoint *out, struct remat_error *err)
{
    int64_t *steps;
    int32_t count;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    *path = NULL;
    if (is_checkpoint(folder)) {
        REMAT_TRY(remat_format_path(path, err, "%s", folder));
        return remat_checkpoint_open(*path, out, err);
    }
    status = remat_checkpoint_list(folder, &steps, &count, err);
    if (status == REMAT_OK)
        status = newest_of(folder, steps, count, notes, path, out, err);
    free(steps);
    return status;
}

static enum remat_status check_match(const struct remat_safetensor *found, const struct remat_state_cell *cell,
                                     const char *path, struct remat_error *err)
{
    struct remat_safetensor expected;
    bool same;
    REMAT_TRY(remat_cell_tensor(cell, &expected, err));
    if (!found)
        return remat_fail(err, REMAT_BAD_DATA, "%s lacks '%s': it belongs to another model or optimizer", path,
                          cell->name);
    same = strcmp(found->dtype, expected.dtype) == 0 && found->dims_count == expected.dims_count;
    for (int32_t i = 0; same && i < expected.dims_count; i++)
        same = found->dims[i] == expected.dims[i];
    if (same)
        return REMAT_OK;
    return remat_fail(err, REMAT_BAD_DATA,
                      "%s: '%s' has another type or shape than this model's: %s with %d dimensions; "
                      "expected %s with %d",
                      path, cell->name, found->dtype, found->dims_count, expected.dtype, expected.dims_count);
}

static enum remat_status read_cell(int descriptor, const char *path, int64_t offset, struct remat_state_cell *cell,
                                   struct remat_error *err)
{
    int64_t rows = remat_cell_rows(cell), bytes = remat_cell_row_bytes(cell), index;
    char *row_data;
    REMAT_TRY(REMAT_ALLOC(row_data, bytes, err));
    for (int64_t row = 0; row < rows; row++) {
        ssize_t got = pread(descriptor, row_data, (size_t)bytes, offset + row * bytes);
        if (got != bytes) {
            free(row_data);
            return read_failed(path, got, err);
        }
        remat_cell_set_row(cell, row, row_data);
    }
    free(row_data);
    index = remat_cell_not_finite(cell);
    if (index >= 0)
        return remat_fail(err, REMAT_BAD_DATA, "%s: '%s' element %lld is not finite", path, cell->name,
                          (long long)index);
    return REMAT_OK;
}

static enum remat_status load_cells(int descriptor, const char *path, enum remat_cell_file file,
                                    struct remat_state *state, struct remat_error *err)
{
    struct remat_safetensors tensors;
    int32_t expected = 0;
    enum remat_status status = remat_safetensors_open(descriptor, path, &tensors, err);
    for (int32_t i = 0; i < state->count && status == REMAT_OK; i++) {
        struct remat_state_cell *cell = &state->cells[i];
        const struct remat_safetensor *found = remat_safetensors_find(&tensors, cell->name);
        if (remat_cell_file(cell) != file)
            continue;
        expected++;
        status = check_match(found, cell, path, err);
        if (status == REMAT_OK)
            status = read_cell(descriptor, path, tensors.data_begin + found->begin, cell, err);
    }
    if (status == REMAT_OK && expected != tensors.count)
        status = remat_fail(err, REMAT_BAD_DATA, "%s has %d tensors; this model and optimizer have %d", path,
                            tensors.count, expected);
    remat_safetensors_free(&tensors);
    return status;
}

static enum remat_status load_files(const char *path, bool optimizer, struct remat_state *state,
                                    struct remat_error *err)
{
    enum remat_status status = REMAT_OK;
    for (int32_t i = 0; i < (optimizer ? REMAT_CHECKPOINT_FILES : 1) && status == REMAT_OK; i++) {
        char *file;
        int descriptor;
        REMAT_TRY(remat_format_path(&file, err, "%s/%s", path, remat_checkpoint_files[i]));
        status = open_for_reading(file, &descriptor, err);
        if (status == REMAT_OK) {
            status = load_cells(descriptor, file, (enum remat_cell_file)i, state, err);
            close(descriptor);
        }
        free(file);
    }
    return status;
}

enum remat_status remat_checkpoint_load(const char *path, bool optimizer, struct remat_state *state,
                                        struct remat_error *err)
{
    struct remat_state mirror;
    enum remat_status status = remat_state_mirror(state, &mirror, err);
    if (status == REMAT_OK)
        status = load_files(path, optimizer, &mirror, err);
    if (status == REMAT_OK)
        status = remat_state_restore(state, &mirror, err);
    remat_state_free(&mirror);
    return status;
}
