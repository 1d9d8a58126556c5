/* The blocking of matrix products (after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * ACM TOMS 34, 2008): a block of B is packed into panels that stay in the second-level cache while rows of A pass
 * by. Rows of A are read in place; only a transposed A is packed, tile by tile. */
#include "runtime/backend/cpu/gemm.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>

/* Elements of a block of packed B: 256 KiB. Several threads pack `BLOCKS_AT_ONCE` blocks before they multiply. */
enum { BLOCK_ELEMENTS = 65536, BLOCKS_AT_ONCE = 16, DEEP_BLOCK = 1024, PACKED_BLOCK = 256 };
/* Row tiles that a thread takes at once. */
enum { TILES_AT_ONCE = 8 };

struct job {
    const struct remat_gemm_kernels *kernels;
    struct remat_gemm gemm;
    const float *a, *b;
    float *c;
    int64_t block_k, block_n; /* of a block; block_n is whole panels */
    int64_t group_n;          /* columns packed at once, whole blocks, for all k */
    bool pack_a;
    int64_t group_bytes, tile_bytes; /* aligned; a tile is each thread's */
};

/* One thread's place in a job. */
struct worker {
    const struct job *job;
    struct remat_turn turn;
    float *group, *tile;
};

static struct job job_make(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = {.kernels = REMAT_SIMD_TABLE(device, remat_gemm_kernels), .gemm = *gemm};
    int64_t columns = job.kernels->columns, width = remat_units(gemm->n, columns) * columns;
    int64_t k = remat_at_least(gemm->k, 1), blocks = threads > 1 ? BLOCKS_AT_ONCE : 1, room;
    job.pack_a = gemm->trans_a;
    job.block_k = remat_at_most(k, job.pack_a ? PACKED_BLOCK : DEEP_BLOCK);
    job.block_n = remat_at_most(BLOCK_ELEMENTS / job.block_k / columns * columns, width);
    /* All k of a column block are packed together, so that its sums finish before the next. */
    room = blocks * BLOCK_ELEMENTS / (job.block_n * k);
    job.group_n = remat_at_most(remat_at_least(room, 1) * job.block_n, width);
    job.group_bytes = remat_align_up(job.group_n * k * (int64_t)sizeof(float));
    if (job.pack_a)
        job.tile_bytes =
            remat_align_up((job.block_k * job.kernels->rows + REMAT_TILE_MAX_COLUMNS) * (int64_t)sizeof(float));
    return job;
}

int64_t remat_gemm_scratch_bytes(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = job_make(device, gemm, threads);
    return job.group_bytes + job.tile_bytes * threads;
}

/* Panels hold all k: panel i of a group is at i * k * columns. */
static void pack_panel(const struct worker *worker, int64_t n, float *panel)
{
    const struct remat_gemm *gemm = &worker->job->gemm;
    const struct remat_gemm_kernels *kernels = worker->job->kernels;
    int32_t valid = (int32_t)remat_at_most(kernels->columns, gemm->n - n);
    if (gemm->trans_b)
        kernels->pack_transposed(gemm->k, valid, worker->job->b + n * gemm->ldb, gemm->ldb, panel);
    else
        kernels->pack_rows(gemm->k, valid, worker->job->b + n, gemm->ldb, panel);
}

/* A tile's rows times columns n0 .. n1 over k0 .. k0 + depth. */
static void multiply_rows(const struct worker *worker, int64_t m, int64_t k0, int64_t depth, int64_t n0, int64_t n1,
                          int64_t group0)
{
    const struct job *job = worker->job;
    const struct remat_gemm *gemm = &job->gemm;
    const struct remat_gemm_kernels *kernels = job->kernels;
    int32_t height = (int32_t)remat_at_most(kernels->rows, gemm->m - m);
    const float *left[REMAT_TILE_MAX_ROWS];
    float *rows[REMAT_TILE_MAX_ROWS];
    struct remat_tile_out out = {.out = rows, .alpha = gemm->alpha, .add = k0 > 0 || gemm->beta != 0};
    out.bias = k0 == 0 ? gemm->bias : NULL;
    for (int32_t i = 0; i < height; i++) {
        rows[i] = job->c + (m + i) * gemm->ldc;
        left[i] = job->a + (m + i) * gemm->lda + k0;
    }
    if (job->pack_a)
        kernels->pack_columns(depth, 1, job->a + k0 * gemm->lda + m, gemm->lda, gemm->m - m, worker->tile, 0);
    for (int64_t n = n0; n < n1; n += kernels->columns) {
        const float *panel = worker->group + (n - group0) * gemm->k + k0 * kernels->columns;
        out.column = n;
        out.columns = (int32_t)remat_at_most(kernels->columns, n1 - n);
        if (job->pack_a)
            kernels->by_columns(height, depth, worker->tile, kernels->rows, panel, kernels->columns, &out);
        else
            kernels->by_rows(height, 1, depth, left, panel, 0, &out);
    }
}

/* Item: a block of columns and a few row tiles, for all k. */
static void multiply_item(const struct worker *worker, int64_t item, int64_t group0, int64_t group1)
{
    const struct job *job = worker->job;
    int64_t rows = job->kernels->rows, chunk = TILES_AT_ONCE * rows, chunks = remat_units(job->gemm.m, chunk);
    int64_t n0 = group0 + item / chunks * job->block_n, n1 = remat_at_most(n0 + job->block_n, group1);
    int64_t m0 = item % chunks * chunk, m1 = remat_at_most(m0 + chunk, job->gemm.m), k0 = 0;
    do {
        int64_t depth = remat_at_most(job->block_k, job->gemm.k - k0);
        for (int64_t m = m0; m < m1; m += rows)
            multiply_rows(worker, m, k0, depth, n0, n1, group0);
        k0 += depth;
    } while (k0 < job->gemm.k);
}

static void work(struct worker *worker)
{
    const struct job *job = worker->job;
    int64_t columns = job->kernels->columns, item;
    for (int64_t group0 = 0; group0 < job->gemm.n; group0 += job->group_n) {
        int64_t group1 = remat_at_most(group0 + job->group_n, job->gemm.n);
        int64_t panels = remat_units(group1 - group0, columns);
        int64_t items =
            remat_units(group1 - group0, job->block_n) * remat_units(job->gemm.m, TILES_AT_ONCE * job->kernels->rows);
        while ((item = remat_turn_take(&worker->turn, panels)) >= 0)
            pack_panel(worker, group0 + item * columns, worker->group + item * columns * job->gemm.k);
        remat_turn_finish(&worker->turn);
        while ((item = remat_turn_take(&worker->turn, items)) >= 0)
            multiply_item(worker, item, group0, group1);
        remat_turn_finish(&worker->turn);
    }
}

static void start(const struct job *job, struct remat_queue *queue, int32_t thread, char *scratch)
{
    struct worker worker = {.job = job, .turn = {.queue = queue}, .group = (float *)scratch};
    worker.tile = (float *)(scratch + job->group_bytes + thread * job->tile_bytes);
    work(&worker);
}

void remat_gemm_run(const struct remat_device *device, const struct remat_gemm *gemm, const float *a, const float *b,
                    float *c, void *scratch, int32_t threads)
{
    struct job job = job_make(device, gemm, threads);
    struct remat_queue queue;
    job.a = a;
    job.b = b;
    job.c = c;
    remat_queue_init(&queue, threads);
    if (threads == 1) {
        start(&job, &queue, 0, scratch);
        return;
    }
#pragma omp parallel num_threads(threads)
    start(&job, &queue, omp_get_thread_num(), scratch);
}
