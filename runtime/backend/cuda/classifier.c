/* The tied classifier with its loss, in chunks of rows: the logits of one chunk stand in scratch, become their own
 * gradient there, and give dw and dh before the next chunk. A row of h is last read before its dh is written, so that
 * dh may take h's memory. With bf16 the logits are f32 and their gradient, behind them, is bf16. */
#include "runtime/backend/cuda/gemm.h"
#include "runtime/backend/cuda/loss.h"

#include "core/base/memory.h"

#include <stdlib.h>

/* logits = h w'; dw = dlogits' h; dw += dlogits' h; dh = dlogits w. */
enum { LOGITS, WEIGHTS_FIRST, WEIGHTS_MORE, HIDDEN, PRODUCTS };
/* Whole chunks, and the rows that are left over. */
enum { WHOLE, REST, SIZES };
enum { PITCH_MULTIPLE = 64 };

struct classifier {
    const struct remat_cuda_gemm *gemm;
    struct remat_device *device;
    int64_t rows, width, classes, chunk_rows;
    int64_t pitch;         /* of rows of logits: whole PITCH_MULTIPLEs, as fast products want */
    enum remat_dtype type; /* of h and dh */
    int64_t logits_bytes, gradient_bytes, product_bytes; /* of the scratch; then that of the loss */
    bool training;
    void *prepared[SIZES][PRODUCTS];
};

/* Of the rows that a chunk begins with: the largest power of two up to 16 that divides a chunk's bytes. */
static int32_t alignment_of(const struct classifier *c)
{
    int64_t bytes = c->chunk_rows * c->width * remat_dtype_bytes(c->type) | 16;
    return (int32_t)(bytes & -bytes);
}

static struct remat_cuda_product product_of(const struct classifier *c, int which, int64_t rows)
{
    struct remat_cuda_product product = {.rows = rows,
                                         .columns = c->width,
                                         .inner = c->classes,
                                         .a_pitch = c->pitch,
                                         .alignment = alignment_of(c),
                                         .from = c->type,
                                         .to = c->type};
    if (which == HIDDEN)
        return product;
    product.to = REMAT_F32;
    if (which == LOGITS) {
        product.columns = c->classes;
        product.inner = c->width;
        product.b_turned = true;
        product.a_pitch = 0;
        product.d_pitch = c->pitch;
        return product;
    }
    product.rows = c->classes;
    product.inner = rows;
    product.a_turned = true;
    product.add = which == WEIGHTS_MORE;
    return product;
}

void remat_cuda_classifier_destroy(void *state)
{
    struct classifier *c = state;
    for (int size = 0; size < SIZES; size++)
        for (int k = 0; k < PRODUCTS; k++)
            if (c->prepared[size][k])
                c->gemm->destroy(c->prepared[size][k]);
    free(c);
}

static enum remat_status prepare(struct classifier *c, int size, int64_t rows, struct remat_error *err)
{
    for (int k = 0; k < (c->training && rows > 0 ? PRODUCTS : rows > 0); k++) {
        struct remat_cuda_product product = product_of(c, k, rows);
        int64_t bytes = 0;
        REMAT_TRY(c->gemm->prepare(c->device, &product, &c->prepared[size][k], &bytes, err));
        c->product_bytes = bytes > c->product_bytes ? bytes : c->product_bytes;
    }
    return REMAT_OK;
}

