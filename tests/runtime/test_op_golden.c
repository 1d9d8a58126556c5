/* What the reference backend computes is what PyTorch computes, in double: golden_torch_ops.h. */
#include "golden_torch_ops.h"
#include "support_op_case.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct op_backend ref;

/* A one-call program in double and the contents of its slots. */
struct program {
    struct op_cases cases;
    struct op_case *c;
    struct op_values values;
};

static const struct op_placement PLAIN = {.pattern = 0xFF, .gap = 64};

static struct program begin(const char *name)
{
    struct program p = {0};
    p.c = op_case_begin(&p.cases, "%s", name);
    return p;
}

static int slot(struct program *p, int32_t dims_count, const int64_t *dims)
{
    return op_slot_add_typed(p->c, OP_NORMAL, REMAT_F64, dims_count, dims);
}

/* scale * sin(0.7 i + 1.3 stream + 0.2) + offset, as torch_ops.py makes it. */
static void wave(struct program *p, int to, int stream, double scale, double offset)
{
    for (int64_t i = 0; i < remat_tensor_elements(&p->c->slots[to].tensor); i++)
        ((double *)p->values.slot[to])[i] = scale * sin(0.7 * (double)i + 1.3 * stream + 0.2) + offset;
}

static void run(struct program *p)
{
    op_call_run(&ref, p->c, &p->c->calls[0], 0, &PLAIN, &p->values, &p->values);
}

static void expect(const struct program *p, int found, const double *golden, size_t bytes)
{
    const double *values = p->values.slot[found];
    assert_int_equal(remat_tensor_bytes(&p->c->slots[found].tensor), bytes);
    for (size_t i = 0; i < bytes / sizeof *golden; i++) {
        if (!(fabs(values[i] - golden[i]) <= 1e-12 * (1 + fabs(golden[i]))))
            fail_msg("%s: element %zu: expected %.17g, found %.17g", p->c->name, i, golden[i], values[i]);
    }
}

static void end(struct program *p)
{
    op_values_free(&p->values);
    op_cases_free(&p->cases);
}

static void conv2d(void **state)
{
    struct program p = begin("conv2d");
    struct remat_op_attr attr = {.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    int x = slot(&p, OP_DIMS(1, 5, 4, 3)), w = slot(&p, OP_DIMS(2, 3, 3, 3)), y = slot(&p, OP_DIMS(1, 3, 2, 2));
    (void)state;
    op_call_add(p.c, REMAT_OP_CONV2D, &attr, OP_SLOTS(x), OP_SLOTS(y), OP_SLOTS(w));
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 1, 0);
    wave(&p, w, 1, 1, 0);
    run(&p);
    expect(&p, y, golden_conv2d, sizeof golden_conv2d);
    end(&p);
}

static void maxpool(void **state)
{
    struct program p = begin("maxpool");
    struct remat_op_attr attr = {.kernel = {3, 3}, .stride = {2, 2}, .pad = {1, 1}};
    int x = slot(&p, OP_DIMS(1, 5, 4, 3)), y = slot(&p, OP_DIMS(1, 3, 2, 3));
    int place = op_slot_add_typed(p.c, OP_BYTES, REMAT_U8, OP_DIMS(1, 3, 2, 3));
    (void)state;
    op_call_add(p.c, REMAT_OP_MAXPOOL, &attr, OP_SLOTS(x), OP_SLOTS(y, place), OP_EMPTY);
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 1, 0);
    run(&p);
    expect(&p, y, golden_maxpool, sizeof golden_maxpool);
    end(&p);
}

static void batchnorm_as(enum remat_op op, const double *golden, size_t bytes)
{
    struct program p = begin(remat_op_text(op));
    struct remat_op_attr attr = {.epsilon = 1e-5f, .momentum = 0.1f};
    int x = slot(&p, OP_DIMS(1, 5, 4, 3)), y = slot(&p, OP_DIMS(1, 5, 4, 3)), gamma = slot(&p, OP_DIMS(3)),
        beta = slot(&p, OP_DIMS(3)), running_mean = slot(&p, OP_DIMS(3)), running_var = slot(&p, OP_DIMS(3)),
        mean = slot(&p, OP_DIMS(3)), invstd = slot(&p, OP_DIMS(3));
    bool eval = op == REMAT_OP_BATCHNORM_EVAL;
    op_call_add(p.c, op, &attr, OP_SLOTS(x), OP_SLOTS(y, eval ? OP_ABSENT : mean, eval ? OP_ABSENT : invstd),
                OP_SLOTS(gamma, beta, running_mean, running_var));
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 1, 0);
    wave(&p, gamma, 1, 1, 0);
    wave(&p, beta, 2, 1, 0);
    wave(&p, running_mean, 3, 1, 0);
    wave(&p, running_var, 4, 1, 2);
    if (eval) { /* PyTorch's went through the training call first */
        memcpy(p.values.slot[running_mean], golden_running_mean, sizeof golden_running_mean);
        memcpy(p.values.slot[running_var], golden_running_var, sizeof golden_running_var);
    }
    run(&p);
    expect(&p, y, golden, bytes);
    expect(&p, running_mean, golden_running_mean, sizeof golden_running_mean);
    expect(&p, running_var, golden_running_var, sizeof golden_running_var);
    end(&p);
}

