#include "trainer/checkpoint/cells.h"

#include <math.h>
#include <string.h>

enum remat_cell_file remat_cell_file(const struct remat_state_cell *cell)
{
    switch (cell->kind) {
    case REMAT_PARAMETER:
    case REMAT_RUNNING_STATISTIC:
        return REMAT_MODEL_FILE;
    case REMAT_OPTIMIZER_STATE:
    case REMAT_METRICS:
        return REMAT_STATE_FILE;
    default:
        return REMAT_NO_FILE;
    }
}

static const char *file_type(enum remat_dtype dtype)
{
    switch (dtype) {
    case REMAT_F32:
        return "F32";
    case REMAT_F64:
        return "F64";
    case REMAT_BF16:
        return "BF16";
    case REMAT_F16:
        return "F16";
    case REMAT_I32:
        return "I32";
    case REMAT_U8:
        return "U8";
    default:
        return NULL;
    }
}

static bool is_filter(const struct remat_state_cell *cell)
{
    return cell->kind == REMAT_PARAMETER && cell->tensor.dims_count == 4;
}

enum remat_status remat_cell_tensor(const struct remat_state_cell *cell, struct remat_safetensor *out,
                                    struct remat_error *err)
{
    const int64_t *dims = cell->tensor.dims;
    memset(out, 0, sizeof *out);
    out->name = cell->name;
    out->dtype = file_type(cell->tensor.dtype);
    out->dims_count = cell->tensor.dims_count;
    if (!out->dtype)
        return remat_fail(err, REMAT_INTERNAL, "cell '%s' has type %s, which checkpoints cannot hold", cell->name,
                          remat_dtype_text(cell->tensor.dtype));
    for (int32_t i = 0; i < out->dims_count; i++)
        out->dims[i] = dims[i];
    if (is_filter(cell)) {
        out->dims[1] = dims[3];
        out->dims[2] = dims[1];
        out->dims[3] = dims[2];
    }
    return REMAT_OK;
}

int64_t remat_cell_rows(const struct remat_state_cell *cell)
{
    return cell->tensor.dims_count > 0 ? cell->tensor.dims[0] : 1;
}

int64_t remat_cell_row_bytes(const struct remat_state_cell *cell)
{
    int64_t rows = remat_cell_rows(cell);
    return rows > 0 ? remat_tensor_bytes(&cell->tensor) / rows : 0;
}

/* out[column][row] = in[row][column] for elements of `size` bytes. */
static void transpose(const char *in, int64_t rows, int64_t columns, int64_t size, char *out)
{
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++)
            memcpy(out + (column * rows + row) * size, in + (row * columns + column) * size, (size_t)size);
}

void remat_cell_get_row(const struct remat_state_cell *cell, int64_t row, void *out)
{
    const int64_t *dims = cell->tensor.dims, bytes = remat_cell_row_bytes(cell);
    const char *in = (const char *)cell->data + row * bytes;
    if (is_filter(cell))
        transpose(in, dims[1] * dims[2], dims[3], remat_dtype_bytes(cell->tensor.dtype), out);
    else
        memcpy(out, in, (size_t)bytes);
}

void remat_cell_set_row(const struct remat_state_cell *cell, int64_t row, const void *in)
{
    const int64_t *dims = cell->tensor.dims, bytes = remat_cell_row_bytes(cell);
    char *out = (char *)cell->data + row * bytes;
    if (is_filter(cell))
        transpose(in, dims[3], dims[1] * dims[2], remat_dtype_bytes(cell->tensor.dtype), out);
    else
        memcpy(out, in, (size_t)bytes);
}

int64_t remat_cell_not_finite(const struct remat_state_cell *cell)
{
    int64_t count = remat_tensor_elements(&cell->tensor);
    if (cell->tensor.dtype == REMAT_F32) {
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(((const float *)cell->data)[i]))
                return i;
    } else if (cell->tensor.dtype == REMAT_F64) {
        for (int64_t i = 0; i < count; i++)
            if (!isfinite(((const double *)cell->data)[i]))
                return i;
    }
    return -1;
}
