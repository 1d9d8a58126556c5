/* Cases of the operations of transformers, and the losses. */
#include "support_op_case.h"

#include <stddef.h>

static void linear(struct op_cases *cases, int64_t rows, int64_t columns, int64_t outputs, bool bias, bool residual)
{
    struct op_case *c = op_case_begin(cases, "linear [%d,%d] to %d%s%s", (int)rows, (int)columns, (int)outputs,
                                      bias ? ", bias" : "", residual ? ", residual" : "");
    struct remat_op_attr attr = {.bias = bias}, plain = {0};
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), w = op_slot_add(c, OP_NORMAL, OP_DIMS(outputs, columns));
    int b = bias ? op_slot_add(c, OP_NORMAL, OP_DIMS(outputs)) : OP_ABSENT;
    int y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, outputs)), dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, outputs));
    int dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dw = op_slot_add(c, OP_COMPUTED, OP_DIMS(outputs, columns));
    int db = bias ? op_slot_add(c, OP_COMPUTED, OP_DIMS(outputs)) : OP_ABSENT;
    int z = residual ? op_slot_add(c, OP_NORMAL, OP_DIMS(rows, outputs)) : OP_ABSENT;
    op_call_add(c, residual ? REMAT_OP_LINEAR_ADD : REMAT_OP_LINEAR, &attr, OP_SLOTS(x, z), OP_SLOTS(y),
                OP_SLOTS(w, b));
    op_call_add(c, REMAT_OP_LINEAR_BWD_DATA, &plain, OP_SLOTS(dy), OP_SLOTS(dx), OP_SLOTS(w));
    op_call_add(c, REMAT_OP_LINEAR_BWD_WEIGHTS, &attr, OP_SLOTS(x, dy), OP_SLOTS(dw, db), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, x, dx, OP_NONE);
    op_gradient_add(c, w, dw, OP_NONE);
    if (bias)
        op_gradient_add(c, b, db, OP_NONE);
    if (residual)
        op_gradient_add(c, z, dy, OP_NONE);
}

/* Back through a linear layer and the GELU before it: the objective is GELU's output times the first of these. */
static void linear_gelu(struct op_cases *cases, int64_t rows, int64_t columns, int64_t outputs)
{
    struct op_case *c = op_case_begin(cases, "gelu [%d,%d], linear to %d", (int)rows, (int)columns, (int)outputs);
    int a = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), h = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int w = op_slot_add(c, OP_NORMAL, OP_DIMS(outputs, columns)),
        dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, outputs));
    int dh = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns)),
        da = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_GELU, NULL, OP_SLOTS(a), OP_SLOTS(h), OP_EMPTY);
    op_call_add(c, REMAT_OP_LINEAR_BWD_DATA, NULL, OP_SLOTS(dy), OP_SLOTS(dh), OP_SLOTS(w));
    op_call_add(c, REMAT_OP_LINEAR_GELU_BWD, NULL, OP_SLOTS(dy, a), OP_SLOTS(da), OP_SLOTS(w));
    c->output = h;
    c->weight = dh;
    op_gradient_add(c, a, da, OP_NONE);
}

static void loss(struct op_cases *cases, int64_t rows, int64_t classes, float smoothing)
{
    struct op_case *c =
        op_case_begin(cases, "loss [%d,%d], smoothing %.1f", (int)rows, (int)classes, (double)smoothing);
    struct remat_op_attr attr = {.smoothing = smoothing};
    int logits = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, classes));
    int labels = op_slot_add_indices(c, -1, (int32_t)classes, OP_DIMS(rows));
    int dlogits = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, classes));
    int metrics = op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(4));
    int counted = op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(4));
    op_call_add(c, REMAT_OP_LOSS, &attr, OP_SLOTS(logits, labels), OP_SLOTS(dlogits), OP_SLOTS(metrics));
    op_call_add(c, REMAT_OP_LOSS_EVAL, NULL, OP_SLOTS(logits, labels), OP_EMPTY, OP_SLOTS(counted));
    c->metrics = metrics;
    c->loss_rows = rows;
    op_gradient_add(c, logits, dlogits, OP_NONE);
}

static void classifier(struct op_cases *cases, int64_t batch, int64_t length, int64_t columns, int64_t classes,
                       int32_t chunk_rows)
{
    struct op_case *c = op_case_begin(cases, "classifier [%d,%d,%d] to %d by %d rows", (int)batch, (int)length,
                                      (int)columns, (int)classes, (int)chunk_rows);
    struct remat_op_attr attr = {.chunk_rows = chunk_rows, .smoothing = 0.1f}, plain = {.chunk_rows = chunk_rows};
    int h = op_slot_add(c, OP_NORMAL, OP_DIMS(batch, length, columns));
    int targets = op_slot_add_indices(c, -1, (int32_t)classes, OP_DIMS(batch, length));
    int w = op_slot_add(c, OP_SMALL, OP_DIMS(classes, columns));
    int metrics = op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(4));
    int counted = op_slot_add_typed(c, OP_POSITIVE, REMAT_F64, OP_DIMS(4));
    int dh = op_slot_add(c, OP_COMPUTED, OP_DIMS(batch, length, columns));
    int dw = op_slot_add(c, OP_COMPUTED, OP_DIMS(classes, columns));
    op_call_add(c, REMAT_OP_CLASSIFIER_LOSS, &attr, OP_SLOTS(h, targets), OP_SLOTS(dh, dw), OP_SLOTS(w, metrics));
    op_call_add(c, REMAT_OP_CLASSIFIER_EVAL, &plain, OP_SLOTS(h, targets), OP_EMPTY, OP_SLOTS(w, counted));
    c->metrics = metrics;
    c->loss_rows = batch * length;
    op_gradient_add(c, h, dh, OP_NONE);
    op_gradient_add(c, w, dw, OP_NONE);
}

