/* Gradient checks of every backward op, in double on the reference backend. */
#include "support_op_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct op_backend ref;

static void gradients(void **state)
{
    op_check_gradients(&ref, *state);
}

static bool wanted(const struct op_case *c)
{
    for (int32_t k = 0; k < c->calls_count; k++) {
        if (op_call_wanted(&c->calls[k]))
            return true;
    }
    return false;
}

int main(void)
{
    struct op_cases cases = {0};
    struct remat_device_config config = {0};
    struct CMUnitTest *tests;
    size_t count = 0;
    int failed;
    op_cases_image(&cases);
    op_cases_text(&cases);
    tests = calloc((size_t)cases.count, sizeof *tests);
    if (!tests || remat_backend_find("ref", &ref.backend, NULL) != REMAT_OK ||
        ref.backend->open(&config, &ref.device, NULL) != REMAT_OK)
        return 1;
    for (int32_t i = 0; i < cases.count; i++) {
        if (cases.items[i]->gradients_count > 0 && wanted(cases.items[i]))
            tests[count++] = (struct CMUnitTest){cases.items[i]->name, gradients, NULL, NULL, cases.items[i]};
    }
    failed = _cmocka_run_group_tests("gradients", tests, count, NULL, NULL);
    ref.backend->close(ref.device);
    op_cases_free(&cases);
    free(tests);
    return failed;
}
