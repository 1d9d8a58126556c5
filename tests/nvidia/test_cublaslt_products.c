/* Whether the real cuBLASLt takes the products that the cuda backend describes, and what a run hands to it. Nothing is
 * chosen and nothing runs: that takes a GPU, so those two calls are stand-ins. Skipped where there is no cuBLASLt. */
#include "runtime/backend/cuda/gemm.h"
#include "runtime/backend/cuda/libraries.h"
#include "runtime/backend/cuda/library_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SCRATCH_BYTES = 1000 };

static struct remat_cuda_libraries libraries;
static __typeof__(&cublasLtMatmulDescGetAttribute) get_attribute;
static __typeof__(&cublasLtMatrixLayoutGetAttribute) get_layout;

/* What the stand-ins were called with. */
static struct {
    int asked;
    float alpha, beta;
    const void *a, *b, *c, *d, *bias, *aux, *scratch;
    cublasLtEpilogue_t epilogue;
    int64_t aux_pitch, result_pitch;
    size_t scratch_bytes;
} seen;

/* Pointers whose alignment decides must be there before anything is chosen. */
static void see_epilogue(cublasLtMatmulDesc_t descriptor)
{
    size_t written;
    assert_int_equal(
        get_attribute(descriptor, CUBLASLT_MATMUL_DESC_EPILOGUE, &seen.epilogue, sizeof seen.epilogue, &written),
        CUBLAS_STATUS_SUCCESS);
    assert_int_equal(
        get_attribute(descriptor, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &seen.bias, sizeof seen.bias, &written),
        CUBLAS_STATUS_SUCCESS);
    assert_int_equal(
        get_attribute(descriptor, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &seen.aux, sizeof seen.aux, &written),
        CUBLAS_STATUS_SUCCESS);
    assert_int_equal(get_attribute(descriptor, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &seen.aux_pitch,
                                   sizeof seen.aux_pitch, &written),
                     CUBLAS_STATUS_SUCCESS);
}

