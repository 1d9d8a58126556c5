/* Cases of the operations of convolutional networks. */
#include "support_op_case.h"

#include <stddef.h>

struct window {
    int64_t n, h, w, c, k; /* images [N,H,W,C], K filters */
    int32_t rows, columns, stride, pad;
};

static struct remat_op_attr window_attr(const struct window *d)
{
    return (struct remat_op_attr){
        .kernel = {d->rows, d->columns}, .stride = {d->stride, d->stride}, .pad = {d->pad, d->pad}};
}

static int64_t extent(int64_t size, int32_t kernel, const struct window *d)
{
    return (size + 2 * d->pad - kernel) / d->stride + 1;
}

/* The gradient of x once more, added to an earlier one: a fusion of convolutions that are products. */
static void accumulated_gradient(struct op_case *c, int x, int dy, int w)
{
    const struct remat_tensor *tensor = &c->slots[x].tensor;
    int earlier = op_slot_add(c, OP_NORMAL, tensor->dims_count, tensor->dims);
    int sum = op_slot_add(c, OP_COMPUTED, tensor->dims_count, tensor->dims);
    op_call_add(c, REMAT_OP_CONV2D_BWD_DATA_ADD, &c->calls[0].attr, OP_SLOTS(dy, earlier), OP_SLOTS(sum), OP_SLOTS(w));
    op_gradient_add(c, x, sum, earlier);
}

static void conv2d(struct op_cases *cases, const struct window *d)
{
    struct op_case *c =
        op_case_begin(cases, "conv2d [%d,%d,%d,%d] to %d, kernel %dx%d stride %d pad %d", (int)d->n, (int)d->h,
                      (int)d->w, (int)d->c, (int)d->k, (int)d->rows, (int)d->columns, (int)d->stride, (int)d->pad);
    struct remat_op_attr attr = window_attr(d);
    int64_t p = extent(d->h, d->rows, d), q = extent(d->w, d->columns, d);
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(d->n, d->h, d->w, d->c));
    int w = op_slot_add(c, OP_NORMAL, OP_DIMS(d->k, d->rows, d->columns, d->c));
    int y = op_slot_add(c, OP_COMPUTED, OP_DIMS(d->n, p, q, d->k));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(d->n, p, q, d->k));
    int dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(d->n, d->h, d->w, d->c));
    int dw = op_slot_add(c, OP_COMPUTED, OP_DIMS(d->k, d->rows, d->columns, d->c));
    op_call_add(c, REMAT_OP_CONV2D, &attr, OP_SLOTS(x), OP_SLOTS(y), OP_SLOTS(w));
    op_call_add(c, REMAT_OP_CONV2D_BWD_DATA, &attr, OP_SLOTS(dy), OP_SLOTS(dx), OP_SLOTS(w));
    op_call_add(c, REMAT_OP_CONV2D_BWD_WEIGHTS, &attr, OP_SLOTS(x, dy), OP_SLOTS(dw), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, x, dx, OP_NONE);
    op_gradient_add(c, w, dw, OP_NONE);
    if (d->rows * d->columns * d->stride == 1 && d->pad == 0)
        accumulated_gradient(c, x, dy, w);
}

static void maxpool(struct op_cases *cases, const struct window *d, enum op_fill fill)
{
    struct op_case *c =
        op_case_begin(cases, "maxpool [%d,%d,%d,%d], kernel %d stride %d pad %d%s", (int)d->n, (int)d->h, (int)d->w,
                      (int)d->c, (int)d->rows, (int)d->stride, (int)d->pad, fill == OP_COARSE ? ", ties" : "");
    struct remat_op_attr attr = window_attr(d);
    int64_t p = extent(d->h, d->rows, d), q = extent(d->w, d->columns, d);
    int x = op_slot_add(c, fill, OP_DIMS(d->n, d->h, d->w, d->c));
    int y = op_slot_add(c, OP_COMPUTED, OP_DIMS(d->n, p, q, d->c));
    int place = op_slot_add_typed(c, OP_COMPUTED, REMAT_U8, OP_DIMS(d->n, p, q, d->c));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(d->n, p, q, d->c));
    int dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(d->n, d->h, d->w, d->c));
    op_call_add(c, REMAT_OP_MAXPOOL, &attr, OP_SLOTS(x), OP_SLOTS(y, place), OP_EMPTY);
    op_call_add(c, REMAT_OP_MAXPOOL_BWD, &attr, OP_SLOTS(dy, place), OP_SLOTS(dx), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    if (fill != OP_COARSE) /* with ties there is no derivative */
        op_gradient_add(c, x, dx, OP_NONE);
}

