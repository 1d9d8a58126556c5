/* Causal self-attention, computed in f32, without a T x T matrix: tiles of 32 queries by 32 keys, the softmax carried
 * along (Dao, Fu, Ermon, Rudra, Re, "FlashAttention", NeurIPS 2022).
 *
 *   o_i = sum over j <= i of p_ij v_j, p_i = softmax(q_i k_j / sqrt(D)), lse_i the logarithm of the denominator
 *   dv_j = sum_i p_ij do_i, ds_ij = p_ij (do_i v_j - do_i o_i) / sqrt(D), dq_i = sum_j ds_ij k_j, dk_j = sum_i ds_ij
 * q_i
 *
 * qkv[B,T,3C] holds q, k and v of C = heads * D channels a row; lse is [B,heads,T]. A block has 4 threads for each of
 * the 32 rows that its results are of: queries in the forward pass and for dq, keys for dk and dv, each sum being
 * gathered by one thread in a fixed order. */
#include "runtime/backend/cuda/launch.h"

namespace
{
enum { ROWS = 32, QUARTERS = 4, THREADS = ROWS * QUARTERS, EACH = ROWS / QUARTERS, LARGEST_HEAD = 128 };

struct shape {
    int64_t length, channels, heads, tiles;
    int size; /* D, of a head */
    float scale;
};

enum part { QUERY, KEY, VALUE };

/* The tile that a block is for. */
struct place {
    int64_t batch, head, first; /* first row of the tile */
};

__device__ struct place place_of(const struct shape &d)
{
    int64_t pair = blockIdx.x / d.tiles;
    struct place at = {pair / d.heads, pair % d.heads, blockIdx.x % d.tiles * ROWS};
    return at;
}

/* Rows of one of q, k, v (width 3C) or of o, do, (width C), from `first` on, into to[row * (D + 1) + c]; 0 beyond T. */
template <class T>
__device__ void load_rows(const struct shape &d, const struct place &at, const T *from, int64_t width, int64_t offset,
                          int64_t first, float *to)
{
    from += at.batch * d.length * width + offset + at.head * d.size;
    for (int e = threadIdx.x; e < ROWS * d.size; e += THREADS) {
        int row = e / d.size, c = e % d.size;
        to[row * (d.size + 1) + c] = first + row < d.length ? remat_float(from[(first + row) * width + c]) : 0.0f;
    }
}

template <class T>
__device__ void load_part(const struct shape &d, const struct place &at, const T *qkv, enum part part, int64_t first,
                          float *to)
{
    load_rows(d, at, qkv, 3 * d.channels, part * d.channels, first, to);
}

__device__ float dot(const float *a, const float *b, int size)
{
    float sum = 0;
    for (int c = 0; c < size; c++)
        sum = remat_fma(a[c], b[c], sum);
    return sum;
}

__device__ int64_t row_index(const struct shape &d, const struct place &at, int64_t t)
{
    return (at.batch * d.heads + at.head) * d.length + t;
}

/* PARTS: so many channels a thread gathers, D <= 4 PARTS. */
template <int PARTS, class T>
__global__ void __launch_bounds__(THREADS) attend(struct shape d, const T *qkv, T *o, float *lse)
{
    REMAT_SHARED(shared);
    int pitch = d.size + 1, row = threadIdx.x / QUARTERS, quarter = threadIdx.x % QUARTERS;
    float *q = shared, *k = q + ROWS * pitch, *v = k + ROWS * pitch, *p = v + ROWS * pitch; /* p: [ROWS][ROWS + 1] */
    float sums[PARTS] = {}, largest = -INFINITY, total = 0;
    struct place at = place_of(d);
    int64_t i = at.first + row;
    load_part(d, at, qkv, QUERY, at.first, q);
    for (int64_t first = 0; first <= at.first; first += ROWS) {
        float scores[EACH], most = largest, keep, added = 0;
        __syncthreads();
        load_part(d, at, qkv, KEY, first, k);
        load_part(d, at, qkv, VALUE, first, v);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            int column = quarter + QUARTERS * e;
            scores[e] = first + column <= i ? d.scale * dot(q + row * pitch, k + column * pitch, d.size) : -INFINITY;
            most = scores[e] > most ? scores[e] : most;
        }
        most = remat_take_larger()(most, __shfl_xor_sync(0xFFFFFFFFu, most, 1));
        most = remat_take_larger()(most, __shfl_xor_sync(0xFFFFFFFFu, most, 2));
        keep = remat_exp(largest - most);
        largest = most;
        for (int e = 0; e < EACH; e++) {
            float weight = remat_exp(scores[e] - most);
            added += weight;
            p[row * (ROWS + 1) + quarter + QUARTERS * e] = weight;
        }
        added += __shfl_xor_sync(0xFFFFFFFFu, added, 1);
        added += __shfl_xor_sync(0xFFFFFFFFu, added, 2);
        total = remat_fma(total, keep, added);
        __syncwarp();
        for (int e = 0; e < PARTS; e++) {
            int c = quarter + QUARTERS * e;
            float sum = sums[e] * keep;
            for (int j = 0; c < d.size && j < ROWS; j++)
                sum = remat_fma(p[row * (ROWS + 1) + j], v[j * pitch + c], sum);
            sums[e] = sum;
        }
    }
    if (i >= d.length)
        return;
    for (int e = 0; e < PARTS; e++)
        if (quarter + QUARTERS * e < d.size)
            remat_put(&o[(at.batch * d.length + i) * d.channels + at.head * d.size + quarter + QUARTERS * e],
                      sums[e] / total);
    if (quarter == 0)
        lse[row_index(d, at, i)] = largest + logf(total);
}