static void embedding(struct op_cases *cases, int64_t batch, int64_t length, int64_t vocabulary, int64_t channels,
                      bool accumulate)
{
    int64_t positions = length + 3;
    struct op_case *c = op_case_begin(cases, "embedding [%d,%d] of %d, %d channels%s", (int)batch, (int)length,
                                      (int)vocabulary, (int)channels, accumulate ? ", accumulated" : "");
    struct remat_op_attr attr = {.accumulate = accumulate};
    int tokens = op_slot_add_indices(c, 0, (int32_t)vocabulary, OP_DIMS(batch, length));
    int wte = op_slot_add(c, OP_NORMAL, OP_DIMS(vocabulary, channels));
    int wpe = op_slot_add(c, OP_NORMAL, OP_DIMS(positions, channels));
    int x = op_slot_add(c, OP_COMPUTED, OP_DIMS(batch, length, channels));
    int dx = op_slot_add(c, OP_NORMAL, OP_DIMS(batch, length, channels));
    int earlier = accumulate ? op_slot_add(c, OP_NORMAL, OP_DIMS(vocabulary, channels)) : OP_ABSENT;
    int dwte = op_slot_add(c, OP_COMPUTED, OP_DIMS(vocabulary, channels));
    int dwpe = op_slot_add(c, OP_COMPUTED, OP_DIMS(positions, channels));
    op_call_add(c, REMAT_OP_EMBEDDING, NULL, OP_SLOTS(tokens), OP_SLOTS(x), OP_SLOTS(wte, wpe));
    op_call_add(c, REMAT_OP_EMBEDDING_BWD, &attr, OP_SLOTS(tokens, dx, earlier), OP_SLOTS(dwte, dwpe), OP_EMPTY);
    c->output = x;
    c->weight = dx;
    op_gradient_add(c, wte, dwte, accumulate ? earlier : OP_NONE);
    op_gradient_add(c, wpe, dwpe, OP_NONE);
}

static void layernorm(struct op_cases *cases, int64_t rows, int64_t columns, bool accumulate)
{
    struct op_case *c =
        op_case_begin(cases, "layernorm [%d,%d]%s", (int)rows, (int)columns, accumulate ? ", accumulated" : "");
    struct remat_op_attr attr = {.epsilon = 1e-5f}, plain = {0}, attr_bwd = {.accumulate = accumulate};
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int gamma = op_slot_add(c, OP_NORMAL, OP_DIMS(columns)), beta = op_slot_add(c, OP_NORMAL, OP_DIMS(columns));
    int mean = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows)), rstd = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows));
    int again = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int earlier = accumulate ? op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)) : OP_ABSENT;
    int dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dgamma = op_slot_add(c, OP_COMPUTED, OP_DIMS(columns)), dbeta = op_slot_add(c, OP_COMPUTED, OP_DIMS(columns));
    op_call_add(c, REMAT_OP_LAYERNORM, &attr, OP_SLOTS(x), OP_SLOTS(y, mean, rstd), OP_SLOTS(gamma, beta));
    op_call_add(c, REMAT_OP_LAYERNORM_APPLY, &plain, OP_SLOTS(x, mean, rstd), OP_SLOTS(again), OP_SLOTS(gamma, beta));
    op_call_add(c, REMAT_OP_LAYERNORM_BWD, &attr_bwd, OP_SLOTS(x, mean, rstd, dy, earlier), OP_SLOTS(dx, dgamma, dbeta),
                OP_SLOTS(gamma));
    c->output = y;
    c->weight = dy;
    op_twins_add(c, y, again);
    op_gradient_add(c, x, dx, accumulate ? earlier : OP_NONE);
    op_gradient_add(c, gamma, dgamma, OP_NONE);
    op_gradient_add(c, beta, dbeta, OP_NONE);
}

static void gelu(struct op_cases *cases, int64_t rows, int64_t columns)
{
    struct op_case *c = op_case_begin(cases, "gelu [%d,%d]", (int)rows, (int)columns);
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)),
        dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_GELU, NULL, OP_SLOTS(x), OP_SLOTS(y), OP_EMPTY);
    op_call_add(c, REMAT_OP_GELU_BWD, NULL, OP_SLOTS(x, dy), OP_SLOTS(dx), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, x, dx, OP_NONE);
}

