/* Convolutions of the cpu backend at sizes where every implementation is offered: each against a sum in double at
 * sampled positions, for every instruction set that runs here, and the same bits for every number of threads. */
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/cpu/device.h"

#include "core/base/memory.h"
#include "core/base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct conv {
    int64_t n, h, w, c, k, kernel, stride, pad;
};

static const struct conv cases[] = {
    {3, 14, 14, 48, 64, 3, 1, 1}, {2, 56, 56, 64, 64, 3, 1, 1}, {9, 8, 8, 64, 64, 3, 1, 1},
    {8, 13, 9, 32, 48, 3, 1, 1},  {4, 12, 12, 32, 32, 3, 1, 0}, {4, 12, 11, 32, 32, 3, 1, 2},
    {7, 2, 2, 64, 48, 3, 1, 1},   {5, 1, 1, 64, 64, 3, 1, 1},   {4, 28, 28, 64, 96, 1, 1, 0},
    {4, 56, 55, 32, 64, 1, 2, 0}, {2, 15, 15, 64, 48, 3, 2, 1}, {2, 14, 14, 64, 128, 1, 2, 0},
    {2, 33, 31, 3, 64, 7, 2, 3},  {2, 9, 9, 40, 24, 5, 3, 2},
};

struct operands {
    float *x, *y, *w; /* filled; each op's result goes to another array */
};

static struct remat_tensor tensor(int64_t a, int64_t b, int64_t c, int64_t d)
{
    return remat_tensor_make(REMAT_F32, 4, (const int64_t[]){a, b, c, d});
}

static int64_t outputs(int64_t in, const struct conv *v)
{
    return (in + 2 * v->pad - v->kernel) / v->stride + 1;
}

static struct remat_kernel_spec spec_of(const struct conv *v, enum remat_op op)
{
    struct remat_kernel_spec spec = {.op = op, .inputs_count = 1, .outputs_count = 1, .cells_count = 1};
    struct remat_tensor x = tensor(v->n, v->h, v->w, v->c), w = tensor(v->k, v->kernel, v->kernel, v->c);
    struct remat_tensor y = tensor(v->n, outputs(v->h, v), outputs(v->w, v), v->k);
    for (int axis = 0; axis < 2; axis++) {
        spec.attr.kernel[axis] = (int32_t)v->kernel;
        spec.attr.stride[axis] = (int32_t)v->stride;
        spec.attr.pad[axis] = (int32_t)v->pad;
    }
    spec.inputs[0] = op == REMAT_OP_CONV2D_BWD_DATA ? y : x;
    spec.inputs[1] = y;
    spec.outputs[0] = op == REMAT_OP_CONV2D ? y : op == REMAT_OP_CONV2D_BWD_DATA ? x : w;
    spec.cells[0] = w;
    if (op == REMAT_OP_CONV2D_BWD_WEIGHTS) {
        spec.inputs_count = 2;
        spec.cells_count = 0;
    }
    return spec;
}

static void *block(int64_t bytes)
{
    void *out = aligned_alloc(REMAT_ALIGNMENT, (size_t)remat_align_up(bytes + REMAT_ALIGNMENT));
    assert_non_null(out);
    memset(out, 0xff, (size_t)bytes); /* NaN: nothing may be read before it is written */
    return out;
}

static float *filled(const struct remat_tensor *t, uint32_t stream)
{
    int64_t count = remat_tensor_elements(t);
    float *out = block(count * (int64_t)sizeof *out);
    for (int64_t i = 0; i < count; i++)
        out[i] = remat_rng_uniform(remat_rng(3, REMAT_RNG_SYNTHETIC, stream, 0, (uint64_t)i).word[0]) - 0.4f;
    return out;
}

/* A sum in double, the sum of its terms' sizes and their number. */
struct sum {
    double value, size;
    int64_t terms;
};

