/* The task graph: building, derived facts, invariants, identity. */
#include "core/graph/task_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

enum { FEED, NORM, MAKE_GRAD, UPDATE_GAMMA, LATER, APPLY, TASKS };
enum { X, Y, MEAN, INVSTD, DY, DX, DGAMMA, DBETA, Z, VALUES };
enum { STAGING, GAMMA, BETA, RUNNING_MEAN, RUNNING_VAR, CELLS };

static int32_t add_value(struct remat_task_graph *graph, int64_t rows, enum remat_category category, const char *name)
{
    const int64_t dims[] = {rows, 8};
    struct remat_tensor tensor =
        rows ? remat_tensor_make(REMAT_F32, 2, dims) : remat_tensor_make(REMAT_F32, 1, &dims[1]);
    int32_t id = -1;
    struct remat_error err;
    assert_int_equal(remat_add_value(graph, &tensor, category, 0, &id, &err, "%s", name), REMAT_OK);
    return id;
}

static void add_cell(struct remat_task_graph *graph, int64_t rows, enum remat_cell_kind kind, const char *name)
{
    const int64_t dims[] = {rows, 8};
    struct remat_tensor tensor = remat_tensor_make(REMAT_F32, rows ? 2 : 1, rows ? dims : &dims[1]);
    int32_t id;
    struct remat_error err;
    assert_int_equal(remat_add_cell(graph, &tensor, kind, -1, name, &id, &err), REMAT_OK);
}

static void add_task(struct remat_task_graph *graph, struct remat_task task, bool alternate)
{
    struct remat_option option = {.name = "loops", .scratch_bytes = 64, .time_ns = 100 + graph->tasks_count};
    struct remat_error err;
    int32_t id;
    task.options = &option;
    task.options_count = 1;
    assert_int_equal(remat_add_task(graph, &task, alternate, &id, &err), REMAT_OK);
}

/* A normalisation whose scale is updated before a recomputation could happen. */
static void add_operands(struct remat_task_graph *graph)
{
    add_value(graph, 100, REMAT_ACTIVATION, "x");
    add_value(graph, 100, REMAT_ACTIVATION, "y");
    add_value(graph, 0, REMAT_STATISTIC, "mean");
    add_value(graph, 0, REMAT_STATISTIC, "invstd");
    add_value(graph, 100, REMAT_ACTIVATION_GRADIENT, "dy");
    add_value(graph, 100, REMAT_ACTIVATION_GRADIENT, "dx");
    add_value(graph, 0, REMAT_PARAMETER_GRADIENT, "dgamma");
    add_value(graph, 0, REMAT_PARAMETER_GRADIENT, "dbeta");
    add_value(graph, 100, REMAT_ACTIVATION, "z");
    add_cell(graph, 100, REMAT_STAGING_SLOT, "staging.input");
    add_cell(graph, 0, REMAT_PARAMETER, "gamma");
    add_cell(graph, 0, REMAT_PARAMETER, "beta");
    add_cell(graph, 0, REMAT_RUNNING_STATISTIC, "running_mean");
    add_cell(graph, 0, REMAT_RUNNING_STATISTIC, "running_var");
}

static void add_forward(struct remat_task_graph *graph)
{
    add_task(graph,
             (struct remat_task){.name = "feed",
                                 .op = REMAT_OP_FEED,
                                 .outputs_count = 1,
                                 .outputs = {X},
                                 .cells_count = 1,
                                 .cells = {{STAGING, 0, false}}},
             false);
    add_task(graph,
             (struct remat_task){
                 .name = "norm",
                 .op = REMAT_OP_BATCHNORM,
                 .inputs_count = 1,
                 .inputs = {X},
                 .outputs_count = 3,
                 .outputs = {Y, MEAN, INVSTD},
                 .cells_count = 4,
                 .cells = {{GAMMA, 0, false}, {BETA, 0, false}, {RUNNING_MEAN, 0, true}, {RUNNING_VAR, 0, true}}},
             false);
    add_task(
        graph,
        (struct remat_task){
            .name = "relu", .op = REMAT_OP_RELU, .inputs_count = 1, .inputs = {Y}, .outputs_count = 1, .outputs = {DY}},
        false);
}

