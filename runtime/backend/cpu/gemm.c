/* The blocking of matrix products (after Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication",
 * ACM TOMS 34, 2008): a group of B is packed into panels, which all threads share; each thread packs a chunk of A's
 * rows, which stays in its second-level cache while the panels pass through the first-level cache one by one. */
#include "runtime/backend/cpu/gemm.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/share.h"
#include "runtime/backend/cpu/simd/gemm_kernels.h"

#include <omp.h>

/* A panel of a block's depth takes half of a first-level cache; a chunk of A, a part of the second level. */
enum { BLOCK_DEPTH = 256, CHUNK_ELEMENTS = 24576 };
/* With fewer chunks a thread than this, threads share a chunk's panels, at least so many each: chunks are not all as
 * large, and threads wait for the last. */
enum { MANY_CHUNKS = 8, LEAST_PANELS = 4 };
/* Elements of B packed at once: by one thread alone, and by several together, which then wait for each other. */
enum { GROUP_ELEMENTS = 65536, SHARED_GROUP_ELEMENTS = 1048576 };

struct job {
    const struct remat_gemm_kernels *kernels;
    struct remat_gemm gemm;
    int32_t threads;
    const float *a, *b;
    float *c;
    int64_t depth;                    /* of a block: k is cut into blocks */
    int64_t chunk_m;                  /* rows of A packed at once: whole tiles */
    int64_t group_n, group_k;         /* of B packed at once: whole panels, whole blocks */
    int64_t tile_step;                /* elements from a packed tile to the next */
    int64_t group_bytes, chunk_bytes; /* aligned; a chunk is each thread's */
};

/* One thread's place in a job. */
struct worker {
    const struct job *job;
    struct remat_turn turn;
    float *group, *chunk;
};

/* The part of B that is packed: columns n0 .. n1, k0 .. k1. */
struct group {
    int64_t n0, n1, k0, k1;
};

/* Few large chunks, but enough of them to share the work evenly. */
static int64_t choose_chunk(const struct job *job, int32_t threads)
{
    int64_t rows = job->kernels->rows, tiles = remat_units(job->gemm.m, rows);
    int64_t most = remat_at_least(CHUNK_ELEMENTS / (job->depth * rows), 1);
    int64_t chunks = remat_units(tiles, most);
    if (threads > 1)
        chunks = remat_units(chunks, threads) * threads;
    return remat_at_least(remat_units(tiles, chunks), 1) * rows;
}

static struct job job_make(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = {.kernels = REMAT_SIMD_TABLE(device, remat_gemm_kernels), .gemm = *gemm, .threads = threads};
    int64_t columns = job.kernels->columns, width = remat_units(gemm->n, columns) * columns;
    int64_t k = remat_at_least(gemm->k, 1), room = threads > 1 ? SHARED_GROUP_ELEMENTS : GROUP_ELEMENTS;
    int64_t blocks = remat_units(k, BLOCK_DEPTH);
    job.depth = remat_units(k, blocks);
    job.chunk_m = choose_chunk(&job, threads);
    job.group_n = remat_at_most(room / job.depth / columns * columns, width);
    job.group_k = remat_at_most(remat_at_least(room / (job.group_n * job.depth), 1), blocks) * job.depth;
    job.group_bytes = remat_align_up(job.group_n * job.group_k * (int64_t)sizeof(float));
    job.tile_step = job.depth * job.kernels->rows + REMAT_TILE_MAX_COLUMNS;
    job.chunk_bytes = remat_align_up(job.chunk_m / job.kernels->rows * job.tile_step * (int64_t)sizeof(float));
    return job;
}

int64_t remat_gemm_scratch_bytes(const struct remat_device *device, const struct remat_gemm *gemm, int32_t threads)
{
    struct job job = job_make(device, gemm, threads);
    return job.group_bytes + job.chunk_bytes * threads;
}

/* Where the panel of column n and the block of k stands. */
static float *panel_at(const struct worker *worker, const struct group *group, int64_t n, int64_t k)
{
    return worker->group + (k - group->k0) * worker->job->group_n + (n - group->n0) * worker->job->depth;
}

static void pack_panel(const struct worker *worker, const struct group *group, int64_t n, int64_t k)
{
    const struct job *job = worker->job;
    const struct remat_gemm *gemm = &job->gemm;
    int32_t valid = (int32_t)remat_at_most(job->kernels->columns, gemm->n - n);
    int64_t depth = remat_at_most(job->depth, group->k1 - k);
    float *panel = panel_at(worker, group, n, k);
    if (gemm->trans_b)
        job->kernels->pack_transposed(depth, valid, job->b + n * gemm->ldb + k, gemm->ldb, panel);
    else
        job->kernels->pack_rows(depth, valid, job->b + k * gemm->ldb + n, gemm->ldb, panel);
}

