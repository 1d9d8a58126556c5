/* The operations of a task graph: the contract between lowering, every backend and the tests.
 *
 * For each op the lines below give its inputs, outputs and cells in operand order, with shapes. "[R]" reads a cell,
 * "[RW]" reads and writes it in place. "j over i" names the in-place pairs that a backend must support (output j may
 * be given the memory of input i). Operands in (parentheses) exist only with the attribute named. All sums have a
 * fixed order for a given shape and thread count; equal operands give equal bits at any address. */
/* clang-format off */
/*   FEED                cells: staging[R] (any dtype)      out: x (same shape)
 *                       u8 -> floating: x = (byte / 255 - mean[c]) / std[c] over the last dimension; i32 -> i32: copy
 *   CAST                (no input)                         out: y (same shape)      cells: w[R]
 *                       y = w rounded to y's type (below, under bf16)
 *   CONV2D              in: x[N,H,W,C]                     out: y[N,P,Q,K]           cells: w[K,R,S,C][R]
 *   CONV2D_BWD_DATA     in: dy[N,P,Q,K]                    out: dx[N,H,W,C]          cells: w[R]
 *   CONV2D_BWD_DATA_ADD in: dy, g0[N,H,W,C]                out: dx + g0              cells: w[R]     0 over 1
 *   CONV2D_BWD_WEIGHTS  in: x, dy                          out: dw[K,R,S,C]
 *   BATCHNORM           in: x[...,C] (z with residual)     out: y, mean[C], invstd[C]
 *                       cells: gamma[C][R], beta[C][R], running_mean[C][RW], running_var[C][RW]
 *                       0 over 0, 0 over 1
 *                       y = f(gamma * (x - mean) * invstd + beta + z), f = max(0, .) with relu; mean and biased variance
 *                       over the rows of x; running += momentum * (batch - running), with the unbiased variance
 *   BATCHNORM_APPLY     in: x, mean, invstd (z)            out: y                    cells: gamma[R], beta[R]
 *                       the same bits as BATCHNORM's y     0 over 0, 0 over 3
 *   BATCHNORM_EVAL      in: x (z)                          out: y
 *                       cells: gamma[R], beta[R], running_mean[R], running_var[R]    0 over 0, 0 over 1
 *   BATCHNORM_BWD       in: x, mean, invstd, dy (y with relu and residual)
 *                       out: dx, dgamma[C], dbeta[C] (dz with residual)              cells: gamma[R], beta[R]
 *                       0 over 3, 0 over 0, 3 over 3
 *                       g = dy masked by relu (by y > 0 with residual, else by recomputing y's sign from x); dz = g
 *   RELU                in: x                              out: y = max(0, x)        0 over 0
 *   RELU_BWD            in: y, dy                          out: dx = y > 0 ? dy : 0  0 over 1
 *   ADD                 in: a, b                           out: a + b                0 over 0, 0 over 1
 *   MAXPOOL             in: x[N,H,W,C]                     out: y[N,P,Q,C], place u8[N,P,Q,C]
 *                       place = first maximum in its window, row by row
 *   MAXPOOL_BWD         in: dy, place                      out: dx
 *   AVGPOOL             in: x[N,H,W,C]                     out: y[N,C]               (global)
 *   AVGPOOL_BWD         in: dy[N,C]                        out: dx[N,H,W,C]
 *   LINEAR              in: x[...,C]                       out: y[...,K] = x w' + b  cells: w[K,C][R] (b[K][R] with bias)
 *   LINEAR_ADD          in: x, z[...,K]                    out: y + z                cells: as LINEAR 0 over 1
 *   LINEAR_BWD_DATA     in: dy                             out: dx                   cells: w[R]
 *   LINEAR_BWD_WEIGHTS  in: x, dy                          out: dw[K,C] (db[K] with bias)
 *   LINEAR_GELU_BWD     in: dy, a[...,C]                   out: da = dx gelu'(a)     cells: w[R]
 *   LOSS                in: logits[M,V], labels i32[M]     out: dlogits              cells: metrics f64[4][RW]
 *                       0 over 0
 *                       softmax cross-entropy, target (1 - s) one-hot + s / V; dlogits = (p - target) * loss_scale / M
 *                       metrics += {sum of losses, rows, rows whose argmax is the label, 0}; label < 0: row ignored
 *                       (dlogits 0; M still divides)
 *   LOSS_EVAL           in: logits, labels                 (no output)               cells: metrics[RW]  (no smoothing)
 *   EMBEDDING           in: tokens i32[B,T]                out: x[B,T,C]             cells: wte[V,C][R], wpe[P,C][R]
 *   EMBEDDING_BWD       in: tokens, dx (dwte0 with accumulate)                       out: dwte[V,C], dwpe[P,C]
 *                       0 over 2
 *   LAYERNORM           in: x[...,C]                       out: y, mean[M], rstd[M]  cells: gamma[R], beta[R]
 *                       0 over 0
 *   LAYERNORM_APPLY     in: x, mean, rstd                  out: y (same bits)        cells: gamma[R], beta[R]
 *                       0 over 0
 *   LAYERNORM_BWD       in: x, mean, rstd, dy (g0 with accumulate)                   out: dx (+ g0), dgamma[C], dbeta[C]
 *                       cells: gamma[R]                    0 over 3, 0 over 0, 0 over 4
 *   GELU                in: x                              out: y (tanh form)        0 over 0
 *   GELU_BWD            in: x, dy                          out: dx                   0 over 1, 0 over 0
 *   DROPOUT             in: x                              out: y = keep ? x / (1 - p) : 0       0 over 0
 *   DROPOUT_BWD         in: dy                             out: dx                   0 over 0
 *                       mask made again from (seed, step, micro step, layer, element)
 *   ATTENTION           in: qkv[B,T,3C]                    out: o[B,T,C], lse[B,heads,T]
 *                       causal, scale 1/sqrt(C/heads)
 *   ATTENTION_BWD       in: qkv, o, lse, do                out: dqkv
 *   CLASSIFIER_LOSS     in: h[...,C], targets i32[...]     out: dh, dw[V,C]          cells: w[V,C][R], metrics[RW]
 *                       0 over 0
 *                       logits = h w' in chunks of `chunk_rows` rows, never whole; then LOSS on each chunk
 *   CLASSIFIER_EVAL     in: h, targets                     (no output)               cells: w[R], metrics[RW]
 *   ACCUMULATE          in: grad                           (no output)               cells: sum[RW]
 *                       first micro step: assign, else add
 *   SQUARE_NORM         (no input)                         (no output)               cells: grad[R], norm f64[2][RW]
 *                       norm[0] += sum of squares
 *   RESET               (no input)                         (no output)               cells: any[RW]: set to zero
 *   SGD                 in: grad                           cells: w[RW] (momentum[RW] if momentum != 0)
 *   ADAMW               in: grad                           cells: w[RW], m[RW], v[RW]
 *                       SGD and ADAMW with grad_in_cell: no input, and cells grad[R], norm f64[2][R] follow; the gradient
 *                       is scaled by min(1, max_norm / (sqrt(norm[0]) + 1e-6)) if max_norm > 0.
 *                       Formulas: runtime/backend/optimizer.h
 *   OPAQUE              any inputs                         one output: a node of an imported graph; no backend runs it
 *
 * In bf16, activations and their gradients are bf16. Parameters, optimizer state, running and saved statistics (mean,
 * invstd, rstd, lse), gradient sums and the gradients of parameters are f32, but for dw of CONV2D_BWD_WEIGHTS, which is
 * bf16. CONV2D, LINEAR (with its bias), their BWD_DATA, the fusions and the CLASSIFIERs read a copy of their parameters,
 * made by CAST: it is a value, hence an input behind the others instead of a cell (remat_op_cast_weight). All arithmetic
 * is in f32 or better, results are rounded once, to the nearest even, when stored; sums are never kept in bf16, not even
 * in part. The logits of CLASSIFIER_LOSS are f32; the gradient of one chunk of them may be rounded to bf16, and so may
 * the weights of ATTENTION and the gradients of its scores.
 *
 * Fusions do the work of two tasks, and a backend may lack them: CONV2D_BWD_DATA_ADD and LINEAR_ADD, that of an ADD;
 * LINEAR_GELU_BWD, that of a GELU_BWD (remat_op_is_fusion). They round once where the two tasks round twice, so lowering
 * decides whether they are used.
 */