static void batchnorm(void **state)
{
    (void)state;
    batchnorm_as(REMAT_OP_BATCHNORM, golden_batchnorm, sizeof golden_batchnorm);
    batchnorm_as(REMAT_OP_BATCHNORM_EVAL, golden_batchnorm_eval, sizeof golden_batchnorm_eval);
}

static void linear(void **state)
{
    struct program p = begin("linear");
    struct remat_op_attr attr = {.bias = true};
    int x = slot(&p, OP_DIMS(4, 5)), w = slot(&p, OP_DIMS(3, 5)), b = slot(&p, OP_DIMS(3)), y = slot(&p, OP_DIMS(4, 3));
    (void)state;
    op_call_add(p.c, REMAT_OP_LINEAR, &attr, OP_SLOTS(x), OP_SLOTS(y), OP_SLOTS(w, b));
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 1, 0);
    wave(&p, w, 1, 1, 0);
    wave(&p, b, 2, 1, 0);
    run(&p);
    expect(&p, y, golden_linear, sizeof golden_linear);
    end(&p);
}

static void layernorm(void **state)
{
    struct program p = begin("layernorm");
    struct remat_op_attr attr = {.epsilon = 1e-5f};
    int x = slot(&p, OP_DIMS(4, 5)), y = slot(&p, OP_DIMS(4, 5)), mean = slot(&p, OP_DIMS(4)),
        rstd = slot(&p, OP_DIMS(4)), gamma = slot(&p, OP_DIMS(5)), beta = slot(&p, OP_DIMS(5));
    (void)state;
    op_call_add(p.c, REMAT_OP_LAYERNORM, &attr, OP_SLOTS(x), OP_SLOTS(y, mean, rstd), OP_SLOTS(gamma, beta));
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 1, 0);
    wave(&p, gamma, 1, 1, 0);
    wave(&p, beta, 2, 1, 0);
    run(&p);
    expect(&p, y, golden_layernorm, sizeof golden_layernorm);
    end(&p);
}

static void gelu(void **state)
{
    struct program p = begin("gelu");
    int x = slot(&p, OP_DIMS(9)), y = slot(&p, OP_DIMS(9));
    (void)state;
    op_call_add(p.c, REMAT_OP_GELU, NULL, OP_SLOTS(x), OP_SLOTS(y), OP_EMPTY);
    op_values_fill(p.c, &p.values);
    wave(&p, x, 0, 3, 0);
    run(&p);
    expect(&p, y, golden_gelu, sizeof golden_gelu);
    end(&p);
}

static void attention(void **state)
{
    struct program p = begin("attention");
    struct remat_op_attr attr = {.heads = 2};
    int qkv = slot(&p, OP_DIMS(1, 5, 18)), o = slot(&p, OP_DIMS(1, 5, 6)), lse = slot(&p, OP_DIMS(1, 2, 5));
    (void)state;
    op_call_add(p.c, REMAT_OP_ATTENTION, &attr, OP_SLOTS(qkv), OP_SLOTS(o, lse), OP_EMPTY);
    op_values_fill(p.c, &p.values);
    wave(&p, qkv, 0, 2, 0);
    run(&p);
    expect(&p, o, golden_attention, sizeof golden_attention);
    expect(&p, lse, golden_lse, sizeof golden_lse);
    end(&p);
}

