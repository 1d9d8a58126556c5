/* Softmax cross-entropy with label smoothing, on whole logits and, for the tied classifier, row by row. */
#include "runtime/backend/ref/ref.h"

#include <math.h>
#include <string.h>

/* Turns the logits of one row into dlogits * M / loss_scale and adds to the metrics. Rows with a negative label get a
 * zero gradient. loss = (1 - s) (lse - logit[label]) + s (lse - mean of logits). */
static void row_loss(double *row, int64_t classes, int32_t label, double smoothing, double *metrics)
{
    double sum = 0, mean = 0, largest, lse, at_label;
    int64_t best = 0;
    if (label < 0) {
        memset(row, 0, (size_t)classes * sizeof *row);
        return;
    }
    for (int64_t v = 1; v < classes; v++)
        best = row[v] > row[best] ? v : best;
    largest = row[best];
    at_label = row[label];
    for (int64_t v = 0; v < classes; v++) {
        sum += exp(row[v] - largest);
        mean += row[v] / (double)classes;
    }
    lse = largest + log(sum);
    metrics[0] += (1 - smoothing) * (lse - at_label) + smoothing * (lse - mean);
    metrics[1] += 1;
    metrics[2] += best == label;
    for (int64_t v = 0; v < classes; v++)
        row[v] = exp(row[v] - lse) - smoothing / (double)classes - (v == label ? 1 - smoothing : 0);
}

static enum remat_status check_label(int32_t label, int64_t row, int64_t classes, struct remat_error *err)
{
    if (label < classes)
        return REMAT_OK;
    return remat_fail(err, REMAT_BAD_DATA, "label %d of row %lld is not below the number of classes, %lld", (int)label,
                      (long long)row, (long long)classes);
}

static enum remat_status loss(const void *state, const struct remat_kernel_spec *spec,
                              const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), classes = remat_tensor_columns(&spec->inputs[0]);
    const int32_t *labels = args->inputs[1];
    struct remat_ref_array logits = remat_ref_input(spec, args, 0);
    bool training = spec->op == REMAT_OP_LOSS;
    double *row = args->scratch, factor = training ? (double)args->record->loss_scale / (double)rows : 0;
    (void)state;
    for (int64_t i = 0; i < rows; i++) {
        REMAT_TRY(check_label(labels[i], i, classes, err));
        for (int64_t v = 0; v < classes; v++)
            row[v] = remat_ref_get(logits, i * classes + v);
        row_loss(row, classes, labels[i], training ? (double)spec->attr.smoothing : 0, args->cells[0]);
        for (int64_t v = 0; training && v < classes; v++)
            remat_ref_set(remat_ref_output(spec, args, 0), i * classes + v, row[v] * factor);
    }
    return REMAT_OK;
}

/* dw += dlogits' h and dh = dlogits w for one row. */
static void classifier_row_bwd(const struct remat_kernel_spec *spec, const struct remat_kernel_args *args, int64_t i,
                               const double *dlogits, double factor, double *dh, double *dw)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]), classes = remat_op_weight(spec)->dims[0];
    memset(dh, 0, (size_t)columns * sizeof *dh);
    for (int64_t v = 0; v < classes; v++) {
        remat_ref_axpy(dh, dlogits[v] * factor, remat_ref_weight(spec, args), v * columns, columns);
        remat_ref_axpy(dw + v * columns, dlogits[v] * factor, remat_ref_input(spec, args, 0), i * columns, columns);
    }
    remat_ref_store(remat_ref_output(spec, args, 0), i * columns, dh, columns);
}

/* Scratch: logits[V], then, for training, dh[C] and dw[V,C]. Each row is its own chunk: chunks change no sum here. */
static enum remat_status classifier(const void *state, const struct remat_kernel_spec *spec,
                                    const struct remat_kernel_args *args, struct remat_error *err)
{
    int64_t rows = remat_tensor_rows(&spec->inputs[0]), columns = remat_tensor_columns(&spec->inputs[0]),
            classes = remat_op_weight(spec)->dims[0];
    const int32_t *labels = args->inputs[1];
    bool training = spec->op == REMAT_OP_CLASSIFIER_LOSS;
    double *row = args->scratch, *dh = row + classes, *dw = dh + columns;
    double factor = training ? (double)args->record->loss_scale / (double)rows : 0;
    (void)state;
    if (training)
        memset(dw, 0, (size_t)(classes * columns) * sizeof *dw);
    for (int64_t i = 0; i < rows; i++) {
        REMAT_TRY(check_label(labels[i], i, classes, err));
        for (int64_t v = 0; v < classes; v++)
            row[v] = remat_ref_dot(remat_ref_input(spec, args, 0), i * columns, remat_ref_weight(spec, args),
                                   v * columns, columns);
        row_loss(row, classes, labels[i], training ? (double)spec->attr.smoothing : 0,
                 args->cells[spec->cells_count - 1]);
        if (training)
            classifier_row_bwd(spec, args, i, row, factor, dh, dw);
    }
    if (training)
        remat_ref_store(remat_ref_output(spec, args, 1), 0, dw, classes * columns);
    return REMAT_OK;
}

static enum remat_status create_loss(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                     int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = remat_tensor_columns(&spec->inputs[0]) * (int64_t)sizeof(double);
    return REMAT_OK;
}

static enum remat_status create_classifier(struct remat_device *device, const struct remat_kernel_spec *spec,
                                           void **state, int64_t *scratch_bytes, struct remat_error *err)
{
    int64_t columns = remat_tensor_columns(&spec->inputs[0]), classes = remat_op_weight(spec)->dims[0];
    (void)device;
    (void)err;
    *state = NULL;
    *scratch_bytes = classes * (int64_t)sizeof(double);
    if (spec->op == REMAT_OP_CLASSIFIER_LOSS)
        *scratch_bytes += (columns + classes * columns) * (int64_t)sizeof(double);
    return REMAT_OK;
}

REMAT_REF_IMPL_SCRATCH(remat_ref_loss, REMAT_OP_LOSS, loss, create_loss);
REMAT_REF_IMPL_SCRATCH(remat_ref_loss_eval, REMAT_OP_LOSS_EVAL, loss, create_loss);
REMAT_REF_IMPL_SCRATCH(remat_ref_classifier_loss, REMAT_OP_CLASSIFIER_LOSS, classifier, create_classifier);
REMAT_REF_IMPL_SCRATCH(remat_ref_classifier_eval, REMAT_OP_CLASSIFIER_EVAL, classifier, create_classifier);
