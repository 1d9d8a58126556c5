#include "runtime/backend/cpu/conv_gather.h"

#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>
#include <string.h>

/* A block of packed weights is at most this, or one panel: it stays in the second-level cache. */
enum { BLOCK_BYTES = 256 * 1024 };

/* Packed weights: a panel of `columns` target channels holds, for each listed row position, each listed column
 * position, each source channel, one row of the panel. */
struct blocks {
    const struct remat_gemm_kernels *kernels;
    int64_t depth;          /* rows of a panel */
    int64_t panel_elements; /* of a panel */
    int64_t panels_at_once; /* in a block */
    bool split_pixels;      /* threads share a block and take pixels each; else they take panels each */
    int64_t block_bytes, pointers_bytes;
};

/* One thread's view of a run. */
struct worker {
    const struct remat_gather *gather;
    struct blocks blocks;
    const float *source, *weights;
    float *target;
    float *block;
    const float **left; /* [row positions][tile rows] */
    int64_t cost_begin, cost_end;
    int64_t panel_begin, panel_end;
    int32_t member, sharing;
};

/* Target pixels with the same live positions: a span of rows times a span of columns, for all images. */
struct region {
    const struct remat_span *rows, *columns;
    int64_t pixels, tiles, tile_cost;
};

static struct region region_at(const struct remat_gather *gather, int32_t row_span, int32_t column_span, int32_t height)
{
    struct region region = {&gather->axes[0].spans[row_span], &gather->axes[1].spans[column_span], 0, 0, 0};
    region.pixels = gather->shape.n * region.rows->count * region.columns->count;
    region.tiles = remat_units(region.pixels, height);
    region.tile_cost = region.rows->positions * region.columns->positions * gather->source_channels + 16;
    return region;
}

static int64_t total_cost(const struct remat_gather *gather, int32_t height, int64_t *tiles)
{
    int64_t cost = 0;
    *tiles = 0;
    for (int32_t i = 0; i < gather->axes[0].spans_count; i++)
        for (int32_t j = 0; j < gather->axes[1].spans_count; j++) {
            struct region region = region_at(gather, i, j, height);
            cost += region.tiles * region.tile_cost;
            *tiles += region.tiles;
        }
    return cost;
}

static struct blocks blocks_make(const struct remat_gather *gather)
{
    int32_t threads = gather->device->threads;
    struct blocks blocks = {.kernels = REMAT_SIMD_TABLE(gather->device, remat_gemm_kernels)};
    int64_t columns = blocks.kernels->columns, panels = remat_units(gather->target_channels, columns), tiles;
    blocks.depth = gather->axes[0].positions_count * gather->axes[1].positions_count * gather->source_channels;
    blocks.panel_elements = blocks.depth * columns;
    blocks.panels_at_once = BLOCK_BYTES / (blocks.panel_elements * (int64_t)sizeof(float) + 1);
    if (blocks.panels_at_once < 1)
        blocks.panels_at_once = 1;
    blocks.panels_at_once = remat_at_most(blocks.panels_at_once, panels);
    /* Blocks of equal size. */
    blocks.panels_at_once = remat_units(panels, remat_units(panels, blocks.panels_at_once));
    total_cost(gather, blocks.kernels->rows, &tiles);
    blocks.split_pixels = threads == 1 || remat_balance(tiles, 1, threads) + 0.02 >= remat_balance(panels, 1, threads);
    blocks.block_bytes = remat_align_up(blocks.panels_at_once * blocks.panel_elements * (int64_t)sizeof(float));
    blocks.pointers_bytes =
        remat_align_up(gather->axes[0].positions_count * blocks.kernels->rows * (int64_t)sizeof(float *));
    return blocks;
}

int64_t remat_gather_scratch_bytes(const struct remat_gather *gather)
{
    struct blocks blocks = blocks_make(gather);
    return blocks.block_bytes * (blocks.split_pixels ? 1 : gather->device->threads) +
           blocks.pointers_bytes * gather->device->threads;
}

