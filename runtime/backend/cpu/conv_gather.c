#include "runtime/backend/cpu/conv_gather.h"

#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>
#include <string.h>

/* A block of packed weights is at most this, or one panel: it stays in the second-level cache. */
enum { BLOCK_BYTES = 256 * 1024 };
/* Work is divided into about this many parts for each thread, of at least this many tiles. */
enum { PARTS_PER_THREAD = 8, LEAST_TILES = 4 };

/* Packed weights: a panel of `columns` target channels holds, for each listed row position, each listed column
 * position, each source channel, one row of the panel. */
struct layout {
    const struct remat_gemm_kernels *kernels;
    int64_t panels, panel_elements;
    int64_t block_panels, blocks; /* panels that pixels pass by together */
    int64_t cost, chunks;         /* of all pixels; parts of about equal cost that they are divided into */
    int64_t weights_bytes, pointers_bytes;
    int64_t group_tiles; /* tiles that a panel passes by while it is in the first-level cache */
    bool stream;         /* the target is too large for the caches */
};

/* One thread's view of a run. */
struct worker {
    const struct remat_gather *gather;
    struct layout layout;
    const float *source, *weights;
    float *target;
    float *packed;
    const float **left; /* [tile of a group][row positions][tile rows] */
    struct remat_turn turn;
};

/* A panel of at most 16 KiB stays in the first-level cache while a group of tiles, at most 64 KiB of source, passes. */
enum { PANEL_ELEMENTS = 4096, GROUP_ELEMENTS = 16384, MAX_GROUP_TILES = 16 };
/* Results larger than this (16 MiB) are not kept in the caches. */
enum { STREAM_ELEMENTS = 4 * 1024 * 1024 };

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

/* Blocks that stay in cache, and enough parts that threads finish together. */
static struct layout layout_make(const struct remat_gather *gather)
{
    struct layout layout = {.kernels = REMAT_SIMD_TABLE(gather->device, remat_gemm_kernels)};
    int64_t rows = layout.kernels->rows, columns = layout.kernels->columns, tiles, wanted;
    int64_t depth = gather->axes[0].positions_count * gather->axes[1].positions_count * gather->source_channels;
    layout.panels = remat_units(gather->target_channels, columns);
    layout.panel_elements = depth * columns;
    layout.block_panels =
        remat_at_most(BLOCK_BYTES / (layout.panel_elements * (int64_t)sizeof(float) + 1), layout.panels);
    layout.blocks = remat_units(layout.panels, remat_at_least(layout.block_panels, 1));
    layout.cost = total_cost(gather, (int32_t)rows, &tiles);
    wanted = gather->device->threads > 1 ? PARTS_PER_THREAD * gather->device->threads : 1;
    layout.chunks = remat_at_least(remat_at_most(wanted, tiles / LEAST_TILES), 1);
    if (layout.blocks * layout.chunks < wanted)
        layout.blocks = remat_at_most(layout.panels, remat_units(wanted, layout.chunks));
    layout.block_panels = remat_units(layout.panels, layout.blocks);
    layout.blocks = remat_units(layout.panels, layout.block_panels);
    layout.stream =
        gather->target_channels % columns == 0 && layout.block_panels == layout.panels &&
        gather->shape.n * gather->target_size[0] * gather->target_size[1] * gather->target_channels >= STREAM_ELEMENTS;
    layout.weights_bytes = remat_align_up(layout.panels * layout.panel_elements * (int64_t)sizeof(float));
    if (layout.panel_elements <= PANEL_ELEMENTS)
        layout.group_tiles = remat_at_least(remat_at_most(GROUP_ELEMENTS / (depth * rows + 1), MAX_GROUP_TILES), 1);
    else
        layout.group_tiles = 1;
    layout.pointers_bytes =
        remat_align_up(layout.group_tiles * gather->axes[0].positions_count * rows * (int64_t)sizeof(float *));
    return layout;
}

int64_t remat_gather_scratch_bytes(const struct remat_gather *gather)
{
    struct layout layout = layout_make(gather);
    return layout.weights_bytes + layout.pointers_bytes * gather->device->threads;
}

