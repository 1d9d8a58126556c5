#include "runtime/backend/cpu/winograd.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"
#include "runtime/backend/cpu/simd/winograd_kernels.h"
#include "runtime/backend/cpu/winograd_tiles.h"

#include <omp.h>
#include <string.h>

enum { POINTS = REMAT_WINOGRAD_POINTS, PIXELS = 16, POSITIONS = 9 };
/* Tiles carried together, at most: enough that transformed weights are reused, few enough to stay near. */
enum { BLOCK_TILES = 48, SMALL_BLOCK_TILES = 24, SMALL_CHANNELS = 128 };

struct job {
    const struct remat_gemm_kernels *gemm;
    const struct remat_winograd_kernels *kernels;
    bool backward;
    struct remat_images source, target;
    int64_t pad; /* of the source */
    int64_t tiles, block_tiles, blocks;
    int64_t panels, panel_elements; /* of weights: [point][panel][source channel][columns] */
    int64_t weights_bytes, source_bytes, target_bytes, edge_bytes; /* the last three are each thread's */
    const float *from, *weights;
    float *to, *packed;
};

struct worker {
    const struct job *job;
    struct remat_turn turn;
    float *source, *target; /* [point][tile][channel] */
    float *zeros, *unread;  /* a pixel each */
};

/* In multiplications: what a transformed weight and a transformed activation cost (measured, with their memory). */
enum { WEIGHT_COST = 64, ACTIVATION_COST = 24 };

bool remat_winograd_pays(const struct remat_conv_shape *shape)
{
    struct remat_images target = {shape->n, {shape->out[0], shape->out[1]}, shape->k};
    double pairs = (double)shape->c * (double)shape->k, tiles, live = 1, direct, fast;
    for (int axis = 0; axis < 2; axis++) {
        if (shape->kernel[axis] != REMAT_WINOGRAD_FILTER || shape->stride[axis] != 1 || shape->pad[axis] > 2)
            return false;
        live *= (3.0 * (double)shape->out[axis] - 2.0 * (double)shape->pad[axis]);
    }
    if (shape->c % 16 != 0 || shape->k % 16 != 0 || live <= 0)
        return false;
    tiles = (double)remat_tiles_count(&target);
    direct = (double)shape->n * live * pairs;
    fast = POINTS * (tiles * pairs + WEIGHT_COST * pairs + ACTIVATION_COST * tiles * (double)(shape->c + shape->k));
    return direct > 1.3 * fast;
}

static struct job job_make(const struct remat_device *device, const struct remat_conv_shape *shape, bool backward)
{
    struct remat_images x = {shape->n, {shape->in[0], shape->in[1]}, shape->c};
    struct remat_images y = {shape->n, {shape->out[0], shape->out[1]}, shape->k};
    struct job job = {.backward = backward, .source = backward ? y : x, .target = backward ? x : y};
    int64_t most = x.channels + y.channels <= SMALL_CHANNELS ? SMALL_BLOCK_TILES : BLOCK_TILES;
    job.gemm = REMAT_SIMD_TABLE(device, remat_gemm_kernels);
    job.kernels = REMAT_SIMD_TABLE(device, remat_winograd_kernels);
    job.pad = backward ? REMAT_WINOGRAD_FILTER - 1 - shape->pad[0] : shape->pad[0];
    job.tiles = remat_tiles_count(&job.target);
    job.blocks = remat_units(remat_units(job.tiles, most), device->threads) * device->threads;
    job.block_tiles = remat_units(job.tiles, job.blocks);
    job.blocks = remat_units(job.tiles, job.block_tiles);
    job.panels = remat_units(job.target.channels, job.gemm->columns);
    job.panel_elements = job.source.channels * job.gemm->columns;
    job.weights_bytes = remat_align_up(POINTS * job.panels * job.panel_elements * (int64_t)sizeof(float));
    /* The first also holds a panel of weights between transformation and packing. */
    job.source_bytes = remat_align_up(POINTS * (int64_t)sizeof(float) *
                                      remat_at_least(job.block_tiles * job.source.channels, job.gemm->columns * 16));
    job.target_bytes = remat_align_up(POINTS * job.block_tiles * job.target.channels * (int64_t)sizeof(float));
    job.edge_bytes = remat_align_up((job.source.channels + job.target.channels) * (int64_t)sizeof(float));
    return job;
}

int64_t remat_winograd_scratch_bytes(const struct remat_device *device, const struct remat_conv_shape *shape,
                                     bool backward)
{
    struct job job = job_make(device, shape, backward);
    return job.weights_bytes + (job.source_bytes + job.target_bytes + job.edge_bytes) * device->threads;
}

/* Forward: the panel of 16 source channels from c0 on. Filters are transformed along c, then turned. */
static void pack_forward(const struct worker *worker, int64_t panel, int64_t c0)
{
    const struct job *job = worker->job;
    int64_t columns = job->gemm->columns, k0 = panel * columns, channels = job->source.channels;
    int32_t valid = (int32_t)remat_at_most(columns, job->target.channels - k0);
    for (int32_t j = 0; j < valid; j++) {
        const float *positions[POSITIONS];
        for (int32_t i = 0; i < POSITIONS; i++)
            positions[i] = job->weights + ((k0 + j) * POSITIONS + i) * channels + c0;
        job->kernels->filter(positions, 16, worker->source + j * 16, columns * 16);
    }
    for (int64_t point = 0; point < POINTS; point++)
        job->gemm->pack_transposed(16, valid, worker->source + point * columns * 16, 16,
                                   job->packed + (point * job->panels + panel) * job->panel_elements + c0 * columns);
}

