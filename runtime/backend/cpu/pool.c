/* Max pooling with the place of each maximum (r * S + s within the window), and global average pooling. Each thread
 * owns rows of the result; backward gathers, so that no two threads write one pixel. */
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/simd/pool_kernels.h"
#include "runtime/backend/cpu/split.h"

struct geometry {
    const struct remat_op_attr *attr;
    const struct remat_tensor *x, *y; /* the larger and the pooled image */
    int64_t channels;
};

/* The pixels of x under the window of output pixel (p, q) of image n. */
static void taps_under(const struct geometry *g, const float *x, int64_t n, int64_t p, int64_t q,
                       struct remat_pool_taps *taps)
{
    int64_t top = p * g->attr->stride[0] - g->attr->pad[0], left = q * g->attr->stride[1] - g->attr->pad[1];
    taps->count = 0;
    for (int32_t k = 0; k < g->attr->kernel[0] * g->attr->kernel[1]; k++) {
        int64_t i = top + k / g->attr->kernel[1], j = left + k % g->attr->kernel[1];
        if (i < 0 || i >= g->x->dims[1] || j < 0 || j >= g->x->dims[2])
            continue;
        taps->position[taps->count] = k;
        taps->values[taps->count++] = x + ((n * g->x->dims[1] + i) * g->x->dims[2] + j) * g->channels;
    }
}

static void maxpool_row(const struct remat_pool_kernels *kernels, const struct geometry *g, const float *x, int64_t row,
                        float *y, uint8_t *place)
{
    struct remat_pool_taps taps;
    int64_t height = g->y->dims[1], width = g->y->dims[2];
    for (int64_t q = 0; q < width; q++) {
        int64_t at = (row * width + q) * g->channels;
        taps_under(g, x, row / height, row % height, q, &taps);
        kernels->largest(&taps, g->channels, y + at, place + at);
    }
}

static enum remat_status maxpool(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_pool_kernels *kernels = REMAT_SIMD_TABLE(device, remat_pool_kernels);
    struct geometry g = {&spec->attr, &spec->inputs[0], &spec->outputs[0], spec->inputs[0].dims[3]};
    int64_t rows = g.y->dims[0] * g.y->dims[1];
    int32_t parts = remat_parts(device, remat_tensor_elements(g.x));
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(rows, 1, part, parts);
        for (int64_t row = range.begin; row < range.end; row++)
            maxpool_row(kernels, &g, args->inputs[0], row, args->outputs[0], args->outputs[1]);
    }
    return REMAT_OK;
}

/* Along one axis: the windows over a position, those of earlier outputs first. */
struct cover {
    int32_t count, offset[REMAT_MAX_WINDOW]; /* within the window */
    int32_t output[REMAT_MAX_WINDOW];
};

static void cover_find(struct cover *cover, const struct remat_op_attr *attr, int axis, int64_t position,
                       int64_t outputs)
{
    int32_t stride = attr->stride[axis];
    cover->count = 0;
    for (int32_t k = attr->kernel[axis] - 1; k >= 0; k--) {
        int32_t start = (int32_t)position + attr->pad[axis] - k, output = start / stride;
        if (start < 0 || output * stride != start || output >= outputs)
            continue;
        cover->offset[cover->count] = k;
        cover->output[cover->count++] = output;
    }
}

static void taps_over(const struct geometry *g, const float *dy, const uint8_t *places, int64_t n,
                      const struct cover *rows, const struct cover *columns, struct remat_pool_taps *taps)
{
    taps->count = 0;
    for (int32_t r = 0; r < rows->count; r++) {
        int64_t line = (n * g->y->dims[1] + rows->output[r]) * g->y->dims[2];
        for (int32_t s = 0; s < columns->count; s++) {
            int64_t at = (line + columns->output[s]) * g->channels;
            taps->position[taps->count] = rows->offset[r] * g->attr->kernel[1] + columns->offset[s];
            taps->values[taps->count] = dy + at;
            taps->places[taps->count++] = places + at;
        }
    }
}

