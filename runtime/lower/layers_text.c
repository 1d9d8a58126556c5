/* Lowering of embeddings, layer normalisation, attention and the tied classifier. */
#include "runtime/lower/layers.h"

/* --- embedding: parameters wte, wpe ------------------------------------------------------------------------------ */

static void embedding_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_EMBEDDING, REMAT_FORWARD);
    struct remat_tensor x = remat_lowering_layer(l, layer)->output;
    x.dtype = l->options->dtype;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_uses_cell(&task, remat_lowering_cell(l, layer, 0), false);
    remat_task_uses_cell(&task, remat_lowering_cell(l, layer, 1), false);
    l->output[layer] = remat_task_makes(l, &task, x, REMAT_ACTIVATION, "", "");
    remat_lowering_emit(l, &task);
}

/* The token table may already have a gradient from the tied classifier: it is added to, in place. */
static void embedding_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_EMBEDDING_BWD, REMAT_BACKWARD);
    int32_t earlier = l->parameters[remat_lowering_layer(l, layer)->parameters[0]].gradient;
    const struct remat_cell *cells = l->graph->cells;
    if (l->status != REMAT_OK)
        return;
    task.attr.accumulate = earlier >= 0;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->gradient[layer]);
    if (task.attr.accumulate)
        remat_task_reads(&task, earlier);
    for (int32_t k = 0; k < 2; k++)
        remat_task_makes(l, &task, cells[remat_lowering_cell(l, layer, k)].tensor, REMAT_PARAMETER_GRADIENT, "d ",
                         k ? ".positions" : ".tokens");
    remat_lowering_emit(l, &task);
    for (int32_t k = 0; k < 2; k++)
        remat_lowering_parameter_gradient(l, layer, k, task.outputs[k]);
}

const struct layer_lowering remat_lower_embedding = {embedding_forward, embedding_backward, NULL};

/* --- layer normalisation: parameters gamma, beta ----------------------------------------------------------------- */

enum { MEAN, RSTD };

static void layernorm_apply(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_LAYERNORM_APPLY, REMAT_FORWARD);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->saved[layer][MEAN]);
    remat_task_reads(&task, l->saved[layer][RSTD]);
    for (int32_t k = 0; k < 2; k++)
        remat_task_uses_cell(&task, remat_lowering_cell(l, layer, k), false);
    remat_task_remakes(&task, l->output[layer]);
    remat_lowering_emit_alternate(l, &task);
}

static void layernorm_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_LAYERNORM, REMAT_FORWARD);
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_tensor statistic = remat_vector(remat_lowering_wide(l), remat_tensor_rows(&x));
    task.attr.epsilon = remat_lowering_layer(l, layer)->epsilon;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    for (int32_t k = 0; k < 2; k++)
        remat_task_uses_cell(&task, remat_lowering_cell(l, layer, k), false);
    l->output[layer] = remat_task_makes(l, &task, x, REMAT_ACTIVATION, "", "");
    l->saved[layer][MEAN] = remat_task_makes(l, &task, statistic, REMAT_STATISTIC, "", ".mean");
    l->saved[layer][RSTD] = remat_task_makes(l, &task, statistic, REMAT_STATISTIC, "", ".rstd");
    remat_lowering_emit(l, &task);
    layernorm_apply(l, layer);
}

/* Adds what the residual stream already carries in the same pass. */
static void layernorm_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_LAYERNORM_BWD, REMAT_BACKWARD);
    struct remat_tensor x = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    struct remat_tensor vector = remat_vector(remat_lowering_wide(l), remat_tensor_columns(&x));
    int32_t input = remat_lowering_layer(l, layer)->inputs[0], earlier = l->gradient[input];
    task.attr.accumulate = earlier >= 0;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, l->saved[layer][MEAN]);
    remat_task_reads(&task, l->saved[layer][RSTD]);
    remat_task_reads(&task, l->gradient[layer]);
    if (task.attr.accumulate)
        remat_task_reads(&task, earlier);
    remat_task_uses_cell(&task, remat_lowering_cell(l, layer, 0), false);
    l->gradient[input] = remat_task_makes(l, &task, x, REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_task_makes(l, &task, vector, REMAT_PARAMETER_GRADIENT, "d ", ".weight");
    remat_task_makes(l, &task, vector, REMAT_PARAMETER_GRADIENT, "d ", ".bias");
    remat_lowering_emit(l, &task);
    remat_lowering_parameter_gradient(l, layer, 0, task.outputs[1]);
    remat_lowering_parameter_gradient(l, layer, 1, task.outputs[2]);
}

const struct layer_lowering remat_lower_layernorm = {layernorm_forward, layernorm_backward, NULL};

/* --- attention --------------------------------------------------------------------------------------------------- */

