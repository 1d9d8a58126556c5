/* Tensors and ops: texts, sizes, costs. */
#include "core/graph/op.h"
#include "core/graph/op_attr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void texts_round_trip(void **state)
{
    struct remat_error err;
    (void)state;
    for (int i = 0; i < REMAT_OP_COUNT; i++) {
        enum remat_op op;
        assert_int_equal(remat_op_parse(remat_op_text((enum remat_op)i), &op, &err), REMAT_OK);
        assert_int_equal(op, i);
    }
    for (int i = 0; i < REMAT_DTYPE_COUNT; i++) {
        enum remat_dtype dtype;
        assert_int_equal(remat_dtype_parse(remat_dtype_text((enum remat_dtype)i), &dtype, &err), REMAT_OK);
        assert_int_equal(dtype, i);
    }
    enum remat_op op;
    enum remat_dtype dtype;
    enum remat_layout layout;
    assert_int_equal(remat_op_parse("conv3d", &op, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_dtype_parse("f8", &dtype, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_layout_parse("column-major", &layout, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_layout_parse("row-major", &layout, &err), REMAT_OK);
}

static struct remat_tensor f32(int32_t count, int64_t a, int64_t b, int64_t c, int64_t d)
{
    const int64_t dims[] = {a, b, c, d};
    return remat_tensor_make(REMAT_F32, count, dims);
}

static void tensor_sizes(void **state)
{
    struct remat_tensor tensor = f32(4, 2, 3, 5, 7), half = tensor, huge, scalar = f32(0, 0, 0, 0, 0);
    struct remat_error err;
    (void)state;
    half.dtype = REMAT_BF16;
    assert_int_equal(remat_tensor_elements(&tensor), 210);
    assert_int_equal(remat_tensor_bytes(&tensor), 840);
    assert_int_equal(remat_tensor_bytes(&half), 420);
    assert_int_equal(remat_tensor_rows(&tensor), 30);
    assert_int_equal(remat_tensor_columns(&tensor), 7);
    assert_int_equal(remat_tensor_elements(&scalar), 1);
    assert_false(remat_tensor_equal(&tensor, &half));
    huge = f32(4, INT64_C(1) << 40, INT64_C(1) << 40, INT64_C(1) << 40, 1);
    assert_int_equal(remat_tensor_check(&huge, "t", &err), REMAT_BAD_DATA);
    assert_true(remat_tensor_bytes(&huge) > 0);
    huge = f32(2, 0, 1, 0, 0);
    assert_int_equal(remat_tensor_check(&huge, "t", &err), REMAT_BAD_DATA);
    huge.dims_count = 5;
    assert_int_equal(remat_tensor_check(&huge, "t", &err), REMAT_BAD_DATA);
    assert_int_equal(remat_tensor_check(&tensor, "t", &err), REMAT_OK);
}

/* ResNet's conv2_x 3x3, batch 2: 2 * 2 * 56 * 56 * 64 * 64 * 9 operations, forward and both backwards alike. */
static void convolution_costs(void **state)
{
    const int64_t flop = INT64_C(2) * 2 * 56 * 56 * 64 * 64 * 9;
    const int64_t traffic = 4 * (2 * INT64_C(2) * 56 * 56 * 64 + 64 * 64 * 9);
    struct remat_tensor x = f32(4, 2, 56, 56, 64), w = f32(4, 64, 3, 3, 64);
    struct remat_kernel_spec spec = {.op = REMAT_OP_CONV2D,
                                     .inputs_count = 1,
                                     .inputs = {x, x},
                                     .outputs_count = 1,
                                     .outputs = {x},
                                     .cells_count = 1,
                                     .cells = {w}};
    (void)state;
    assert_int_equal(remat_op_flop(&spec), flop);
    assert_int_equal(remat_op_traffic_bytes(&spec), traffic);
    spec.op = REMAT_OP_CONV2D_BWD_DATA;
    assert_int_equal(remat_op_flop(&spec), flop);
    spec.op = REMAT_OP_CONV2D_BWD_WEIGHTS;
    spec.inputs_count = 2;
    spec.cells_count = 0;
    spec.outputs[0] = w;
    assert_int_equal(remat_op_flop(&spec), flop);
    assert_int_equal(remat_op_traffic_bytes(&spec), traffic);
}

static void matrix_costs(void **state)
{
    struct remat_kernel_spec spec = {.op = REMAT_OP_LINEAR,
                                     .inputs_count = 1,
                                     .inputs = {f32(3, 2, 8, 16, 0)},
                                     .outputs_count = 1,
                                     .outputs = {f32(3, 2, 8, 48, 0)},
                                     .cells_count = 2,
                                     .cells = {f32(2, 48, 16, 0, 0), f32(1, 48, 0, 0, 0)}};
    struct remat_kernel_spec attention = {.op = REMAT_OP_ATTENTION, .inputs_count = 1, .inputs = {f32(3, 2, 8, 48, 0)}};
    struct remat_kernel_spec classifier = {.op = REMAT_OP_CLASSIFIER_LOSS,
                                           .inputs_count = 1,
                                           .inputs = {f32(3, 2, 8, 16, 0)},
                                           .cells_count = 1,
                                           .cells = {f32(2, 100, 16, 0, 0)}};
    (void)state;
    assert_int_equal(remat_op_flop(&spec), 2 * 16 * 16 * 48);
    assert_int_equal(remat_op_flop(&attention), 2 * (2 * 8 * 8 * 16));
    attention.op = REMAT_OP_ATTENTION_BWD;
    assert_int_equal(remat_op_flop(&attention), 5 * (2 * 8 * 8 * 16));
    assert_int_equal(remat_op_flop(&classifier), 6 * 16 * 16 * 100);
}

/* A fusion may write over what it adds, and its weight, cast or not, comes behind that. */
static void fusions_write_over_what_they_add(void **state)
{
    struct remat_tensor x = f32(2, 16, 16, 0, 0), w = f32(2, 16, 16, 0, 0);
    struct remat_kernel_spec spec = {.op = REMAT_OP_LINEAR_ADD,
                                     .inputs_count = 2,
                                     .inputs = {x, x, w},
                                     .outputs_count = 1,
                                     .outputs = {x},
                                     .cells_count = 1,
                                     .cells = {w}};
    struct remat_in_place pairs[4];
    (void)state;
    assert_int_equal(remat_op_in_place(&spec, pairs), 1);
    assert_true(pairs[0].output == 0 && pairs[0].input == 1);
    assert_int_equal(remat_op_cast_weight(&spec), -1);
    assert_int_equal(remat_op_flop(&spec), 2 * 16 * 16 * 16);
    spec.inputs_count = 3;
    assert_int_equal(remat_op_cast_weight(&spec), 2);
    assert_int_equal(remat_op_in_place(&spec, pairs), 1);
    spec.op = REMAT_OP_LINEAR; /* the second input is the weight then */
    spec.inputs_count = 2;
    assert_int_equal(remat_op_in_place(&spec, pairs), 0);
    spec.op = REMAT_OP_LINEAR_GELU_BWD;
    assert_int_equal(remat_op_in_place(&spec, pairs), 0);
    assert_int_equal(remat_op_flop(&spec), 2 * 16 * 16 * 16);
}

static void optimizer_traffic_counts_writes(void **state)
{
    struct remat_tensor w = f32(1, 1000, 0, 0, 0);
    struct remat_kernel_spec spec = {
        .op = REMAT_OP_ADAMW, .inputs_count = 1, .inputs = {w}, .cells_count = 3, .cells = {w, w, w}};
    (void)state;
    assert_int_equal(remat_op_traffic_bytes(&spec), 7 * 4000);
    spec.op = REMAT_OP_SGD;
    spec.cells_count = 1;
    assert_int_equal(remat_op_traffic_bytes(&spec), 3 * 4000);
}

static void attribute_table_covers_the_struct(void **state)
{
    struct remat_op_attr attr;
    size_t covered = 0;
    (void)state;
    memset(&attr, 0, sizeof attr);
    for (const struct remat_attr_field *field = remat_attr_fields; field->name; field++)
        for (int32_t k = 0; k < field->count; k++) {
            assert_true(remat_attr_get(&attr, field, k) == 0.0);
            remat_attr_set(&attr, field, k, 1.0);
            assert_true(remat_attr_get(&attr, field, k) == 1.0);
            covered += field->type == REMAT_ATTR_BOOL ? sizeof(bool) : 4;
        }
    assert_true(sizeof attr - covered < sizeof(float)); /* what is left is padding after the bools */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_round_trip),
        cmocka_unit_test(tensor_sizes),
        cmocka_unit_test(convolution_costs),
        cmocka_unit_test(matrix_costs),
        cmocka_unit_test(fusions_write_over_what_they_add),
        cmocka_unit_test(optimizer_traffic_counts_writes),
        cmocka_unit_test(attribute_table_covers_the_struct),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