static void add_backward(struct remat_task_graph *graph)
{
    add_task(graph,
             (struct remat_task){.name = "norm_bwd",
                                 .op = REMAT_OP_BATCHNORM_BWD,
                                 .phase = REMAT_BACKWARD,
                                 .inputs_count = 4,
                                 .inputs = {X, MEAN, INVSTD, DY},
                                 .outputs_count = 3,
                                 .outputs = {DX, DGAMMA, DBETA},
                                 .cells_count = 2,
                                 .cells = {{GAMMA, 0, false}, {BETA, 0, false}}},
             false);
    add_task(graph,
             (struct remat_task){.name = "sgd",
                                 .op = REMAT_OP_SGD,
                                 .phase = REMAT_UPDATE,
                                 .inputs_count = 1,
                                 .inputs = {DGAMMA},
                                 .cells_count = 1,
                                 .cells = {{GAMMA, 0, true}}},
             false);
    add_task(graph,
             (struct remat_task){.name = "later",
                                 .op = REMAT_OP_ADD,
                                 .inputs_count = 2,
                                 .inputs = {Y, Y},
                                 .outputs_count = 1,
                                 .outputs = {Z},
                                 .cells_count = 1,
                                 .cells = {{GAMMA, 0, false}}},
             false);
    add_task(graph,
             (struct remat_task){.name = "apply",
                                 .op = REMAT_OP_BATCHNORM_APPLY,
                                 .inputs_count = 3,
                                 .inputs = {X, MEAN, INVSTD},
                                 .outputs_count = 1,
                                 .outputs = {Y},
                                 .cells_count = 2,
                                 .cells = {{GAMMA, 7, false}, {BETA, 7, false}}},
             true);
}

static void build(struct remat_task_graph *graph)
{
    remat_task_graph_init(graph);
    add_operands(graph);
    add_forward(graph);
    add_backward(graph);
}

static void finish(struct remat_task_graph *graph)
{
    struct remat_error err = {0};
    enum remat_status status = remat_task_graph_finish(graph, &err);
    if (status != REMAT_OK)
        fail_msg("%s", err.message);
}

static void derives_versions_recipes_users(void **state)
{
    struct remat_task_graph graph;
    (void)state;
    build(&graph);
    finish(&graph);
    assert_int_equal(graph.order_count, 6);
    assert_int_equal(graph.tasks_count, 7);
    assert_int_equal(graph.tasks[6].position, -1);
    assert_int_equal(graph.tasks[4].cells[0].version, 0); /* the update reads version 0 and makes 1 */
    assert_int_equal(graph.tasks[5].cells[0].version, 1);
    assert_int_equal(graph.tasks[6].cells[0].version, 0); /* the alternate needs the old scale */
    assert_int_equal(graph.tasks[6].cells[1].version, 0);
    assert_int_equal(graph.values[Y].producer, 1);
    assert_int_equal(graph.values[Y].recipes_count, 1);
    assert_int_equal(graph.values[Y].recipes[0], 6);
    assert_int_equal(graph.values[MEAN].recipes_count, 0);
    assert_int_equal(graph.values[X].recipes_count, 1);
    assert_int_equal(graph.values[X].recipes[0], 0);
    assert_int_equal(graph.values[X].users_count, 2);
    assert_int_equal(graph.values[X].users[0], 1);
    assert_int_equal(graph.values[X].users[1], 3);
    assert_int_equal(graph.values[Y].users_count, 2); /* read twice by one task: one user */
    assert_int_equal(graph.staging_bytes, 2 * 3200);
    assert_int_equal(graph.persistent_bytes, 4 * 64);
    assert_int_equal(remat_task_graph_base_time_ns(&graph), 600 + 0 + 1 + 2 + 3 + 4 + 5);
    assert_true(remat_task_repeatable(&graph.tasks[0]));
    assert_false(remat_task_repeatable(&graph.tasks[1]));
    remat_task_graph_free(&graph);
}

static void permits_in_place_pairs_of_equal_bytes(void **state)
{
    struct remat_task_graph graph;
    const struct remat_task *backward, *apply;
    (void)state;
    build(&graph);
    backward = &graph.tasks[3];
    apply = &graph.tasks[6];
    assert_int_equal(graph.tasks[0].in_place_count, 0);
    assert_int_equal(backward->in_place_count, 2); /* no fourth output without residual */
    assert_int_equal(backward->in_place[0].input, 3);
    assert_int_equal(backward->in_place[1].input, 0);
    assert_int_equal(apply->in_place_count, 1);
    assert_int_equal(graph.tasks[5].in_place_count, 2);
    remat_task_graph_free(&graph);
}