/* delta_i = do_i o_i, one warp a row and head. */
template <class T>
__global__ void row_products(struct shape d, const T *o, const T *out_gradient, float *delta, int64_t count)
{
    int64_t n = remat_thread() / REMAT_WARP, t = n % d.length, pair = n / d.length;
    int64_t at = (pair / d.heads * d.length + t) * d.channels + pair % d.heads * d.size;
    float sum = 0;
    if (n >= count)
        return;
    for (int c = threadIdx.x % REMAT_WARP; c < d.size; c += REMAT_WARP)
        sum = remat_fma(remat_float(o[at + c]), remat_float(out_gradient[at + c]), sum);
    sum = remat_over_warp(sum, remat_take_sum());
    if (threadIdx.x % REMAT_WARP == 0)
        delta[n] = sum;
}

template <class T> struct saved {
    const T *qkv, *out_gradient;
    const float *lse, *delta;
    T *dqkv;
};

template <class T>
__device__ void store_part(const struct shape &d, const struct place &at, T *dqkv, enum part part, int64_t t, int c,
                           float value)
{
    remat_put(&dqkv[((at.batch * d.length + t) * 3 + part) * d.channels + at.head * d.size + c], value);
}

template <int PARTS, class T>
__global__ void __launch_bounds__(THREADS) query_gradients(struct shape d, struct saved<T> s)
{
    REMAT_SHARED(shared);
    int pitch = d.size + 1, row = threadIdx.x / QUARTERS, quarter = threadIdx.x % QUARTERS;
    float *q = shared, *g = q + ROWS * pitch, *k = g + ROWS * pitch, *v = k + ROWS * pitch, *ds = v + ROWS * pitch;
    float sums[PARTS] = {};
    struct place at = place_of(d);
    int64_t i = at.first + row;
    float lse = i < d.length ? s.lse[row_index(d, at, i)] : 0, delta = i < d.length ? s.delta[row_index(d, at, i)] : 0;
    load_part(d, at, s.qkv, QUERY, at.first, q);
    load_rows(d, at, s.out_gradient, d.channels, 0, at.first, g);
    for (int64_t first = 0; first <= at.first; first += ROWS) {
        __syncthreads();
        load_part(d, at, s.qkv, KEY, first, k);
        load_part(d, at, s.qkv, VALUE, first, v);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            int column = quarter + QUARTERS * e;
            float value = 0;
            if (first + column <= i && i < d.length) {
                float p = remat_exp(d.scale * dot(q + row * pitch, k + column * pitch, d.size) - lse);
                value = d.scale * p * (dot(g + row * pitch, v + column * pitch, d.size) - delta);
            }
            ds[row * (ROWS + 1) + column] = value;
        }
        __syncwarp();
        for (int e = 0; e < PARTS; e++)
            for (int j = 0; quarter + QUARTERS * e < d.size && j < ROWS; j++)
                sums[e] = remat_fma(ds[row * (ROWS + 1) + j], k[j * pitch + quarter + QUARTERS * e], sums[e]);
    }
    for (int e = 0; e < PARTS; e++)
        if (i < d.length && quarter + QUARTERS * e < d.size)
            store_part(d, at, s.dqkv, QUERY, i, quarter + QUARTERS * e, sums[e]);
}

