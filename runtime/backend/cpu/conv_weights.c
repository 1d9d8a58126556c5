#include "runtime/backend/cpu/conv_weights.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>
#include <string.h>

/* Pixels of a block, about; bytes of dy that are packed at once, about. */
enum { BLOCK_PIXELS = 320, LEFT_BYTES = 128 * 1024 };

struct plan {
    const struct remat_gemm_kernels *kernels;
    const struct remat_conv_shape *shape;
    bool thin;                        /* few channels: x is unfolded, all kernel positions become channels */
    int64_t block_images, block_rows; /* of a block of output pixels */
    int64_t block_pixels;
    int64_t columns;                 /* of dw per position: C, or R * S * C if thin */
    int64_t chunk_tiles;             /* row tiles of dw per packed chunk of dy */
    int64_t unfolded;                /* elements of a row of unfolded x */
    int64_t left_bytes, right_bytes; /* per thread, aligned */
};

/* A thread's part of dw: tiles of output channels x panels of columns. */
struct part {
    const struct plan *plan;
    const float *x, *dy;
    float *dw;
    float *left, *right;
    int64_t tile_begin, tile_end, panel_begin, panel_end;
};

/* Output pixels: images x rows x columns. */
struct box {
    int64_t n0, n1, p0, p1, q0, q1;
};

static int64_t box_pixels(const struct box *box)
{
    if (box->n1 <= box->n0 || box->p1 <= box->p0 || box->q1 <= box->q0)
        return 0;
    return (box->n1 - box->n0) * (box->p1 - box->p0) * (box->q1 - box->q0);
}

/* Outputs i with 0 <= i * stride - pad + r < in. */
static void live_outputs(const struct remat_conv_shape *shape, int axis, int64_t r, int64_t *begin, int64_t *end)
{
    int64_t low = shape->pad[axis] - r, high = shape->in[axis] + shape->pad[axis] - r;
    *begin = low > 0 ? remat_units(low, shape->stride[axis]) : 0;
    *end = high > 0 ? remat_at_most(remat_units(high, shape->stride[axis]), shape->out[axis]) : 0;
}

/* Elements from one packed tile of dy to the next: an odd number of cache lines, so that tiles, which are written side
 * by side, do not all fall into the same sets; and with the room that pack_columns asks for. */
static int64_t tile_step(int64_t pixels, int64_t rows)
{
    enum { LINE = REMAT_ALIGNMENT / sizeof(float) };
    return (remat_units(pixels * rows + REMAT_TILE_MAX_COLUMNS, LINE) | 1) * LINE;
}

static struct plan plan_make(const struct remat_device *device, const struct remat_conv_shape *shape)
{
    struct plan plan = {.kernels = REMAT_SIMD_TABLE(device, remat_gemm_kernels), .shape = shape};
    int64_t image = shape->out[0] * shape->out[1], filter = shape->kernel[0] * shape->kernel[1] * shape->c;
    int64_t rows = plan.kernels->rows, columns = plan.kernels->columns;
    plan.thin = shape->c < 16 && filter > shape->c;
    plan.columns = plan.thin ? filter : shape->c;
    plan.block_images = remat_at_most(BLOCK_PIXELS / image + 1, shape->n);
    plan.block_rows =
        plan.block_images > 1 ? shape->out[0] : remat_at_most(remat_units(BLOCK_PIXELS, shape->out[1]), shape->out[0]);
    plan.block_images = remat_units(shape->n, remat_units(shape->n, plan.block_images));
    plan.block_rows = remat_units(shape->out[0], remat_units(shape->out[0], plan.block_rows));
    plan.block_pixels = plan.block_images * plan.block_rows * shape->out[1];
    plan.chunk_tiles = LEFT_BYTES / (plan.block_pixels * rows * (int64_t)sizeof(float)) + 1;
    plan.chunk_tiles = remat_at_most(plan.chunk_tiles, remat_units(shape->k, rows));
    plan.unfolded = remat_units(filter, columns) * columns;
    plan.left_bytes = remat_align_up(plan.chunk_tiles * tile_step(plan.block_pixels, rows) * (int64_t)sizeof(float));
    plan.right_bytes =
        remat_align_up(plan.block_pixels * (plan.thin ? plan.unfolded : columns) * (int64_t)sizeof(float));
    return plan;
}

int64_t remat_conv_weights_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape)
{
    struct plan plan = plan_make(device, shape);
    return (plan.left_bytes + plan.right_bytes) * device->threads;
}