/* The weights of kernel position (r, s) for `valid` target channels from `column` on: [source channels][columns]. */
static void pack_position(const struct worker *worker, int32_t r, int32_t s, int64_t column, int32_t valid,
                          float *panel)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_conv_shape *shape = &gather->shape;
    int64_t position = r * shape->kernel[1] + s, filter = shape->kernel[0] * shape->kernel[1] * shape->c;
    if (!gather->backward) {
        worker->layout.kernels->pack_transposed(shape->c, valid,
                                                worker->weights + column * filter + position * shape->c, filter, panel);
        return;
    }
    worker->layout.kernels->pack_rows(shape->k, valid, worker->weights + position * shape->c + column, filter, panel);
}

/* Unit: a panel and a kernel position. */
static void pack_unit(const struct worker *worker, int64_t unit)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_spans *rows = &gather->axes[0], *columns = &gather->axes[1];
    int64_t width = worker->layout.kernels->columns, positions = rows->positions_count * columns->positions_count;
    int64_t panel = unit / positions, position = unit % positions, column = panel * width;
    pack_position(worker, rows->positions[position / columns->positions_count],
                  columns->positions[position % columns->positions_count], column,
                  (int32_t)remat_at_most(width, gather->target_channels - column),
                  worker->packed + panel * worker->layout.panel_elements + position * gather->source_channels * width);
}

/* A pixel of a region: image, and position within the two spans. */
struct pixel {
    int64_t n, i, j;
};

static struct pixel pixel_at(const struct region *region, int64_t index)
{
    int64_t row = index / region->columns->count;
    return (struct pixel){row / region->rows->count, row % region->rows->count, index % region->columns->count};
}

static void next_pixel(const struct region *region, struct pixel *pixel)
{
    if (++pixel->j < region->columns->count)
        return;
    pixel->j = 0;
    if (++pixel->i < region->rows->count)
        return;
    pixel->i = 0;
    pixel->n++;
}

/* Finds where a pixel reads and writes: left[segment * tile rows] and the returned target. */
static float *locate_pixel(const struct worker *worker, const struct region *region, const struct pixel *pixel,
                           const float **left)
{
    const struct remat_gather *gather = worker->gather;
    int64_t target_row = region->rows->target + pixel->i * gather->axes[0].target_step;
    int64_t target_column = region->columns->target + pixel->j * gather->axes[1].target_step;
    int64_t source_row = region->rows->source + pixel->i * gather->axes[0].source_step;
    int64_t source_column = region->columns->source + pixel->j * gather->axes[1].source_step;
    int64_t pitch = gather->source_size[1] * gather->source_channels;
    const float *source = worker->source + (pixel->n * gather->source_size[0] + source_row) * pitch +
                          source_column * gather->source_channels;
    for (int32_t segment = 0; segment < region->rows->positions; segment++)
        left[segment * worker->layout.kernels->rows] = source + segment * pitch;
    return worker->target +
           ((pixel->n * gather->target_size[0] + target_row) * gather->target_size[1] + target_column) *
               gather->target_channels;
}

/* Sets the pointers of `tiles` tiles from `first` on; returns the number of pixels. */
static int64_t locate_group(const struct worker *worker, const struct region *region, int64_t first, int64_t tiles,
                            float **targets)
{
    int64_t height = worker->layout.kernels->rows, step = region->rows->positions * height;
    int64_t pixels = remat_at_most(tiles * height, region->pixels - first * height);
    struct pixel pixel = pixel_at(region, first * height);
    for (int64_t tile = 0, done = 0; tile < tiles; tile++)
        for (int64_t i = 0; i < height && done < pixels; i++, done++) {
            targets[done] = locate_pixel(worker, region, &pixel, worker->left + tile * step + i);
            next_pixel(region, &pixel);
        }
    return pixels;
}

/* Brings the pixels that follow a tile's by `ahead` pixels towards the second-level cache. With one kernel position
 * each pixel is needed once, and too short for the processor to foresee the next. Beyond the image it does nothing. */
static void prefetch_ahead(const struct worker *worker, const float *const *left, int32_t height, int64_t ahead)
{
    const struct remat_gather *gather = worker->gather;
    int64_t distance = ahead * gather->axes[1].source_step * gather->source_channels;
    for (int32_t i = 0; i < height; i++)
        for (int64_t c = 0; c < gather->source_channels; c += REMAT_ALIGNMENT / (int64_t)sizeof(float))
            __builtin_prefetch(
                (const char *)((uintptr_t)left[i] + (uintptr_t)((distance + c) * (int64_t)sizeof(float))), 0, 2);
}

