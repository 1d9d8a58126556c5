/* Kernels over a matrix [rows, columns] in which a thread keeps to some columns, whose own values it loads once: sums
 * of two terms, in a fixed order (slices of the rows give partial sums in f32, and these are added in double); and what
 * makes each element from those of its place. Only for .cu files. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H
#define REMAT_RUNTIME_BACKEND_CUDA_COLUMNS_H

#include "runtime/backend/cuda/launch.h"

/* Blocks of sums in all, about: eight for each multiprocessor of an H200. */
enum { REMAT_SUM_BLOCKS = 1056, REMAT_DONE_COLUMNS = 16, REMAT_DONE_LANES = 64 };

/* So many columns a thread: up to 16 bytes of T. */
template <class T> static inline int remat_columns_each(int64_t columns)
{
    int each = (int)remat_vector_of<T>::WIDTH;
    while (columns % each != 0)
        each /= 2;
    return each;
}

/* So many slices that about REMAT_SUM_BLOCKS blocks run, none with few rows. It depends on the shape alone, not on the
 * type, so that one formula gives the scratch. */
static inline int remat_slices(int64_t rows, int64_t columns)
{
    int64_t wanted = REMAT_SUM_BLOCKS / remat_ceil(columns, REMAT_BLOCK);
    int64_t together = remat_ceil(8 * REMAT_BLOCK, columns); /* rows that a block reads at a time, about */
    int64_t useful = remat_ceil(rows, 4 * (together < 8 ? 8 : together));
    wanted = wanted > useful ? useful : wanted;
    return (int)(wanted < 1 ? 1 : wanted);
}

static inline int64_t remat_slices_bytes(int64_t rows, int64_t columns)
{
    return 2 * remat_slices(rows, columns) * columns * (int64_t)sizeof(float);
}

enum { REMAT_ROWS_TOGETHER = 4 };

/* A thread's rows; some are loaded before the first of them is added. */
template <int W, class F>
static __device__ __forceinline__ void remat_add_rows(const F &f, int64_t rows, int64_t column, float *a, float *b)
{
    int64_t step = (int64_t)gridDim.y * blockDim.y, last = rows - 1;
    int64_t row = (int64_t)blockIdx.y * blockDim.y + threadIdx.y;
    typename F::template of<W> k;
    f.template prepare<W>(column, &k);
    for (; row + (REMAT_ROWS_TOGETHER - 1) * step < rows; row += REMAT_ROWS_TOGETHER * step) {
        typename F::template row<W> r[REMAT_ROWS_TOGETHER];
        REMAT_UNROLL
        for (int u = 0; u < REMAT_ROWS_TOGETHER; u++)
            f.template load<W>(last - row - u * step, column, &r[u]);
        REMAT_UNROLL
        for (int u = 0; u < REMAT_ROWS_TOGETHER; u++)
            f.template add<W>(k, r[u], a, b);
    }
    for (; row < rows; row += step) {
        typename F::template row<W> r;
        f.template load<W>(last - row, column, &r);
        f.template add<W>(k, r, a, b);
    }
}

/* What f does for W columns: f.prepare(column, &k) once, then for its rows f.load(row, column, &r) and
 * f.add(k, r, a, b), which adds the row's terms; k is of type F::of<W>, r of F::row<W>. partials: [slices, 2, columns].
 * Block: as many threads side by side as a row has Ws, a warp at most, and as many rows as make REMAT_BLOCK threads of
 * them, so that what a warp reads lies together even where rows are short. Rows are walked from the last one on: what
 * was written just before ends there, and what reads the same rows just after begins where the walk ends, so that much
 * of either is still in the cache. */
template <int W, class F>
__global__ void __launch_bounds__(REMAT_BLOCK, 2) remat_slice_sums(F f, int64_t rows, int64_t columns, float *partials)
{
    __shared__ float room[2][REMAT_BLOCK * W];
    int width = (int)blockDim.x * W, at = (int)(threadIdx.y * width + threadIdx.x * W);
    int64_t first = (int64_t)blockIdx.x * width, column = first + threadIdx.x * W;
    float a[W] = {}, b[W] = {};
    if (column < columns)
        remat_add_rows<W>(f, rows, column, a, b);
    for (int k = 0; k < W; k++) {
        room[0][at + k] = a[k];
        room[1][at + k] = b[k];
    }
    __syncthreads();
    for (int e = (int)(threadIdx.y * blockDim.x + threadIdx.x); e < 2 * width; e += (int)(blockDim.x * blockDim.y)) {
        int which = e / width, c = e % width;
        float sum = 0;
        for (int lane = 0; lane < (int)blockDim.y; lane++)
            sum += room[which][lane * width + c];
        if (first + c < columns)
            partials[(2 * (int64_t)blockIdx.y + which) * columns + first + c] = sum;
    }
}