static void add_term(struct sum *sum, float a, float b)
{
    sum->value += (double)a * b;
    sum->size += fabs((double)a * b);
    sum->terms++;
}

/* Visits all (n, p, q, r, s) whose input pixel exists, for one element (given by op) of the result. */
static struct sum expected(const struct conv *v, const struct operands *o, enum remat_op op, const int64_t at[4])
{
    struct sum sum = {0};
    int64_t p_count = outputs(v->h, v), q_count = outputs(v->w, v);
    int64_t n0 = op == REMAT_OP_CONV2D_BWD_WEIGHTS ? 0 : at[0], n1 = op == REMAT_OP_CONV2D_BWD_WEIGHTS ? v->n : n0 + 1;
    for (int64_t n = n0; n < n1; n++)
        for (int64_t p = 0; p < p_count; p++)
            for (int64_t q = 0; q < q_count; q++)
                for (int64_t r = 0; r < v->kernel; r++)
                    for (int64_t s = 0; s < v->kernel; s++) {
                        int64_t i = p * v->stride - v->pad + r, j = q * v->stride - v->pad + s;
                        const float *x = o->x + ((n * v->h + i) * v->w + j) * v->c;
                        const float *y = o->y + ((n * p_count + p) * q_count + q) * v->k;
                        const float *w = o->w + (r * v->kernel + s) * v->c;
                        if (i < 0 || i >= v->h || j < 0 || j >= v->w)
                            continue;
                        if (op == REMAT_OP_CONV2D && p == at[1] && q == at[2])
                            for (int64_t c = 0; c < v->c; c++)
                                add_term(&sum, x[c], w[at[3] * v->kernel * v->kernel * v->c + c]);
                        if (op == REMAT_OP_CONV2D_BWD_DATA && i == at[1] && j == at[2])
                            for (int64_t k = 0; k < v->k; k++)
                                add_term(&sum, y[k], w[k * v->kernel * v->kernel * v->c + at[3]]);
                        if (op == REMAT_OP_CONV2D_BWD_WEIGHTS && r == at[1] && s == at[2])
                            add_term(&sum, x[at[3]], y[at[0]]);
                    }
    return sum;
}

/* Transforms amplify rounding: by the points' largest coefficients, about 100, against the worst case of a sum. */
static void check_samples(const struct conv *v, const struct operands *o, const struct remat_kernel_spec *spec,
                          const float *result, bool transformed)
{
    const int64_t *d = spec->outputs[0].dims;
    int64_t count = remat_tensor_elements(&spec->outputs[0]);
    for (int64_t sample = 0; sample < 60; sample++) {
        int64_t i = sample < 2 ? sample * (count - 1) : (sample * 7919 * 104729) % count;
        int64_t at[4] = {i / (d[1] * d[2] * d[3]), i / (d[2] * d[3]) % d[1], i / d[3] % d[2], i % d[3]};
        struct sum sum = expected(v, o, spec->op, at);
        double tolerance = 6e-8 * ((double)sum.terms + 2 + (transformed ? 100 : 0)) * (sum.size + 1e-3);
        assert_true(fabs(result[i] - sum.value) <= tolerance);
    }
}

static float *run(struct remat_device *device, const struct remat_kernel_spec *spec, const struct operands *o,
                  int32_t option)
{
    struct remat_kernel_args args = {.inputs = {spec->op == REMAT_OP_CONV2D_BWD_DATA ? o->y : o->x, o->y}};
    float *result = block(remat_tensor_bytes(&spec->outputs[0]));
    struct remat_kernel *kernel;
    struct remat_error err;
    int64_t bytes;
    assert_int_equal(remat_backend_cpu.kernel_create(device, spec, option, &kernel, &err), REMAT_OK);
    bytes = remat_backend_cpu.kernel_scratch_bytes(kernel);
    char *scratch = block(bytes + REMAT_ALIGNMENT);
    args.cells[0] = o->w;
    args.outputs[0] = result;
    args.scratch = scratch;
    assert_int_equal(remat_backend_cpu.kernel_run(kernel, &args, &err), REMAT_OK);
    for (int i = 0; i < REMAT_ALIGNMENT; i++)
        assert_int_equal((unsigned char)scratch[bytes + i], 0xff);
    remat_backend_cpu.kernel_destroy(kernel);
    free(scratch);
    return result;
}