template <int PARTS, class T>
__global__ void __launch_bounds__(THREADS) key_gradients(struct shape d, struct saved<T> s)
{
    REMAT_SHARED(shared);
    int pitch = d.size + 1, row = threadIdx.x / QUARTERS, quarter = threadIdx.x % QUARTERS;
    float *q = shared, *g = q + ROWS * pitch, *k = g + ROWS * pitch, *v = k + ROWS * pitch, *p = v + ROWS * pitch;
    float *ds = p + ROWS * (ROWS + 1), key_sums[PARTS] = {}, value_sums[PARTS] = {};
    struct place at = place_of(d);
    int64_t j = at.first + row;
    load_part(d, at, s.qkv, KEY, at.first, k);
    load_part(d, at, s.qkv, VALUE, at.first, v);
    for (int64_t first = at.first; first < d.length; first += ROWS) {
        __syncthreads();
        load_part(d, at, s.qkv, QUERY, first, q);
        load_rows(d, at, s.out_gradient, d.channels, 0, first, g);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            int column = quarter + QUARTERS * e;
            int64_t i = first + column;
            float weight = 0, value = 0;
            if (j <= i && i < d.length) {
                weight =
                    remat_exp(d.scale * dot(q + column * pitch, k + row * pitch, d.size) - s.lse[row_index(d, at, i)]);
                value = d.scale * weight *
                        (dot(g + column * pitch, v + row * pitch, d.size) - s.delta[row_index(d, at, i)]);
            }
            p[row * (ROWS + 1) + column] = weight;
            ds[row * (ROWS + 1) + column] = value;
        }
        __syncwarp();
        for (int e = 0; e < PARTS; e++)
            for (int i = 0; quarter + QUARTERS * e < d.size && i < ROWS; i++) {
                int c = quarter + QUARTERS * e;
                key_sums[e] = remat_fma(ds[row * (ROWS + 1) + i], q[i * pitch + c], key_sums[e]);
                value_sums[e] = remat_fma(p[row * (ROWS + 1) + i], g[i * pitch + c], value_sums[e]);
            }
    }
    for (int e = 0; e < PARTS; e++) {
        int c = quarter + QUARTERS * e;
        if (j < d.length && c < d.size) {
            store_part(d, at, s.dqkv, KEY, j, c, key_sums[e]);
            store_part(d, at, s.dqkv, VALUE, j, c, value_sums[e]);
        }
    }
}

struct shape shape_of(const struct remat_kernel_spec *spec)
{
    const struct remat_tensor *qkv = &spec->inputs[0];
    struct shape d = {qkv->dims[1], qkv->dims[2] / 3, spec->attr.heads, remat_ceil(qkv->dims[1], ROWS), 0, 0};
    d.size = (int)(d.channels / d.heads);
    d.scale = (float)(1 / sqrt((double)d.size));
    return d;
}

/* Shared memory for so many tiles of rows and of weights. */
int shared_bytes(const struct shape &d, int rows, int weights)
{
    return (rows * ROWS * (d.size + 1) + weights * ROWS * (ROWS + 1)) * (int)sizeof(float);
}