static void maxpool_bwd_row(const struct remat_pool_kernels *kernels, const struct geometry *g, const float *dy,
                            const uint8_t *places, int64_t row, bool stream, float *dx)
{
    struct remat_pool_taps taps;
    struct cover rows, columns;
    int64_t height = g->x->dims[1], width = g->x->dims[2];
    cover_find(&rows, g->attr, 0, row % height, g->y->dims[1]);
    for (int64_t j = 0; j < width; j++) {
        cover_find(&columns, g->attr, 1, j, g->y->dims[2]);
        taps_over(g, dy, places, row / height, &rows, &columns, &taps);
        kernels->gather(&taps, g->channels, stream, dx + (row * width + j) * g->channels);
    }
}

static enum remat_status maxpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_pool_kernels *kernels = REMAT_SIMD_TABLE(device, remat_pool_kernels);
    struct geometry g = {&spec->attr, &spec->outputs[0], &spec->inputs[0], spec->outputs[0].dims[3]};
    int64_t rows = g.x->dims[0] * g.x->dims[1];
    int32_t parts = remat_parts(device, remat_tensor_elements(g.x));
    bool stream = remat_streams(&spec->outputs[0], args->outputs[0], args);
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(rows, 1, part, parts);
        for (int64_t row = range.begin; row < range.end; row++)
            maxpool_bwd_row(kernels, &g, args->inputs[0], args->inputs[1], row, stream, args->outputs[0]);
        kernels->gather_end(stream);
    }
    return REMAT_OK;
}

static bool maxpool_supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_cpu_is_f32(device, spec) && spec->attr.kernel[0] * spec->attr.kernel[1] <= REMAT_MAX_WINDOW;
}

static enum remat_status avgpool(const void *state, const struct remat_kernel_spec *spec,
                                 const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_tensor *x = &spec->inputs[0];
    int64_t pixels = x->dims[1] * x->dims[2], channels = x->dims[3];
    int32_t parts = remat_parts(device, remat_tensor_elements(x));
    const float *from = args->inputs[0];
    float *y = args->outputs[0];
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range images = remat_split(x->dims[0], 1, part, parts);
        for (int64_t n = images.begin; n < images.end; n++)
            REMAT_SIMD_TABLE(device, remat_pool_kernels)
                ->mean(from + n * pixels * channels, pixels, channels, 1.0f / (float)pixels, y + n * channels);
    }
    return REMAT_OK;
}

static enum remat_status avgpool_bwd(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = state;
    const struct remat_tensor *x = &spec->outputs[0];
    int64_t pixels = x->dims[1] * x->dims[2], channels = x->dims[3], rows = x->dims[0] * pixels;
    int32_t parts = remat_parts(device, remat_tensor_elements(x));
    const float *dy = args->inputs[0];
    float *dx = args->outputs[0];
    (void)err;
#pragma omp parallel for schedule(static) num_threads(device->threads)
    for (int32_t part = 0; part < parts; part++) {
        struct remat_range range = remat_split(rows, 1, part, parts);
        for (int64_t row = range.begin; row < range.end; row++)
            REMAT_SIMD_TABLE(device, remat_pool_kernels)
                ->scale(dy + row / pixels * channels, channels, 1.0f / (float)pixels, dx + row * channels);
    }
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_maxpool = {REMAT_OP_MAXPOOL,           "loops", 0,   maxpool_supports,
                                                remat_cpu_create_stateless, maxpool, NULL};
const struct remat_op_impl remat_cpu_maxpool_bwd = {REMAT_OP_MAXPOOL_BWD,       "loops",     0,   maxpool_supports,
                                                    remat_cpu_create_stateless, maxpool_bwd, NULL};
REMAT_CPU_LOOP(remat_cpu_avgpool, REMAT_OP_AVGPOOL, remat_cpu_create_stateless, avgpool);
REMAT_CPU_LOOP(remat_cpu_avgpool_bwd, REMAT_OP_AVGPOOL_BWD, remat_cpu_create_stateless, avgpool_bwd);