/* clang-format on */
#ifndef REMAT_CORE_GRAPH_OP_H
#define REMAT_CORE_GRAPH_OP_H

#include "core/base/status.h"
#include "core/graph/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* name, text */
#define REMAT_OP_LIST(X)                                   \
    X(REMAT_OP_FEED, "feed")                               \
    X(REMAT_OP_CAST, "cast")                               \
    X(REMAT_OP_CONV2D, "conv2d")                           \
    X(REMAT_OP_CONV2D_BWD_DATA, "conv2d_bwd_data")         \
    X(REMAT_OP_CONV2D_BWD_DATA_ADD, "conv2d_bwd_data_add") \
    X(REMAT_OP_CONV2D_BWD_WEIGHTS, "conv2d_bwd_weights")   \
    X(REMAT_OP_BATCHNORM, "batchnorm")                     \
    X(REMAT_OP_BATCHNORM_APPLY, "batchnorm_apply")         \
    X(REMAT_OP_BATCHNORM_EVAL, "batchnorm_eval")           \
    X(REMAT_OP_BATCHNORM_BWD, "batchnorm_bwd")             \
    X(REMAT_OP_RELU, "relu")                               \
    X(REMAT_OP_RELU_BWD, "relu_bwd")                       \
    X(REMAT_OP_ADD, "add")                                 \
    X(REMAT_OP_MAXPOOL, "maxpool")                         \
    X(REMAT_OP_MAXPOOL_BWD, "maxpool_bwd")                 \
    X(REMAT_OP_AVGPOOL, "avgpool")                         \
    X(REMAT_OP_AVGPOOL_BWD, "avgpool_bwd")                 \
    X(REMAT_OP_LINEAR, "linear")                           \
    X(REMAT_OP_LINEAR_ADD, "linear_add")                   \
    X(REMAT_OP_LINEAR_BWD_DATA, "linear_bwd_data")         \
    X(REMAT_OP_LINEAR_BWD_WEIGHTS, "linear_bwd_weights")   \
    X(REMAT_OP_LINEAR_GELU_BWD, "linear_gelu_bwd")         \
    X(REMAT_OP_LOSS, "loss")                               \
    X(REMAT_OP_LOSS_EVAL, "loss_eval")                     \
    X(REMAT_OP_EMBEDDING, "embedding")                     \
    X(REMAT_OP_EMBEDDING_BWD, "embedding_bwd")             \
    X(REMAT_OP_LAYERNORM, "layernorm")                     \
    X(REMAT_OP_LAYERNORM_APPLY, "layernorm_apply")         \
    X(REMAT_OP_LAYERNORM_BWD, "layernorm_bwd")             \
    X(REMAT_OP_GELU, "gelu")                               \
    X(REMAT_OP_GELU_BWD, "gelu_bwd")                       \
    X(REMAT_OP_DROPOUT, "dropout")                         \
    X(REMAT_OP_DROPOUT_BWD, "dropout_bwd")                 \
    X(REMAT_OP_ATTENTION, "attention")                     \
    X(REMAT_OP_ATTENTION_BWD, "attention_bwd")             \
    X(REMAT_OP_CLASSIFIER_LOSS, "classifier_loss")         \
    X(REMAT_OP_CLASSIFIER_EVAL, "classifier_eval")         \
    X(REMAT_OP_ACCUMULATE, "accumulate")                   \
    X(REMAT_OP_SQUARE_NORM, "square_norm")                 \
    X(REMAT_OP_RESET, "reset")                             \
    X(REMAT_OP_SGD, "sgd")                                 \
    X(REMAT_OP_ADAMW, "adamw")                             \
    X(REMAT_OP_OPAQUE, "opaque")