/* Backward: the rows of source channels k0 .. k0 + 16 in a panel of target channels; filters are turned round. */
static void pack_backward(const struct worker *worker, int64_t panel, int64_t k0)
{
    const struct job *job = worker->job;
    int64_t columns = job->gemm->columns, c0 = panel * columns, channels = job->target.channels;
    int64_t valid = remat_at_most(columns, channels - c0);
    for (int64_t k = k0; k < k0 + 16; k++) {
        const float *positions[POSITIONS];
        for (int32_t i = 0; i < POSITIONS; i++)
            positions[i] = job->weights + (k * POSITIONS + POSITIONS - 1 - i) * channels + c0;
        job->kernels->filter(positions, valid, job->packed + panel * job->panel_elements + k * columns,
                             job->panels * job->panel_elements);
    }
}

static void pack_item(const struct worker *worker, int64_t item)
{
    int64_t parts = worker->job->source.channels / 16;
    if (worker->job->backward)
        pack_backward(worker, item / parts, item % parts * 16);
    else
        pack_forward(worker, item / parts, item % parts * 16);
}

/* target[point] = source[point] weights[point] for `tiles` tiles; a panel of weights serves all of them. */
static void multiply_point(const struct worker *worker, int64_t point, int64_t tiles)
{
    const struct job *job = worker->job;
    int64_t rows = job->gemm->rows, from_step = job->source.channels, to_step = job->target.channels;
    const float *source = worker->source + point * tiles * from_step, *left[BLOCK_TILES];
    float *to[BLOCK_TILES];
    struct remat_tile_out out = {.alpha = 1.0f};
    for (int64_t t = 0; t < tiles; t++) {
        left[t] = source + t * from_step;
        to[t] = worker->target + (point * tiles + t) * to_step;
    }
    for (int64_t panel = 0; panel < job->panels; panel++) {
        out.column = panel * job->gemm->columns;
        out.columns = (int32_t)remat_at_most(job->gemm->columns, to_step - out.column);
        for (int64_t t = 0; t < tiles; t += rows) {
            out.out = to + t;
            job->gemm->by_rows((int32_t)remat_at_most(rows, tiles - t), 1, from_step, left + t,
                               job->packed + (point * job->panels + panel) * job->panel_elements, 0, &out);
        }
    }
}

static void block_item(const struct worker *worker, int64_t item)
{
    const struct job *job = worker->job;
    int64_t begin = item * job->block_tiles, tiles = remat_at_most(job->block_tiles, job->tiles - begin);
    const float *pixels[POINTS];
    for (int64_t t = 0; t < tiles; t++) {
        remat_tile_pixels(&job->target, begin + t, job->pad, REMAT_WINOGRAD_SOURCE, &job->source, job->from,
                          worker->zeros, pixels);
        job->kernels->source(pixels, job->source.channels, worker->source + t * job->source.channels,
                             tiles * job->source.channels);
    }
    for (int64_t point = 0; point < POINTS; point++)
        multiply_point(worker, point, tiles);
    for (int64_t t = 0; t < tiles; t++) {
        remat_tile_pixels(&job->target, begin + t, 0, REMAT_WINOGRAD_TARGET, &job->target, job->to, worker->unread,
                          pixels);
        job->kernels->target(worker->target + t * job->target.channels, tiles * job->target.channels,
                             job->target.channels, (float *const *)pixels);
    }
}

static void work(struct worker *worker)
{
    const struct job *job = worker->job;
    int64_t units = job->panels * (job->source.channels / 16), item;
    memset(worker->zeros, 0, (size_t)job->source.channels * sizeof(float));
    while ((item = remat_turn_take(&worker->turn, units)) >= 0)
        pack_item(worker, item);
    remat_turn_finish(&worker->turn);
    while ((item = remat_turn_take(&worker->turn, job->blocks)) >= 0)
        block_item(worker, item);
}

void remat_winograd_run(const struct remat_device *device, const struct remat_conv_shape *shape, bool backward,
                        const float *source, const float *weights, float *target, void *scratch)
{
    struct job job = job_make(device, shape, backward);
    struct remat_queue queue;
    job.from = source;
    job.weights = weights;
    job.to = target;
    job.packed = scratch;
    remat_queue_init(&queue, device->threads);
#pragma omp parallel num_threads(device->threads)
    {
        char *own = (char *)scratch + job.weights_bytes +
                    omp_get_thread_num() * (job.source_bytes + job.target_bytes + job.edge_bytes);
        struct worker worker = {.job = &job, .turn = {.queue = &queue}, .source = (float *)own};
        worker.target = (float *)(own + job.source_bytes);
        worker.zeros = (float *)(own + job.source_bytes + job.target_bytes);
        worker.unread = worker.zeros + job.source.channels;
        work(&worker);
    }
}