static void attention_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_ATTENTION, REMAT_FORWARD);
    struct remat_tensor o = remat_lowering_layer(l, layer)->output;
    int32_t heads = remat_lowering_layer(l, layer)->heads;
    int64_t lse_dims[3] = {o.dims[0], heads, o.dims[1]};
    o.dtype = l->options->dtype;
    task.attr.heads = heads;
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    l->output[layer] = remat_task_makes(l, &task, o, REMAT_ACTIVATION, "", "");
    l->saved[layer][0] =
        remat_task_makes(l, &task, remat_tensor_make(remat_lowering_wide(l), 3, lse_dims), REMAT_STATISTIC, "", ".lse");
    remat_lowering_emit(l, &task);
}

static void attention_backward(struct lowering *l, int32_t layer)
{
    struct remat_task task = remat_lowering_task(l, layer, REMAT_OP_ATTENTION_BWD, REMAT_BACKWARD);
    int32_t qkv = remat_lowering_input(l, layer, 0), dqkv;
    task.attr.heads = remat_lowering_layer(l, layer)->heads;
    remat_task_reads(&task, qkv);
    remat_task_reads(&task, l->output[layer]);
    remat_task_reads(&task, l->saved[layer][0]);
    remat_task_reads(&task, l->gradient[layer]);
    dqkv = remat_task_makes(l, &task, remat_lowering_tensor(l, qkv), REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_lowering_emit(l, &task);
    remat_lowering_contribute(l, layer, 0, dqkv);
}

const struct layer_lowering remat_lower_attention = {attention_forward, attention_backward, NULL};

/* --- classifier with loss: parameter wte ------------------------------------------------------------------------- */

/* Of products with tensor cores: rows in whole tiles. */
enum { TILE_ROWS = 256 };

/* With bf16 the products are so fast that the gradient of the weights, which each chunk reads and writes, takes as long
 * as they do unless chunks are large: logits (f32) and their gradient (bf16) may take as much as a transformer's layer
 * keeps, some 16 times its input. Else about 64 MiB of logits are enough. */
static int64_t most_rows(const struct lowering *l, const struct remat_tensor *h, int64_t vocabulary)
{
    const int64_t MiB = 1024 * 1024;
    int64_t bytes = 16 * remat_tensor_bytes(h), rows;
    if (l->options->chunk_rows > 0)
        return l->options->chunk_rows;
    if (l->options->dtype != REMAT_BF16)
        return 64 * MiB / (vocabulary * remat_dtype_bytes(l->options->dtype));
    rows = (bytes > 192 * MiB ? bytes : 192 * MiB) / (vocabulary * 6);
    return rows > TILE_ROWS ? rows / TILE_ROWS * TILE_ROWS : rows;
}

/* Rows a chunk: equal chunks, but for the last where tiles matter. */
static int32_t chunk_rows(const struct lowering *l, const struct remat_tensor *h, int64_t vocabulary)
{
    int64_t rows = remat_tensor_rows(h), most = most_rows(l, h, vocabulary), chunks, each;
    most = most < 1 ? 1 : most;
    chunks = (rows + most - 1) / most;
    each = (rows + chunks - 1) / chunks;
    if (most % TILE_ROWS == 0 && l->options->dtype == REMAT_BF16)
        each = (each + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS;
    return (int32_t)(each < rows ? each : rows);
}

static struct remat_task classifier_task(struct lowering *l, int32_t layer, enum remat_op op, enum remat_phase phase)
{
    struct remat_task task = remat_lowering_task(l, layer, op, phase);
    struct remat_tensor h = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    int32_t w = remat_lowering_cell(l, layer, 0);
    remat_lowering_cast(l, layer, 1);
    if (w >= 0 && h.dims_count > 0)
        task.attr.chunk_rows = chunk_rows(l, &h, l->graph->cells[w].tensor.dims[0]);
    remat_task_reads(&task, remat_lowering_input(l, layer, 0));
    remat_task_reads(&task, remat_lowering_input(l, layer, 1));
    remat_lowering_use_weights(l, layer, &task, 1);
    remat_task_uses_cell(&task, l->metrics, true);
    return task;
}

static void classifier_forward(struct lowering *l, int32_t layer)
{
    struct remat_task task = classifier_task(l, layer, REMAT_OP_CLASSIFIER_LOSS, REMAT_BACKWARD);
    struct remat_tensor h = remat_lowering_tensor(l, remat_lowering_input(l, layer, 0));
    if (l->status != REMAT_OK)
        return;
    task.attr.smoothing = l->options->smoothing;
    l->gradient[remat_lowering_layer(l, layer)->inputs[0]] =
        remat_task_makes(l, &task, h, REMAT_ACTIVATION_GRADIENT, "d in ", "");
    remat_task_makes(l, &task, l->graph->cells[remat_lowering_cell(l, layer, 0)].tensor, REMAT_PARAMETER_GRADIENT, "d ",
                     ".weight");
    remat_lowering_emit(l, &task);
    remat_lowering_parameter_gradient(l, layer, 0, task.outputs[1]);
}

static void classifier_evaluate(struct lowering *l, int32_t layer)
{
    struct remat_task task = classifier_task(l, layer, REMAT_OP_CLASSIFIER_EVAL, REMAT_FORWARD);
    remat_lowering_emit(l, &task);
}

const struct layer_lowering remat_lower_classifier = {classifier_forward, NULL, classifier_evaluate};
