/* Matrix products, row by row in memory: D[rows, columns] = A B (+ C) (+ bias[columns]) (* gelu'(E)), summed in f32.
 *
 * A is [rows, inner], or [inner, rows] if a_turned; B is [inner, columns], or [columns, inner] if b_turned; C and E are
 * like D. C may be D. There is no E beside a C or a bias. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_GEMM_H
#define REMAT_RUNTIME_BACKEND_CUDA_GEMM_H

#include "runtime/backend/cuda/cuda.h"

struct remat_cuda_product {
    int64_t rows, columns, inner;
    bool a_turned, b_turned;
    bool add, bias, gelu_slope; /* whether there are C, a bias, E */
    int64_t a_pitch, d_pitch;   /* elements from row to row of A and D in memory; 0: no gaps */
    int32_t alignment;          /* of operands in bytes, at least; 0: 16 */
    int rank;                   /* of the algorithms that a library proposes; 0: the one it prefers */
    enum remat_dtype from, to;  /* of A and B, and of all else: f32, or from bf16 to either */
};

/* The addresses of one run; NULL for what there is not. */
struct remat_cuda_operands {
    const void *a, *b, *c, *bias, *e;
    void *d;
};

/* One way to compute products. A prepared product is bound to a device. */
struct remat_cuda_gemm {
    enum remat_status (*prepare)(struct remat_device *device, const struct remat_cuda_product *product, void **out,
                                 int64_t *scratch_bytes, struct remat_error *err);
    enum remat_status (*run)(const void *prepared, const struct remat_cuda_operands *operands, void *scratch,
                             struct remat_error *err);
    void (*destroy)(void *prepared);
};

extern const struct remat_cuda_gemm remat_cuda_gemm_plain; /* own kernel: always there */
extern const struct remat_cuda_gemm remat_cuda_gemm_lt;    /* cuBLASLt */

/* The ops over a way to compute products; each `create` of linear.c, conv_product.c and classifier.c is made from
 * these. A convolution with 1x1 filters and stride 1 is a linear layer over pixels. */
enum remat_status remat_cuda_linear_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                           const struct remat_kernel_spec *spec, int rank, void **state,
                                           int64_t *scratch_bytes, struct remat_error *err);
enum remat_status remat_cuda_linear_run(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err);
void remat_cuda_linear_destroy(void *state);
/* Whether cuBLASLt has an algorithm for it: asked by choosing one. */
bool remat_cuda_linear_lt_supports(struct remat_device *device, const struct remat_kernel_spec *spec);
enum remat_status remat_cuda_linear_lt_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                              void **state, int64_t *scratch_bytes, struct remat_error *err);
enum remat_status remat_cuda_linear_plain_create(struct remat_device *device, const struct remat_kernel_spec *spec,
                                                 void **state, int64_t *scratch_bytes, struct remat_error *err);
/* Whether own tiles take it: fusions only where there is no library, since they are worth it only by one. */
bool remat_cuda_linear_plain_supports(struct remat_device *device, const struct remat_kernel_spec *spec);
/* Whether a convolution (any of its three ops) is such a layer. */
bool remat_cuda_conv2d_is_product(const struct remat_kernel_spec *spec);
enum remat_status remat_cuda_classifier_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                               const struct remat_kernel_spec *spec, void **state,
                                               int64_t *scratch_bytes, struct remat_error *err);
enum remat_status remat_cuda_classifier_run(const void *state, const struct remat_kernel_spec *spec,
                                            const struct remat_kernel_args *args, struct remat_error *err);
void remat_cuda_classifier_destroy(void *state);

/* Column sums of a matrix (bias.cu). */
int64_t remat_cuda_bias_scratch_bytes(int64_t rows, int64_t columns);
enum remat_status remat_cuda_bias_gradient(const struct remat_device *device, enum remat_dtype type, const void *dy,
                                           int64_t rows, int64_t columns, float *db, void *scratch,
                                           struct remat_error *err);

#endif