/* The weights of kernel position (r, s) for `valid` target channels from `column` on: [source channels][columns]. */
static void pack_position(const struct worker *worker, int32_t r, int32_t s, int64_t column, int32_t valid,
                          float *panel)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_conv_shape *shape = &gather->shape;
    int64_t position = r * shape->kernel[1] + s, filter = shape->kernel[0] * shape->kernel[1] * shape->c;
    if (!gather->backward) {
        worker->blocks.kernels->pack_transposed(shape->c, valid,
                                                worker->weights + column * filter + position * shape->c, filter, panel);
        return;
    }
    worker->blocks.kernels->pack_rows(shape->k, valid, worker->weights + position * shape->c + column, filter, panel);
}

/* This thread's part of packing the panels panel0 .. panel1: in units of (panel, position). */
static void pack_block(const struct worker *worker, int64_t panel0, int64_t panel1)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_spans *rows = &gather->axes[0], *columns = &gather->axes[1];
    int64_t width = worker->blocks.kernels->columns, positions = rows->positions_count * columns->positions_count;
    int64_t units = (panel1 - panel0) * positions;
    int64_t begin = remat_share(units, 1, worker->member, worker->sharing);
    int64_t end = remat_share(units, 1, worker->member + 1, worker->sharing);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t panel = unit / positions, position = unit % positions, column = (panel0 + panel) * width;
        pack_position(worker, rows->positions[position / columns->positions_count],
                      columns->positions[position % columns->positions_count], column,
                      (int32_t)remat_at_most(width, gather->target_channels - column),
                      worker->block + panel * worker->blocks.panel_elements +
                          position * gather->source_channels * width);
    }
}

/* Finds where pixel `pixel` of a region reads and writes: left[segment * tile rows] and the returned target. */
static float *locate_pixel(const struct worker *worker, const struct region *region, int64_t pixel, const float **left)
{
    const struct remat_gather *gather = worker->gather;
    int64_t per_image = region->rows->count * region->columns->count;
    int64_t n = pixel / per_image, i = pixel % per_image / region->columns->count, j = pixel % region->columns->count;
    int64_t target_row = region->rows->target + i * gather->axes[0].target_step;
    int64_t target_column = region->columns->target + j * gather->axes[1].target_step;
    int64_t source_row = region->rows->source + i * gather->axes[0].source_step;
    int64_t source_column = region->columns->source + j * gather->axes[1].source_step;
    int64_t pitch = gather->source_size[1] * gather->source_channels;
    const float *source =
        worker->source + (n * gather->source_size[0] + source_row) * pitch + source_column * gather->source_channels;
    for (int32_t segment = 0; segment < region->rows->positions; segment++)
        left[segment * worker->blocks.kernels->rows] = source + segment * pitch;
    return worker->target + ((n * gather->target_size[0] + target_row) * gather->target_size[1] + target_column) *
                                gather->target_channels;
}

/* A tile of pixels times the panels panel0 .. panel1. */
static void multiply_tile(const struct worker *worker, const struct region *region, int64_t tile, int64_t panel0,
                          int64_t panel1)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_gemm_kernels *kernels = worker->blocks.kernels;
    int64_t step = gather->axes[1].positions_count * gather->source_channels * kernels->columns;
    int64_t first = region->columns->first * gather->source_channels * kernels->columns + region->rows->first * step;
    int64_t length = region->columns->positions * gather->source_channels;
    int64_t pixel = tile * kernels->rows;
    int32_t height = (int32_t)remat_at_most(kernels->rows, region->pixels - pixel);
    float *rows[REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.out = rows, .alpha = 1.0f};
    for (int32_t i = 0; i < height; i++)
        rows[i] = locate_pixel(worker, region, pixel + i, worker->left + i);
    for (int64_t panel = panel0; panel < panel1; panel++) {
        out.column = panel * kernels->columns;
        out.columns = (int32_t)remat_at_most(kernels->columns, gather->target_channels - out.column);
        kernels->by_rows(height, region->rows->positions, length, worker->left,
                         worker->block + (panel - panel0) * worker->blocks.panel_elements + first, step, &out);
    }
}

