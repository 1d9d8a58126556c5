/* The tied classifier with its loss, in chunks of rows: the logits of one chunk stand in scratch, are turned into their
 * own gradient there, and give dw and dh before the next chunk. A row of h is last read before its dh is written, so
 * that dh may take h's memory. */
#include "runtime/backend/cpu/cpu.h"

#include "runtime/backend/cpu/gemm.h"
#include "runtime/backend/cpu/loss.h"

#include <stdlib.h>

struct classifier {
    const struct remat_device *device;
    int64_t rows, width, classes, chunk_rows;
    int64_t logits_bytes, gemm_bytes; /* of the scratch; then that of the loss */
    bool training;
};

/* logits[rows, V] = h w' */
static struct remat_gemm logits_product(const struct classifier *c, int64_t rows)
{
    return (struct remat_gemm){rows, c->classes, c->width, c->width, c->width, c->classes, false, true, 1, 0, NULL};
}

/* dw[V, C] (+)= dlogits' h */
static struct remat_gemm weight_product(const struct classifier *c, int64_t rows, bool add)
{
    return (struct remat_gemm){c->classes, c->width, rows, c->classes,        c->width, c->width,
                               true,       false,    1,    add ? 1.0f : 0.0f, NULL};
}

/* dh[rows, C] = dlogits w */
static struct remat_gemm hidden_product(const struct classifier *c, int64_t rows)
{
    return (struct remat_gemm){rows, c->width, c->classes, c->classes, c->width, c->width, false, false, 1, 0, NULL};
}

static int64_t gemm_scratch_bytes(const struct classifier *c, int64_t rows)
{
    struct remat_gemm products[4] = {logits_product(c, rows), weight_product(c, rows, false),
                                     weight_product(c, rows, true), hidden_product(c, rows)};
    int64_t bytes = 0;
    for (int k = 0; k < (c->training ? 4 : 1); k++) {
        int64_t needed = remat_gemm_scratch_bytes(c->device, &products[k], c->device->threads);
        bytes = needed > bytes ? needed : bytes;
    }
    return remat_align_up(bytes);
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    struct classifier *c;
    int64_t whole, rest;
    REMAT_TRY(REMAT_ALLOC(c, 1, err));
    c->device = device;
    c->rows = remat_tensor_rows(&spec->inputs[0]);
    c->width = remat_tensor_columns(&spec->inputs[0]);
    c->classes = spec->cells[0].dims[0];
    c->chunk_rows = spec->attr.chunk_rows > 0 && spec->attr.chunk_rows < c->rows ? spec->attr.chunk_rows : c->rows;
    c->training = spec->op == REMAT_OP_CLASSIFIER_LOSS;
    c->logits_bytes = remat_align_up(c->chunk_rows * c->classes * (int64_t)sizeof(float));
    whole = gemm_scratch_bytes(c, c->chunk_rows);
    rest = c->rows % c->chunk_rows ? gemm_scratch_bytes(c, c->rows % c->chunk_rows) : 0;
    c->gemm_bytes = whole > rest ? whole : rest;
    *state = c;
    *scratch_bytes = c->logits_bytes + c->gemm_bytes + remat_cpu_loss_scratch_bytes(device);
    return REMAT_OK;
}

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return spec->inputs[0].dtype == REMAT_F32;
}

static void run_chunk(const struct classifier *c, const struct remat_kernel_spec *spec,
                      const struct remat_kernel_args *args, int64_t first, int64_t rows)
{
    unsigned char *scratch = args->scratch;
    float *logits = args->scratch;
    void *gemm_scratch = scratch + c->logits_bytes, *loss_scratch = scratch + c->logits_bytes + c->gemm_bytes;
    const float *h = (const float *)args->inputs[0] + first * c->width, *w = args->cells[0];
    struct remat_loss_rows loss = {
        .rows = rows, .classes = c->classes, .logits = logits, .labels = (const int32_t *)args->inputs[1] + first};
    struct remat_gemm product = logits_product(c, rows);
    remat_gemm_run(c->device, &product, h, w, logits, gemm_scratch, c->device->threads);
    if (c->training) {
        loss.dlogits = logits;
        loss.smoothing = spec->attr.smoothing;
        loss.factor = args->record->loss_scale / (float)c->rows;
    }
    remat_cpu_loss_rows(c->device, &loss, args->cells[1], loss_scratch);
    if (!c->training)
        return;
    product = weight_product(c, rows, first > 0);
    remat_gemm_run(c->device, &product, logits, h, args->outputs[1], gemm_scratch, c->device->threads);
    product = hidden_product(c, rows);
    remat_gemm_run(c->device, &product, logits, w, (float *)args->outputs[0] + first * c->width, gemm_scratch,
                   c->device->threads);
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct classifier *c = state;
    REMAT_TRY(remat_cpu_check_labels(args->inputs[1], c->rows, c->classes, err));
    for (int64_t first = 0; first < c->rows; first += c->chunk_rows)
        run_chunk(c, spec, args, first, c->rows - first < c->chunk_rows ? c->rows - first : c->chunk_rows);
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_classifier_loss = {
    REMAT_OP_CLASSIFIER_LOSS, "chunks", 0, supports, create, run, free};
const struct remat_op_impl remat_cpu_classifier_eval = {
    REMAT_OP_CLASSIFIER_EVAL, "chunks", 0, supports, create, run, free};
