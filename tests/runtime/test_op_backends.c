/* Every op of every backend: against ref, in poisoned memory, in place, repeated at other addresses.
 *
 * REMAT_TEST_BACKEND=cpu and REMAT_TEST_OP=conv2d (part of an op's name) restrict what runs while a kernel is made; the
 * former may also name a backend that is loaded, such as cuda. */
#include "support_op_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Backends that must have every op. */
static const char *const complete[] = {"cpu", "ref", "cuda", NULL};

static struct op_backend ref, tested;

static bool is_complete(const char *name)
{
    for (int i = 0; complete[i]; i++) {
        if (strcmp(complete[i], name) == 0)
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
        if (!present && is_complete(tested.backend->name))
            fail_msg("%s: no kernel for %s", c->name, remat_op_text(call->op));
        op_check_call(&ref, check ? &tested : NULL, c, call, &values);
        run += check;
    }
    op_values_free(&values);
    if (run == c->calls_count)
        op_check_twins(&tested, c);
}

/* The table of cases leaves no op out. */
static void covers_every_op(void **state)
{
    const struct op_cases *cases = *state;
    bool seen[REMAT_OP_COUNT] = {false};
    for (int32_t i = 0; i < cases->count; i++)
        for (int32_t k = 0; k < cases->items[i]->calls_count; k++)
            seen[cases->items[i]->calls[k].op] = true;
    for (int op = 0; op < REMAT_OP_COUNT; op++) {
        if (!seen[op] && op != REMAT_OP_OPAQUE) /* no backend runs it */
            fail_msg("no case for %s", remat_op_text((enum remat_op)op));
    }
}

/* The first cases_count cases. */
static int run_backend(const struct remat_backend *backend, struct op_cases *cases, int32_t cases_count)
{
    struct remat_device_config config = {.threads = 2};
    struct CMUnitTest *tests = calloc((size_t)cases_count + 1, sizeof *tests);
    struct remat_error err = {0};
    size_t count = 0;
    int failed;
    tested.backend = backend;
    if (!tests || backend->open(&config, &tested.device, &err) != REMAT_OK) {
        fprintf(stderr, "%s: %s\n", backend->name, err.message);
        free(tests);
        return 1;
    }
    tests[count++] = (struct CMUnitTest){"covers_every_op", covers_every_op, NULL, NULL, cases};
    for (int32_t i = 0; i < cases_count; i++)
        tests[count++] = (struct CMUnitTest){cases->items[i]->name, check_case, NULL, NULL, cases->items[i]};
    failed = _cmocka_run_group_tests(backend->name, tests, count, NULL, NULL);
    backend->close(tested.device);
    free(tests);
    return failed;
}

static int run_named(const char *name, struct op_cases *cases)
{
    const struct remat_backend *backend;
    struct remat_error err = {0};
    if (remat_backend_find(name, &backend, &err) == REMAT_OK)
        return run_backend(backend, cases, cases->count);
    fprintf(stderr, "%s\n", err.message);
    return 1;
}

int main(void)
{
    struct op_cases cases = {0};
    struct remat_device_config config = {0};
    const char *only = getenv("REMAT_TEST_BACKEND");
    int32_t small;
    int failed = 0;
    if (remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK)
        return 1;
    op_cases_image(&cases);
    op_cases_text(&cases);
    op_cases_update(&cases);
    small = cases.count;
    op_cases_large_image(&cases);
    op_cases_large_text(&cases);
    op_cases_large_update(&cases);
    for (const struct remat_backend *const *backend = remat_backends; !only && *backend; backend++)
        failed += run_backend(*backend, &cases, *backend == ref.backend ? small : cases.count);
    if (only)
        failed += run_named(only, &cases);
    ref.backend->close(ref.device);
    op_cases_free(&cases);
    return failed;
}
