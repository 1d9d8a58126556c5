#include "runtime/backend/cpu/simd/winograd_kernels.h"

#include "runtime/backend/cpu/simd/vector.h"

enum { SOURCE = REMAT_WINOGRAD_SOURCE, TARGET = REMAT_WINOGRAD_TARGET, FILTER = REMAT_WINOGRAD_FILTER };

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* One-dimensional transforms; elements of a vector of the tile are `step` apart. */
typedef void transform_fn(const remat_vec *from, int step, remat_vec *to, int to_step);

/* B' */
ALWAYS_INLINE void source_line(const remat_vec *d, int step, remat_vec *to, int to_step)
{
    remat_vec d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    remat_vec even = d4 - 4 * d2, odd = d3 - 4 * d1, even2 = d4 - d2, odd2 = 2 * (d3 - d1);
    to[0] = 4 * d0 - 5 * d2 + d4;
    to[to_step] = even + odd;
    to[2 * to_step] = even - odd;
    to[3 * to_step] = even2 + odd2;
    to[4 * to_step] = even2 - odd2;
    to[5 * to_step] = 4 * d1 - 5 * d3 + d5;
}

/* G with 4 columns */
ALWAYS_INLINE void gradient_line(const remat_vec *g, int step, remat_vec *to, int to_step)
{
    remat_vec g0 = g[0], g1 = g[step], g2 = g[2 * step], g3 = g[3 * step];
    remat_vec even = g0 + g2, odd = g1 + g3, even2 = g0 + 4 * g2, odd2 = 2 * g1 + 8 * g3;
    to[0] = 0.25f * g0;
    to[to_step] = (-1.0f / 6) * (even + odd);
    to[2 * to_step] = (-1.0f / 6) * (even - odd);
    to[3 * to_step] = (1.0f / 24) * (even2 + odd2);
    to[4 * to_step] = (1.0f / 24) * (even2 - odd2);
    to[5 * to_step] = g3;
}

/* G with 3 columns */
ALWAYS_INLINE void filter_line(const remat_vec *g, int step, remat_vec *to, int to_step)
{
    remat_vec g0 = g[0], g1 = g[step], g2 = g[2 * step], even = g0 + g2, even2 = g0 + 4 * g2;
    to[0] = 0.25f * g0;
    to[to_step] = (-1.0f / 6) * (even + g1);
    to[2 * to_step] = (-1.0f / 6) * (even - g1);
    to[3 * to_step] = (1.0f / 24) * (even2 + 2 * g1);
    to[4 * to_step] = (1.0f / 24) * (even2 - 2 * g1);
    to[5 * to_step] = g2;
}

/* A' with 4 rows */
ALWAYS_INLINE void target_line(const remat_vec *m, int step, remat_vec *to, int to_step)
{
    remat_vec sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    remat_vec sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
    to[0] = m[0] + sum + sum2;
    to[to_step] = difference + 2 * difference2;
    to[2 * to_step] = sum + 4 * sum2;
    to[3 * to_step] = difference + 8 * difference2 + m[5 * step];
}

/* A' with 3 rows */
ALWAYS_INLINE void filter_gradient_line(const remat_vec *m, int step, remat_vec *to, int to_step)
{
    remat_vec sum = m[step] + m[2 * step], difference = m[step] - m[2 * step];
    remat_vec sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
    to[0] = m[0] + sum + sum2;
    to[to_step] = difference + 2 * difference2;
    to[2 * to_step] = sum + 4 * sum2 + m[5 * step];
}

/* in x in pixels -> 6 x 6 points */
ALWAYS_INLINE void to_points(transform_fn *line, const int in, const float *const *pixels, int64_t channels, float *to,
                             int64_t point_step)
{
    for (int64_t c = 0; c < channels; c += REMAT_LANES) {
        remat_vec tile[SOURCE * SOURCE], half[SOURCE * SOURCE];
        REMAT_UNROLL
        for (int i = 0; i < in; i++) {
            for (int j = 0; j < in; j++)
                tile[i * in + j] = remat_vec_load(pixels[i * in + j] + c);
            line(tile + i * in, 1, half + i * SOURCE, 1);
        }
        REMAT_UNROLL
        for (int j = 0; j < SOURCE; j++) {
            remat_vec column[SOURCE];
            line(half + j, SOURCE, column, 1);
            for (int i = 0; i < SOURCE; i++)
                remat_vec_store(to + (i * SOURCE + j) * point_step + c, column[i]);
        }
    }
}

/* 6 x 6 points -> out x out pixels */
ALWAYS_INLINE void from_points(transform_fn *line, const int out, const float *from, int64_t point_step,
                               int64_t channels, float *const *pixels)
{
    for (int64_t c = 0; c < channels; c += REMAT_LANES) {
        remat_vec tile[SOURCE], half[SOURCE * SOURCE];
        REMAT_UNROLL
        for (int i = 0; i < SOURCE; i++) {
            for (int j = 0; j < SOURCE; j++)
                tile[j] = remat_vec_load(from + (i * SOURCE + j) * point_step + c);
            line(tile, 1, half + i * out, 1);
        }
        REMAT_UNROLL
        for (int j = 0; j < out; j++) {
            remat_vec column[SOURCE];
            line(half + j, out, column, 1);
            for (int i = 0; i < out; i++)
                remat_vec_store(pixels[i * out + j] + c, column[i]);
        }
    }
}

static void source(const float *const *pixels, int64_t channels, float *to, int64_t point_step)
{
    to_points(source_line, SOURCE, pixels, channels, to, point_step);
}

static void gradient(const float *const *pixels, int64_t channels, float *to, int64_t point_step)
{
    to_points(gradient_line, TARGET, pixels, channels, to, point_step);
}

static void filter(const float *const *positions, int64_t channels, float *to, int64_t point_step)
{
    to_points(filter_line, FILTER, positions, channels, to, point_step);
}

static void target(const float *from, int64_t point_step, int64_t channels, float *const *pixels)
{
    from_points(target_line, TARGET, from, point_step, channels, pixels);
}

static void filter_gradient(const float *from, int64_t point_step, int64_t channels, float *const *positions)
{
    from_points(filter_gradient_line, FILTER, from, point_step, channels, positions);
}

const struct remat_winograd_kernels REMAT_SIMD_NAME(remat_winograd_kernels) = {
    .source = source,
    .gradient = gradient,
    .filter = filter,
    .target = target,
    .filter_gradient = filter_gradient,
};