/* A group of tiles times the panels panel0 .. panel1. */
static void multiply_group(const struct worker *worker, const struct region *region, int64_t tile, int64_t tiles,
                           int64_t panel0, int64_t panel1)
{
    const struct remat_gather *gather = worker->gather;
    const struct remat_gemm_kernels *kernels = worker->layout.kernels;
    int64_t step = gather->axes[1].positions_count * gather->source_channels * kernels->columns;
    int64_t first = region->columns->first * gather->source_channels * kernels->columns + region->rows->first * step;
    int64_t length = region->columns->positions * gather->source_channels;
    int64_t left_step = region->rows->positions * kernels->rows;
    float *rows[MAX_GROUP_TILES * REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.alpha = 1.0f, .stream = worker->layout.stream};
    int64_t pixels = locate_group(worker, region, tile, tiles, rows);
    for (int64_t panel = panel0; panel < panel1; panel++) {
        out.column = panel * kernels->columns;
        out.columns = (int32_t)remat_at_most(kernels->columns, gather->target_channels - out.column);
        for (int64_t i = 0; i < tiles; i++) {
            int32_t height = (int32_t)remat_at_most(kernels->rows, pixels - i * kernels->rows);
            out.out = rows + i * kernels->rows;
            if (panel == panel0 && region->rows->positions == 1 && region->columns->positions == 1)
                prefetch_ahead(worker, worker->left + i * left_step, height, tiles * kernels->rows);
            kernels->by_rows(height, region->rows->positions, length, worker->left + i * left_step,
                             worker->packed + panel * worker->layout.panel_elements + first, step, &out);
        }
    }
}

/* The tiles whose cost, summed in a fixed order, lies in cost_begin .. cost_end. */
static void multiply_chunk(const struct worker *worker, int64_t panel0, int64_t panel1, int64_t cost_begin,
                           int64_t cost_end)
{
    const struct remat_gather *gather = worker->gather;
    int64_t group = worker->layout.group_tiles;
    for (int32_t i = 0; i < gather->axes[0].spans_count; i++) {
        for (int32_t j = 0; j < gather->axes[1].spans_count; j++) {
            struct region region = region_at(gather, i, j, worker->layout.kernels->rows);
            int64_t begin = cost_begin <= 0 ? 0 : remat_units(cost_begin, region.tile_cost);
            int64_t end = cost_end <= 0 ? 0 : remat_units(cost_end, region.tile_cost);
            end = remat_at_most(end, region.tiles);
            for (int64_t tile = begin; tile < end; tile += group)
                multiply_group(worker, &region, tile, remat_at_most(group, end - tile), panel0, panel1);
            cost_begin -= region.tiles * region.tile_cost;
            cost_end -= region.tiles * region.tile_cost;
        }
    }
}

/* Item: a block of panels and a chunk of pixels. */
static void multiply_item(const struct worker *worker, int64_t item)
{
    const struct layout *layout = &worker->layout;
    int64_t panel = item / layout->chunks * layout->block_panels, chunk = item % layout->chunks;
    multiply_chunk(worker, panel, remat_at_most(panel + layout->block_panels, layout->panels),
                   layout->cost * chunk / layout->chunks, layout->cost * (chunk + 1) / layout->chunks);
}

static void work(struct worker *worker)
{
    const struct remat_gather *gather = worker->gather;
    int64_t units = worker->layout.panels * gather->axes[0].positions_count * gather->axes[1].positions_count;
    int64_t items = worker->layout.blocks * worker->layout.chunks, item;
    while ((item = remat_turn_take(&worker->turn, units)) >= 0)
        pack_unit(worker, item);
    remat_turn_finish(&worker->turn);
    while ((item = remat_turn_take(&worker->turn, items)) >= 0)
        multiply_item(worker, item);
    if (worker->layout.stream)
        worker->layout.kernels->finish_stream();
}

void remat_gather_run(const struct remat_gather *gather, const float *source, const float *weights, float *target,
                      void *scratch)
{
    struct worker shared = {.gather = gather, .source = source, .weights = weights, .target = target};
    struct remat_queue queue;
    shared.layout = layout_make(gather);
    shared.packed = scratch;
    shared.turn.queue = &queue;
    remat_queue_init(&queue, gather->device->threads);
#pragma omp parallel num_threads(gather->device->threads)
    {
        struct worker worker = shared;
        worker.left = (const float **)((char *)scratch + worker.layout.weights_bytes +
                                       omp_get_thread_num() * worker.layout.pointers_bytes);
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
