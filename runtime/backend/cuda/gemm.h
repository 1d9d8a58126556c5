/* Matrix products, row by row in memory: D[rows, columns] = A B (+ D) (+ bias[columns]), summed in f32.
 *
 * A is [rows, inner], or [inner, rows] if a_turned; B is [inner, columns], or [columns, inner] if b_turned. */
#ifndef REMAT_RUNTIME_BACKEND_CUDA_GEMM_H
#define REMAT_RUNTIME_BACKEND_CUDA_GEMM_H

#include "runtime/backend/cuda/cuda.h"

struct remat_cuda_product {
    int64_t rows, columns, inner;
    bool a_turned, b_turned, add, bias;
    int64_t a_pitch, d_pitch;  /* elements from row to row of A and D in memory; 0: no gaps */
    int32_t alignment;         /* of operands in bytes, at least; 0: 16 */
    enum remat_dtype from, to; /* of A and B, and of D and the bias: f32, or from bf16 to either */
};

/* One way to compute products. A prepared product is bound to a device. */
struct remat_cuda_gemm {
    enum remat_status (*prepare)(struct remat_device *device, const struct remat_cuda_product *product, void **out,
                                 int64_t *scratch_bytes, struct remat_error *err);
    enum remat_status (*run)(const void *prepared, const void *a, const void *b, const void *bias, void *d,
                             void *scratch, struct remat_error *err);
    void (*destroy)(void *prepared);
};

extern const struct remat_cuda_gemm remat_cuda_gemm_plain; /* own kernel: always there */
extern const struct remat_cuda_gemm remat_cuda_gemm_lt;    /* cuBLASLt */

/* The ops over a way to compute products; each `create` of linear.c and classifier.c is made from these. */
enum remat_status remat_cuda_linear_create(const struct remat_cuda_gemm *gemm, struct remat_device *device,
                                           const struct remat_kernel_spec *spec, void **state, int64_t *scratch_bytes,
                                           struct remat_error *err);
enum remat_status remat_cuda_linear_run(const void *state, const struct remat_kernel_spec *spec,
                                        const struct remat_kernel_args *args, struct remat_error *err);
void remat_cuda_linear_destroy(void *state);
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
