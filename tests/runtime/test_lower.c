/* Lowering: structure of the task graph, its cells and its update order, for every model family and mode. */
#include "core/plan/plan.h"
#include "models/models.h"
#include "runtime/lower/lower.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct remat_layer_graph layers;
    const struct remat_backend *backend;
    struct remat_device *device;
    struct remat_task_graph graph;
};

static void open_model_on(struct fixture *f, const char *backend, const char *model, struct remat_model_options options,
                          struct remat_lower_options lower)
{
    struct remat_error err = {REMAT_OK, ""};
    struct remat_device_config config = {.threads = 1};
    enum remat_status status;
    memset(f, 0, sizeof *f);
    assert_int_equal(remat_backend_find(backend, &f->backend, &err), REMAT_OK);
    assert_int_equal(f->backend->open(&config, &f->device, &err), REMAT_OK);
    assert_int_equal(remat_model_build(model, &options, &f->layers, &err), REMAT_OK);
    status = remat_lower(&f->layers, f->backend, f->device, &lower, &f->graph, &err);
    if (status != REMAT_OK)
        fail_msg("%s", err.message);
}

static void open_model(struct fixture *f, const char *model, struct remat_model_options options,
                       struct remat_lower_options lower)
{
    open_model_on(f, "ref", model, options, lower);
}

static void close_model(struct fixture *f)
{
    remat_task_graph_free(&f->graph);
    remat_layer_graph_free(&f->layers);
    f->backend->close(f->device);
}

static const struct remat_model_options small_image = {.batch = 2, .image = 32, .classes = 10};
static const struct remat_model_options small_text = {
    .batch = 2, .length = 8, .vocabulary = 19, .positions = 8, .layers = 2, .width = 16, .heads = 2};

static int32_t count_op(const struct remat_task_graph *graph, enum remat_op op, bool in_order)
{
    int32_t count = 0;
    for (int32_t t = 0; t < graph->tasks_count; t++)
        count += graph->tasks[t].op == op && (graph->tasks[t].position >= 0) == in_order;
    return count;
}

/* Every parameter's update must follow every read of its old version; each trained parameter is updated once. */
static void check_updates(const struct remat_task_graph *graph)
{
    for (int32_t c = 0; c < graph->cells_count; c++) {
        int32_t writes = 0;
        if (graph->cells[c].kind != REMAT_PARAMETER)
            continue;
        for (int32_t i = 0; i < graph->order_count; i++) {
            const struct remat_task *task = &graph->tasks[graph->order[i]];
            for (int32_t k = 0; k < task->cells_count; k++) {
                if (task->cells[k].cell != c)
                    continue;
                assert_int_equal(task->cells[k].version, writes);
                writes += task->cells[k].write;
            }
        }
        assert_int_equal(writes, 1);
    }
}

static void check_keep_all(const struct remat_task_graph *graph)
{
    struct remat_error err = {REMAT_OK, ""};
    struct remat_schedule schedule = {0};
    struct remat_plan plan = {0};
    assert_int_equal(remat_schedule_base(graph, &schedule, &err), REMAT_OK);
    if (remat_plan_place(graph, &schedule, 100, &plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    plan.budget_bytes = INT64_MAX;
    if (remat_plan_verify(graph, &plan, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(plan.arena_bytes, plan.live_peak_bytes);
    remat_plan_free(&plan);
    remat_schedule_free(&schedule);
}

static void test_resnet18_training(void **state)
{
    struct fixture f;
    (void)state;
    open_model(&f, "resnet18", small_image, remat_lower_defaults(REMAT_TRAIN, REMAT_SGD));
    assert_int_equal(count_op(&f.graph, REMAT_OP_CONV2D, true), 20);
    assert_int_equal(count_op(&f.graph, REMAT_OP_CONV2D_BWD_WEIGHTS, true), 20);
    /* None for the images; those of the first convolution of each block meet the gradient of the block's shortcut. */
    assert_int_equal(count_op(&f.graph, REMAT_OP_CONV2D_BWD_DATA, true), 11);
    assert_int_equal(count_op(&f.graph, REMAT_OP_CONV2D_BWD_DATA_ADD, true), 8);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADD, true), 0);
    assert_int_equal(count_op(&f.graph, REMAT_OP_BATCHNORM, true), 20);
    assert_int_equal(count_op(&f.graph, REMAT_OP_BATCHNORM_APPLY, false), 20);
    assert_int_equal(count_op(&f.graph, REMAT_OP_SGD, true), 62);
    check_updates(&f.graph);
    check_keep_all(&f.graph);
    close_model(&f);
}

static void test_gpt2_training(void **state)
{
    struct fixture f;
    (void)state;
    open_model(&f, "gpt2", small_text, remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW));
    assert_int_equal(count_op(&f.graph, REMAT_OP_ATTENTION_BWD, true), 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_LAYERNORM_APPLY, false), 5);
    assert_int_equal(count_op(&f.graph, REMAT_OP_CLASSIFIER_LOSS, true), 1);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADAMW, true), 2 + 2 * 12 + 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR_ADD, true), 2 * 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR_GELU_BWD, true), 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADD, true) + count_op(&f.graph, REMAT_OP_GELU_BWD, true), 0);
    /* The classifier's gradient of the token table is added to by the embedding's, not kept beside it. */
    for (int32_t t = 0; t < f.graph.tasks_count; t++)
        if (f.graph.tasks[t].op == REMAT_OP_EMBEDDING_BWD)
            assert_true(f.graph.tasks[t].attr.accumulate);
    check_updates(&f.graph);
    check_keep_all(&f.graph);
    close_model(&f);
}