/* g(column, a, b) takes the sums. */
template <class G>
__global__ void __launch_bounds__(REMAT_DONE_COLUMNS *REMAT_DONE_LANES)
    remat_slices_done(G g, int slices, int64_t columns, const float *partials)
{
    __shared__ double room[2][REMAT_DONE_LANES][REMAT_DONE_COLUMNS];
    int64_t column = (int64_t)blockIdx.x * REMAT_DONE_COLUMNS + threadIdx.x;
    double a = 0, b = 0;
    if (column < columns) {
        for (int slice = threadIdx.y; slice < slices; slice += REMAT_DONE_LANES) {
            a += (double)partials[2 * slice * columns + column];
            b += (double)partials[(2 * slice + 1) * columns + column];
        }
    }
    room[0][threadIdx.y][threadIdx.x] = a;
    room[1][threadIdx.y][threadIdx.x] = b;
    for (int lanes = REMAT_DONE_LANES / 2; lanes > 0; lanes /= 2) {
        __syncthreads();
        for (int which = 0; which < 2 && (int)threadIdx.y < lanes; which++)
            room[which][threadIdx.y][threadIdx.x] += room[which][threadIdx.y + lanes][threadIdx.x];
    }
    if (threadIdx.y == 0 && column < columns)
        g(column, room[0][0][threadIdx.x], room[1][0][threadIdx.x]);
}

template <int W, class F>
static void remat_start_slices(const struct remat_device *device, F f, int64_t rows, int64_t columns, float *partials)
{
    unsigned wide = columns / W < REMAT_WARP ? (unsigned)(columns / W) : (unsigned)REMAT_WARP;
    dim3 grid((unsigned)remat_ceil(columns, wide * W), (unsigned)remat_slices(rows, columns));
    REMAT_LAUNCH((remat_slice_sums<W, F>), grid, dim3(wide, REMAT_BLOCK / wide), 0, device->stream)
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
    REMAT_LAUNCH(remat_slices_done<G>, dim3((unsigned)remat_ceil(columns, REMAT_DONE_COLUMNS)),
                 dim3(REMAT_DONE_COLUMNS, REMAT_DONE_LANES), 0, device->stream)
    (g, remat_slices(rows, columns), columns, (const float *)partials);
    return remat_launched(err);
}

/* f.put(k, r, row, column) for every row, with k and r as above, F::TOGETHER rows at a time. */
template <int W, class F>
__global__ void __launch_bounds__(REMAT_BLOCK, 2) remat_each_column(F f, int64_t rows, int64_t columns)
{
    int64_t column = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * W, step = (int64_t)gridDim.x * blockDim.y;
    int64_t row = (int64_t)blockIdx.x * blockDim.y + threadIdx.y;
    typename F::template of<W> k;
    if (column >= columns)
        return;
    f.template prepare<W>(column, &k);
    for (; row + (F::TOGETHER - 1) * step < rows; row += F::TOGETHER * step) {
        typename F::template row<W> r[F::TOGETHER];
        REMAT_UNROLL
        for (int u = 0; u < F::TOGETHER; u++)
            f.template load<W>(row + u * step, column, &r[u]);
        REMAT_UNROLL
        for (int u = 0; u < F::TOGETHER; u++)
            f.template put<W>(k, r[u], row + u * step, column);
    }
    for (; row < rows; row += step) {
        typename F::template row<W> r;
        f.template load<W>(row, column, &r);
        f.template put<W>(k, r, row, column);
    }
}

template <int W, class F>
static void remat_start_columns(const struct remat_device *device, F f, int64_t rows, int64_t columns)
{
    unsigned wide = columns / W < REMAT_WARP ? (unsigned)(columns / W) : (unsigned)REMAT_WARP;
    unsigned tall = REMAT_BLOCK / wide;
    dim3 grid(remat_grid(rows, 2 * F::TOGETHER * tall), (unsigned)remat_ceil(columns, wide * W));
    REMAT_LAUNCH((remat_each_column<W, F>), grid, dim3(wide, tall), 0, device->stream)(f, rows, columns);
}

/* T: the type of what f reads. Rows are whole vectors, or of single elements. */
template <class T, class F>
static enum remat_status remat_by_column(const struct remat_device *device, F f, int64_t rows, int64_t columns,
                                         struct remat_error *err)
{
    enum { W = remat_vector_of<T>::WIDTH };
    if (columns % W == 0)
        remat_start_columns<W>(device, f, rows, columns);
    else
        remat_start_columns<1>(device, f, rows, columns);
    return remat_launched(err);
}

#endif
