/* Sizes that do not matter: as many of the smallest as fit into a room, equal ones together or not at all. */
#include "tests/solver/support_chain.h"

#include "solver/negligible.h"

static int64_t negligible(int64_t room)
{
    int64_t bytes[] = {400, 4, 8, 4, 100, 4, 100};
    return remat_negligible_bytes(bytes, 7, room);
}

static void test_room(void **state)
{
    (void)state;
    assert_int_equal(negligible(0), 0);
    assert_int_equal(negligible(11), 0); /* two of three equal ones would fit */
    assert_int_equal(negligible(12), 4);
    assert_int_equal(negligible(20), 8);
    assert_int_equal(negligible(219), 8);
    assert_int_equal(negligible(220), 100);
    assert_int_equal(negligible(1000), 400);
    assert_int_equal(remat_negligible_bytes(NULL, 0, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
