/* Every op of every backend, in f32 and, where the backend has it, in bf16: against ref, in poisoned memory, in place,
 * repeated at other addresses.
 *
 * REMAT_TEST_BACKEND=cpu, REMAT_TEST_OP=conv2d (part of an op's name) and REMAT_TEST_TYPE=bf16 (or f32) restrict what
 * runs while a kernel is made; the former may also name a backend that is loaded, such as cuda. With
 * REMAT_TEST_ALTERNATIVES it is asked for its further implementations, too. */
#include "support_op_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Backends that must have every op, those of them that must have every fusion, and those that must have bf16 too. */
static const char *const complete[] = {"cpu", "ref", "cuda", "emulated", NULL};
static const char *const complete_fusions[] = {"ref", "emulated", NULL};
static const char *const complete_bf16[] = {"ref", "cuda", "emulated", NULL};

static struct op_backend ref, tested;
static const char *tested_name;

static bool is_among(const char *name, const char *const *names)
{
    for (; *names; names++) {
        if (strcmp(*names, name) == 0)
            return true;
    }
    return false;
}

static bool has(const struct op_case *c, const struct op_call *call)
{
    struct remat_kernel_spec spec = op_call_spec(c, call);
    struct remat_kernel_option options[REMAT_MAX_OPTIONS];
    int32_t count = 0;
    struct remat_error err = {0};
    return tested.backend->options(tested.device, &spec, options, &count, &err) != REMAT_UNAVAILABLE;
}

/* All calls that the backend has; the program as a whole if it has all. */
static void check_case(void **state)
{
    const struct op_case *c = *state;
    struct op_values values;
    int32_t run = 0;
    op_values_fill(c, &values);
    for (int32_t k = 0; k < c->calls_count; k++) {
        const struct op_call *call = &c->calls[k];
        bool present = has(c, call), check = present && op_call_wanted(call);
        if (!present && is_among(tested_name, remat_op_is_fusion(call->op) ? complete_fusions : complete))
            fail_msg("%s: no kernel for %s", c->name, remat_op_text(call->op));
        op_check_call(&ref, check ? &tested : NULL, c, call, &values);
        run += check;
    }
    op_values_free(&values);
    if (run == c->calls_count)
        op_check_twins(&tested, c);
}

/* The reference itself: in bf16 it rounds what it gives in f32. */
static void check_rounding(void **state)
{
    const struct op_case *c = *state;
    struct op_values values;
    op_values_fill(c, &values);
    for (int32_t k = 0; k < c->calls_count; k++) {
        op_check_rounding(&ref, c, &c->calls[k], &values);
        op_check_call(&ref, NULL, c, &c->calls[k], &values);
    }
    op_values_free(&values);
}

struct all_cases {
    struct op_cases f32, bf16;
    int32_t small, small_bf16; /* the first so many are quick on ref */
};

static void see(const struct op_cases *cases, bool seen[REMAT_OP_COUNT])
{
    for (int32_t i = 0; i < cases->count; i++)
        for (int32_t k = 0; k < cases->items[i]->calls_count; k++)
            seen[cases->items[i]->calls[k].op] = true;
}

/* The table of cases leaves no op out. */
static void covers_every_op(void **state)
{
    const struct all_cases *cases = *state;
    bool seen[REMAT_OP_COUNT] = {false};
    see(&cases->f32, seen);
    see(&cases->bf16, seen);
    for (int op = 0; op < REMAT_OP_COUNT; op++) {
        if (!seen[op] && op != REMAT_OP_OPAQUE) /* no backend runs it */
            fail_msg("no case for %s", remat_op_text((enum remat_op)op));
    }
}

/* Who has no bf16 says so at the first cast, where lowering asks. */
static void refuses_bf16(void **state)
{
    const struct all_cases *cases = *state;
    assert_int_equal(cases->bf16.items[0]->calls[0].op, REMAT_OP_CAST);
    assert_false(has(cases->bf16.items[0], &cases->bf16.items[0]->calls[0]));
}

static bool is_type_wanted(const char *type)
{
    const char *only = getenv("REMAT_TEST_TYPE");
    return !only || !*only || strcmp(only, type) == 0;
}

static void add_cases(struct CMUnitTest *tests, size_t *count, const struct op_cases *cases, int32_t cases_count,
                      CMUnitTestFunction check)
{
    for (int32_t i = 0; i < cases_count; i++)
        tests[(*count)++] = (struct CMUnitTest){cases->items[i]->name, check, NULL, NULL, cases->items[i]};
}

/* All cases, or the small ones. */
static int run_backend(const struct remat_backend *backend, const char *name, struct all_cases *cases, bool large)
{
    struct remat_device_config config = {.threads = 2, .alternatives = getenv("REMAT_TEST_ALTERNATIVES") != NULL};
    struct CMUnitTest *tests = calloc((size_t)(cases->f32.count + 2 * cases->bf16.count) + 2, sizeof *tests);
    struct remat_error err = {0};
    int32_t narrow = large ? cases->bf16.count : cases->small_bf16;
    size_t count = 0;
    int failed;
    tested.backend = backend;
    tested_name = name;
    if (!tests || backend->open(&config, &tested.device, &err) != REMAT_OK) {
        fprintf(stderr, "%s: %s\n", backend->name, err.message);
        free(tests);
        return 1;
    }
    tests[count++] = (struct CMUnitTest){"covers_every_op", covers_every_op, NULL, NULL, cases};
    if (is_type_wanted("f32"))
        add_cases(tests, &count, &cases->f32, large ? cases->f32.count : cases->small, check_case);
    if (is_among(name, complete_bf16) && is_type_wanted("bf16"))
        add_cases(tests, &count, &cases->bf16, narrow, check_case);
    if (!is_among(name, complete_bf16))
        tests[count++] = (struct CMUnitTest){"refuses_bf16", refuses_bf16, NULL, NULL, cases};
    if (backend == ref.backend)
        add_cases(tests, &count, &cases->bf16, narrow, check_rounding);
    failed = _cmocka_run_group_tests(backend->name, tests, count, NULL, NULL);
    backend->close(tested.device);
    free(tests);
    return failed;
}

static int run_named(const char *name, struct all_cases *cases)
{
    const struct remat_backend *backend;
    struct remat_error err = {0};
    if (remat_backend_find(name, &backend, &err) == REMAT_OK)
        return run_backend(backend, name, cases, true);
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

static void make_cases(struct all_cases *cases)
{
    op_cases_image(&cases->f32);
    op_cases_text(&cases->f32);
    op_cases_update(&cases->f32);
    cases->small = cases->f32.count;
    op_cases_large_image(&cases->f32);
    op_cases_large_text(&cases->f32);
    op_cases_large_update(&cases->f32);
    op_cases_cast(&cases->bf16);
    op_cases_bf16(&cases->f32, 0, cases->small, &cases->bf16);
    cases->small_bf16 = cases->bf16.count;
    op_cases_bf16(&cases->f32, cases->small, cases->f32.count, &cases->bf16);
}

int main(void)
{
    struct all_cases cases = {0};
    struct remat_device_config config = {0};
    const char *only = getenv("REMAT_TEST_BACKEND");
    int failed = 0;
    if (remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK)
        return 1;
    make_cases(&cases);
    for (const struct remat_backend *const *backend = remat_backends; !only && *backend; backend++)
        failed += run_backend(*backend, (*backend)->name, &cases, *backend != ref.backend);
    if (only)
        failed += run_named(only, &cases);
    ref.backend->close(ref.device);
    op_cases_free(&cases.f32);
    op_cases_free(&cases.bf16);
    return failed;
}