static void avgpool(struct op_cases *cases, int64_t n, int64_t h, int64_t w, int64_t channels)
{
    struct op_case *c = op_case_begin(cases, "avgpool [%d,%d,%d,%d]", (int)n, (int)h, (int)w, (int)channels);
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(n, h, w, channels));
    int y = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, channels));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(n, channels));
    int dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels));
    op_call_add(c, REMAT_OP_AVGPOOL, NULL, OP_SLOTS(x), OP_SLOTS(y), OP_EMPTY);
    op_call_add(c, REMAT_OP_AVGPOOL_BWD, NULL, OP_SLOTS(dy), OP_SLOTS(dx), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, x, dx, OP_NONE);
}

struct batchnorm_slots {
    int x, z, gamma, beta, running_mean, running_var, y, mean, invstd, again, eval, dy, dx, dgamma, dbeta, dz;
};

static struct batchnorm_slots batchnorm_slots(struct op_case *c, int64_t n, int64_t h, int64_t w, int64_t channels,
                                              bool residual)
{
    struct batchnorm_slots s;
    s.x = op_slot_add(c, OP_NORMAL, OP_DIMS(n, h, w, channels));
    s.z = residual ? op_slot_add(c, OP_NORMAL, OP_DIMS(n, h, w, channels)) : OP_ABSENT;
    s.gamma = op_slot_add(c, OP_NORMAL, OP_DIMS(channels));
    s.beta = op_slot_add(c, OP_NORMAL, OP_DIMS(channels));
    s.running_mean = op_slot_add(c, OP_NORMAL, OP_DIMS(channels));
    s.running_var = op_slot_add(c, OP_POSITIVE, OP_DIMS(channels));
    s.y = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels));
    s.mean = op_slot_add(c, OP_COMPUTED, OP_DIMS(channels));
    s.invstd = op_slot_add(c, OP_COMPUTED, OP_DIMS(channels));
    s.again = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels));
    s.eval = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels));
    s.dy = op_slot_add(c, OP_NORMAL, OP_DIMS(n, h, w, channels));
    s.dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels));
    s.dgamma = op_slot_add(c, OP_COMPUTED, OP_DIMS(channels));
    s.dbeta = op_slot_add(c, OP_COMPUTED, OP_DIMS(channels));
    s.dz = residual ? op_slot_add(c, OP_COMPUTED, OP_DIMS(n, h, w, channels)) : OP_ABSENT;
    return s;
}