static void expect_bad(struct remat_task_graph *graph, const char *part)
{
    struct remat_error err = {0};
    assert_int_equal(remat_task_graph_check(graph, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in \"%s\"", part, err.message);
    remat_task_graph_free(graph);
    build(graph);
    finish(graph);
}

static void check_names_each_violation(void **state)
{
    struct remat_task_graph graph;
    (void)state;
    build(&graph);
    finish(&graph);
    graph.values[X].bytes += 64;
    expect_bad(&graph, "value \"x\": expected 3200 bytes");
    graph.values[Y].producer = 0;
    expect_bad(&graph, "value \"y\"");
    graph.values[Y].block = 1;
    expect_bad(&graph, "value \"y\"");
    graph.tasks[5].cells[0].version = 0;
    expect_bad(&graph, "version 0 of cell \"gamma\", which is at 1");
    graph.tasks[1].section = REMAT_FINISH;
    expect_bad(&graph, "after the finish section");
    graph.order[2] = 3;
    expect_bad(&graph, "position");
    graph.tasks[2].inputs[0] = Z;
    expect_bad(&graph, "made later");
    graph.tasks[6].cells[0].write = true;
    expect_bad(&graph, "alternate");
    graph.tasks[6].inputs[0] = Z;
    expect_bad(&graph, "made after its outputs");
    graph.tasks[3].in_place[0].input = 1;
    expect_bad(&graph, "in-place");
    graph.tasks[3].signature++;
    expect_bad(&graph, "signature");
    graph.tasks[3].inputs[0] = VALUES;
    expect_bad(&graph, "does not exist");
    graph.tasks[3].options[0].scratch_bytes = 63;
    expect_bad(&graph, "not aligned");
    graph.tasks[3].options[0].time_ns = -1;
    expect_bad(&graph, "time");
    graph.persistent_bytes++;
    expect_bad(&graph, "persistent");
    graph.cells[GAMMA].bytes = 128;
    expect_bad(&graph, "cell \"gamma\"");
    graph.tasks[1].cells[0].cell = RUNNING_MEAN;
    expect_bad(&graph, "uses twice");
    graph.micro_count = 0;
    expect_bad(&graph, "micro step");
    remat_task_graph_free(&graph);
}

static void finish_refuses_wrong_producers(void **state)
{
    struct remat_task_graph graph;
    struct remat_error err;
    (void)state;
    build(&graph);
    graph.tasks[2].outputs[0] = Y;
    assert_int_equal(remat_task_graph_finish(&graph, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "\"y\" is made twice"));
    remat_task_graph_free(&graph);
    build(&graph);
    add_value(&graph, 3, REMAT_ACTIVATION, "orphan");
    assert_int_equal(remat_task_graph_finish(&graph, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "\"orphan\" is made by no task"));
    remat_task_graph_free(&graph);
}

static void add_task_refuses_unknown_operands(void **state)
{
    struct remat_task_graph graph;
    struct remat_task task = {.name = "t", .op = REMAT_OP_RELU, .inputs_count = 1, .inputs = {VALUES}};
    struct remat_error err;
    int32_t id;
    (void)state;
    build(&graph);
    assert_int_equal(remat_add_task(&graph, &task, false, &id, &err), REMAT_BAD_DATA);
    task.inputs[0] = -1;
    assert_int_equal(remat_add_task(&graph, &task, false, &id, &err), REMAT_BAD_DATA);
    task.inputs_count = REMAT_MAX_INPUTS + 1;
    assert_int_equal(remat_add_task(&graph, &task, false, &id, &err), REMAT_BAD_DATA);
    assert_int_equal(graph.tasks_count, 7);
    remat_task_graph_free(&graph);
}

/* What the hash sees and what it does not. */
static void hash_is_identity_without_times_and_names(void **state)
{
    struct remat_task_graph a, b;
    (void)state;
    build(&a);
    finish(&a);
    build(&b);
    finish(&b);
    assert_true(remat_task_graph_hash(&a) == remat_task_graph_hash(&b));
    b.tasks[1].options[0].time_ns = 5;
    b.tasks[1].name = "other";
    assert_true(remat_task_graph_hash(&a) == remat_task_graph_hash(&b));
    b.tasks[1].options[0].scratch_bytes = 128;
    assert_false(remat_task_graph_hash(&a) == remat_task_graph_hash(&b));
    b.tasks[1].options[0].scratch_bytes = 64;
    b.device = "cpu 3 threads";
    assert_false(remat_task_graph_hash(&a) == remat_task_graph_hash(&b));
    b.device = "";
    b.values[X].bytes += 64;
    assert_false(remat_task_graph_hash(&a) == remat_task_graph_hash(&b));
    remat_task_graph_free(&a);
    remat_task_graph_free(&b);
}

static void signature_ignores_padding_and_unused_dimensions(void **state)
{
    struct remat_kernel_spec a, b;
    const int64_t dims[] = {4, 4, 8};
    (void)state;
    memset(&a, 0x00, sizeof a);
    memset(&b, 0xa5, sizeof b);
    memset(&b.attr, 0, sizeof b.attr);
    memset((char *)&b.attr + offsetof(struct remat_op_attr, nesterov) + 1, 0x77, 1);
    b.attr.epsilon = 0.0f;
    for (struct remat_kernel_spec *spec = &a; spec; spec = spec == &a ? &b : NULL) {
        spec->op = REMAT_OP_ADD;
        spec->inputs_count = 2;
        spec->outputs_count = 1;
        spec->cells_count = 0;
        for (int k = 0; k < 3; k++) {
            struct remat_tensor *tensor = k < 2 ? &spec->inputs[k] : &spec->outputs[0];
            tensor->dtype = REMAT_F32;
            tensor->layout = REMAT_ROW_MAJOR;
            tensor->dims_count = 3;
            memcpy(tensor->dims, dims, sizeof dims);
        }
    }
    assert_true(remat_kernel_signature(&a) == remat_kernel_signature(&b));
    b.attr.stride[1] = 1;
    assert_false(remat_kernel_signature(&a) == remat_kernel_signature(&b));
    b.attr.stride[1] = 0;
    b.outputs[0].dims[2] = 9;
    assert_false(remat_kernel_signature(&a) == remat_kernel_signature(&b));
}

/* Task 2 has options of the classes 5, 7, 5, borrowed from `options`. */
static void build_with_classes(struct remat_task_graph *graph, struct remat_option options[3], int64_t second_ns)
{
    const struct remat_option all[] = {{"a", 64, 90, 1, 5}, {"b", 128, second_ns, 1, 7}, {"c", 0, 120, 1, 5}};
    build(graph);
    finish(graph);
    memcpy(options, all, sizeof all);
    graph->tasks[2].options = options;
    graph->tasks[2].options_count = 3;
}

static void keeps_the_class_of_the_fastest(void **state)
{
    struct remat_task_graph graph;
    struct remat_option options[3];
    (void)state;
    build_with_classes(&graph, options, 80);
    remat_task_graph_keep_fastest(&graph);
    assert_int_equal(graph.tasks[2].options_count, 1);
    assert_string_equal(graph.tasks[2].options[0].name, "b");
    assert_int_equal(graph.tasks[1].options_count, 1);
    remat_task_graph_free(&graph);
    build_with_classes(&graph, options, 90); /* of equals the first */
    remat_task_graph_keep_fastest(&graph);
    assert_int_equal(graph.tasks[2].options_count, 2);
    assert_string_equal(graph.tasks[2].options[1].name, "c");
    remat_task_graph_free(&graph);
}

static void adopts_the_class_and_times_of_a_plan(void **state)
{
    struct remat_task_graph graph, chosen;
    struct remat_option all[3], few[3];
    struct remat_error err = {0};
    (void)state;
    build_with_classes(&graph, all, 100);
    build_with_classes(&chosen, few, 80);
    remat_task_graph_keep_fastest(&chosen);
    assert_int_equal(remat_task_graph_adopt_times(&graph, &chosen, &err), REMAT_OK);
    assert_int_equal(graph.tasks[2].options_count, 1);
    assert_int_equal(graph.tasks[2].options[0].time_ns, 80);
    few[0].numerics = 9; /* a class that is not offered: another graph */
    assert_int_equal(remat_task_graph_adopt_times(&graph, &chosen, &err), REMAT_BAD_DATA);
    assert_int_equal(graph.tasks[2].options_count, 1);
    remat_task_graph_free(&graph);
    remat_task_graph_free(&chosen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derives_versions_recipes_users),
        cmocka_unit_test(permits_in_place_pairs_of_equal_bytes),
        cmocka_unit_test(check_names_each_violation),
        cmocka_unit_test(finish_refuses_wrong_producers),
        cmocka_unit_test(add_task_refuses_unknown_operands),
        cmocka_unit_test(hash_is_identity_without_times_and_names),
        cmocka_unit_test(signature_ignores_padding_and_unused_dimensions),
        cmocka_unit_test(keeps_the_class_of_the_fastest),
        cmocka_unit_test(adopts_the_class_and_times_of_a_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
