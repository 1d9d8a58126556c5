/* Updates of many parameters in one launch give the bits of a launch for each; which updates may be joined. */
#include "core/base/rng.h"
#include "runtime/backend/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sizes around those of a block and of its share. */
static const int64_t sizes[] = {1, 3, 255, 256, 257, 4095, 4096, 4097, 8192, 10001};
enum { PARAMETERS = sizeof sizes / sizeof sizes[0], CELLS = 4, FLOATS = 160 * 1024 };

struct bench {
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_memory memory; /* record, norm, then all operands */
    struct remat_kernel *kernels[PARAMETERS];
    struct remat_kernel_args args[PARAMETERS];
};

static void ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s", err->message);
}

/* cells: w, state.. and, with grad_in_cell, gradient and norm. */
static struct remat_kernel_spec spec_of(enum remat_op op, const struct remat_op_attr *attr, int64_t size)
{
    const int64_t norm_size = 2;
    struct remat_kernel_spec spec;
    int32_t states = op == REMAT_OP_ADAMW ? 2 : attr->momentum != 0;
    memset(&spec, 0, sizeof spec);
    spec.op = op;
    spec.attr = *attr;
    spec.cells_count = 1 + states;
    for (int32_t i = 0; i <= states; i++)
        spec.cells[i] = remat_tensor_make(REMAT_F32, 1, &size);
    if (attr->grad_in_cell) {
        spec.cells[spec.cells_count++] = remat_tensor_make(REMAT_F32, 1, &size);
        spec.cells[spec.cells_count++] = remat_tensor_make(REMAT_F64, 1, &norm_size);
    } else {
        spec.inputs[spec.inputs_count++] = remat_tensor_make(REMAT_F32, 1, &size);
    }
    return spec;
}

static void fill(struct bench *b)
{
    static float host[FLOATS];
    const struct remat_step_record record = {.seed = 1, .step = 6, .micro_count = 1, .learning_rate = 0.01f};
    const double norm[2] = {16.0, 0};
    struct remat_error err;
    for (int i = 0; i < FLOATS; i++)
        host[i] = remat_rng_uniform(remat_rng(3, REMAT_RNG_INIT, 0, 0, (uint64_t)i).word[0]);
    memcpy(host, &record, sizeof record);
    memcpy(host + 16, norm, sizeof norm);
    ok(b->backend->ops->upload(b->device, b->memory.base, host, sizeof host, &err), &err);
}

static void prepare(struct bench *b, enum remat_op op, const struct remat_op_attr *attr)
{
    int64_t used = 128;
    struct remat_error err;
    for (int p = 0; p < PARAMETERS; p++) {
        struct remat_kernel_spec spec = spec_of(op, attr, sizes[p]);
        struct remat_kernel_args *args = &b->args[p];
        *args = (struct remat_kernel_args){.record = (const void *)b->memory.base};
        for (int32_t i = 0; i < spec.cells_count + spec.inputs_count; i++) {
            bool is_norm = i < spec.cells_count && spec.cells[i].dtype == REMAT_F64;
            void *at = b->memory.base + (is_norm ? 64 : used);
            if (!is_norm)
                used += remat_align_up(sizes[p] * (int64_t)sizeof(float));
            if (i < spec.cells_count)
                args->cells[i] = at;
            else
                args->inputs[i - spec.cells_count] = at;
        }
        assert_true(used <= (int64_t)(FLOATS * sizeof(float)));
        ok(b->backend->kernel_create(b->device, &spec, 0, &b->kernels[p], &err), &err);
    }
}

static void release(struct bench *b)
{
    for (int p = 0; p < PARAMETERS; p++)
        b->backend->kernel_destroy(b->kernels[p]);
}

static void look(struct bench *b, float out[FLOATS])
{
    struct remat_error err;
    ok(b->backend->ops->download(b->device, out, b->memory.base, (int64_t)(FLOATS * sizeof(float)), &err), &err);
}

