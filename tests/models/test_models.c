/* Models: parameter counts, names and shapes against torchvision and GPT-2, shapes inside, refused sizes. */
#include "models/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static void build(struct remat_layer_graph *graph, const char *name, const struct remat_model_options *options)
{
    struct remat_error err = {0};
    if (remat_model_build(name, options, graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static int64_t parameters_of(const char *name)
{
    const struct remat_model_options options = {.batch = 2};
    struct remat_layer_graph graph;
    int64_t count;
    build(&graph, name, &options);
    count = remat_layer_graph_parameters(&graph);
    remat_layer_graph_free(&graph);
    return count;
}

static void parameter_counts(void **state)
{
    (void)state;
    assert_int_equal(parameters_of("resnet18"), 11689512);
    assert_int_equal(parameters_of("resnet34"), 21797672);
    assert_int_equal(parameters_of("resnet50"), 25557032);
    assert_int_equal(parameters_of("resnet101"), 44549160);
    assert_int_equal(parameters_of("resnet152"), 60192808);
    assert_int_equal(parameters_of("gpt2-small"), 124439808);
    assert_int_equal(parameters_of("gpt2-medium"), 354823168);
    assert_int_equal(parameters_of("gpt2-large"), 774030080);
    assert_int_equal(parameters_of("gpt2-xl"), 1557611200);
}

static const struct remat_parameter *find_parameter(const struct remat_layer_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->parameters_count; i++)
        if (strcmp(graph->parameters[i].name, name) == 0)
            return &graph->parameters[i];
    return NULL;
}

static const struct remat_layer *find_layer(const struct remat_layer_graph *graph, const char *name)
{
    for (int32_t i = 0; i < graph->layers_count; i++)
        if (strcmp(graph->layers[i].name, name) == 0)
            return &graph->layers[i];
    fail_msg("no layer \"%s\"", name);
    return NULL;
}

/* torchvision stores filters as [K,C,R,S], we as [K,R,S,C]. */
static void expect_shape(const struct remat_parameter *parameter, int count, const long *torch)
{
    const int64_t *dims = parameter->tensor.dims;
    assert_int_equal(parameter->tensor.dims_count, count);
    if (count == 4) {
        assert_int_equal(dims[0], torch[0]);
        assert_int_equal(dims[1], torch[2]);
        assert_int_equal(dims[2], torch[3]);
        assert_int_equal(dims[3], torch[1]);
    } else {
        for (int i = 0; i < count; i++)
            assert_int_equal(dims[i], torch[i]);
    }
}

static void compare_with_torchvision(const char *name)
{
    const struct remat_model_options options = {0};
    struct remat_layer_graph graph;
    char line[256], model[32], parameter[128];
    int32_t found = 0;
    long dims[4];
    FILE *file = fopen(REMAT_SOURCE_DIR "/tests/golden/torchvision_parameters.txt", "r");
    assert_non_null(file);
    build(&graph, name, &options);
    while (fgets(line, sizeof line, file)) {
        int fields =
            sscanf(line, "%31s %127s %ld %ld %ld %ld", model, parameter, &dims[0], &dims[1], &dims[2], &dims[3]);
        const struct remat_parameter *ours;
        if (strcmp(model, name) != 0)
            continue;
        ours = find_parameter(&graph, parameter);
        if (!ours)
            fail_msg("%s has no \"%s\"", name, parameter);
        expect_shape(ours, fields - 2, dims);
        assert_int_equal(ours->trained, strstr(parameter, "running_") == NULL);
        found++;
    }
    fclose(file);
    assert_true(found > 100);
    assert_int_equal(found, graph.parameters_count);
    remat_layer_graph_free(&graph);
}

static void resnet_names_and_shapes_are_torchvisions(void **state)
{
    (void)state;
    compare_with_torchvision("resnet18");
    compare_with_torchvision("resnet50");
}

static void expect_output(const struct remat_layer_graph *graph, const char *name, int64_t n, int64_t h, int64_t c)
{
    const struct remat_tensor *tensor = &find_layer(graph, name)->output;
    assert_int_equal(tensor->dims_count, 4);
    assert_int_equal(tensor->dims[0], n);
    assert_int_equal(tensor->dims[1], h);
    assert_int_equal(tensor->dims[2], h);
    assert_int_equal(tensor->dims[3], c);
}

static void resnet_shapes(void **state)
{
    const struct remat_model_options small = {.batch = 100, .image = 32, .classes = 10, .stem = REMAT_STEM_CIFAR};
    const struct remat_model_options large = {.batch = 16};
    struct remat_layer_graph graph;
    (void)state;
    build(&graph, "resnet50", &large);
    expect_output(&graph, "conv1", 16, 112, 64);
    expect_output(&graph, "maxpool", 16, 56, 64);
    expect_output(&graph, "layer2.0.conv1", 16, 56, 128); /* the stride is in the 3x3 */
    expect_output(&graph, "layer2.0.conv2", 16, 28, 128);
    expect_output(&graph, "layer4.2.bn3", 16, 7, 2048);
    assert_int_equal(graph.blocks_count, 18);
    assert_string_equal(graph.block_names[0], "stem");
    assert_string_equal(graph.block_names[1], "layer1.0");
    assert_string_equal(graph.block_names[17], "head");
    assert_int_equal(find_layer(&graph, "layer1.0.bn3")->inputs_count, 2);
    assert_true(find_layer(&graph, "layer1.0.bn3")->relu);
    assert_false(find_layer(&graph, "layer1.0.downsample.1")->relu);
    remat_layer_graph_free(&graph);
    build(&graph, "resnet18", &small);
    expect_output(&graph, "conv1", 100, 32, 64);
    expect_output(&graph, "layer1.0.bn2", 100, 32, 64);
    expect_output(&graph, "layer4.1.bn2", 100, 4, 512);
    assert_int_equal(find_layer(&graph, "fc")->output.dims[1], 10);
    assert_int_equal(find_layer(&graph, "labels")->output.dims[0], 100);
    remat_layer_graph_free(&graph);
}

static void expect_gpt2_parameter(const struct remat_layer_graph *graph, const char *name, int64_t rows,
                                  int64_t columns)
{
    const struct remat_parameter *parameter = find_parameter(graph, name);
    if (!parameter)
        fail_msg("no \"%s\"", name);
    assert_int_equal(parameter->tensor.dims_count, columns ? 2 : 1);
    assert_int_equal(parameter->tensor.dims[0], rows);
    if (columns)
        assert_int_equal(parameter->tensor.dims[1], columns);
    assert_int_equal(parameter->decayed, columns != 0);
}

static void gpt2_names_and_shapes(void **state)
{
    static const struct {
        const char *suffix;
        int64_t rows, columns;
    } expected[] = {
        {"ln_1.weight", 768, 0},           {"ln_1.bias", 768, 0},
        {"attn.c_attn.weight", 2304, 768}, {"attn.c_attn.bias", 2304, 0},
        {"attn.c_proj.weight", 768, 768},  {"attn.c_proj.bias", 768, 0},
        {"ln_2.weight", 768, 0},           {"ln_2.bias", 768, 0},
        {"mlp.c_fc.weight", 3072, 768},    {"mlp.c_fc.bias", 3072, 0},
        {"mlp.c_proj.weight", 768, 3072},  {"mlp.c_proj.bias", 768, 0},
    };
    const struct remat_model_options options = {.batch = 4, .length = 256};
    struct remat_layer_graph graph;
    (void)state;
    build(&graph, "gpt2-small", &options);
    assert_int_equal(graph.parameters_count, 2 + 12 * 12 + 2);
    expect_gpt2_parameter(&graph, "wte.weight", 50257, 768);
    expect_gpt2_parameter(&graph, "wpe.weight", 1024, 768);
    expect_gpt2_parameter(&graph, "ln_f.weight", 768, 0);
    expect_gpt2_parameter(&graph, "ln_f.bias", 768, 0);
    for (int layer = 0; layer < 12; layer++)
        for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
            char name[64];
            snprintf(name, sizeof name, "h.%d.%s", layer, expected[i].suffix);
            expect_gpt2_parameter(&graph, name, expected[i].rows, expected[i].columns);
        }
    assert_int_equal(graph.blocks_count, 14);
    assert_string_equal(graph.block_names[0], "embedding");
    assert_string_equal(graph.block_names[12], "h.11");
    assert_string_equal(graph.block_names[13], "head");
    assert_int_equal(find_layer(&graph, "h.0.attn")->output.dims[2], 768);
    assert_int_equal(find_layer(&graph, "classifier")->parameters[0], find_layer(&graph, "wte")->parameters[0]);
    assert_true(find_parameter(&graph, "h.0.mlp.c_proj.weight")->scale < 0.0041f);
    assert_true(find_parameter(&graph, "h.0.mlp.c_proj.weight")->scale > 0.0040f);
    remat_layer_graph_free(&graph);
}

static void gpt2_of_any_size(void **state)
{
    const struct remat_model_options options = {
        .batch = 12, .length = 64, .vocabulary = 65, .layers = 4, .width = 128, .heads = 4, .dropout = 0.2f};
    const struct remat_model_options longer = {.length = 2048, .layers = 1};
    struct remat_layer_graph graph;
    int32_t dropouts = 0;
    (void)state;
    build(&graph, "gpt2", &options);
    for (int32_t i = 0; i < graph.layers_count; i++)
        dropouts += graph.layers[i].kind == REMAT_LAYER_DROPOUT;
    assert_int_equal(dropouts, 1 + 2 * 4);
    assert_int_equal(graph.blocks_count, 6);
    remat_layer_graph_free(&graph);
    build(&graph, "gpt2-xl", &longer);
    assert_int_equal(find_parameter(&graph, "wpe.weight")->tensor.dims[0], 2048);
    remat_layer_graph_free(&graph);
}

static void expect_refused(const char *name, struct remat_model_options options, const char *part)
{
    struct remat_layer_graph graph;
    struct remat_error err = {0};
    assert_int_equal(remat_model_build(name, &options, &graph, &err), REMAT_USAGE);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in \"%s\"", part, err.message);
    remat_layer_graph_free(&graph);
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    expect_refused("resnet19", (struct remat_model_options){0}, "known are resnet18");
    expect_refused("resnet50", (struct remat_model_options){.image = 1 << 20}, "too large");
    expect_refused("resnet50", (struct remat_model_options){.batch = INT64_MAX}, "too large");
    expect_refused("resnet50", (struct remat_model_options){.length = 8}, "has no length");
    expect_refused("resnet18", (struct remat_model_options){.batch = 1, .image = 32}, "no variance");
    expect_refused("resnet18", (struct remat_model_options){.batch = 1 << 24, .image = 1 << 14}, "2^53 bytes");
    expect_refused("gpt2", (struct remat_model_options){.heads = 7}, "does not divide");
    expect_refused("gpt2", (struct remat_model_options){.classes = 7}, "has no classes");
    expect_refused("gpt2", (struct remat_model_options){.layers = 1000000}, "too large");
    expect_refused("gpt2", (struct remat_model_options){.dropout = 1.0f}, "below 1");
    expect_refused("gpt2", (struct remat_model_options){.length = 64, .positions = 32}, "positions");
    expect_refused("gpt2", (struct remat_model_options){.stem = REMAT_STEM_CIFAR}, "stem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameter_counts), cmocka_unit_test(resnet_names_and_shapes_are_torchvisions),
        cmocka_unit_test(resnet_shapes),    cmocka_unit_test(gpt2_names_and_shapes),
        cmocka_unit_test(gpt2_of_any_size), cmocka_unit_test(wrong_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
