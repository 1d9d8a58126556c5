/* The op table: options in order, scratch, errors; and finding backends. */
#include "runtime/backend/op_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool small_only(struct remat_device *device, const struct remat_kernel_spec *spec)
{
    (void)device;
    return remat_tensor_elements(&spec->inputs[0]) < 10;
}

static enum remat_status create(struct remat_device *device, const struct remat_kernel_spec *spec, void **state,
                                int64_t *scratch_bytes, struct remat_error *err)
{
    (void)device;
    if (spec->attr.layer == 13)
        return remat_fail(err, REMAT_INTERNAL, "no thirteenth layer");
    *state = malloc(1);
    *scratch_bytes = 100;
    return *state ? REMAT_OK : remat_fail(err, REMAT_OUT_OF_MEMORY, "test");
}

static enum remat_status run(const void *state, const struct remat_kernel_spec *spec,
                             const struct remat_kernel_args *args, struct remat_error *err)
{
    (void)spec;
    (void)args;
    return remat_fail(err, REMAT_BAD_DATA, state ? "with state" : "without state");
}

static const struct remat_op_impl quick = {REMAT_OP_RELU, "quick", 1, small_only, create, run, free};
static const struct remat_op_impl other = {REMAT_OP_GELU, "other", 0, NULL, NULL, run, NULL};
static const struct remat_op_impl general = {REMAT_OP_RELU, "general", 2, NULL, NULL, run, NULL};
static const struct remat_op_impl *const table[] = {&quick, &other, &general, NULL};

static struct remat_kernel_spec spec_of(enum remat_op op, int64_t elements)
{
    struct remat_kernel_spec spec = {.op = op, .inputs_count = 1};
    spec.inputs[0] = remat_tensor_make(REMAT_F32, 1, &elements);
    return spec;
}

static void options_are_those_that_fit_in_order(void **state)
{
    struct remat_kernel_spec small = spec_of(REMAT_OP_RELU, 3), large = spec_of(REMAT_OP_RELU, 30);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    int32_t count;
    (void)state;
    assert_int_equal(remat_op_table_options(table, NULL, &small, options, &count, NULL), REMAT_OK);
    assert_int_equal(count, 2);
    assert_string_equal(options[0].name, "quick");
    assert_int_equal(options[0].scratch_bytes, 100);
    assert_int_equal(options[0].numerics, 1);
    assert_string_equal(options[1].name, "general");
    assert_int_equal(options[1].scratch_bytes, 0);
    assert_int_equal(remat_op_table_options(table, NULL, &large, options, &count, NULL), REMAT_OK);
    assert_int_equal(count, 1);
    assert_string_equal(options[0].name, "general");
}

static void missing_ops_and_options_are_unavailable(void **state)
{
    struct remat_kernel_spec add = spec_of(REMAT_OP_ADD, 3), large = spec_of(REMAT_OP_RELU, 30);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    struct remat_kernel *kernel;
    struct remat_error err = {0};
    int32_t count;
    (void)state;
    assert_int_equal(remat_op_table_options(table, NULL, &add, options, &count, &err), REMAT_UNAVAILABLE);
    assert_int_equal(count, 0);
    assert_non_null(strstr(err.message, "add"));
    assert_int_equal(remat_op_table_create(table, NULL, &large, 1, &kernel, &err), REMAT_UNAVAILABLE);
    assert_null(kernel);
}

static void kernels_run_their_option(void **state)
{
    struct remat_kernel_spec small = spec_of(REMAT_OP_RELU, 3);
    struct remat_kernel_args args = {0};
    struct remat_error err = {0};
    (void)state;
    for (int32_t option = 0; option < 2; option++) {
        struct remat_kernel *kernel;
        assert_int_equal(remat_op_table_create(table, NULL, &small, option, &kernel, &err), REMAT_OK);
        assert_int_equal(remat_op_table_scratch_bytes(kernel), option == 0 ? 100 : 0);
        assert_int_equal(remat_op_table_run(kernel, &args, &err), REMAT_BAD_DATA);
        assert_string_equal(err.message, option == 0 ? "relu (quick): with state" : "relu (general): without state");
        remat_op_table_destroy(kernel);
    }
    remat_op_table_destroy(NULL);
}

static void failed_creation_leaves_nothing(void **state)
{
    struct remat_kernel_spec spec = spec_of(REMAT_OP_RELU, 3);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    struct remat_kernel *kernel;
    struct remat_error err = {0};
    int32_t count;
    (void)state;
    spec.attr.layer = 13;
    assert_int_equal(remat_op_table_create(table, NULL, &spec, 0, &kernel, &err), REMAT_INTERNAL);
    assert_null(kernel);
    assert_string_equal(err.message, "relu (quick): no thirteenth layer");
    assert_int_equal(remat_op_table_options(table, NULL, &spec, options, &count, &err), REMAT_INTERNAL);
}

static void backends_are_found_by_name(void **state)
{
    const struct remat_backend *backend;
    struct remat_error err = {0};
    (void)state;
    assert_int_equal(remat_backend_find("ref", &backend, &err), REMAT_OK);
    assert_string_equal(backend->name, "ref");
    assert_int_equal(remat_backend_find("abacus", &backend, &err), REMAT_USAGE);
    assert_null(backend);
    assert_string_equal(err.message, "unknown device 'abacus'; known are: cpu, ref, cuda");
}

static void ref_describes_itself(void **state)
{
    const struct remat_backend *backend;
    struct remat_device_config config = {.ordinal = 0}, second = {.ordinal = 1};
    struct remat_device_info info;
    struct remat_device *device;
    struct remat_error err = {0};
    (void)state;
    assert_int_equal(remat_backend_find("ref", &backend, &err), REMAT_OK);
    assert_int_equal(backend->open(&second, &device, &err), REMAT_UNAVAILABLE);
    assert_int_equal(backend->open(&config, &device, &err), REMAT_OK);
    backend->describe(device, &info);
    assert_string_equal(info.name, "ref");
    assert_true(info.memory_bytes > 0 && info.threads == 1);
    backend->close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_those_that_fit_in_order),
        cmocka_unit_test(missing_ops_and_options_are_unavailable),
        cmocka_unit_test(kernels_run_their_option),
        cmocka_unit_test(failed_creation_leaves_nothing),
        cmocka_unit_test(backends_are_found_by_name),
        cmocka_unit_test(ref_describes_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