static struct remat_device *opened(int32_t threads)
{
    struct remat_device_config config = {.threads = threads};
    struct remat_device *device;
    struct remat_error err;
    assert_int_equal(remat_cpu_open(&config, &device, &err), REMAT_OK);
    return device;
}

static void check_op(const struct conv *v, const struct operands *o, enum remat_op op, enum remat_isa isa)
{
    struct remat_kernel_spec spec = spec_of(v, op);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    struct remat_device *one = opened(1), *three = opened(3);
    struct remat_error err;
    int32_t count;
    one->isa = three->isa = isa;
    assert_int_equal(remat_backend_cpu.options(one, &spec, options, &count, &err), REMAT_OK);
    for (int32_t option = 0; option < count; option++) {
        float *a = run(one, &spec, o, option), *b = run(three, &spec, o, option);
        check_samples(v, o, &spec, a, strcmp(options[option].name, "winograd") == 0);
        /* oneDNN divides a sum by the number of threads; ours do not. */
        if (strcmp(options[option].name, "onednn") != 0)
            assert_memory_equal(a, b, (size_t)remat_tensor_bytes(&spec.outputs[0]));
        free(a);
        free(b);
    }
    remat_cpu_close(one);
    remat_cpu_close(three);
}

static void test_case(void **state)
{
    const struct conv *v = *state;
    struct remat_kernel_spec spec = spec_of(v, REMAT_OP_CONV2D);
    struct operands o = {filled(&spec.inputs[0], 1), filled(&spec.outputs[0], 2), filled(&spec.cells[0], 3)};
    for (int isa = 0; isa <= (int)remat_cpu_best_isa(); isa++) {
        check_op(v, &o, REMAT_OP_CONV2D, (enum remat_isa)isa);
        check_op(v, &o, REMAT_OP_CONV2D_BWD_DATA, (enum remat_isa)isa);
        check_op(v, &o, REMAT_OP_CONV2D_BWD_WEIGHTS, (enum remat_isa)isa);
    }
    free(o.x);
    free(o.y);
    free(o.w);
}

static void check_first_option(const struct conv *v, const char *name)
{
    struct remat_kernel_spec spec = spec_of(v, REMAT_OP_CONV2D);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    struct remat_device *device = opened(2);
    struct remat_error err;
    int32_t count;
    assert_int_equal(remat_backend_cpu.options(device, &spec, options, &count, &err), REMAT_OK);
    assert_string_equal(options[0].name, name);
    assert_string_equal(options[count - 1].name, "gemm");
    remat_cpu_close(device);
}

/* The sizes above must reach every method, else it would go untested. */
static void test_methods_are_offered(void **state)
{
    (void)state;
    check_first_option(&cases[1], "winograd");
    /* With AVX-512 oneDNN has kernels of another kind for these layouts, which are not offered. */
    if (remat_cpu_best_isa() == REMAT_ISA_AVX2)
        check_first_option(&(struct conv){4, 28, 28, 64, 96, 1, 1, 0}, "onednn");
    check_first_option(&cases[6], "gemm");
}

int main(void)
{
    enum { CASES = sizeof cases / sizeof *cases };
    struct CMUnitTest tests[CASES + 1];
    for (int i = 0; i < CASES; i++)
        tests[i] = (struct CMUnitTest){"convolution", test_case, NULL, NULL, (void *)(uintptr_t)&cases[i]};
    tests[CASES] = (struct CMUnitTest){"methods are offered", test_methods_are_offered, NULL, NULL, NULL};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