enum remat_status remat_cuda_classifier_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                               const struct remat_kernel_spec *spec, void **state,
                                               int64_t *scratch_bytes, struct remat_error *err)
{
    struct classifier *c;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(c, 1, err));
    c->gemm = gemm;
    c->device = device;
    c->rows = remat_tensor_rows(&spec->inputs[0]);
    c->width = remat_tensor_columns(&spec->inputs[0]);
    c->classes = remat_op_weight(spec)->dims[0];
    c->pitch = (c->classes + PITCH_MULTIPLE - 1) / PITCH_MULTIPLE * PITCH_MULTIPLE;
    c->type = spec->inputs[0].dtype;
    c->chunk_rows = spec->attr.chunk_rows > 0 && spec->attr.chunk_rows < c->rows ? spec->attr.chunk_rows : c->rows;
    c->training = spec->op == REMAT_OP_CLASSIFIER_LOSS;
    status = prepare(c, WHOLE, c->chunk_rows, err);
    if (status == REMAT_OK)
        status = prepare(c, REST, c->rows % c->chunk_rows, err);
    if (status != REMAT_OK) {
        remat_cuda_classifier_destroy(c);
        return status;
    }
    c->logits_bytes = remat_align_up(c->chunk_rows * c->pitch * (int64_t)sizeof(float));
    c->product_bytes = remat_align_up(c->product_bytes);
    if (c->training && c->type != REMAT_F32)
        c->gradient_bytes = remat_align_up(c->chunk_rows * c->pitch * remat_dtype_bytes(c->type));
    *scratch_bytes =
        c->logits_bytes + c->gradient_bytes + c->product_bytes + remat_cuda_loss_scratch_bytes(c->chunk_rows);
    *state = c;
    return REMAT_OK;
}

static enum remat_status run_chunk(const struct classifier *c, const struct remat_kernel_spec *spec,
                                   const struct remat_kernel_args *args, int64_t first, int64_t rows,
                                   struct remat_error *err)
{
    void *const *prepared = c->prepared[rows == c->chunk_rows ? WHOLE : REST];
    char *logits = args->scratch, *gradient = c->gradient_bytes > 0 ? logits + c->logits_bytes : logits;
    char *product_scratch = logits + c->logits_bytes + c->gradient_bytes;
    int64_t skipped = first * c->width * remat_dtype_bytes(c->type);
    const void *h = (const char *)args->inputs[0] + skipped, *w = remat_cuda_weight(spec, args);
    struct remat_cuda_loss_rows loss = {.rows = rows,
                                        .classes = c->classes,
                                        .pitch = c->pitch,
                                        .mean_over = c->rows,
                                        .smoothing = c->training ? spec->attr.smoothing : 0,
                                        .type = REMAT_F32,
                                        .gradient_type = c->type,
                                        .logits = logits,
                                        .labels = (const int32_t *)args->inputs[1] + first,
                                        .dlogits = c->training ? gradient : NULL,
                                        .metrics = args->cells[spec->cells_count - 1],
                                        .record = args->record,
                                        .scratch = product_scratch + c->product_bytes};
    const struct remat_cuda_operands forward = {.a = h, .b = w, .d = logits};
    const struct remat_cuda_operands weights = {.a = gradient, .b = h, .c = args->outputs[1], .d = args->outputs[1]};
    const struct remat_cuda_operands hidden = {.a = gradient, .b = w, .d = (char *)args->outputs[0] + skipped};
    REMAT_TRY(c->gemm->run(prepared[LOGITS], &forward, product_scratch, err));
    REMAT_TRY(remat_cuda_loss_run(c->device, &loss, err));
    if (!c->training)
        return REMAT_OK;
    REMAT_TRY(c->gemm->run(prepared[first > 0 ? WEIGHTS_MORE : WEIGHTS_FIRST], &weights, product_scratch, err));
    return c->gemm->run(prepared[HIDDEN], &hidden, product_scratch, err);
}

enum remat_status remat_cuda_classifier_run(const void *state, const struct remat_kernel_spec *spec,
                                            const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct classifier *c = state;
    for (int64_t first = 0; first < c->rows; first += c->chunk_rows)
        REMAT_TRY(
            run_chunk(c, spec, args, first, c->rows - first < c->chunk_rows ? c->rows - first : c->chunk_rows, err));
    return REMAT_OK;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    return remat_cuda_classifier_create(&remat_cuda_gemm_plain, device, spec, state, scratch_bytes, err);
}

const struct remat_op_impl remat_cuda_classifier_loss_plain = {
    REMAT_OP_CLASSIFIER_LOSS,     "tiles", 0, remat_cuda_supports_floats, create, remat_cuda_classifier_run,
    remat_cuda_classifier_destroy};
const struct remat_op_impl remat_cuda_classifier_eval_plain = {
    REMAT_OP_CLASSIFIER_EVAL,     "tiles", 0, remat_cuda_supports_floats, create, remat_cuda_classifier_run,
    remat_cuda_classifier_destroy};