/* left[tile][pixel of the box][tile rows] out of dy, for `tiles` tiles from tile0 on. Returns the step of a tile. */
static int64_t pack_left(const struct part *part, const struct box *box, int64_t tile0, int64_t tiles)
{
    const struct remat_conv_shape *shape = part->plan->shape;
    int64_t rows = part->plan->kernels->rows, step = tile_step(box_pixels(box), rows), done = 0;
    for (int64_t n = box->n0; n < box->n1; n++)
        for (int64_t p = box->p0; p < box->p1; p++, done += box->q1 - box->q0) {
            const float *from = part->dy + ((n * shape->out[0] + p) * shape->out[1] + box->q0) * shape->k;
            part->plan->kernels->pack_columns(box->q1 - box->q0, tiles, from + tile0 * rows, shape->k,
                                              shape->k - tile0 * rows, part->left + done * rows, step);
        }
    return step;
}

/* right[pixel of the box][panel] out of x: the pixels under kernel position (r, s). */
static void pack_right(const struct part *part, const struct box *box, int64_t r, int64_t s, int64_t panel)
{
    const struct remat_conv_shape *shape = part->plan->shape;
    int64_t columns = part->plan->kernels->columns, column = panel * columns;
    int32_t valid = (int32_t)remat_at_most(columns, shape->c - column);
    float *to = part->right;
    for (int64_t n = box->n0; n < box->n1; n++)
        for (int64_t p = box->p0; p < box->p1; p++, to += (box->q1 - box->q0) * columns) {
            int64_t i = p * shape->stride[0] - shape->pad[0] + r;
            int64_t j = box->q0 * shape->stride[1] - shape->pad[1] + s;
            const float *from = part->x + ((n * shape->in[0] + i) * shape->in[1] + j) * shape->c + column;
            part->plan->kernels->pack_rows(box->q1 - box->q0, valid, from, shape->stride[1] * shape->c, to);
        }
}

/* All tiles of a packed chunk times one panel, into dw at column `at` of each filter. */
static void multiply(const struct part *part, int64_t pixels, int64_t tile0, int64_t tiles, int64_t packed_step,
                     const float *right, int64_t right_step, int64_t at, int32_t valid, bool add)
{
    const struct remat_gemm_kernels *kernels = part->plan->kernels;
    const struct remat_conv_shape *shape = part->plan->shape;
    int64_t filter = shape->kernel[0] * shape->kernel[1] * shape->c;
    float *rows[REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.out = rows, .column = at, .columns = valid, .add = add, .alpha = 1.0f};
    for (int64_t tile = 0; tile < tiles; tile++) {
        int64_t k = (tile0 + tile) * kernels->rows;
        int32_t height = (int32_t)remat_at_most(kernels->rows, shape->k - k);
        for (int32_t i = 0; i < height; i++)
            rows[i] = part->dw + (k + i) * filter;
        kernels->by_columns(height, pixels, part->left + tile * packed_step, kernels->rows, right, right_step, &out);
    }
}

static void position_block(const struct part *part, const struct box *block, int64_t r, int64_t s)
{
    const struct plan *plan = part->plan;
    int64_t columns = plan->kernels->columns, p0, p1, q0, q1;
    struct box box = *block;
    live_outputs(plan->shape, 0, r, &p0, &p1);
    live_outputs(plan->shape, 1, s, &q0, &q1);
    box.p0 = box.p0 > p0 ? box.p0 : p0;
    box.p1 = remat_at_most(box.p1, p1);
    box.q0 = q0;
    box.q1 = q1;
    if (box_pixels(&box) == 0)
        return;
    /* The block that holds the position's first pixel writes, the later ones add. */
    bool add = block->n0 > 0 || block->p0 > p0;
    for (int64_t tile = part->tile_begin; tile < part->tile_end; tile += plan->chunk_tiles) {
        int64_t tiles = remat_at_most(plan->chunk_tiles, part->tile_end - tile);
        int64_t step = pack_left(part, &box, tile, tiles);
        for (int64_t panel = part->panel_begin; panel < part->panel_end; panel++) {
            int64_t at = (r * plan->shape->kernel[1] + s) * plan->shape->c + panel * columns;
            pack_right(part, &box, r, s, panel);
            multiply(part, box_pixels(&box), tile, tiles, step, part->right, columns, at,
                     (int32_t)remat_at_most(columns, plan->shape->c - panel * columns), add);
        }
    }
}