/* A device without fusions gets the tasks that they would stand for. */
static void test_without_fusions(void **state)
{
    struct fixture f;
    (void)state;
    open_model_on(&f, "cpu", "resnet18", small_image, remat_lower_defaults(REMAT_TRAIN, REMAT_SGD));
    assert_int_equal(count_op(&f.graph, REMAT_OP_CONV2D_BWD_DATA, true), 19);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADD, true), 8);
    check_keep_all(&f.graph);
    close_model(&f);
    open_model_on(&f, "cpu", "gpt2", small_text, remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW));
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR, true), 2 * 4);
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR_BWD_DATA, true), 2 * 4);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADD, true), 2 * 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_GELU_BWD, true), 2);
    check_keep_all(&f.graph);
    close_model(&f);
}

/* With dropout a linear layer's output is not what is added. */
static void test_dropout_comes_before_the_addition(void **state)
{
    struct remat_model_options options = small_text;
    struct fixture f;
    (void)state;
    options.dropout = 0.1f;
    open_model(&f, "gpt2", options, remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW));
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR_ADD, true), 0);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ADD, true), 2 * 2);
    assert_int_equal(count_op(&f.graph, REMAT_OP_LINEAR_GELU_BWD, true), 2);
    check_keep_all(&f.graph);
    close_model(&f);
}

static void test_accumulation_and_clipping(void **state)
{
    struct remat_lower_options lower = remat_lower_defaults(REMAT_TRAIN, REMAT_SGD);
    struct fixture f;
    (void)state;
    lower.micro_count = 3;
    lower.max_norm = 1;
    open_model(&f, "resnet18", small_image, lower);
    assert_int_equal(f.graph.micro_count, 3);
    assert_int_equal(count_op(&f.graph, REMAT_OP_ACCUMULATE, true), 62);
    assert_int_equal(count_op(&f.graph, REMAT_OP_SQUARE_NORM, true), 62);
    for (int32_t t = 0; t < f.graph.tasks_count; t++)
        if (f.graph.tasks[t].op == REMAT_OP_SGD)
            assert_int_equal(f.graph.tasks[t].section, REMAT_FINISH);
    check_updates(&f.graph);
    check_keep_all(&f.graph);
    close_model(&f);
}

static void test_evaluation_shares_cells(void **state)
{
    struct fixture train, eval;
    (void)state;
    open_model(&train, "resnet18", small_image, remat_lower_defaults(REMAT_TRAIN, REMAT_SGD));
    open_model(&eval, "resnet18", small_image, remat_lower_defaults(REMAT_EVAL, REMAT_SGD));
    for (int32_t c = 0; c < eval.graph.cells_count; c++) {
        bool found = false;
        for (int32_t k = 0; k < train.graph.cells_count; k++)
            found |= strcmp(eval.graph.cells[c].name, train.graph.cells[k].name) == 0 &&
                     remat_tensor_equal(&eval.graph.cells[c].tensor, &train.graph.cells[k].tensor);
        assert_true(found);
    }
    assert_int_equal(count_op(&eval.graph, REMAT_OP_BATCHNORM_EVAL, true), 20);
    check_keep_all(&eval.graph);
    close_model(&train);
    close_model(&eval);
}

