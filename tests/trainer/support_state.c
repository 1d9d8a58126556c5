#include "support_state.h"

#include <stdlib.h>
#include <string.h>

enum { CELLS = 7, VERSIONS = 200 };

static const struct remat_state_cell kinds[CELLS] = {
    {.name = "conv1.weight", .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 4, {3, 2, 2, 5}}, .kind = REMAT_PARAMETER},
    {.name = "bn1.running_mean", .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 1, {3}}, .kind = REMAT_RUNNING_STATISTIC},
    {.name = "fc.weight", .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 2, {4, 3}}, .kind = REMAT_PARAMETER},
    {.name = "conv1.weight.momentum",
     .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 4, {3, 2, 2, 5}},
     .kind = REMAT_OPTIMIZER_STATE},
    {.name = "fc.weight.momentum", .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 2, {4, 3}}, .kind = REMAT_OPTIMIZER_STATE},
    {.name = "fc.weight.grad", .tensor = {REMAT_F32, REMAT_ROW_MAJOR, 2, {4, 3}}, .kind = REMAT_GRADIENT_SUM},
    {.name = "metrics", .tensor = {REMAT_F64, REMAT_ROW_MAJOR, 1, {4}}, .kind = REMAT_METRICS},
};

static double value(int version, int cell, int64_t element)
{
    return version * 1000 + cell * 100 + (double)element + 0.25;
}

static int64_t elements(const struct remat_tensor *tensor)
{
    int64_t count = 1;
    for (int32_t i = 0; i < tensor->dims_count; i++)
        count *= tensor->dims[i];
    return count;
}

static double read_element(const struct remat_state_cell *cell, int64_t i)
{
    return cell->tensor.dtype == REMAT_F64 ? ((double *)cell->data)[i] : ((float *)cell->data)[i];
}

void test_make_state(struct remat_state *state, int version)
{
    memset(state, 0, sizeof *state);
    state->cells = calloc(CELLS, sizeof *state->cells);
    if (!state->cells)
        abort();
    state->count = CELLS;
    for (int c = 0; c < CELLS; c++) {
        struct remat_state_cell *cell = &state->cells[c];
        int64_t count = elements(&kinds[c].tensor);
        *cell = kinds[c];
        cell->data = calloc((size_t)count, 8);
        if (!cell->data)
            abort();
        for (int64_t i = 0; i < count; i++)
            if (cell->tensor.dtype == REMAT_F64)
                ((double *)cell->data)[i] = value(version, c, i);
            else
                ((float *)cell->data)[i] = (float)value(version, c, i);
    }
}

void test_free_state(struct remat_state *state)
{
    for (int32_t c = 0; c < state->count; c++)
        free(state->cells[c].data);
    free(state->cells);
}

int test_state_version(const struct remat_state *state)
{
    int version = (int)(read_element(&state->cells[0], 0) / 1000);
    if (version < 0 || version > VERSIONS)
        return -1;
    for (int c = 0; c < CELLS; c++)
        for (int64_t i = 0; i < elements(&kinds[c].tensor); i++)
            if (kinds[c].kind != REMAT_GRADIENT_SUM && read_element(&state->cells[c], i) != value(version, c, i))
                return -1;
    return version;
}