/* Rows m0 .. m1 of one block of k. */
static void pack_chunk(const struct worker *worker, int64_t m0, int64_t m1, int64_t k, int64_t depth)
{
    const struct job *job = worker->job;
    const struct remat_gemm *gemm = &job->gemm;
    int64_t rows = job->kernels->rows;
    if (gemm->trans_a) {
        job->kernels->pack_columns(depth, remat_units(m1 - m0, rows), job->a + k * gemm->lda + m0, gemm->lda,
                                   gemm->m - m0, worker->chunk, job->tile_step);
        return;
    }
    for (int64_t m = m0; m < m1; m += rows)
        job->kernels->pack_tile(depth, (int32_t)remat_at_most(rows, m1 - m), job->a + m * gemm->lda + k, gemm->lda,
                                worker->chunk + (m - m0) / rows * job->tile_step);
}

/* All tiles of a chunk times one panel. */
static void multiply_panel(const struct worker *worker, int64_t m0, int64_t m1, int64_t depth, const float *panel,
                           struct remat_tile_out out)
{
    const struct job *job = worker->job;
    int64_t rows = job->kernels->rows;
    float *at[REMAT_TILE_MAX_ROWS];
    const float *tile = worker->chunk;
    out.out = at;
    for (int64_t m = m0; m < m1; m += rows, tile += job->tile_step) {
        int32_t height = (int32_t)remat_at_most(rows, m1 - m);
        for (int32_t i = 0; i < height; i++)
            at[i] = job->c + (m + i) * job->gemm.ldc;
        job->kernels->by_columns(height, depth, tile, rows, panel, job->kernels->columns, &out);
    }
}

/* Rows m0 .. m1 and columns n0 .. n1 of C over a group, block by block of k. */
static void multiply_chunk(const struct worker *worker, const struct group *group, int64_t m0, int64_t m1, int64_t n0,
                           int64_t n1)
{
    const struct job *job = worker->job;
    int64_t columns = job->kernels->columns, k = group->k0;
    do {
        int64_t depth = remat_at_most(job->depth, group->k1 - k);
        struct remat_tile_out out = {.alpha = job->gemm.alpha, .add = k > 0 || job->gemm.beta != 0};
        out.bias = k == 0 ? job->gemm.bias : NULL;
        pack_chunk(worker, m0, m1, k, depth);
        for (int64_t n = n0; n < n1; n += columns) {
            out.column = n;
            out.columns = (int32_t)remat_at_most(columns, n1 - n);
            multiply_panel(worker, m0, m1, depth, panel_at(worker, group, n, k), out);
        }
        k += job->depth;
    } while (k < group->k1);
}

/* Item `item` of `parts` a chunk of A's rows: one of as many parts of the group's panels. */
static void multiply_part(const struct worker *worker, const struct group *group, int64_t item, int64_t parts)
{
    const struct job *job = worker->job;
    int64_t columns = job->kernels->columns, panels = remat_units(group->n1 - group->n0, columns);
    int64_t m0 = item / parts * job->chunk_m, part = item % parts;
    int64_t n0 = group->n0 + part * panels / parts * columns, n1 = group->n0 + (part + 1) * panels / parts * columns;
    multiply_chunk(worker, group, m0, remat_at_most(m0 + job->chunk_m, job->gemm.m), n0, remat_at_most(n1, group->n1));
}

static int64_t parts_of(const struct job *job, int64_t chunks, int64_t panels)
{
    int64_t threads = job->threads;
    return chunks >= MANY_CHUNKS * threads ? 1 : remat_at_least(remat_at_most(threads, panels / LEAST_PANELS), 1);
}

static void work_group(struct worker *worker, const struct group *group)
{
    const struct job *job = worker->job;
    int64_t columns = job->kernels->columns, panels = remat_units(group->n1 - group->n0, columns);
    int64_t blocks = remat_units(group->k1 - group->k0, job->depth), chunks = remat_units(job->gemm.m, job->chunk_m);
    int64_t parts = parts_of(job, chunks, panels), item;
    while ((item = remat_turn_take(&worker->turn, panels * blocks)) >= 0)
        pack_panel(worker, group, group->n0 + item % panels * columns, group->k0 + item / panels * job->depth);
    remat_turn_finish(&worker->turn);
    while ((item = remat_turn_take(&worker->turn, chunks * parts)) >= 0)
        multiply_part(worker, group, item, parts);
    remat_turn_finish(&worker->turn);
}

static void work(struct worker *worker)
{
    const struct job *job = worker->job;
    for (int64_t n = 0; n < job->gemm.n; n += job->group_n) {
        struct group group = {.n0 = n, .n1 = remat_at_most(n + job->group_n, job->gemm.n)};
        do {
            group.k1 = remat_at_most(group.k0 + job->group_k, job->gemm.k);
            work_group(worker, &group);
            group.k0 += job->group_k;
        } while (group.k0 < job->gemm.k);
    }
}

static void start(const struct job *job, struct remat_queue *queue, int32_t thread, char *scratch)
{
    struct worker worker = {.job = job, .turn = {.queue = queue}, .group = (float *)scratch};
    worker.chunk = (float *)(scratch + job->group_bytes + thread * job->chunk_bytes);
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
