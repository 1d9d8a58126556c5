/* The layer graph's builder: sticky mistakes and shape inference. */
#include "core/graph/layer_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

static void begin(struct remat_layer_graph *graph)
{
    remat_layer_graph_init(graph, "test");
    remat_begin_block(graph, "only");
}

static void expect_mistake(struct remat_layer_graph *graph, const char *part)
{
    struct remat_error err = {0};
    assert_int_equal(remat_layer_graph_check(graph, &err), REMAT_USAGE);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in \"%s\"", part, err.message);
    remat_layer_graph_free(graph);
    begin(graph);
}

static void window_arithmetic(void **state)
{
    struct remat_layer_graph graph;
    int32_t x, y;
    (void)state;
    begin(&graph);
    x = remat_add_images(&graph, 2, 33, 47, 3);
    y = remat_add_conv2d(&graph, "c", x, 8, 5, 3, 1);
    assert_int_equal(graph.layers[y].output.dims[1], 11); /* (33 + 2 - 5) / 3 + 1 */
    assert_int_equal(graph.layers[y].output.dims[2], 15); /* (47 + 2 - 5) / 3 + 1, rounded down */
    assert_int_equal(graph.layers[y].output.dims[3], 8);
    assert_true(fabsf(graph.parameters[0].scale - sqrtf(2.0f / (8 * 25))) < 1e-7f);
    y = remat_add_maxpool(&graph, "m", y, 3, 2, 1);
    assert_int_equal(graph.layers[y].output.dims[1], 6);
    y = remat_add_avgpool(&graph, "a", y);
    assert_int_equal(graph.layers[y].output.dims_count, 2);
    y = remat_add_linear(&graph, "fc", y, 10, true, 0.0f);
    assert_int_equal(graph.layers[y].output.dims[1], 10);
    assert_int_equal(graph.parameters[2].init, REMAT_INIT_UNIFORM);
    assert_true(fabsf(graph.parameters[2].scale - 1.0f / sqrtf(8.0f)) < 1e-7f);
    assert_int_equal(remat_layer_graph_parameters(&graph), 8 * 25 * 3 + 8 * 10 + 10);
    remat_layer_graph_free(&graph);
}

static void the_first_mistake_sticks(void **state)
{
    struct remat_layer_graph graph;
    int32_t x;
    (void)state;
    begin(&graph);
    x = remat_add_images(&graph, 2, 4, 4, 3);
    x = remat_add_conv2d(&graph, "first", x, 8, 7, 1, 0);
    assert_int_equal(x, -1);
    x = remat_add_batchnorm(&graph, "second", x, -1, true);
    assert_int_equal(x, -1);
    assert_int_equal(remat_add_linear(&graph, "third", x, 0, true, 1.0f), -1);
    expect_mistake(&graph, "\"first\": its input has 4 rows");
    remat_layer_graph_free(&graph);
}

static void mistakes_of_image_layers(void **state)
{
    struct remat_layer_graph graph;
    int32_t x, y;
    (void)state;
    begin(&graph);
    remat_add_images(&graph, 0, 4, 4, 3);
    expect_mistake(&graph, "dimension 0 is 0");
    remat_add_images(&graph, 1, 4, 4, 5);
    expect_mistake(&graph, "at most 4");
    remat_add_conv2d(&graph, "c", -1, 8, 1, 1, 0);
    expect_mistake(&graph, "[N,H,W,C]");
    remat_add_conv2d(&graph, "c", 5, 8, 1, 1, 0);
    expect_mistake(&graph, "does not exist");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    remat_add_conv2d(&graph, "c", x, 8, 3, 0, 1);
    expect_mistake(&graph, "impossible");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    remat_add_conv2d(&graph, "c", x, 0, 3, 1, 1);
    expect_mistake(&graph, "at least 1");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    y = remat_add_conv2d(&graph, "c", x, 8, 3, 1, 1);
    remat_add_batchnorm(&graph, "b", y, x, true);
    expect_mistake(&graph, "another shape");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    y = remat_add_conv2d(&graph, "c", x, 8, 3, 1, 1);
    remat_add_add(&graph, "a", x, y);
    expect_mistake(&graph, "equal shape");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    y = remat_add_conv2d(&graph, "c", x, 3, 3, 1, 1);
    remat_add_conv2d(&graph, "c", y, 3, 3, 1, 1);
    expect_mistake(&graph, "two parameters of the name \"c.weight\"");
    x = remat_add_images(&graph, 2, 4, 4, 3);
    remat_add_maxpool(&graph, "m", x, 17, 1, 9);
    expect_mistake(&graph, "too large");
    remat_layer_graph_free(&graph);
}

static void mistakes_of_text_layers(void **state)
{
    const int64_t dims[] = {2, 9};
    struct remat_layer_graph graph;
    int32_t x, tokens, labels;
    (void)state;
    begin(&graph);
    tokens = remat_add_tokens(&graph, 2, 8);
    remat_add_gelu(&graph, "g", tokens);
    expect_mistake(&graph, "floating-point");
    tokens = remat_add_tokens(&graph, 2, 8);
    remat_add_embedding(&graph, "wte", "wpe", tokens, 10, 7, 12, 0.02f);
    expect_mistake(&graph, "\"wpe\": a length of 8");
    tokens = remat_add_tokens(&graph, 2, 8);
    x = remat_add_embedding(&graph, "wte", "wpe", tokens, 10, 8, 12, 0.02f);
    remat_add_attention(&graph, "attn", x, 3);
    expect_mistake(&graph, "4 channels do not divide into 3 heads");
    tokens = remat_add_tokens(&graph, 2, 8);
    x = remat_add_embedding(&graph, "wte", "wpe", tokens, 10, 8, 12, 0.02f);
    labels = remat_add_labels(&graph, 2, dims);
    remat_add_classifier(&graph, "head", x, labels, x);
    expect_mistake(&graph, "a target a row");
    tokens = remat_add_tokens(&graph, 2, 8);
    x = remat_add_embedding(&graph, "wte", "wpe", tokens, 10, 8, 12, 0.02f);
    remat_add_dropout(&graph, "d", x, 1.0f);
    expect_mistake(&graph, "[0, 1)");
    tokens = remat_add_tokens(&graph, 2, 8);
    x = remat_add_embedding(&graph, "wte", "wpe", tokens, 10, 8, 12, 0.02f);
    remat_add_loss(&graph, x, remat_add_labels(&graph, 2, dims));
    expect_mistake(&graph, "M integer labels");
    remat_layer_graph_free(&graph);
}

static void a_layer_needs_a_block(void **state)
{
    struct remat_layer_graph graph;
    (void)state;
    remat_layer_graph_init(&graph, "test");
    remat_add_tokens(&graph, 2, 8);
    expect_mistake(&graph, "block");
    expect_mistake(&graph, "no layers");
    remat_layer_graph_free(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_arithmetic),        cmocka_unit_test(the_first_mistake_sticks),
        cmocka_unit_test(mistakes_of_image_layers), cmocka_unit_test(mistakes_of_text_layers),
        cmocka_unit_test(a_layer_needs_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
