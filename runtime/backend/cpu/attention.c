/* Causal self-attention. For each (sequence, head) and block of queries, the scores against all earlier keys stand in
 * scratch: [BLOCK, T], never T x T. The forward pass keeps o and the log-sum-exp of each row; the backward pass makes
 * the probabilities again from them (Dao et al., "FlashAttention", NeurIPS 2022, without its inner tiling, which a
 * CPU's cache does not need). One thread does all blocks of one (sequence, head), so that sums have one order whatever
 * the thread count. */
#include "runtime/backend/cpu/cpu.h"

#include "runtime/backend/cpu/gemm.h"
#include "runtime/backend/cpu/simd/attention_kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

struct attention {
    const struct remat_device *device;
    int64_t batch, length, width, heads, head_width; /* width = heads * head_width */
    float scale;
    int64_t scores_bytes, gemm_bytes, thread_bytes; /* of each thread's scratch */
};

/* Scores of a block: S = scale Q K' or dP = dO V'; then O = P V or dQ = dS K; then dK += dS' Q or dV += P' dO. */
static struct remat_gemm scores_product(const struct attention *a, int64_t rows, int64_t keys, int64_t lda, float scale)
{
    return (struct remat_gemm){rows, keys, a->head_width, lda, 3 * a->width, a->length, false, true, scale, 0, NULL};
}

static struct remat_gemm output_product(const struct attention *a, int64_t rows, int64_t keys, int64_t ldc)
{
    return (struct remat_gemm){rows, a->head_width, keys, a->length, 3 * a->width, ldc, false, false, 1, 0, NULL};
}

static struct remat_gemm key_product(const struct attention *a, int64_t rows, int64_t keys, int64_t ldb)
{
    return (struct remat_gemm){keys, a->head_width, rows, a->length, ldb, 3 * a->width, true, false, 1, 1, NULL};
}

static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The largest products are those of the last block, but packing may take more for a short one: all are asked. */
static int64_t gemm_scratch(const struct attention *a)
{
    int64_t bytes = 0;
    for (int64_t first = 0; first < a->length; first += BLOCK) {
        int64_t rows = a->length - first < BLOCK ? a->length - first : BLOCK, keys = first + rows;
        struct remat_gemm products[5] = {
            scores_product(a, rows, keys, 3 * a->width, 1), scores_product(a, rows, keys, a->width, 1),
            output_product(a, rows, keys, 3 * a->width), key_product(a, rows, keys, a->width),
            key_product(a, rows, keys, 3 * a->width)};
        for (int k = 0; k < 5; k++)
            bytes = largest(bytes, remat_gemm_scratch_bytes(a->device, &products[k], 1));
    }
    return remat_align_up(bytes);
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    const struct remat_tensor *qkv = &spec->inputs[0];
    struct attention *a;
    bool backward = spec->op == REMAT_OP_ATTENTION_BWD;
    REMAT_TRY(REMAT_ALLOC(a, 1, err));
    a->device = device;
    a->batch = qkv->dims[0];
    a->length = qkv->dims[1];
    a->width = qkv->dims[2] / 3;
    a->heads = spec->attr.heads;
    a->head_width = a->width / a->heads;
    a->scale = 1.0f / sqrtf((float)a->head_width);
    a->scores_bytes = remat_align_up(BLOCK * a->length * (int64_t)sizeof(float));
    a->gemm_bytes = gemm_scratch(a);
    a->thread_bytes = (backward ? 2 : 1) * a->scores_bytes + a->gemm_bytes;
    *state = a;
    *scratch_bytes = device->threads * a->thread_bytes;
    return REMAT_OK;
}

static bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return spec->inputs[0].dtype == REMAT_F32;
}

/* Where one (sequence, head) begins: in [B,T,3C], in [B,T,C] and in [B,H,T]. */
struct place {
    int64_t wide, narrow, rows;
};

static void for_each_head(const struct attention *a, const struct remat_kernel_args *args,
                          void (*run)(const struct attention *a, const struct remat_kernel_args *args,
                                      const struct place *place, unsigned char *scratch))
{
    int64_t items = a->batch * a->heads;
    int32_t threads = a->device->threads;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int32_t t = 0; t < threads; t++) {
        unsigned char *scratch = (unsigned char *)args->scratch + t * a->thread_bytes;
        for (int64_t item = items * t / threads; item < items * (t + 1) / threads; item++) {
            int64_t row = item / a->heads * a->length, column = item % a->heads * a->head_width;
            struct place place = {row * 3 * a->width + column, row * a->width + column, item * a->length};
            run(a, args, &place, scratch);
        }
    }
}

/* --- forward ----------------------------------------------------------------------------------------------------- */