/* Activations are bf16, everything that outlives the step and every statistic is not. */
static void test_bf16_types(void **state)
{
    struct remat_lower_options lower = remat_lower_defaults(REMAT_TRAIN, REMAT_SGD);
    struct fixture f;
    (void)state;
    lower.dtype = REMAT_BF16;
    open_model(&f, "resnet18", small_image, lower);
    assert_int_equal(count_op(&f.graph, REMAT_OP_CAST, true), 20 + 2); /* convolutions; the classifier's weight, bias */
    for (int32_t v = 0; v < f.graph.values_count; v++) {
        const struct remat_value *value = &f.graph.values[v];
        enum remat_op producer = f.graph.tasks[value->producer].op;
        if (value->category == REMAT_ACTIVATION || value->category == REMAT_ACTIVATION_GRADIENT)
            assert_int_equal(value->tensor.dtype, REMAT_BF16);
        if (value->category == REMAT_STATISTIC)
            assert_int_equal(value->tensor.dtype, REMAT_F32);
        if (value->category == REMAT_PARAMETER_GRADIENT)
            assert_int_equal(value->tensor.dtype, producer == REMAT_OP_CONV2D_BWD_WEIGHTS ? REMAT_BF16 : REMAT_F32);
        if (producer == REMAT_OP_CAST) /* read forward and, but for the bias, backward; may be made again */
            assert_true(value->recipes_count == 1 && value->users_count >= 1);
    }
    for (int32_t c = 0; c < f.graph.cells_count; c++)
        assert_int_not_equal(f.graph.cells[c].tensor.dtype, REMAT_BF16);
    check_updates(&f.graph);
    check_keep_all(&f.graph);
    close_model(&f);
}

/* Of the classifier's logits: few rows at a time in f32, in bf16 as many as a layer's activations have room for, in
 * whole tiles. */
static void test_chunks_of_logits(void **state)
{
    struct remat_model_options options = {.batch = 4, .length = 512, .layers = 1, .width = 768, .heads = 12};
    struct remat_lower_options lower = remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW);
    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        struct fixture f;
        lower.dtype = narrow ? REMAT_BF16 : REMAT_F32;
        open_model(&f, "gpt2", options, lower);
        for (int32_t t = 0; t < f.graph.tasks_count; t++)
            if (f.graph.tasks[t].op == REMAT_OP_CLASSIFIER_LOSS)
                assert_int_equal(f.graph.tasks[t].attr.chunk_rows, narrow ? 512 : 293);
        close_model(&f);
    }
}

static void test_cpu_refuses_bf16(void **state)
{
    struct remat_lower_options lower = remat_lower_defaults(REMAT_TRAIN, REMAT_SGD);
    struct remat_device_config config = {.threads = 1};
    struct remat_error err = {REMAT_OK, ""};
    struct fixture f;
    (void)state;
    memset(&f, 0, sizeof f);
    lower.dtype = REMAT_BF16;
    assert_int_equal(remat_backend_find("cpu", &f.backend, &err), REMAT_OK);
    assert_int_equal(f.backend->open(&config, &f.device, &err), REMAT_OK);
    assert_int_equal(remat_model_build("resnet18", &small_image, &f.layers, &err), REMAT_OK);
    assert_int_equal(remat_lower(&f.layers, f.backend, f.device, &lower, &f.graph, &err), REMAT_UNAVAILABLE);
    assert_non_null(strstr(err.message, "the device cpu does not compute in bf16"));
    close_model(&f);
}

static void test_dropout_vanishes_in_evaluation(void **state)
{
    struct remat_model_options options = small_text;
    struct fixture train, eval;
    (void)state;
    options.dropout = 0.1f;
    open_model(&train, "gpt2", options, remat_lower_defaults(REMAT_TRAIN, REMAT_ADAMW));
    open_model(&eval, "gpt2", options, remat_lower_defaults(REMAT_EVAL, REMAT_ADAMW));
    assert_true(count_op(&train.graph, REMAT_OP_DROPOUT, true) > 0);
    assert_int_equal(count_op(&train.graph, REMAT_OP_DROPOUT, true),
                     count_op(&train.graph, REMAT_OP_DROPOUT_BWD, true));
    assert_int_equal(count_op(&eval.graph, REMAT_OP_DROPOUT, true), 0);
    check_keep_all(&train.graph);
    close_model(&train);
    close_model(&eval);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet18_training),
        cmocka_unit_test(test_gpt2_training),
        cmocka_unit_test(test_without_fusions),
        cmocka_unit_test(test_dropout_comes_before_the_addition),
        cmocka_unit_test(test_accumulation_and_clipping),
        cmocka_unit_test(test_evaluation_shares_cells),
        cmocka_unit_test(test_dropout_vanishes_in_evaluation),
        cmocka_unit_test(test_bf16_types),
        cmocka_unit_test(test_chunks_of_logits),
        cmocka_unit_test(test_cpu_refuses_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