static void batchnorm(struct op_cases *cases, int64_t n, int64_t h, int64_t w, int64_t channels, int variant)
{
    bool relu = variant & 1, residual = variant & 2;
    struct op_case *c = op_case_begin(cases, "batchnorm [%d,%d,%d,%d]%s%s", (int)n, (int)h, (int)w, (int)channels,
                                      residual ? " + z" : "", relu ? ", relu" : "");
    struct remat_op_attr attr = {.relu = relu, .residual = residual, .epsilon = 1e-5f, .momentum = 0.1f};
    struct remat_op_attr attr_bwd = {.relu = relu, .residual = residual};
    struct batchnorm_slots s = batchnorm_slots(c, n, h, w, channels, residual);
    op_call_add(c, REMAT_OP_BATCHNORM, &attr, OP_SLOTS(s.x, s.z), OP_SLOTS(s.y, s.mean, s.invstd),
                OP_SLOTS(s.gamma, s.beta, s.running_mean, s.running_var));
    op_call_add(c, REMAT_OP_BATCHNORM_APPLY, &attr_bwd, OP_SLOTS(s.x, s.mean, s.invstd, s.z), OP_SLOTS(s.again),
                OP_SLOTS(s.gamma, s.beta));
    op_call_add(c, REMAT_OP_BATCHNORM_BWD, &attr_bwd,
                OP_SLOTS(s.x, s.mean, s.invstd, s.dy, relu && residual ? s.y : OP_ABSENT),
                OP_SLOTS(s.dx, s.dgamma, s.dbeta, s.dz), OP_SLOTS(s.gamma, s.beta));
    op_call_add(c, REMAT_OP_BATCHNORM_EVAL, &attr, OP_SLOTS(s.x, s.z), OP_SLOTS(s.eval),
                OP_SLOTS(s.gamma, s.beta, s.running_mean, s.running_var));
    c->output = s.y;
    c->weight = s.dy;
    op_twins_add(c, s.y, s.again);
    op_gradient_add(c, s.x, s.dx, OP_NONE);
    op_gradient_add(c, s.gamma, s.dgamma, OP_NONE);
    op_gradient_add(c, s.beta, s.dbeta, OP_NONE);
    if (residual)
        op_gradient_add(c, s.z, s.dz, OP_NONE);
}

static void relu(struct op_cases *cases, int64_t rows, int64_t columns)
{
    struct op_case *c = op_case_begin(cases, "relu [%d,%d]", (int)rows, (int)columns);
    int x = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    int dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)),
        dx = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_RELU, NULL, OP_SLOTS(x), OP_SLOTS(y), OP_EMPTY);
    op_call_add(c, REMAT_OP_RELU_BWD, NULL, OP_SLOTS(y, dy), OP_SLOTS(dx), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, x, dx, OP_NONE);
}

/* The gradient of both terms is dy itself. */
static void add(struct op_cases *cases, int64_t rows, int64_t columns)
{
    struct op_case *c = op_case_begin(cases, "add [%d,%d]", (int)rows, (int)columns);
    int a = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns)), b = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    int y = op_slot_add(c, OP_COMPUTED, OP_DIMS(rows, columns)), dy = op_slot_add(c, OP_NORMAL, OP_DIMS(rows, columns));
    op_call_add(c, REMAT_OP_ADD, NULL, OP_SLOTS(a, b), OP_SLOTS(y), OP_EMPTY);
    c->output = y;
    c->weight = dy;
    op_gradient_add(c, a, dy, OP_NONE);
    op_gradient_add(c, b, dy, OP_NONE);
}

static void feed_images(struct op_cases *cases, int64_t n, int64_t size, int64_t channels)
{
    struct op_case *c = op_case_begin(cases, "feed images [%d,%d,%d,%d]", (int)n, (int)size, (int)size, (int)channels);
    struct remat_op_attr attr = {.mean = {0.49f, 0.48f, 0.45f, 0.5f}, .std = {0.25f, 0.24f, 0.26f, 1}};
    int bytes = op_slot_add(c, OP_BYTES, OP_DIMS(n, size, size, channels));
    int x = op_slot_add(c, OP_COMPUTED, OP_DIMS(n, size, size, channels));
    op_call_add(c, REMAT_OP_FEED, &attr, OP_EMPTY, OP_SLOTS(x), OP_SLOTS(bytes));
}

static void feed_tokens(struct op_cases *cases, int64_t batch, int64_t length)
{
    struct op_case *c = op_case_begin(cases, "feed tokens [%d,%d]", (int)batch, (int)length);
    int staging = op_slot_add_indices(c, -1, 50257, OP_DIMS(batch, length));
    int tokens = op_slot_add_typed(c, OP_COMPUTED, REMAT_I32, OP_DIMS(batch, length));
    op_call_add(c, REMAT_OP_FEED, NULL, OP_EMPTY, OP_SLOTS(tokens), OP_SLOTS(staging));
}

