/* The blocking of matrix products (after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * ACM TOMS 34, 2008): a block of B is packed into panels that stay in the second-level cache while all rows of A pass
 * by. Rows of A are read in place; only a transposed A is packed, tile by tile. */
#include "runtime/backend/cpu/gemm.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>
#include <string.h>

/* Elements of a packed block of B: 256 KiB. */
enum { BLOCK_ELEMENTS = 65536, DEEP_BLOCK = 1024, PACKED_BLOCK = 256 };

struct job {
    const struct remat_gemm_kernels *kernels;
    struct remat_gemm gemm;
    const float *a, *b;
    float *c;
    int64_t block_k, block_n; /* of the packed block; block_n is whole panels */
    bool pack_a;
    bool split_rows; /* threads share a block and take rows each; else they take columns each */
    int32_t threads;
    float *scratch;
    int64_t block_bytes, tile_bytes; /* aligned */
};

/* What one thread does: rows x columns of C, together with `sharing` threads that pack the same blocks. */
struct part {
    int64_t row_begin, row_end, column_begin, column_end;
    float *block, *tile;
    int32_t member, sharing;
};

static struct job job_make(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = {.kernels = REMAT_SIMD_TABLE(device, remat_gemm_kernels), .gemm = *gemm};
    int64_t columns = job.kernels->columns, rows = job.kernels->rows;
    job.threads = threads;
    job.pack_a = gemm->trans_a;
    job.block_k = remat_at_most(gemm->k, job.pack_a ? PACKED_BLOCK : DEEP_BLOCK);
    if (job.block_k < 1)
        job.block_k = 1;
    job.block_n = BLOCK_ELEMENTS / job.block_k / columns * columns;
    job.block_n = remat_at_most(job.block_n, remat_units(gemm->n, columns) * columns);
    job.split_rows =
        threads > 1 && remat_balance(gemm->m, rows, threads) + 0.02 >= remat_balance(gemm->n, columns, threads);
    job.block_bytes = remat_align_up(job.block_k * job.block_n * (int64_t)sizeof(float));
    job.tile_bytes = job.pack_a ? remat_align_up(job.block_k * rows * (int64_t)sizeof(float)) : 0;
    return job;
}

int64_t remat_gemm_scratch_bytes(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = job_make(device, gemm, threads);
    return job.block_bytes * (job.split_rows ? 1 : threads) + job.tile_bytes * threads;
}

/* Packs columns n0 .. n0 + columns of op(B) rows k0 .. k0 + depth. */
static void pack_panel(const struct job *job, int64_t k0, int64_t depth, int64_t n0, int32_t valid, float *panel)
{
    const struct remat_gemm *gemm = &job->gemm;
    if (gemm->trans_b)
        job->kernels->pack_transposed(depth, valid, job->b + n0 * gemm->ldb + k0, gemm->ldb, panel);
    else
        job->kernels->pack_rows(depth, valid, job->b + k0 * gemm->ldb + n0, gemm->ldb, panel);
}

static void pack_block(const struct job *job, const struct part *part, int64_t k0, int64_t depth, int64_t n0,
                       int64_t n1)
{
    int32_t columns = job->kernels->columns;
    int64_t panels = (n1 - n0 + columns - 1) / columns;
    for (int64_t i = panels * part->member / part->sharing; i < panels * (part->member + 1) / part->sharing; i++) {
        int64_t n = n0 + i * columns;
        pack_panel(job, k0, depth, n, (int32_t)remat_at_most(columns, n1 - n), part->block + i * columns * depth);
    }
}

/* tile[p * rows + i] = op(A)[m + i, k0 + p] out of a transposed A. */
static void pack_tile(const struct job *job, int64_t m, int32_t height, int64_t k0, int64_t depth, float *tile)
{
    int32_t rows = job->kernels->rows;
    for (int64_t p = 0; p < depth; p++)
        for (int32_t i = 0; i < height; i++)
            tile[p * rows + i] = job->a[(k0 + p) * job->gemm.lda + m + i];
}

/* A tile's rows times all panels of the block. */
static void multiply_rows(const struct job *job, const struct part *part, int64_t m, int64_t k0, int64_t depth,
                          int64_t n0, int64_t n1)
{
    const struct remat_gemm_kernels *kernels = job->kernels;
    int32_t height = (int32_t)remat_at_most(kernels->rows, part->row_end - m);
    const float *left[REMAT_TILE_MAX_ROWS];
    float *rows[REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.out = rows, .alpha = job->gemm.alpha, .add = k0 > 0 || job->gemm.beta != 0};
    out.bias = k0 == 0 ? job->gemm.bias : NULL;
    for (int32_t i = 0; i < height; i++) {
        rows[i] = job->c + (m + i) * job->gemm.ldc;
        left[i] = job->a + (m + i) * job->gemm.lda + k0;
    }
    if (job->pack_a)
        pack_tile(job, m, height, k0, depth, part->tile);
    for (int64_t n = n0; n < n1; n += kernels->columns) {
        const float *panel = part->block + (n - n0) * depth;
        out.column = n;
        out.columns = (int32_t)remat_at_most(kernels->columns, n1 - n);
        if (job->pack_a)
            kernels->by_columns(height, depth, part->tile, kernels->rows, panel, kernels->columns, &out);
        else
            kernels->by_rows(height, 1, depth, left, panel, 0, &out);
    }
}

static void run_part(const struct job *job, const struct part *part)
{
    for (int64_t n0 = part->column_begin; n0 < part->column_end; n0 += job->block_n) {
        int64_t n1 = remat_at_most(n0 + job->block_n, part->column_end), k0 = 0;
        do {
            int64_t depth = remat_at_most(job->block_k, job->gemm.k - k0);
            remat_wait_for_sharers(part->sharing);
            pack_block(job, part, k0, depth, n0, n1);
            remat_wait_for_sharers(part->sharing);
            for (int64_t m = part->row_begin; m < part->row_end; m += job->kernels->rows)
                multiply_rows(job, part, m, k0, depth, n0, n1);
            k0 += depth;
        } while (k0 < job->gemm.k);
    }
}

static struct part part_make(const struct job *job, int32_t thread, int32_t threads)
{
    char *scratch = (char *)job->scratch;
    struct part part = {.row_end = job->gemm.m, .column_end = job->gemm.n, .sharing = 1};
    int64_t blocks = job->split_rows ? 1 : job->threads;
    if (job->split_rows) {
        part.row_begin = remat_share(job->gemm.m, job->kernels->rows, thread, threads);
        part.row_end = remat_share(job->gemm.m, job->kernels->rows, thread + 1, threads);
        part.member = thread;
        part.sharing = threads;
    } else {
        part.column_begin = remat_share(job->gemm.n, job->kernels->columns, thread, threads);
        part.column_end = remat_share(job->gemm.n, job->kernels->columns, thread + 1, threads);
    }
    part.block = (float *)(scratch + (job->split_rows ? 0 : thread * job->block_bytes));
    part.tile = (float *)(scratch + blocks * job->block_bytes + thread * job->tile_bytes);
    return part;
}

void remat_gemm_run(const struct remat_device *device, const struct remat_gemm *gemm, const float *a, const float *b,
                    float *c, void *scratch, int32_t threads)
{
    struct job job = job_make(device, gemm, threads);
    job.a = a;
    job.b = b;
    job.c = c;
    job.scratch = scratch;
    if (threads == 1) {
        struct part part = part_make(&job, 0, 1);
        run_part(&job, &part);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        struct part part = part_make(&job, omp_get_thread_num(), omp_get_num_threads());
        run_part(&job, &part);
    }
}
