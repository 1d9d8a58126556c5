#include "bench/peers/tensor_file.h"

#include "trainer/checkpoint/cells.h"
#include "trainer/checkpoint/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum remat_status remat_tensor_file_add(struct remat_tensor_file *file, const char *group, const char *name,
                                        const struct remat_tensor *tensor, enum remat_cell_kind kind, const void *data,
                                        struct remat_error *err)
{
    struct remat_state_cell cell = {.tensor = *tensor, .kind = kind, .parameter = -1};
    int64_t bytes = remat_tensor_bytes(tensor);
    REMAT_TRY(REMAT_GROW(file->cells, file->capacity, file->count + 1, err));
    REMAT_TRY(remat_pool_printf(&file->pool, &cell.name, err, "%s/%s", group, name));
    REMAT_TRY(remat_pool_alloc(&file->pool, &cell.data, bytes, 1, err));
    memcpy(cell.data, data, (size_t)bytes);
    file->cells[file->count++] = cell;
    return REMAT_OK;
}

static enum remat_status write_rows(const struct remat_state_cell *cell, struct remat_output *output,
                                    struct remat_error *err)
{
    int64_t bytes = remat_cell_row_bytes(cell);
    enum remat_status status = REMAT_OK;
    char *row_data;
    REMAT_TRY(REMAT_ALLOC(row_data, bytes, err));
    for (int64_t row = 0; row < remat_cell_rows(cell) && status == REMAT_OK; row++) {
        remat_cell_get_row(cell, row, row_data);
        status = remat_output_write(output, row_data, (size_t)bytes, err);
    }
    free(row_data);
    return status;
}

static enum remat_status write_all(const struct remat_tensor_file *file, const char *path, const char *header,
                                   size_t header_bytes, int64_t data_bytes, struct remat_error *err)
{
    struct remat_output *output = NULL;
    enum remat_status status;
    int64_t bytes;
    uint64_t hash;
    REMAT_TRY(remat_output_open(path, (int64_t)header_bytes + data_bytes, &output, err));
    status = remat_output_write(output, header, header_bytes, err);
    for (int32_t i = 0; i < file->count && status == REMAT_OK; i++)
        status = write_rows(&file->cells[i], output, err);
    if (status == REMAT_OK)
        return remat_output_finish(output, &bytes, &hash, err);
    remat_output_abandon(output);
    return status;
}

enum remat_status remat_tensor_file_write(const struct remat_tensor_file *file, const char *path,
                                          const json_t *metadata, struct remat_error *err)
{
    struct remat_safetensor *tensors;
    enum remat_status status;
    char *header = NULL;
    size_t header_bytes = 0;
    if (unlink(path) != 0 && errno != ENOENT)
        return remat_fail(err, REMAT_IO, "%s: cannot be replaced: %s", path, strerror(errno));
    REMAT_TRY(REMAT_ALLOC(tensors, file->count, err));
    for (int32_t i = 0; i < file->count; i++)
        REMAT_TRY_GOTO(remat_cell_tensor(&file->cells[i], &tensors[i], err), done);
    REMAT_TRY_GOTO(remat_safetensors_layout(tensors, file->count, err), done);
    REMAT_TRY_GOTO(remat_safetensors_header(tensors, file->count, metadata, &header, &header_bytes, err), done);
    status = write_all(file, path, header, header_bytes, tensors[file->count - 1].end, err);
done:
    free(header);
    free(tensors);
    return status;
}

void remat_tensor_file_free(struct remat_tensor_file *file)
{
    remat_pool_free(&file->pool);
    free(file->cells);
    memset(file, 0, sizeof *file);
}