static void check_bits(struct bench *b, enum remat_op op, const struct remat_op_attr *attr)
{
    static float before[FLOATS], one_by_one[FLOATS], joined[FLOATS];
    const struct remat_kernel *kernels[PARAMETERS];
    const struct remat_kernel_args *args[PARAMETERS];
    struct remat_error err;
    prepare(b, op, attr);
    fill(b);
    look(b, before);
    for (int p = 0; p < PARAMETERS; p++) {
        kernels[p] = b->kernels[p];
        args[p] = &b->args[p];
        assert_true(b->backend->kernel_joins(kernels[0], kernels[p]));
        ok(b->backend->kernel_run(kernels[p], args[p], &err), &err);
    }
    look(b, one_by_one);
    fill(b);
    ok(b->backend->kernel_run_joined(kernels, args, PARAMETERS, &err), &err);
    look(b, joined);
    assert_true(memcmp(before, one_by_one, sizeof before) != 0);
    assert_memory_equal(one_by_one, joined, sizeof joined);
    release(b);
}

static void open_bench(struct bench *b)
{
    const struct remat_device_config config = {0};
    struct remat_error err;
    ok(remat_backend_find("emulated", &b->backend, &err), &err);
    ok(b->backend->open(&config, &b->device, &err), &err);
    ok(b->backend->ops->memory_open(b->device, (int64_t)(FLOATS * sizeof(float)), "a test", &b->memory, &err), &err);
}

static void close_bench(struct bench *b)
{
    remat_memory_close(&b->memory);
    b->backend->close(b->device);
}

static void test_same_bits(void **state)
{
    const struct remat_op_attr plain = {.weight_decay = 0.1f}, momentum = {.momentum = 0.9f, .nesterov = true},
                               clipped = {.momentum = 0.9f, .grad_in_cell = true, .max_norm = 1},
                               adamw = {.beta1 = 0.9f, .beta2 = 0.99f, .epsilon = 1e-8f, .weight_decay = 0.1f},
                               clipped_adamw = {.beta1 = 0.9f,
                                                .beta2 = 0.99f,
                                                .epsilon = 1e-8f,
                                                .grad_in_cell = true,
                                                .max_norm = 1};
    struct bench b;
    (void)state;
    open_bench(&b);
    check_bits(&b, REMAT_OP_SGD, &plain);
    check_bits(&b, REMAT_OP_SGD, &momentum);
    check_bits(&b, REMAT_OP_SGD, &clipped);
    check_bits(&b, REMAT_OP_ADAMW, &adamw);
    check_bits(&b, REMAT_OP_ADAMW, &clipped_adamw);
    close_bench(&b);
}

/* One rule for all, and optimizers alone. */
static void test_what_joins(void **state)
{
    const struct remat_op_attr attrs[] = {{.momentum = 0.9f}, {.momentum = 0.8f}, {.momentum = 0.9f, .nesterov = true}};
    const struct remat_op_attr none = {0};
    const int64_t size = 64;
    struct remat_kernel *kernels[5];
    struct remat_kernel_spec specs[5] = {spec_of(REMAT_OP_SGD, &attrs[0], size), spec_of(REMAT_OP_SGD, &attrs[1], size),
                                         spec_of(REMAT_OP_SGD, &attrs[2], size), spec_of(REMAT_OP_SGD, &none, size)};
    struct bench b;
    struct remat_error err;
    (void)state;
    specs[4].op = REMAT_OP_RELU;
    specs[4].inputs_count = specs[4].outputs_count = 1;
    specs[4].inputs[0] = specs[4].outputs[0] = remat_tensor_make(REMAT_F32, 1, &size);
    open_bench(&b);
    for (int i = 0; i < 5; i++)
        ok(b.backend->kernel_create(b.device, &specs[i], 0, &kernels[i], &err), &err);
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++)
            assert_int_equal(b.backend->kernel_joins(kernels[i], kernels[k]), i == k && i != 4);
    for (int i = 0; i < 5; i++)
        b.backend->kernel_destroy(kernels[i]);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_what_joins)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
