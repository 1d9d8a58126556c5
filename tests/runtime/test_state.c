#include "runtime/exec/state.h"
#include "tests/runtime/support_exec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { PARAMETERS = 5, ELEMENTS = 40001 };

struct fixture {
    struct remat_layer_graph layers;
    struct remat_parameter parameters[PARAMETERS];
    struct remat_task_graph graph;
    struct remat_state state;
    struct remat_error err;
};

static const struct remat_backend host = {.name = "host", .ops = &remat_host_ops};
static const char *const names[PARAMETERS] = {"normal", "uniform", "ones", "zeros", "short"};

static void add_cell(struct fixture *f, int32_t index, enum remat_dtype dtype)
{
    struct remat_tensor tensor = f->parameters[index].tensor;
    int32_t id;
    tensor.dtype = dtype;
    support_ok(remat_add_cell(&f->graph, &tensor, index == 2 ? REMAT_RUNNING_STATISTIC : REMAT_PARAMETER, index,
                              names[index], &id, &f->err),
               &f->err);
}

/* Cells in the given order of parameters, then momentum and a staging slot. */
static void open_fixture(struct fixture *f, const int32_t *order, enum remat_dtype dtype)
{
    static const enum remat_init inits[PARAMETERS] = {REMAT_INIT_NORMAL, REMAT_INIT_UNIFORM, REMAT_INIT_ONES,
                                                      REMAT_INIT_ZEROS, REMAT_INIT_NORMAL};
    const int64_t elements = ELEMENTS, few = 6;
    int32_t id;
    memset(f, 0, sizeof *f);
    remat_task_graph_init(&f->graph);
    f->layers.parameters = f->parameters;
    f->layers.parameters_count = PARAMETERS;
    for (int32_t i = 0; i < PARAMETERS; i++) {
        f->parameters[i].name = names[i];
        f->parameters[i].tensor = remat_tensor_make(REMAT_F32, 1, i == 4 ? &few : &elements);
        f->parameters[i].init = inits[i];
        f->parameters[i].scale = 0.02f;
        f->parameters[i].trained = i != 2;
    }
    for (int32_t i = 0; i < PARAMETERS; i++)
        add_cell(f, order[i], dtype);
    support_ok(
        remat_add_cell(&f->graph, &f->parameters[0].tensor, REMAT_OPTIMIZER_STATE, 0, "normal.momentum", &id, &f->err),
        &f->err);
    support_ok(remat_add_cell(&f->graph, &f->parameters[0].tensor, REMAT_STAGING_SLOT, -1, "staging.x", &id, &f->err),
               &f->err);
    for (int32_t i = 0; i < f->graph.cells_count - 1; i++)
        f->graph.persistent_bytes += f->graph.cells[i].bytes;
    support_ok(remat_state_create(&host, NULL, &f->graph, &f->state, &f->err), &f->err);
    support_ok(remat_state_init_parameters(&f->state, &f->layers, 42, &f->err), &f->err);
}

static void close_fixture(struct fixture *f)
{
    remat_state_free(&f->state);
    remat_task_graph_free(&f->graph);
}

static const float *data(const struct fixture *f, const char *name)
{
    const struct remat_state_cell *cell = remat_state_find(&f->state, name);
    assert_non_null(cell);
    return cell->data;
}

static const int32_t straight[PARAMETERS] = {0, 1, 2, 3, 4}, mixed[PARAMETERS] = {4, 2, 3, 1, 0};

static void test_cells(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f, straight, REMAT_F32);
    assert_int_equal(f.state.count, PARAMETERS + 1);
    assert_int_equal(f.state.memory.bytes, f.graph.persistent_bytes);
    assert_null(remat_state_find(&f.state, "staging.x"));
    assert_null(remat_state_find(&f.state, "norma"));
    for (int32_t i = 0; i < f.state.count; i++)
        assert_int_equal((uintptr_t)f.state.cells[i].data % REMAT_ALIGNMENT, 0);
    close_fixture(&f);
}

static void moments(const float *values, double *mean, double *variance, double *fourth)
{
    *mean = *variance = *fourth = 0.0;
    for (int i = 0; i < ELEMENTS; i++)
        *mean += (double)values[i] / ELEMENTS;
    for (int i = 0; i < ELEMENTS; i++) {
        double d = (double)values[i] - *mean;
        *variance += d * d / ELEMENTS;
        *fourth += d * d * d * d / ELEMENTS;
    }
}

static void test_distributions(void **state)
{
    struct fixture f;
    double mean, variance, fourth;
    (void)state;
    open_fixture(&f, straight, REMAT_F32);
    moments(data(&f, "normal"), &mean, &variance, &fourth);
    assert_true(fabs(mean) < 0.02 * 5 / sqrt(ELEMENTS));
    assert_true(fabs(sqrt(variance) / 0.02 - 1.0) < 0.02);
    assert_true(fabs(fourth / (variance * variance) - 3.0) < 0.15);
    moments(data(&f, "uniform"), &mean, &variance, &fourth);
    assert_true(fabs(mean) < 0.02 * 5 / sqrt(ELEMENTS));
    assert_true(fabs(variance / (0.02 * 0.02 / 3.0) - 1.0) < 0.03);
    for (int i = 0; i < ELEMENTS; i++) {
        assert_true(fabsf(data(&f, "uniform")[i]) <= 0.02f);
        assert_true(data(&f, "ones")[i] == 1.0f && data(&f, "zeros")[i] == 0.0f);
        assert_true(data(&f, "normal.momentum")[i] == 0.0f);
    }
    close_fixture(&f);
}

/* Values depend on seed, parameter and element, not on where the cell lies, and are the same in f64. */
static void test_keyed_by_parameter(void **state)
{
    struct fixture a, b, wide;
    (void)state;
    open_fixture(&a, straight, REMAT_F32);
    open_fixture(&b, mixed, REMAT_F32);
    open_fixture(&wide, straight, REMAT_F64);
    for (int32_t i = 0; i < PARAMETERS; i++) {
        int64_t elements = remat_tensor_elements(&a.parameters[i].tensor);
        const double *doubles = remat_state_find(&wide.state, names[i])->data;
        assert_memory_equal(data(&a, names[i]), data(&b, names[i]), (size_t)elements * sizeof(float));
        for (int64_t e = 0; e < elements; e++)
            assert_true(doubles[e] == (double)data(&a, names[i])[e]);
    }
    assert_memory_not_equal(data(&a, "normal"), data(&a, "short"), 6 * sizeof(float));
    close_fixture(&a);
    close_fixture(&b);
    close_fixture(&wide);
}

static uint64_t hash_of(struct fixture *f)
{
    uint64_t hash;
    support_ok(remat_state_hash(&f->state, &hash, &f->err), &f->err);
    return hash;
}

static void test_hash(void **state)
{
    struct fixture f;
    uint64_t hash;
    (void)state;
    open_fixture(&f, straight, REMAT_F32);
    hash = hash_of(&f);
    support_ok(remat_state_init_parameters(&f.state, &f.layers, 42, &f.err), &f.err);
    assert_true(hash_of(&f) == hash);
    ((unsigned char *)remat_state_find(&f.state, "normal.momentum")->data)[ELEMENTS * 4 - 1] ^= 1;
    assert_true(hash_of(&f) != hash);
    support_ok(remat_state_init_parameters(&f.state, &f.layers, 43, &f.err), &f.err);
    assert_true(hash_of(&f) != hash);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_keyed_by_parameter),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
