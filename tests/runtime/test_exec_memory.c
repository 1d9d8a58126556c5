#include "core/base/memory.h"
#include "runtime/backend/memory.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Whether a child that writes at `address` is killed by a fault. */
static int write_faults(volatile unsigned char *address)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        *address = 1;
        _exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void test_guard_follows_last_byte(void **state)
{
    static const int64_t sizes[] = {64, 4032, 4096, 4160, 3 * 4096 + 192, 5 << 20};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct remat_memory memory;
        struct remat_error err;
        assert_int_equal(remat_memory_open(sizes[i], "a test", &memory, &err), REMAT_OK);
        assert_int_equal((uintptr_t)memory.base % REMAT_ALIGNMENT, 0);
        assert_int_equal(memory.bytes, sizes[i]);
        assert_false(write_faults(memory.base + memory.bytes - 1));
        assert_true(write_faults(memory.base + memory.bytes));
        remat_memory_close(&memory);
        assert_null(memory.base);
    }
}

static void test_zeroed_and_touched(void **state)
{
    const int64_t bytes = (int64_t)96 << 20;
    int64_t before = remat_process_resident_bytes(), after;
    struct remat_memory memory;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_memory_open(bytes, "a test", &memory, &err), REMAT_OK);
    after = remat_process_resident_bytes();
    assert_true(before > 0 && after - before >= bytes);
    assert_true(after - before < bytes + (4 << 20));
    assert_true(remat_process_peak_bytes() >= after);
    for (int64_t i = 0; i < bytes; i += 4093)
        assert_int_equal(memory.base[i], 0);
    remat_memory_close(&memory);
    assert_true(remat_process_resident_bytes() < after);
}

static void test_nothing(void **state)
{
    struct remat_memory memory;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_memory_open(0, "nothing", &memory, &err), REMAT_OK);
    assert_non_null(memory.base);
    assert_true(write_faults(memory.base));
    remat_memory_close(&memory);
}

static void test_more_than_there_is(void **state)
{
    struct remat_memory memory;
    struct remat_error err;
    int64_t available = remat_available_bytes();
    (void)state;
    assert_true(available > 0);
    assert_int_equal(remat_memory_open(remat_align_up(2 * available), "the test's arena", &memory, &err),
                     REMAT_OUT_OF_MEMORY);
    assert_non_null(strstr(err.message, "the test's arena"));
    assert_non_null(strstr(err.message, "available"));
    assert_null(memory.base);
    assert_int_equal(remat_memory_open((int64_t)1 << 62, "a huge arena", &memory, &err), REMAT_OUT_OF_MEMORY);
    assert_int_equal(remat_memory_open(100, "an odd arena", &memory, &err), REMAT_INTERNAL);
    assert_int_equal(remat_memory_open(-64, "a negative arena", &memory, &err), REMAT_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_follows_last_byte),
        cmocka_unit_test(test_zeroed_and_touched),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_more_than_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