bool supports(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    return remat_cuda_supports_floats(device, spec) && spec->inputs[0].dims[2] / 3 / spec->attr.heads <= LARGEST_HEAD;
}

template <class K> enum remat_status allow(K kernel, int bytes, struct remat_error *err)
{
    return remat_cuda_check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes),
                            "shared memory for attention", err);
}

template <int PARTS, class T>
enum remat_status forward_with(const struct remat_device *device, const struct remat_kernel_spec *spec,
                               const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(spec);
    int bytes = shared_bytes(d, 3, 1);
    unsigned blocks = (unsigned)(spec->inputs[0].dims[0] * d.heads * d.tiles);
    REMAT_TRY(allow(attend<PARTS, T>, bytes, err));
    REMAT_LAUNCH((attend<PARTS, T>), blocks, THREADS, (size_t)bytes, device->stream)
    (d, (const T *)args->inputs[0], (T *)args->outputs[0], (float *)args->outputs[1]);
    return remat_launched(err);
}

template <int PARTS, class T>
enum remat_status backward_with(const struct remat_device *device, const struct remat_kernel_spec *spec,
                                const struct remat_kernel_args *args, struct remat_error *err)
{
    struct shape d = shape_of(spec);
    int query_bytes = shared_bytes(d, 4, 1), key_bytes = shared_bytes(d, 4, 2);
    int64_t pairs = spec->inputs[0].dims[0] * d.heads, rows = pairs * d.length;
    unsigned blocks = (unsigned)(pairs * d.tiles);
    const T *out_gradient = (const T *)args->inputs[3];
    float *delta = (float *)args->scratch;
    struct saved<T> s = {
        (const T *)args->inputs[0], out_gradient, (const float *)args->inputs[2], delta, (T *)args->outputs[0]
    };
    REMAT_TRY(allow(query_gradients<PARTS, T>, query_bytes, err));
    REMAT_TRY(allow(key_gradients<PARTS, T>, key_bytes, err));
    REMAT_LAUNCH(row_products<T>, (unsigned)remat_ceil(rows, REMAT_BLOCK / REMAT_WARP), REMAT_BLOCK, 0, device->stream)
    (d, (const T *)args->inputs[1], out_gradient, delta, rows);
    REMAT_LAUNCH((query_gradients<PARTS, T>), blocks, THREADS, (size_t)query_bytes, device->stream)(d, s);
    REMAT_LAUNCH((key_gradients<PARTS, T>), blocks, THREADS, (size_t)key_bytes, device->stream)(d, s);
    return remat_launched(err);
}

template <class T>
enum remat_status forward(const void *state, const struct remat_kernel_spec *spec, const struct remat_kernel_args *args,
                          struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    return shape_of(spec).size <= 64 ? forward_with<16, T>(device, spec, args, err)
                                     : forward_with<32, T>(device, spec, args, err);
}

template <class T>
enum remat_status backward(const void *state, const struct remat_kernel_spec *spec,
                           const struct remat_kernel_args *args, struct remat_error *err)
{
    const struct remat_device *device = (const struct remat_device *)state;
    return shape_of(spec).size <= 64 ? backward_with<16, T>(device, spec, args, err)
                                     : backward_with<32, T>(device, spec, args, err);
}

/* delta */
enum remat_status create_backward(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                  int64_t *scratch_bytes, struct remat_error *err)
{
    (void)err;
    *state = device;
    *scratch_bytes = remat_tensor_bytes(&spec->inputs[2]);
    return REMAT_OK;
}
} // namespace

const struct remat_op_impl remat_cuda_attention = {
    REMAT_OP_ATTENTION, "tiles", 0, supports, remat_cuda_create_plain, REMAT_BY_TYPE(forward), NULL};
const struct remat_op_impl remat_cuda_attention_bwd = {REMAT_OP_ATTENTION_BWD,  "tiles", 0, supports, create_backward,
                                                       REMAT_BY_TYPE(backward), NULL};