enum remat_op {
#define X(name, text) name,
    REMAT_OP_LIST(X)
#undef X
        REMAT_OP_COUNT
};

/* Attributes of every op in one open struct; an op reads only its own and the rest stay zero, so that equal
 * attributes are equal fields. op_attr.h lists the fields for signatures and files. */
struct remat_op_attr {
    int32_t kernel[2], stride[2], pad[2]; /* convolution and pooling: rows, columns */
    int32_t heads;                        /* attention */
    int32_t layer;                        /* dropout: stream of random numbers; opaque: node */
    int32_t chunk_rows;                   /* classifier loss */
    bool relu, residual;                  /* batchnorm */
    bool bias;                            /* linear */
    bool accumulate;                      /* layernorm_bwd, embedding_bwd */
    bool grad_in_cell;                    /* optimizers */
    bool nesterov;                        /* sgd */
    float epsilon;                        /* normalisations; adamw */
    float momentum;                       /* batchnorm: weight of the new batch; sgd */
    float probability;                    /* dropout */
    float smoothing;                      /* losses */
    float beta1, beta2;                   /* adamw */
    float weight_decay, max_norm;         /* optimizers */
    float mean[4], std[4];                /* feed */
};

/* Of a task. Our own ops read few values; nodes of imported graphs may read many. */
enum { REMAT_MAX_INPUTS = 64, REMAT_MAX_OUTPUTS = 4, REMAT_MAX_CELLS = 6 };

/* Everything that a backend needs to know about one kernel call but the addresses. */
struct remat_kernel_spec {
    enum remat_op op;
    struct remat_op_attr attr;
    int32_t inputs_count, outputs_count, cells_count;
    struct remat_tensor inputs[REMAT_MAX_INPUTS], outputs[REMAT_MAX_OUTPUTS], cells[REMAT_MAX_CELLS];
};

const char *remat_op_text(enum remat_op op);
REMAT_MUST_CHECK enum remat_status remat_op_parse(const char *text, enum remat_op *out, struct remat_error *err);

/* An in-place pair that the contract above permits: output j may be written over input i. */
struct remat_in_place {
    int8_t output, input;
};
/* The permitted pairs of a spec, those whose operands exist with equal bytes; returns how many (at most 4). */
int32_t remat_op_in_place(const struct remat_kernel_spec *spec, struct remat_in_place out[4]);

/* Whether it is one of the fusions above. */
bool remat_op_is_fusion(enum remat_op op);

/* The input that is the weight of a spec whose parameters were cast, or -1: then the weight is cell 0. */
int32_t remat_op_cast_weight(const struct remat_kernel_spec *spec);
/* The weight of a convolution, linear layer or classifier, wherever it is. */
const struct remat_tensor *remat_op_weight(const struct remat_kernel_spec *spec);

/* Floating-point operations and bytes read and written at least, for rooflines. */
int64_t remat_op_flop(const struct remat_kernel_spec *spec);
int64_t remat_op_traffic_bytes(const struct remat_kernel_spec *spec);

/* Equal for specs that run the same kernel. */
uint64_t remat_kernel_signature(const struct remat_kernel_spec *spec);

#endif