/* A second call ignores the last row: its gradient is 0 and it counts in nothing but the divisor. */
static void loss(void **state)
{
    static const int32_t labels[4] = {1, 0, 4, 2};
    struct program p = begin("loss");
    struct remat_op_attr attr = {.smoothing = 0.1f};
    int logits = slot(&p, OP_DIMS(4, 5)), dlogits = slot(&p, OP_DIMS(4, 5)), metrics = slot(&p, OP_DIMS(4));
    int label = op_slot_add_indices(p.c, 0, 5, OP_DIMS(4));
    double *found, before[15];
    (void)state;
    p.c->record.loss_scale = 1;
    op_call_add(p.c, REMAT_OP_LOSS, &attr, OP_SLOTS(logits, label), OP_SLOTS(dlogits), OP_SLOTS(metrics));
    op_values_fill(p.c, &p.values);
    wave(&p, logits, 0, 2, 0);
    memcpy(p.values.slot[label], labels, sizeof labels);
    found = p.values.slot[metrics];
    memset(found, 0, 4 * sizeof *found);
    run(&p);
    expect(&p, dlogits, golden_dlogits, sizeof golden_dlogits);
    assert_true(fabs(found[0] / 4 - golden_loss[0]) < 1e-12);
    assert_true(found[1] == 4 && found[3] == 0);
    memcpy(before, p.values.slot[dlogits], sizeof before);
    ((int32_t *)p.values.slot[label])[3] = -1;
    run(&p);
    assert_true(found[1] == 7);
    assert_memory_equal(p.values.slot[dlogits], before, sizeof before);
    for (int v = 0; v < 5; v++)
        assert_true(((double *)p.values.slot[dlogits])[15 + v] == 0);
    end(&p);
}

struct update {
    const char *name;
    enum remat_op op;
    struct remat_op_attr attr;
    const double *golden;
    size_t bytes;
};

/* Sum of squares of a gradient into norm[0]. */
static void set_norm(struct program *p, int gradient, int norm)
{
    const double *g = p->values.slot[gradient];
    double *sum = p->values.slot[norm];
    sum[0] = 0;
    for (int i = 0; i < 6; i++)
        sum[0] += g[i] * g[i];
}

static void update(void **state)
{
    const struct update *u = *state;
    struct program p = begin(u->name);
    bool adam = u->op == REMAT_OP_ADAMW, in_cell = u->attr.grad_in_cell;
    int w = slot(&p, OP_DIMS(6)), m = slot(&p, OP_DIMS(6)), v = slot(&p, OP_DIMS(6)), g = slot(&p, OP_DIMS(6)),
        norm = slot(&p, OP_DIMS(2));
    op_call_add(p.c, u->op, &u->attr, OP_SLOTS(in_cell ? OP_ABSENT : g), OP_EMPTY,
                OP_SLOTS(w, adam || u->attr.momentum != 0 ? m : OP_ABSENT, adam ? v : OP_ABSENT,
                         in_cell ? g : OP_ABSENT, in_cell ? norm : OP_ABSENT));
    op_values_fill(p.c, &p.values);
    wave(&p, w, 0, 1, 0);
    wave(&p, m, 0, 0, 0);
    wave(&p, v, 0, 0, 0);
    for (int step = 0; step < 3; step++) {
        p.c->record.step = step;
        wave(&p, g, 1 + step, 1, 0);
        set_norm(&p, g, norm);
        run(&p);
    }
    expect(&p, w, u->golden, u->bytes);
    end(&p);
}

#define ADAM .beta1 = 0.9f, .beta2 = 0.999f, .epsilon = 1e-8f, .weight_decay = 0.01f
#define CLIP .grad_in_cell = true, .max_norm = 0.5f

static const struct update updates[] = {
    {"sgd", REMAT_OP_SGD, {.weight_decay = 0.01f}, golden_sgd, sizeof golden_sgd},
    {"sgd momentum",
     REMAT_OP_SGD,
     {.momentum = 0.9f, .weight_decay = 0.01f},
     golden_sgd_momentum,
     sizeof golden_sgd_momentum},
    {"sgd nesterov",
     REMAT_OP_SGD,
     {.momentum = 0.9f, .weight_decay = 0.01f, .nesterov = true},
     golden_sgd_nesterov,
     sizeof golden_sgd_nesterov},
    {"sgd clipped", REMAT_OP_SGD, {.momentum = 0.9f, CLIP}, golden_sgd_clipped, sizeof golden_sgd_clipped},
    {"adamw", REMAT_OP_ADAMW, {ADAM}, golden_adamw, sizeof golden_adamw},
    {"adamw clipped", REMAT_OP_ADAMW, {ADAM, CLIP}, golden_adamw_clipped, sizeof golden_adamw_clipped},
};

#define UPDATE(i)                                                    \
    {                                                                \
        "update", update, NULL, NULL, (void *)(uintptr_t)&updates[i] \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv2d),
        cmocka_unit_test(maxpool),
        cmocka_unit_test(batchnorm),
        cmocka_unit_test(linear),
        cmocka_unit_test(gelu),
        cmocka_unit_test(attention),
        cmocka_unit_test(layernorm),
        cmocka_unit_test(loss),
        UPDATE(0),
        UPDATE(1),
        UPDATE(2),
        UPDATE(3),
        UPDATE(4),
        UPDATE(5),
    };
    struct remat_device_config config = {0};
    int failed;
    if (remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ref.backend->close(ref.device);
    return failed;
}