/* The backward call on x itself must give the forward's bits: the mask is the same. */
static void dropout(struct op_cases *cases, int64_t rows, int64_t columns, float probability)
{
    struct op_case *c = op_case_begin(cases, "dropout [%d,%d], p %.1f", (int)rows, (int)columns, (double)probability);
    struct remat_op_attr attr = {.layer = 5, .probability = probability};
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)),
        dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int again = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_DROPOUT, &attr, OP_SLOTS(x), OP_SLOTS(y), OP_EMPTY);
    op_call_add(c, REMAT_OP_DROPOUT_BWD, &attr, OP_SLOTS(dy), OP_SLOTS(dx), OP_EMPTY);
    op_call_add(c, REMAT_OP_DROPOUT_BWD, &attr, OP_SLOTS(x), OP_SLOTS(again), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_twins_add(c, y, again);
    op_gradient_add(c, x, dx, OP_NONE);
}

static void attention(struct op_cases *cases, int64_t batch, int64_t length, int32_t heads, int64_t size)
{
    int64_t channels = heads * size;
    struct op_case *c =
        op_case_begin(cases, "attention [%d,%d], %d heads of %d", (int)batch, (int)length, (int)heads, (int)size);
    struct remat_op_attr attr = {.heads = heads};
    int qkv = op_slot_add(c, OP_NORMAL, OP_DIMS(batch, length, 3 * channels));
    int o = op_slot_add(c, OP_COMPUTED, OP_DIMS(batch, length, channels));
    int lse = op_slot_add(c, OP_COMPUTED, OP_DIMS(batch, heads, length));
    int o_gradient = op_slot_add(c, OP_NORMAL, OP_DIMS(batch, length, channels));
    int dqkv = op_slot_add(c, OP_COMPUTED, OP_DIMS(batch, length, 3 * channels));
    op_call_add(c, REMAT_OP_ATTENTION, &attr, OP_SLOTS(qkv), OP_SLOTS(o, lse), OP_EMPTY);
    op_call_add(c, REMAT_OP_ATTENTION_BWD, &attr, OP_SLOTS(qkv, o, lse, o_gradient), OP_SLOTS(dqkv), OP_EMPTY);
    c->output = o;
    c->weight = o_gradient;
    op_gradient_add(c, qkv, dqkv, OP_NONE);
}

static void linears(struct op_cases *cases)
{
    static const int64_t shapes[][3] = {{1, 1, 1},     {4, 64, 10},   {7, 13, 3},
                                        {65, 48, 144}, {33, 192, 64}, {2, 512, 100}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        linear(cases, shapes[i][0], shapes[i][1], shapes[i][2], true, false);
        linear(cases, shapes[i][0], shapes[i][1], shapes[i][2], false, false);
        linear(cases, shapes[i][0], shapes[i][1], shapes[i][2], i % 2 != 0, true);
        linear_gelu(cases, shapes[i][0], shapes[i][1], shapes[i][2]);
    }
}

static void losses(struct op_cases *cases)
{
    loss(cases, 8, 10, 0);
    loss(cases, 33, 65, 0.1f);
    loss(cases, 5, 1000, 0.2f);
    loss(cases, 1, 2, 0);
    classifier(cases, 2, 7, 13, 65, 4);
    classifier(cases, 1, 33, 64, 1000, 8);
    classifier(cases, 3, 5, 16, 17, 15);
    classifier(cases, 1, 3, 8, 65, 64);
}

static void normalisations(struct op_cases *cases)
{
    static const int64_t shapes[][2] = {{1, 3}, {7, 64}, {130, 13}, {33, 768}, {65, 48}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        layernorm(cases, shapes[i][0], shapes[i][1], false);
        layernorm(cases, shapes[i][0], shapes[i][1], true);
    }
}

void op_cases_text(struct op_cases *cases)
{
    linears(cases);
    losses(cases);
    normalisations(cases);
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        embedding(cases, 2, 7, 65, 13, accumulate != 0);
        embedding(cases, 3, 33, 1000, 64, accumulate != 0);
        embedding(cases, 1, 1, 5, 3, accumulate != 0);
    }
    gelu(cases, 7, 64);
    gelu(cases, 1, 1);
    gelu(cases, 123, 33);
    dropout(cases, 7, 64, 0.1f);
    dropout(cases, 123, 33, 0.5f);
    dropout(cases, 1, 3, 0);
    attention(cases, 2, 1, 2, 8);
    attention(cases, 3, 7, 3, 13);
    attention(cases, 2, 64, 2, 64);
    attention(cases, 1, 130, 3, 32);
    attention(cases, 1, 65, 1, 80);
}

void op_cases_large_text(struct op_cases *cases)
{
    linear(cases, 200, 128, 257, true, false);
    linear(cases, 200, 128, 264, true, true);
    linear_gelu(cases, 200, 128, 264);
    loss(cases, 64, 1000, 0.1f);
    classifier(cases, 2, 80, 64, 500, 64);
    embedding(cases, 4, 100, 300, 128, true);
    layernorm(cases, 300, 256, true);
    gelu(cases, 100, 1000);
    dropout(cases, 100, 1001, 0.1f);
    attention(cases, 1, 256, 2, 32);
}
