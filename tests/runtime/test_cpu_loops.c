/* What the op tests cannot see of the cpu loops: every instruction set, results written past the caches, and means that
 * are large beside the deviation. */
#include "support_op_case.h"

#include "core/base/memory.h"
#include "runtime/backend/cpu/cpu.h"
#include "runtime/backend/cpu/loops.h"
#include "runtime/backend/cpu/split.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct op_backend ref, cpu;

static bool is_loop(enum remat_op op)
{
    static const struct remat_op_impl *const loops[] = {
#define X(name) &name,
        REMAT_CPU_LOOPS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof loops / sizeof *loops; i++) {
        if (loops[i]->op == op)
            return true;
    }
    return false;
}

/* Calls that other files implement run on ref alone, for what follows them. */
static void check_case(const struct op_case *c)
{
    struct op_values values;
    op_values_fill(c, &values);
    for (int32_t k = 0; k < c->calls_count; k++)
        op_check_call(&ref, is_loop(c->calls[k].op) ? &cpu : NULL, c, &c->calls[k], &values);
    op_values_free(&values);
}

static void every_instruction_set_agrees_with_ref(void **state)
{
    struct op_cases cases = {0};
    (void)state;
    op_cases_image(&cases);
    op_cases_text(&cases);
    op_cases_update(&cases);
    for (int isa = 0; isa <= (int)remat_cpu_best_isa(); isa++) {
        cpu.device->isa = (enum remat_isa)isa;
        for (int32_t i = 0; i < cases.count; i++)
            check_case(cases.items[i]);
    }
    cpu.device->isa = remat_cpu_best_isa();
    op_cases_free(&cases);
}

/* Memory as the executor gives it: aligned, and here filled with numbers in [-1, 1). */
static void *filled(int64_t elements, uint32_t stream)
{
    float *x = aligned_alloc(REMAT_ALIGNMENT, (size_t)remat_align_up(elements * (int64_t)sizeof *x));
    assert_non_null(x);
    for (int64_t i = 0; i < elements; i++)
        x[i] = (float)(((uint32_t)i * 2654435761u + stream * 40503u) >> 16) / 32768.0f - 1.0f;
    return x;
}