/* One row of a window that begins at input pixel (i, j), with zeros outside the image. */
static void unfold_edge(const struct remat_conv_shape *shape, const float *x, int64_t n, int64_t i, int64_t j,
                        float *to)
{
    int64_t width = shape->kernel[1], begin = j < 0 ? remat_at_most(-j, width) : 0;
    int64_t end = remat_at_most(shape->in[1] - j, width);
    if (i < 0 || i >= shape->in[0] || end <= begin) {
        memset(to, 0, (size_t)(width * shape->c) * sizeof *to);
        return;
    }
    memset(to, 0, (size_t)(begin * shape->c) * sizeof *to);
    memcpy(to + begin * shape->c, x + ((n * shape->in[0] + i) * shape->in[1] + j + begin) * shape->c,
           (size_t)((end - begin) * shape->c) * sizeof *to);
    memset(to + end * shape->c, 0, (size_t)((width - end) * shape->c) * sizeof *to);
}

/* Columns q0 .. q1 of an output row whose whole windows lie inside the image. */
static void whole_windows(const struct remat_conv_shape *shape, const struct box *box, int64_t *q0, int64_t *q1)
{
    int64_t first, past, ignored;
    live_outputs(shape, 1, 0, &first, &ignored);
    live_outputs(shape, 1, shape->kernel[1] - 1, &ignored, &past);
    *q0 = remat_at_most(remat_at_least(first, box->q0), box->q1);
    *q1 = remat_at_least(remat_at_most(past, box->q1), *q0);
}

/* Row r of the windows over one row of output pixels. */
static void unfold_row(const struct part *part, const struct box *box, int64_t n, int64_t p, int64_t r, float *to)
{
    const struct remat_conv_shape *shape = part->plan->shape;
    int64_t i = p * shape->stride[0] - shape->pad[0] + r, step = part->plan->unfolded, q0, q1;
    whole_windows(shape, box, &q0, &q1);
    if (i < 0 || i >= shape->in[0])
        q0 = q1 = box->q0;
    for (int64_t q = box->q0; q < q0; q++)
        unfold_edge(shape, part->x, n, i, q * shape->stride[1] - shape->pad[1], to + (q - box->q0) * step);
    if (q0 < q1)
        part->plan->kernels->copy_rows(
            q1 - q0, shape->kernel[1] * shape->c,
            part->x + ((n * shape->in[0] + i) * shape->in[1] + q0 * shape->stride[1] - shape->pad[1]) * shape->c,
            shape->stride[1] * shape->c, to + (q0 - box->q0) * step, step);
    for (int64_t q = q1; q < box->q1; q++)
        unfold_edge(shape, part->x, n, i, q * shape->stride[1] - shape->pad[1], to + (q - box->q0) * step);
}

/* right[pixel][unfolded]: the kernel rows that hold this thread's panels, zeros after the last position. */
static void unfold(const struct part *part, const struct box *box)
{
    const struct plan *plan = part->plan;
    const struct remat_conv_shape *shape = plan->shape;
    int64_t width = shape->kernel[1] * shape->c, columns = plan->kernels->columns;
    int64_t r0 = part->panel_begin * columns / width, across = box->q1 - box->q0;
    int64_t r1 = remat_at_most(remat_units(part->panel_end * columns, width), shape->kernel[0]);
    float *to = part->right;
    for (int64_t n = box->n0; n < box->n1; n++)
        for (int64_t p = box->p0; p < box->p1; p++, to += across * plan->unfolded) {
            for (int64_t r = r0; r < r1; r++)
                unfold_row(part, box, n, p, r, to + r * width);
            for (int64_t q = 0; q < across; q++)
                memset(to + q * plan->unfolded + plan->columns, 0,
                       (size_t)(plan->unfolded - plan->columns) * sizeof *to);
        }
}

static void thin_block(const struct part *part, const struct box *box)
{
    const struct plan *plan = part->plan;
    int64_t columns = plan->kernels->columns;
    unfold(part, box);
    for (int64_t tile = part->tile_begin; tile < part->tile_end; tile += plan->chunk_tiles) {
        int64_t tiles = remat_at_most(plan->chunk_tiles, part->tile_end - tile);
        int64_t step = pack_left(part, box, tile, tiles);
        for (int64_t panel = part->panel_begin; panel < part->panel_end; panel++)
            multiply(part, box_pixels(box), tile, tiles, step, part->right + panel * columns, plan->unfolded,
                     panel * columns, (int32_t)remat_at_most(columns, plan->columns - panel * columns),
                     box->n0 > 0 || box->p0 > 0);
    }
}

