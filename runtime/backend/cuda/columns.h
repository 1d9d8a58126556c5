/* Two sums a column of a matrix [rows, columns], in a fixed order: slices of the rows give partial sums (f32), and
 * these are added in double. Only for .cu files. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H
#define REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H

#include "runtime/backend/cuda/launch.h"

enum { REMAT_LANES = 8 };

/* So many slices that about a thousand blocks run, none without rows. */
static inline int remat_slices(int64_t rows, int64_t columns)
{
    int64_t wanted = 1024 / remat_ceil(columns, REMAT_WARP), useful = remat_ceil(rows, 4 * REMAT_LANES);
    wanted = wanted > 256 ? 256 : wanted;
    wanted = wanted > useful ? useful : wanted;
    return (int)(wanted < 1 ? 1 : wanted);
}

static inline int64_t remat_slices_bytes(int64_t rows, int64_t columns)
{
    return 2 * remat_slices(rows, columns) * columns * (int64_t)sizeof(float);
}

/* f(row, column, &a, &b) adds its terms. partials: [slices, 2, columns]. Block: a warp of columns times 8 lanes. */
template <class F> __global__ void remat_slice_sums(F f, int64_t rows, int64_t columns, float *partials)
{
    __shared__ float room[2][REMAT_LANES][REMAT_WARP];
    int64_t column = (int64_t)blockIdx.x * REMAT_WARP + threadIdx.x;
    float a = 0, b = 0;
    if (column < columns)
        for (int64_t row = (int64_t)blockIdx.y * REMAT_LANES + threadIdx.y; row < rows;
             row += (int64_t)gridDim.y * REMAT_LANES)
            f(row, column, &a, &b);
    room[0][threadIdx.y][threadIdx.x] = a;
    room[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    if (threadIdx.y < 2 && column < columns) {
        float sum = 0;
        for (int lane = 0; lane < REMAT_LANES; lane++)
            sum += room[threadIdx.y][lane][threadIdx.x];
        partials[(2 * (int64_t)blockIdx.y + threadIdx.y) * columns + column] = sum;
    }
}

/* g(column, a, b) takes the sums. */
template <class G> __global__ void remat_slices_done(G g, int slices, int64_t columns, const float *partials)
{
    __shared__ double room[2][REMAT_LANES][REMAT_WARP];
    int64_t column = (int64_t)blockIdx.x * REMAT_WARP + threadIdx.x;
    double a = 0, b = 0;
    if (column < columns)
        for (int slice = threadIdx.y; slice < slices; slice += REMAT_LANES) {
            a += (double)partials[2 * slice * columns + column];
            b += (double)partials[(2 * slice + 1) * columns + column];
        }
    room[0][threadIdx.y][threadIdx.x] = a;
    room[1][threadIdx.y][threadIdx.x] = b;
    __syncthreads();
    if (threadIdx.y != 0 || column >= columns)
        return;
    for (int lane = 1; lane < REMAT_LANES; lane++) {
        a += room[0][lane][threadIdx.x];
        b += room[1][lane][threadIdx.x];
    }
    g(column, a, b);
}

template <class F, class G>
static enum remat_status remat_column_sums(const struct remat_device *device, F f, G g, int64_t rows, int64_t columns,
                                           float *partials, struct remat_error *err)
{
    int slices = remat_slices(rows, columns);
    unsigned groups = (unsigned)remat_ceil(columns, REMAT_WARP);
    REMAT_LAUNCH(remat_slice_sums<F>, dim3(groups, (unsigned)slices), dim3(REMAT_WARP, REMAT_LANES), 0, device->stream)
    (f, rows, columns, partials);
    REMAT_LAUNCH(remat_slices_done<G>, dim3(groups), dim3(REMAT_WARP, REMAT_LANES), 0, device->stream)
    (g, slices, columns, partials);
    return remat_launched(err);
}

/* f.run<W>(i, c) for every W elements at i, in column c of `columns`. W is 4 where rows are whole fours. */
template <int W, class F> __global__ void remat_each_by_column(F f, int64_t count, int64_t columns)
{
    int64_t widths = columns / W, step = remat_threads() % widths, c = remat_thread() % widths;
    for (int64_t q = remat_thread(); q < count / W; q += remat_threads()) {
        f.template run<W>(W * q, W * c);
        c += step;
        c -= c >= widths ? widths : 0;
    }
}

template <class F>
static enum remat_status remat_by_column(const struct remat_device *device, F f, int64_t count, int64_t columns,
                                         struct remat_error *err)
{
    if (columns % 4 == 0) {
        REMAT_LAUNCH((remat_each_by_column<4, F>), remat_grid(count, 4 * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
        (f, count, columns);
        return remat_launched(err);
    }
    REMAT_LAUNCH((remat_each_by_column<1, F>), remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (f, count, columns);
    return remat_launched(err);
}

#endif
