#include "runtime/backend/cpu/winograd.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"
#include "runtime/backend/cpu/simd/winograd_kernels.h"
#include "runtime/backend/cpu/winograd_tiles.h"

#include <omp.h>
#include <string.h>

enum { POINTS = REMAT_WINOGRAD_POINTS, PIXELS = 16, POSITIONS = 9 };
/* Transformed activations of a block of tiles, about; tiles that a thread transforms at once. */
enum { BLOCK_BYTES = 6 * 1024 * 1024, TILES_AT_ONCE = 8 };

struct job {
    const struct remat_gemm_kernels *gemm;
    const struct remat_winograd_kernels *kernels;
    struct remat_images x, y;
    int64_t pad, tiles, block_tiles;
    int64_t sums_bytes, x_bytes, y_bytes, panel_bytes, zeros_bytes; /* the last two are each thread's */
    const float *from_x, *from_dy;
    float *dw;
    float *sums;                /* [point][k][c] */
    float *points_x, *points_y; /* [point][tile][channel] */
};

struct worker {
    const struct job *job;
    struct remat_turn turn;
    float *panel, *zeros;
};

static struct job job_make(const struct remat_device *device, const struct remat_conv_shape *shape)
{
    struct job job = {.x = {shape->n, {shape->in[0], shape->in[1]}, shape->c}, .pad = shape->pad[0]};
    int64_t bytes = sizeof(float), tile_bytes = POINTS * (shape->c + shape->k) * bytes;
    job.y = (struct remat_images){shape->n, {shape->out[0], shape->out[1]}, shape->k};
    job.gemm = REMAT_SIMD_TABLE(device, remat_gemm_kernels);
    job.kernels = REMAT_SIMD_TABLE(device, remat_winograd_kernels);
    job.tiles = remat_tiles_count(&job.y);
    job.block_tiles = remat_units(job.tiles, remat_units(job.tiles * tile_bytes, BLOCK_BYTES));
    job.sums_bytes = remat_align_up(POINTS * shape->c * shape->k * bytes);
    job.x_bytes = remat_align_up(POINTS * job.block_tiles * shape->c * bytes);
    job.y_bytes = remat_align_up(POINTS * job.block_tiles * shape->k * bytes);
    job.panel_bytes = remat_align_up(job.block_tiles * job.gemm->columns * bytes);
    job.zeros_bytes = remat_align_up(remat_at_least(shape->c, shape->k) * bytes);
    return job;
}

int64_t remat_winograd_weights_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape)
{
    struct job job = job_make(device, shape);
    return job.sums_bytes + job.x_bytes + job.y_bytes + (job.panel_bytes + job.zeros_bytes) * device->threads;
}

/* Item: a few tiles of x and of dy. */
static void transform_item(const struct worker *worker, int64_t item, int64_t begin, int64_t tiles)
{
    const struct job *job = worker->job;
    const float *pixels[POINTS];
    for (int64_t t = item * TILES_AT_ONCE; t < remat_at_most((item + 1) * TILES_AT_ONCE, tiles); t++) {
        remat_tile_pixels(&job->y, begin + t, job->pad, REMAT_WINOGRAD_SOURCE, &job->x, job->from_x, worker->zeros,
                          pixels);
        job->kernels->source(pixels, job->x.channels, job->points_x + t * job->x.channels, tiles * job->x.channels);
        remat_tile_pixels(&job->y, begin + t, 0, REMAT_WINOGRAD_TARGET, &job->y, job->from_dy, worker->zeros, pixels);
        job->kernels->gradient(pixels, job->y.channels, job->points_y + t * job->y.channels, tiles * job->y.channels);
    }
}

/* sums[point] (+)= points_y[point]' points_x[point] */
static void multiply_point(const struct worker *worker, int64_t point, int64_t tiles, bool add)
{
    const struct job *job = worker->job;
    int64_t k = job->y.channels, c = job->x.channels, rows = job->gemm->rows, columns = job->gemm->columns;
    const float *left = job->points_y + point * tiles * k, *right = job->points_x + point * tiles * c;
    float *to[REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.out = to, .alpha = 1.0f, .add = add};
    for (out.column = 0; out.column < c; out.column += columns) {
        out.columns = (int32_t)remat_at_most(columns, c - out.column);
        job->gemm->pack_rows(tiles, out.columns, right + out.column, c, worker->panel);
        for (int64_t i = 0; i < k; i += rows) {
            int32_t height = (int32_t)remat_at_most(rows, k - i);
            for (int32_t j = 0; j < height; j++)
                to[j] = job->sums + (point * k + i + j) * c;
            job->gemm->by_columns(height, tiles, left + i, k, worker->panel, columns, &out);
        }
    }
}

static void filter_item(const struct worker *worker, int64_t k)
{
    const struct job *job = worker->job;
    int64_t c = job->x.channels;
    float *positions[POSITIONS];
    for (int32_t i = 0; i < POSITIONS; i++)
        positions[i] = job->dw + (k * POSITIONS + i) * c;
    job->kernels->filter_gradient(job->sums + k * c, job->y.channels * c, c, positions);
}

static void work(struct worker *worker)
{
    const struct job *job = worker->job;
    int64_t item;
    memset(worker->zeros, 0, (size_t)job->zeros_bytes);
    for (int64_t begin = 0; begin < job->tiles; begin += job->block_tiles) {
        int64_t tiles = remat_at_most(job->block_tiles, job->tiles - begin), items = remat_units(tiles, TILES_AT_ONCE);
        while ((item = remat_turn_take(&worker->turn, items)) >= 0)
            transform_item(worker, item, begin, tiles);
        remat_turn_finish(&worker->turn);
        while ((item = remat_turn_take(&worker->turn, POINTS)) >= 0)
            multiply_point(worker, item, tiles, begin > 0);
        remat_turn_finish(&worker->turn);
    }
    while ((item = remat_turn_take(&worker->turn, job->y.channels)) >= 0)
        filter_item(worker, item);
}

void remat_winograd_weights_run(const struct remat_device *device, const struct remat_conv_shape *shape, const float *x,
                                const float *dy, float *dw, void *scratch)
{
    struct job job = job_make(device, shape);
    struct remat_queue queue;
    job.from_x = x;
    job.from_dy = dy;
    job.dw = dw;
    job.sums = scratch;
    job.points_x = (float *)((char *)scratch + job.sums_bytes);
    job.points_y = (float *)((char *)scratch + job.sums_bytes + job.x_bytes);
    remat_queue_init(&queue, device->threads);
#pragma omp parallel num_threads(device->threads)
    {
        char *own = (char *)scratch + job.sums_bytes + job.x_bytes + job.y_bytes +
                    omp_get_thread_num() * (job.panel_bytes + job.zeros_bytes);
        struct worker worker = {.job = &job, .turn = {.queue = &queue}, .panel = (float *)own};
        worker.zeros = (float *)(own + job.panel_bytes);
        work(&worker);
    }
}