static void forward_block(const struct attention *a, const float *qkv, float *o, float *lse, int64_t first,
                          unsigned char *scratch)
{
    const struct remat_attention_kernels *kernels = REMAT_SIMD_TABLE(a->device, remat_attention_kernels);
    int64_t rows = a->length - first < BLOCK ? a->length - first : BLOCK, keys = first + rows;
    float *scores = (float *)(void *)scratch;
    struct remat_gemm product = scores_product(a, rows, keys, 3 * a->width, a->scale);
    void *gemm_scratch_memory = scratch + a->scores_bytes;
    remat_gemm_run(a->device, &product, qkv + first * 3 * a->width, qkv + a->width, scores, gemm_scratch_memory, 1);
    for (int64_t i = 0; i < rows; i++)
        lse[first + i] = kernels->softmax(scores + i * a->length, first + i + 1, keys);
    product = output_product(a, rows, keys, a->width);
    remat_gemm_run(a->device, &product, scores, qkv + 2 * a->width, o + first * a->width, gemm_scratch_memory, 1);
}

static void forward_head(const struct attention *a, const struct remat_kernel_args *args, const struct place *place,
                         unsigned char *scratch)
{
    const float *qkv = (const float *)args->inputs[0] + place->wide;
    float *o = (float *)args->outputs[0] + place->narrow, *lse = (float *)args->outputs[1] + place->rows;
    for (int64_t first = 0; first < a->length; first += BLOCK)
        forward_block(a, qkv, o, lse, first, scratch);
}

static enum remat_status run_forward(const void *state, const struct remat_kernel_spec *spec,
                                     const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)spec;
    (void)err;
    for_each_head(state, args, forward_head);
    return REMAT_OK;
}

/* --- backward ---------------------------------------------------------------------------------------------------- */

/* The operands of one (sequence, head). */
struct head {
    const float *qkv, *o, *lse, *go;
    float *dqkv;
};

static void backward_block(const struct attention *a, const struct head *head, int64_t first, unsigned char *scratch)
{
    const struct remat_attention_kernels *kernels = REMAT_SIMD_TABLE(a->device, remat_attention_kernels);
    int64_t rows = a->length - first < BLOCK ? a->length - first : BLOCK, keys = first + rows, wide = 3 * a->width;
    float *p = (float *)(void *)scratch, *dp = (float *)(void *)(scratch + a->scores_bytes);
    void *memory = scratch + 2 * a->scores_bytes;
    const float *q = head->qkv + first * wide, *go = head->go + first * a->width;
    struct remat_gemm product = scores_product(a, rows, keys, wide, a->scale);
    remat_gemm_run(a->device, &product, q, head->qkv + a->width, p, memory, 1);
    product = scores_product(a, rows, keys, a->width, 1);
    remat_gemm_run(a->device, &product, go, head->qkv + 2 * a->width, dp, memory, 1);
    for (int64_t i = 0; i < rows; i++) {
        float delta = kernels->dot(go + i * a->width, head->o + (first + i) * a->width, a->head_width);
        kernels->softmax_bwd(p + i * a->length, dp + i * a->length, first + i + 1, keys, head->lse[first + i], delta,
                             a->scale);
    }
    product = output_product(a, rows, keys, wide);
    remat_gemm_run(a->device, &product, dp, head->qkv + a->width, head->dqkv + first * wide, memory, 1);
    product = key_product(a, rows, keys, wide);
    remat_gemm_run(a->device, &product, dp, q, head->dqkv + a->width, memory, 1);
    product = key_product(a, rows, keys, a->width);
    remat_gemm_run(a->device, &product, p, go, head->dqkv + 2 * a->width, memory, 1);
}

static void clear_key_gradients(const struct attention *a, float *dqkv)
{
    for (int64_t i = 0; i < a->length; i++) {
        memset(dqkv + i * 3 * a->width + a->width, 0, (size_t)a->head_width * sizeof(float));
        memset(dqkv + i * 3 * a->width + 2 * a->width, 0, (size_t)a->head_width * sizeof(float));
    }
}

static void backward_head(const struct attention *a, const struct remat_kernel_args *args, const struct place *place,
                          unsigned char *scratch)
{
    struct head head = {(const float *)args->inputs[0] + place->wide, (const float *)args->inputs[1] + place->narrow,
                        (const float *)args->inputs[2] + place->rows, (const float *)args->inputs[3] + place->narrow,
                        (float *)args->outputs[0] + place->wide};
    clear_key_gradients(a, head.dqkv);
    for (int64_t first = 0; first < a->length; first += BLOCK)
        backward_block(a, &head, first, scratch);
}

static enum remat_status run_backward(const void *state, const struct remat_kernel_spec *spec,
                                      const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)spec;
    (void)err;
    for_each_head(state, args, backward_head);
    return REMAT_OK;
}

const struct remat_op_impl remat_cpu_attention = {REMAT_OP_ATTENTION, "blocks", 0, supports, create, run_forward, free};
const struct remat_op_impl remat_cpu_attention_bwd = {REMAT_OP_ATTENTION_BWD, "blocks", 0, supports, create,
                                                      run_backward,           free};
