/* cmocka wants these headers first. */
#ifndef REMAT_TESTS_TRAINER_SUPPORT_CMOCKA_H
#define REMAT_TESTS_TRAINER_SUPPORT_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHECK_OK(expression, err)                                  \
    do {                                                           \
        if ((expression) != REMAT_OK)                              \
            fail_msg("%s failed: %s", #expression, (err).message); \
    } while (0)

#endif