/* Positions that never meet a pixel have gradient zero. */
static void clear_dead_positions(const struct part *part)
{
    const struct remat_conv_shape *shape = part->plan->shape;
    int64_t rows = part->plan->kernels->rows, columns = part->plan->kernels->columns;
    int64_t begin = part->panel_begin * columns, end = remat_at_most(part->panel_end * columns, shape->c);
    for (int64_t r = 0; r < shape->kernel[0]; r++)
        for (int64_t s = 0; s < shape->kernel[1]; s++) {
            int64_t p0, p1, q0, q1;
            live_outputs(shape, 0, r, &p0, &p1);
            live_outputs(shape, 1, s, &q0, &q1);
            if ((p0 < p1 && q0 < q1) || end <= begin)
                continue;
            for (int64_t k = part->tile_begin * rows; k < remat_at_most(part->tile_end * rows, shape->k); k++)
                memset(part->dw + ((k * shape->kernel[0] + r) * shape->kernel[1] + s) * shape->c + begin, 0,
                       (size_t)(end - begin) * sizeof *part->dw);
        }
}

static void work(const struct part *part)
{
    const struct plan *plan = part->plan;
    const struct remat_conv_shape *shape = plan->shape;
    if (!plan->thin)
        clear_dead_positions(part);
    for (int64_t n = 0; n < shape->n; n += plan->block_images)
        for (int64_t p = 0; p < shape->out[0]; p += plan->block_rows) {
            struct box box = {.n0 = n, .p0 = p, .q1 = shape->out[1]};
            box.n1 = remat_at_most(n + plan->block_images, shape->n);
            box.p1 = remat_at_most(p + plan->block_rows, shape->out[0]);
            if (plan->thin) {
                thin_block(part, &box);
                continue;
            }
            for (int64_t position = 0; position < shape->kernel[0] * shape->kernel[1]; position++)
                position_block(part, &box, position / shape->kernel[1], position % shape->kernel[1]);
        }
}

/* How evenly units fall to the threads: mean over maximum. */
static double balance(int64_t units, int32_t threads)
{
    return (double)units / (double)(remat_units(units, threads) * threads);
}

/* Divides threads = down x across so that shares are even and little is packed twice: a panel of x is packed by each
 * of `down` and a tile of dy by each of `across`, at about 1/3 and 1/6 of a multiplication's cost. */
static int32_t threads_down(const struct plan *plan, int32_t threads)
{
    int64_t tiles = remat_units(plan->shape->k, plan->kernels->rows);
    int64_t panels = remat_units(plan->columns, plan->kernels->columns);
    int32_t best = 1;
    double best_rate = 0;
    for (int32_t down = 1; down <= threads; down++) {
        double rate;
        if (threads % down != 0)
            continue;
        rate = balance(tiles, down) * balance(panels, threads / down);
        rate /= 1 + 0.33 * down / (double)tiles + 0.17 * (threads / down) / (double)panels;
        if (rate > best_rate) {
            best_rate = rate;
            best = down;
        }
    }
    return best;
}

void remat_conv_weights_run(const struct remat_device *device, const struct remat_conv_shape *shape, const float *x,
                            const float *dy, float *dw, void *scratch)
{
    struct plan plan = plan_make(device, shape);
#pragma omp parallel num_threads(device->threads)
    {
        int32_t thread = omp_get_thread_num(), threads = omp_get_num_threads();
        int32_t down = threads_down(&plan, threads), across = threads / down;
        int64_t tiles = remat_units(shape->k, plan.kernels->rows);
        int64_t panels = remat_units(plan.columns, plan.kernels->columns);
        char *own = (char *)scratch + thread * (plan.left_bytes + plan.right_bytes);
        struct part part = {&plan, x, dy, dw, (float *)own, (float *)(own + plan.left_bytes), 0, 0, 0, 0};
        part.tile_begin = remat_share(tiles, 1, thread / across, down);
        part.tile_end = remat_share(tiles, 1, thread / across + 1, down);
        part.panel_begin = remat_share(panels, 1, thread % across, across);
        part.panel_end = remat_share(panels, 1, thread % across + 1, across);
        work(&part);
    }
}