static void run(const struct remat_kernel_spec *spec, const struct remat_kernel_args *given)
{
    struct remat_kernel_args args = *given;
    struct remat_kernel *kernel;
    struct remat_error err = {0};
    if (cpu.backend->kernel_create(cpu.device, spec, 0, &kernel, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    args.scratch = filled(cpu.backend->kernel_scratch_bytes(kernel) / 4 + 1, 9);
    if (cpu.backend->kernel_run(kernel, &args, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    cpu.backend->kernel_destroy(kernel);
    free(args.scratch);
}

static struct remat_kernel_spec spec_make(enum remat_op op, int32_t inputs, int32_t outputs, int32_t cells,
                                          const int64_t dims[4])
{
    struct remat_kernel_spec spec = {.op = op, .inputs_count = inputs, .outputs_count = outputs, .cells_count = cells};
    for (int32_t i = 0; i < inputs; i++)
        spec.inputs[i] = remat_tensor_make(REMAT_F32, 4, dims);
    for (int32_t i = 0; i < outputs; i++)
        spec.outputs[i] = remat_tensor_make(REMAT_F32, 4, dims);
    for (int32_t i = 0; i < cells; i++)
        spec.cells[i] = remat_tensor_make(REMAT_F32, 1, dims + 3);
    return spec;
}

/* Large enough to be streamed, with an end that does not fill a vector. */
static const int64_t LARGE[4] = {1, 97, 613, 71};

/* In place nothing is streamed; the bits must be the same. */
static void check_streamed(struct remat_kernel_spec *spec, struct remat_kernel_args *args, int64_t elements, int over)
{
    float *apart = filled(elements, 7);
    assert_true(remat_tensor_bytes(&spec->outputs[0]) >= REMAT_STREAM_BYTES);
    args->outputs[0] = apart;
    run(spec, args);
    args->outputs[0] = (void *)args->inputs[over];
    run(spec, args);
    assert_memory_equal(apart, args->outputs[0], (size_t)elements * sizeof *apart);
    free(apart);
}

static void streamed_results_are_whole(void **state)
{
    static const struct {
        enum remat_op op;
        int32_t inputs;
        int over;
    } ops[] = {{REMAT_OP_RELU, 1, 0}, {REMAT_OP_ADD, 2, 0}, {REMAT_OP_RELU_BWD, 2, 1}, {REMAT_OP_GELU_BWD, 2, 1}};
    int64_t elements = LARGE[1] * LARGE[2] * LARGE[3];
    (void)state;
    for (size_t k = 0; k < sizeof ops / sizeof *ops; k++) {
        struct remat_kernel_spec spec = spec_make(ops[k].op, ops[k].inputs, 1, 0, LARGE);
        float *a = filled(elements, 1), *b = filled(elements, 2);
        struct remat_kernel_args args = {.inputs = {a, b}};
        check_streamed(&spec, &args, elements, ops[k].over);
        free(a);
        free(b);
    }
}

static void streamed_normalisation_is_whole(void **state)
{
    struct remat_kernel_spec spec = spec_make(REMAT_OP_BATCHNORM_APPLY, 4, 1, 2, LARGE);
    int64_t elements = LARGE[1] * LARGE[2] * LARGE[3], channels = LARGE[3];
    float *x = filled(elements, 1), *z = filled(elements, 2), *mean = filled(channels, 3),
          *invstd = filled(channels, 4), *gamma = filled(channels, 5), *beta = filled(channels, 6);
    struct remat_kernel_args args = {.inputs = {x, mean, invstd, z}, .cells = {gamma, beta}};
    (void)state;
    spec.attr.relu = spec.attr.residual = true;
    spec.inputs[1] = spec.inputs[2] = remat_tensor_make(REMAT_F32, 1, &channels);
    check_streamed(&spec, &args, elements, 3);
    for (size_t i = 0; i < 4; i++)
        free((void *)args.inputs[i]);
    free(gamma);
    free(beta);
}

/* x = 1000 + noise of deviation ~0.01, whose variance a plain sum of squares would lose altogether. */
static void statistics_survive_a_large_mean(void **state)
{
    const int64_t dims[4] = {2, 31, 29, 5};
    int64_t rows = dims[0] * dims[1] * dims[2], channels = dims[3], elements = rows * channels;
    struct remat_kernel_spec spec = spec_make(REMAT_OP_BATCHNORM, 1, 3, 4, dims);
    float *memory[8];
    struct remat_kernel_args args = {0};
    (void)state;
    spec.attr.momentum = 0.5f;
    spec.outputs[1] = spec.outputs[2] = remat_tensor_make(REMAT_F32, 1, &channels);
    for (uint32_t i = 0; i < 8; i++)
        memory[i] = filled(i < 2 ? elements : channels, i);
    for (int64_t i = 0; i < elements; i++)
        memory[0][i] = 1000.0f + 0.02f * memory[0][i];
    args = (struct remat_kernel_args){.inputs = {memory[0]},
                                      .outputs = {memory[1], memory[2], memory[3]},
                                      .cells = {memory[4], memory[5], memory[6], memory[7]}};
    run(&spec, &args);
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0, variance = 0;
        for (int64_t i = c; i < elements; i += channels)
            mean += (double)memory[0][i] / (double)rows;
        for (int64_t i = c; i < elements; i += channels)
            variance += ((double)memory[0][i] - mean) * ((double)memory[0][i] - mean) / (double)rows;
        if (fabs((double)memory[2][c] - mean) > 1e-4 || fabs((double)memory[3][c] * sqrt(variance) - 1) > 1e-5)
            fail_msg("channel %d: mean %.9g, not %.9g; 1 / deviation %.7g, not %.7g", (int)c, (double)memory[2][c],
                     mean, (double)memory[3][c], 1 / sqrt(variance));
    }
    for (int i = 0; i < 8; i++)
        free(memory[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_instruction_set_agrees_with_ref),
        cmocka_unit_test(streamed_results_are_whole),
        cmocka_unit_test(streamed_normalisation_is_whole),
        cmocka_unit_test(statistics_survive_a_large_mean),
    };
    struct remat_device_config config = {.threads = 3};
    int failed;
    cpu.backend = &remat_backend_cpu;
    if (remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK ||
        cpu.backend->open(&config, &cpu.device, NULL) != REMAT_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    cpu.backend->close(cpu.device);
    ref.backend->close(ref.device);
    return failed;
}