static cublasStatus_t propose(cublasLtHandle_t handle, cublasLtMatmulDesc_t descriptor, cublasLtMatrixLayout_t a,
                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                              cublasLtMatmulPreference_t preference, int wanted,
                              cublasLtMatmulHeuristicResult_t *results, int *count)
{
    (void)handle;
    (void)a;
    (void)b;
    (void)preference;
    assert_ptr_equal(c, d);
    see_epilogue(descriptor);
    seen.asked = wanted;
    for (int i = 0; i < wanted; i++)
        results[i] = (cublasLtMatmulHeuristicResult_t){.workspaceSize = SCRATCH_BYTES};
    *count = wanted;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t multiply(cublasLtHandle_t handle, cublasLtMatmulDesc_t descriptor, const void *alpha,
                               const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                               cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                               cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                               const cublasLtMatmulAlgo_t *algorithm, void *scratch, size_t scratch_bytes,
                               cudaStream_t stream)
{
    size_t written;
    (void)handle;
    (void)a_layout;
    (void)b_layout;
    (void)c_layout;
    (void)algorithm;
    (void)stream;
    see_epilogue(descriptor);
    assert_int_equal(
        get_layout(d_layout, CUBLASLT_MATRIX_LAYOUT_LD, &seen.result_pitch, sizeof seen.result_pitch, &written),
        CUBLAS_STATUS_SUCCESS);
    seen.alpha = *(const float *)alpha;
    seen.beta = *(const float *)beta;
    seen.a = a;
    seen.b = b;
    seen.c = c;
    seen.d = d;
    seen.scratch = scratch;
    seen.scratch_bytes = scratch_bytes;
    return CUBLAS_STATUS_SUCCESS;
}

static bool load(void)
{
    static const struct remat_cuda_file file = {"libcublasLt.so.13", "cu13"};
    void *library = remat_cuda_find(&file);
    bool complete = library != NULL;
#define X(name) complete = complete && remat_cuda_take(library, #name, &libraries.cublaslt.name);
    REMAT_CUBLASLT_FUNCTIONS(X)
#undef X
    complete = complete && remat_cuda_take(library, "cublasLtMatmulDescGetAttribute", &get_attribute) &&
               remat_cuda_take(library, "cublasLtMatrixLayoutGetAttribute", &get_layout);
    libraries.cublaslt.cublasLtMatmulAlgoGetHeuristic = propose;
    libraries.cublaslt.cublasLtMatmul = multiply;
    return complete;
}

/* Describes the product, runs it once and leaves what was seen. */
static void run(const struct remat_cuda_product *product, const struct remat_cuda_operands *operands, bool tf32)
{
    struct remat_device device = {.libraries = &libraries, .tf32 = tf32};
    static char scratch[2 * SCRATCH_BYTES];
    struct remat_error err = {0};
    int64_t scratch_bytes = 0;
    void *prepared;
    if (!libraries.cublaslt.cublasLtMatmul && !load()) {
        print_message("no cuBLASLt\n");
        skip();
    }
    memset(&seen, 0, sizeof seen);
    if (remat_cuda_gemm_lt.prepare(&device, product, &prepared, &scratch_bytes, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_true(scratch_bytes >= SCRATCH_BYTES);
    assert_int_equal(seen.asked, product->rank + 1);
    assert_true((seen.epilogue == CUBLASLT_EPILOGUE_BIAS) == (seen.bias != NULL));
    assert_true((seen.epilogue == CUBLASLT_EPILOGUE_DGELU) == (seen.aux != NULL));
    if (remat_cuda_gemm_lt.run(prepared, operands, scratch, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_true(seen.alpha == 1.0f);
    assert_ptr_equal(seen.a, operands->b); /* D' = B' A' */
    assert_ptr_equal(seen.b, operands->a);
    assert_ptr_equal(seen.d, operands->d);
    assert_int_equal(seen.scratch_bytes, SCRATCH_BYTES);
    remat_cuda_gemm_lt.destroy(prepared);
}

/* Some bytes with the addresses of operands. */
static char memory[6][64];

static const struct {
    enum remat_dtype from, to;
    bool tf32;
} types[] = {{REMAT_F32, REMAT_F32, false},
             {REMAT_F32, REMAT_F32, true},
             {REMAT_BF16, REMAT_BF16, false},
             {REMAT_BF16, REMAT_F32, false}};
enum { TYPES = sizeof types / sizeof *types };

static struct remat_cuda_product product_of(int type)
{
    return (struct remat_cuda_product){
        .rows = 128, .columns = 64, .inner = 256, .from = types[type].from, .to = types[type].to};
}

static void plain_products(void **state)
{
    const struct remat_cuda_operands operands = {.a = memory[0], .b = memory[1], .d = memory[2]};
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        struct remat_cuda_product product = product_of(k);
        product.a_turned = k % 2 == 0;
        product.b_turned = k % 3 == 0;
        product.rank = k % 3;
        run(&product, &operands, types[k].tf32);
        assert_int_equal(seen.epilogue, CUBLASLT_EPILOGUE_DEFAULT);
        assert_true(seen.beta == 0.0f);
        assert_int_equal(seen.result_pitch, 64);
        product.d_pitch = 96;
        run(&product, &operands, types[k].tf32);
        assert_int_equal(seen.result_pitch, 96);
    }
}

/* In place or not, with a bias or without. */
static void added_products(void **state)
{
    (void)state;
    for (int k = 0; k < 2 * TYPES; k++) {
        struct remat_cuda_product product = product_of(k % TYPES);
        struct remat_cuda_operands operands = {
            .a = memory[0], .b = memory[1], .c = memory[k < TYPES ? 2 : 3], .bias = memory[4], .d = memory[2]};
        product.add = true;
        product.bias = k % 2 == 0;
        run(&product, &operands, types[k % TYPES].tf32);
        assert_true(seen.beta == 1.0f);
        assert_ptr_equal(seen.c, operands.c);
        if (product.bias)
            assert_ptr_equal(seen.bias, operands.bias);
    }
}

static void products_through_gelu(void **state)
{
    const struct remat_cuda_operands operands = {.a = memory[0], .b = memory[1], .e = memory[5], .d = memory[2]};
    (void)state;
    for (int k = 0; k < TYPES; k++) {
        struct remat_cuda_product product = product_of(k);
        product.gelu_slope = true;
        run(&product, &operands, types[k].tf32);
        assert_int_equal(seen.epilogue, CUBLASLT_EPILOGUE_DGELU);
        assert_ptr_equal(seen.aux, operands.e);
        assert_int_equal(seen.aux_pitch, 64);
        assert_true(seen.beta == 0.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain_products), cmocka_unit_test(added_products),
                                       cmocka_unit_test(products_through_gelu)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
