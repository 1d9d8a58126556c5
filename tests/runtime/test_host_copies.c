/* Copies beside the work of the host: in order within a lane, beside each other across lanes, done when awaited. */
#include "runtime/backend/ref/ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { COPIES = 32, BYTES = 1 << 16, ROUNDS = 200 };

static const struct remat_device_ops *const ops = &remat_host_ops;
static unsigned char device[COPIES][BYTES], host[COPIES][BYTES];

static void ok(enum remat_status status, const struct remat_error *err)
{
    if (status != REMAT_OK)
        fail_msg("%s", err->message);
}

static struct remat_copies *open_copies(int32_t count)
{
    struct remat_copies *copies;
    struct remat_error err;
    ok(ops->copies_open(NULL, count, &copies, &err), &err);
    return copies;
}

/* Each round sends all rows to the host, and what came there in the round before back into other rows. */
static void test_both_lanes(void **state)
{
    struct remat_copies *copies = open_copies(2 * COPIES);
    struct remat_error err;
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < COPIES; k++) {
            memset(device[k], round + k, (size_t)(BYTES >> k % 8));
            ok(ops->copy_beside(copies, REMAT_TO_HOST, k, host[k], device[k], BYTES >> k % 8, &err), &err);
        }
        for (int k = 0; k < COPIES; k++) {
            ok(ops->copy_await(copies, k, &err), &err);
            memset(device[k], 0xFF, BYTES);
            ok(ops->copy_beside(copies, REMAT_TO_DEVICE, COPIES + k, device[k], host[k], BYTES >> k % 8, &err), &err);
        }
        for (int k = COPIES - 1; k >= 0; k--) {
            ok(ops->copy_await(copies, COPIES + k, &err), &err);
            assert_int_equal(device[k][0], (unsigned char)(round + k));
            assert_int_equal(device[k][(BYTES >> k % 8) - 1], (unsigned char)(round + k));
        }
    }
    ops->copies_close(copies);
}

/* A lane's copies come one after the other: each reads what the one before wrote. */
static void test_order_in_a_lane(void **state)
{
    struct remat_copies *copies = open_copies(COPIES);
    struct remat_error err;
    (void)state;
    memset(host[0], 7, BYTES);
    for (int k = 1; k < COPIES; k++)
        ok(ops->copy_beside(copies, REMAT_TO_HOST, k, host[k], host[k - 1], BYTES, &err), &err);
    ok(ops->copy_await(copies, COPIES - 1, &err), &err);
    assert_memory_equal(host[COPIES - 1], host[0], BYTES);
    ops->copies_close(copies);
}

/* What was asked for is done, awaited or not. */
static void test_close_finishes(void **state)
{
    struct remat_error err;
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct remat_copies *copies = open_copies(COPIES);
        memset(device[0], round, BYTES);
        for (int k = 0; k < COPIES; k++)
            ok(ops->copy_beside(copies, k % 2 ? REMAT_TO_HOST : REMAT_TO_DEVICE, k, host[k], device[0], BYTES, &err),
               &err);
        ops->copies_close(copies);
        for (int k = 0; k < COPIES; k++)
            assert_memory_equal(host[k], device[0], BYTES);
    }
    ops->copies_close(NULL);
}

static void test_asked_for_twice(void **state)
{
    struct remat_copies *copies = open_copies(2);
    struct remat_error err;
    enum remat_status status = REMAT_OK;
    (void)state;
    /* The first keeps the lane busy, so the second is still to be done. */
    for (int round = 0; round < 1000 && status == REMAT_OK; round++) {
        ok(ops->copy_beside(copies, REMAT_TO_HOST, 0, host, device, (int64_t)sizeof host, &err), &err);
        ok(ops->copy_beside(copies, REMAT_TO_HOST, 1, host[0], device[0], 1, &err), &err);
        status = ops->copy_beside(copies, REMAT_TO_HOST, 1, host[0], device[0], 1, &err);
        ok(ops->copy_await(copies, 0, &err), &err);
        ok(ops->copy_await(copies, 1, &err), &err);
    }
    assert_int_equal(status, REMAT_INTERNAL);
    assert_non_null(strstr(err.message, "before it was waited for"));
    ops->copies_close(copies);
}

/* Either way, by less than a piece and by more than the pieces that threads share. */
static void test_ranges_may_overlap(void **state)
{
    enum { LONG = 5 << 20 };
    static const int distances[] = {0, 1, 64, (1 << 20) - 1, (1 << 20) + 5, (2 << 20) + 64, LONG - 1, LONG};
    static unsigned char memory[2 * LONG], before[2 * LONG];
    struct remat_error err;
    (void)state;
    for (int i = 0; i < 2 * LONG; i++)
        before[i] = (unsigned char)(i * 31 + i / 509);
    for (int k = 0; k < 16; k++) {
        int by = distances[k / 2], from = k % 2 ? by : 0, to = k % 2 ? 0 : by;
        memcpy(memory, before, sizeof memory);
        ok(ops->copy(NULL, memory + to, memory + from, LONG, &err), &err);
        assert_memory_equal(memory + to, before + from, LONG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_lanes),         cmocka_unit_test(test_order_in_a_lane),
        cmocka_unit_test(test_close_finishes),     cmocka_unit_test(test_asked_for_twice),
        cmocka_unit_test(test_ranges_may_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
