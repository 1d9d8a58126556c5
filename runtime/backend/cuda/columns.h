/* Two sums a column of a matrix [rows, columns], in a fixed order: slices of the rows give partial sums (f32), and
 * these are added in double. Only for .cu files. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H
#define REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H

#include "runtime/backend/cuda/launch.h"

enum { REMAT_LANES = 8, REMAT_MOST_SLICES = 512 };

/* So many columns a thread: up to 16 bytes of T, if a warp still has use for all its threads. */
template <class T> static inline int remat_columns_each(int64_t columns)
{
    int each = (int)remat_vector_of<T>::WIDTH;
    while (each > 1 && columns % (each * REMAT_WARP) != 0)
        each /= 2;
    return each;
}

/* So many slices that about a thousand blocks run, none without rows. It depends on the shape alone, not on the type,
 * so that one formula gives the scratch. */
static inline int remat_slices(int64_t rows, int64_t columns)
{
    int64_t wanted = 1024 / remat_ceil(columns, 2 * REMAT_WARP), useful = remat_ceil(rows, 4 * REMAT_LANES);
    wanted = wanted > REMAT_MOST_SLICES ? (int64_t)REMAT_MOST_SLICES : wanted;
    wanted = wanted > useful ? useful : wanted;
    return (int)(wanted < 1 ? 1 : wanted);
}

static inline int64_t remat_slices_bytes(int64_t rows, int64_t columns)
{
    return 2 * remat_slices(rows, columns) * columns * (int64_t)sizeof(float);
}

/* f.run<W>(row, column, a, b) adds its terms of W columns. partials: [slices, 2, columns]. Block: a warp of W columns a
 * thread times 8 lanes. Rows are walked from the last one on: what was written just before ends there, and what reads
 * the same rows just after begins where the walk ends, so that much of either is still in the cache. */
template <int W, class F> __global__ void remat_slice_sums(F f, int64_t rows, int64_t columns, float *partials)
{
    __shared__ float room[2][REMAT_LANES][REMAT_WARP * W];
    int64_t first = (int64_t)blockIdx.x * REMAT_WARP * W, column = first + threadIdx.x * W;
    float a[W] = {}, b[W] = {};
    if (column < columns)
        for (int64_t row = (int64_t)blockIdx.y * REMAT_LANES + threadIdx.y; row < rows;
             row += (int64_t)gridDim.y * REMAT_LANES)
            f.template run<W>(rows - 1 - row, column, a, b);
    for (int k = 0; k < W; k++) {
        room[0][threadIdx.y][threadIdx.x * W + k] = a[k];
        room[1][threadIdx.y][threadIdx.x * W + k] = b[k];
    }
    __syncthreads();
    for (int e = threadIdx.y * REMAT_WARP + threadIdx.x; e < 2 * REMAT_WARP * W; e += REMAT_LANES * REMAT_WARP) {
        int which = e / (REMAT_WARP * W), c = e % (REMAT_WARP * W);
        float sum = 0;
        for (int lane = 0; lane < REMAT_LANES; lane++)
            sum += room[which][lane][c];
        if (first + c < columns)
            partials[(2 * (int64_t)blockIdx.y + which) * columns + first + c] = sum;
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

template <int W, class F>
static void remat_start_slices(const struct remat_device *device, F f, int64_t rows, int64_t columns, float *partials)
{
    dim3 grid((unsigned)remat_ceil(columns, REMAT_WARP * W), (unsigned)remat_slices(rows, columns));
    REMAT_LAUNCH((remat_slice_sums<W, F>), grid, dim3(REMAT_WARP, REMAT_LANES), 0, device->stream)
    (f, rows, columns, partials);
}

/* T: the type of what f reads. */
template <class T, class F, class G>
static enum remat_status remat_column_sums(const struct remat_device *device, F f, G g, int64_t rows, int64_t columns,
                                           float *partials, struct remat_error *err)
{
    int each = remat_columns_each<T>(columns);
    if (each == 8)
        remat_start_slices<8>(device, f, rows, columns, partials);
    else if (each == 4)
        remat_start_slices<4>(device, f, rows, columns, partials);
    else if (each == 2)
        remat_start_slices<2>(device, f, rows, columns, partials);
    else
        remat_start_slices<1>(device, f, rows, columns, partials);
    REMAT_LAUNCH(remat_slices_done<G>, dim3((unsigned)remat_ceil(columns, REMAT_WARP)), dim3(REMAT_WARP, REMAT_LANES),
                 0, device->stream)
    (g, remat_slices(rows, columns), columns, (const float *)partials);
    return remat_launched(err);
}

/* f.run<W>(i, c) for every W elements at i, in column c of `columns`. Rows are whole Ws. */
template <int W, class F> __global__ void remat_each_by_column(F f, int64_t count, int64_t columns)
{
    int64_t widths = columns / W, step = remat_threads() % widths, c = remat_thread() % widths;
    for (int64_t q = remat_thread(); q < count / W; q += remat_threads()) {
        f.template run<W>(W * q, W * c);
        c += step;
        c -= c >= widths ? widths : 0;
    }
}

/* T: the type of what f reads. */
template <class T, class F>
static enum remat_status remat_by_column(const struct remat_device *device, F f, int64_t count, int64_t columns,
                                         struct remat_error *err)
{
    enum { W = remat_vector_of<T>::WIDTH };
    if (columns % W == 0) {
        REMAT_LAUNCH((remat_each_by_column<W, F>), remat_grid(count, W * REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
        (f, count, columns);
        return remat_launched(err);
    }
    REMAT_LAUNCH((remat_each_by_column<1, F>), remat_grid(count, REMAT_BLOCK), REMAT_BLOCK, 0, device->stream)
    (f, count, columns);
    return remat_launched(err);
}

#endif