static const struct window convolutions[] = {
    {2, 8, 8, 3, 16, 3, 3, 1, 1},   {2, 14, 14, 3, 13, 7, 7, 2, 3}, {1, 8, 8, 7, 13, 1, 1, 1, 0},
    {2, 8, 8, 13, 7, 1, 1, 2, 0},   {2, 4, 4, 64, 64, 3, 3, 1, 1},  {3, 2, 2, 16, 32, 3, 3, 2, 1},
    {2, 1, 1, 64, 16, 1, 1, 1, 0},  {2, 1, 1, 8, 8, 3, 3, 1, 1},    {1, 14, 14, 64, 48, 3, 3, 2, 1},
    {5, 4, 4, 128, 64, 1, 1, 1, 0}, {1, 9, 7, 5, 3, 3, 2, 1, 0},    {2, 7, 5, 16, 24, 5, 5, 1, 2},
    {1, 14, 14, 16, 16, 3, 3, 1, 1}};

static const struct window pools[] = {{2, 14, 14, 64, 0, 3, 3, 2, 1},
                                      {1, 8, 8, 3, 0, 2, 2, 2, 0},
                                      {2, 4, 4, 13, 0, 3, 3, 1, 1},
                                      {1, 2, 2, 7, 0, 3, 3, 2, 1},
                                      {3, 1, 1, 16, 0, 1, 1, 1, 0}};

static const int64_t normalised[][4] = {{4, 8, 8, 3}, {2, 14, 14, 64}, {8, 1, 1, 13}, {3, 2, 2, 7}, {2, 4, 4, 33}};

void op_cases_image(struct op_cases *cases)
{
    for (size_t i = 0; i < sizeof convolutions / sizeof *convolutions; i++)
        conv2d(cases, &convolutions[i]);
    for (size_t i = 0; i < sizeof pools / sizeof *pools; i++)
        maxpool(cases, &pools[i], OP_NORMAL);
    maxpool(cases, &pools[0], OP_COARSE);
    for (size_t i = 0; i < sizeof normalised / sizeof *normalised; i++)
        for (int variant = 0; variant < 4; variant++)
            batchnorm(cases, normalised[i][0], normalised[i][1], normalised[i][2], normalised[i][3], variant);
    avgpool(cases, 2, 7, 7, 64);
    avgpool(cases, 3, 1, 1, 13);
    avgpool(cases, 1, 4, 2, 3);
    relu(cases, 7, 64);
    relu(cases, 1, 1);
    relu(cases, 123, 33);
    add(cases, 7, 64);
    add(cases, 1, 3);
    add(cases, 123, 33);
    feed_images(cases, 3, 8, 3);
    feed_images(cases, 2, 5, 1);
    feed_images(cases, 1, 4, 4);
    feed_tokens(cases, 3, 7);
}

void op_cases_large_image(struct op_cases *cases)
{
    static const struct window wide = {1, 28, 28, 64, 32, 3, 3, 1, 1}, deep = {2, 7, 7, 192, 96, 1, 1, 1, 0},
                               stem = {1, 40, 40, 3, 32, 7, 7, 2, 3}, pool = {2, 28, 28, 64, 0, 3, 3, 2, 1};
    conv2d(cases, &wide);
    conv2d(cases, &deep);
    conv2d(cases, &stem);
    maxpool(cases, &pool, OP_NORMAL);
    avgpool(cases, 4, 14, 14, 128);
    batchnorm(cases, 4, 20, 20, 33, 0);
    batchnorm(cases, 4, 20, 20, 33, 3);
    relu(cases, 100, 1000);
    add(cases, 100, 1000);
    feed_images(cases, 8, 56, 3);
}