/* The tiles whose cost, summed in a fixed order, falls to this thread. */
static void multiply_block(const struct worker *worker, int64_t panel0, int64_t panel1)
{
    const struct remat_gather *gather = worker->gather;
    int64_t cost = 0;
    for (int32_t i = 0; i < gather->axes[0].spans_count; i++) {
        for (int32_t j = 0; j < gather->axes[1].spans_count; j++) {
            struct region region = region_at(gather, i, j, worker->blocks.kernels->rows);
            int64_t before = worker->cost_begin - cost, after = worker->cost_end - cost;
            int64_t begin = before <= 0 ? 0 : remat_units(before, region.tile_cost);
            int64_t end = after <= 0 ? 0 : remat_units(after, region.tile_cost);
            for (int64_t tile = begin; tile < remat_at_most(end, region.tiles); tile++)
                multiply_tile(worker, &region, tile, panel0, panel1);
            cost += region.tiles * region.tile_cost;
        }
    }
}

static void work(const struct worker *worker)
{
    for (int64_t panel = worker->panel_begin; panel < worker->panel_end; panel += worker->blocks.panels_at_once) {
        int64_t end = remat_at_most(panel + worker->blocks.panels_at_once, worker->panel_end);
        remat_wait_for_sharers(worker->sharing);
        pack_block(worker, panel, end);
        remat_wait_for_sharers(worker->sharing);
        multiply_block(worker, panel, end);
    }
}

static void divide(struct worker *worker, int32_t thread, int32_t threads, char *scratch)
{
    const struct remat_gather *gather = worker->gather;
    int64_t panels = remat_units(gather->target_channels, worker->blocks.kernels->columns), tiles;
    int64_t cost = total_cost(gather, worker->blocks.kernels->rows, &tiles);
    bool split_pixels = worker->blocks.split_pixels;
    int64_t blocks = split_pixels ? 1 : gather->device->threads;
    worker->member = split_pixels ? thread : 0;
    worker->sharing = split_pixels ? threads : 1;
    worker->cost_begin = remat_share(cost, 1, worker->member, worker->sharing);
    worker->cost_end = remat_share(cost, 1, worker->member + 1, worker->sharing);
    worker->panel_begin = split_pixels ? 0 : remat_share(panels, 1, thread, threads);
    worker->panel_end = split_pixels ? panels : remat_share(panels, 1, thread + 1, threads);
    worker->block = (float *)(scratch + (split_pixels ? 0 : thread * worker->blocks.block_bytes));
    worker->left =
        (const float **)(scratch + blocks * worker->blocks.block_bytes + thread * worker->blocks.pointers_bytes);
}

void remat_gather_run(const struct remat_gather *gather, const float *source, const float *weights, float *target,
                      void *scratch)
{
    struct worker shared = {.gather = gather, .source = source, .weights = weights, .target = target};
    shared.blocks = blocks_make(gather);
#pragma omp parallel num_threads(gather->device->threads)
    {
        struct worker worker = shared;
        divide(&worker, omp_get_thread_num(), omp_get_num_threads(), scratch);
        work(&worker);
    }
}

enum remat_status remat_gather_init(struct remat_gather *out, const struct remat_device *device,
                                    const struct remat_conv_shape *shape, bool backward, struct remat_error *err)
{
    *out = (struct remat_gather){.device = device, .shape = *shape, .backward = backward};
    out->source_channels = backward ? shape->k : shape->c;
    out->target_channels = backward ? shape->c : shape->k;
    out->source_size = backward ? out->shape.out : out->shape.in;
    out->target_size = backward ? out->shape.in : out->shape.out;
    for (int a = 0; a < 2; a++) {
        struct remat_axis axis = {shape->in[a], shape->out[a], shape->kernel[a], shape->stride[a], shape->pad[a]};
        if (backward)
            REMAT_TRY(remat_spans_backward(&axis, &out->pool, &out->axes[a], err));
        else
            REMAT_TRY(remat_spans_forward(&axis, &out->pool, &out->axes[a], err));
    }
    return REMAT_OK;
}

void remat_gather_free(struct remat_gather *gather)
{
    remat_pool_free(&gather->pool);
}
