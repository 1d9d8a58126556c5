#include "runtime/exec/tracker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static unsigned char memory[4096];

static struct remat_tracker *open_tracker(int64_t resident)
{
    struct remat_tracker *tracker;
    struct remat_error err;
    assert_int_equal(remat_tracker_create(64, 8, memory, resident, &tracker, &err), REMAT_OK);
    remat_tracker_begin(tracker);
    return tracker;
}

static void use(struct remat_tracker *tracker, int32_t instruction, int64_t offset, int64_t bytes,
                enum remat_access access)
{
    remat_tracker_record(tracker, instruction, memory + offset, bytes, access);
}

static void expect(const struct remat_tracker *tracker, int64_t extent, int64_t live)
{
    assert_int_equal(remat_tracker_extent_bytes(tracker), extent);
    assert_int_equal(remat_tracker_live_peak_bytes(tracker), live);
}

/* a (100) is live 0..2, b (50) 1..1: nobody reads it, c (80) 2..3. */
static void test_lifetimes(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 0, 100, REMAT_ACCESS_WRITE);
    expect(tracker, 100, 100);
    use(tracker, 1, 100, 50, REMAT_ACCESS_WRITE);
    expect(tracker, 150, 100); /* so far nothing says that a is still needed */
    use(tracker, 2, 0, 100, REMAT_ACCESS_READ);
    use(tracker, 2, 100, 80, REMAT_ACCESS_WRITE);
    expect(tracker, 180, 180);
    use(tracker, 3, 100, 80, REMAT_ACCESS_READ);
    use(tracker, 3, 0, 90, REMAT_ACCESS_WRITE);
    expect(tracker, 180, 180);
    remat_tracker_destroy(tracker);
}

/* Between its last read and its next write a range is free. */
static void test_gap_is_free(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 0, 1000, REMAT_ACCESS_WRITE);
    use(tracker, 1, 0, 1000, REMAT_ACCESS_READ);
    use(tracker, 3, 1000, 600, REMAT_ACCESS_WRITE);
    use(tracker, 4, 1000, 600, REMAT_ACCESS_READ);
    use(tracker, 5, 0, 1000, REMAT_ACCESS_WRITE);
    use(tracker, 6, 0, 1000, REMAT_ACCESS_READ);
    expect(tracker, 1600, 1000);
    remat_tracker_destroy(tracker);
}

static void test_in_place_counts_once(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 0, 256, REMAT_ACCESS_WRITE);
    for (int32_t i = 1; i < 5; i++) {
        use(tracker, i, 0, 256, REMAT_ACCESS_READ);
        use(tracker, i, 0, 256, REMAT_ACCESS_WRITE);
    }
    use(tracker, 5, 0, 256, REMAT_ACCESS_READ);
    expect(tracker, 256, 256);
    remat_tracker_destroy(tracker);
}

/* Scratch that reaches into a live range is counted beside it, not hidden by it. */
static void test_scratch_adds(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 512, 256, REMAT_ACCESS_WRITE);
    use(tracker, 1, 0, 512 + 64, REMAT_ACCESS_SCRATCH);
    use(tracker, 2, 512, 256, REMAT_ACCESS_READ);
    expect(tracker, 768, 512 + 64 + 256);
    remat_tracker_destroy(tracker);
}

static void test_staging_is_always_live(void **state)
{
    struct remat_tracker *tracker = open_tracker(128);
    (void)state;
    expect(tracker, 128, 128);
    use(tracker, 0, 64, 64, REMAT_ACCESS_READ);
    use(tracker, 0, 128, 32, REMAT_ACCESS_WRITE);
    expect(tracker, 160, 160);
    remat_tracker_begin(tracker);
    expect(tracker, 160, 128);
    remat_tracker_destroy(tracker);
}

/* What is read without having been written was there from the start. */
static void test_read_of_old_bytes(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 0, 10, REMAT_ACCESS_WRITE);
    use(tracker, 5, 10, 30, REMAT_ACCESS_READ);
    expect(tracker, 40, 40);
    remat_tracker_destroy(tracker);
}

/* A value of 100 bytes goes 30 bytes up at 1 and far away at 2: 130 and 200 bytes are touched. */
static void test_moves_count_what_they_touch(void **state)
{
    struct remat_tracker *tracker = open_tracker(0);
    (void)state;
    use(tracker, 0, 0, 100, REMAT_ACCESS_WRITE);
    use(tracker, 1, 0, 100, REMAT_ACCESS_READ);
    use(tracker, 1, 30, 100, REMAT_ACCESS_WRITE);
    remat_tracker_share(tracker, 1, memory, memory + 30, 100);
    expect(tracker, 130, 130);
    use(tracker, 2, 30, 100, REMAT_ACCESS_READ);
    use(tracker, 2, 200, 100, REMAT_ACCESS_WRITE);
    remat_tracker_share(tracker, 2, memory + 30, memory + 200, 100);
    use(tracker, 3, 200, 100, REMAT_ACCESS_READ);
    expect(tracker, 300, 200);
    remat_tracker_destroy(tracker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lifetimes),
        cmocka_unit_test(test_gap_is_free),
        cmocka_unit_test(test_in_place_counts_once),
        cmocka_unit_test(test_scratch_adds),
        cmocka_unit_test(test_staging_is_always_live),
        cmocka_unit_test(test_read_of_old_bytes),
        cmocka_unit_test(test_moves_count_what_they_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
