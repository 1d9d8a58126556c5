/* Saving is interrupted at every system call that changes a file: by SIGKILL before and after it, and by an error from
 * it. The program's own definitions of these functions stand before the C library's. */
#include "support_cmocka.h"
#include "support_files.h"
#include "support_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum fault { NO_FAULT, KILL_BEFORE, KILL_AFTER, FAIL };

/* Armed in a child process only. */
static struct {
    enum fault fault;
    int at, calls;
    int number; /* errno of FAIL */
    bool full;  /* statvfs reports no free space */
} inject;

/* Whether this call is to fail. */
static bool enter(void)
{
    if (inject.fault == NO_FAULT || inject.calls++ != inject.at)
        return false;
    if (inject.fault == KILL_BEFORE)
        kill(getpid(), SIGKILL);
    errno = inject.number;
    return inject.fault == FAIL;
}

static long leave(long result)
{
    if (inject.fault == KILL_AFTER && inject.calls == inject.at + 1)
        kill(getpid(), SIGKILL);
    return result;
}

#define CALL(...) (enter() ? -1 : leave(syscall(__VA_ARGS__)))

ssize_t write(int descriptor, const void *data, size_t bytes)
{
    return CALL(SYS_write, descriptor, data, bytes);
}

/* A killed process leaves the kernel's pages as they are, so syncing only counts here; the disk's time is saved. */
int fsync(int descriptor)
{
    (void)descriptor;
    return enter() ? -1 : (int)leave(0);
}

int close(int descriptor)
{
    return (int)CALL(SYS_close, descriptor);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode = 0;
    va_start(args, flags);
    if (flags & O_CREAT)
        mode = va_arg(args, mode_t);
    va_end(args);
    return (int)CALL(SYS_openat, AT_FDCWD, path, flags, mode);
}

int rename(const char *from, const char *to)
{
    return (int)CALL(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    return (int)CALL(SYS_renameat2, from_folder, from, to_folder, to, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return (int)CALL(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rmdir(const char *path)
{
    return (int)CALL(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}

int unlinkat(int folder, const char *path, int flags)
{
    return (int)CALL(SYS_unlinkat, folder, path, flags);
}

int fallocate(int descriptor, int mode, off_t offset, off_t bytes)
{
    return (int)CALL(SYS_fallocate, descriptor, mode, offset, bytes);
}

int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    memset(out, 0, sizeof *out);
    out->f_frsize = 4096;
    out->f_bavail = inject.full ? 3 : 1 << 20;
    return 0;
}

static enum remat_status save(const char *folder, int version, struct remat_error *err)
{
    struct remat_state state;
    struct remat_checkpoint checkpoint = {.step = version, .config = json_object()};
    enum remat_status status;
    test_make_state(&state, version);
    status = remat_checkpoint_save(folder, &state, &checkpoint, 2, err);
    remat_checkpoint_free(&checkpoint);
    test_free_state(&state);
    return status;
}

static int restored(const char *folder)
{
    struct remat_checkpoint checkpoint;
    struct remat_state state;
    struct remat_error err;
    char *path;
    int version;
    CHECK_OK(remat_checkpoint_latest(folder, NULL, &path, &checkpoint, &err), err);
    test_make_state(&state, 0);
    CHECK_OK(remat_checkpoint_load(path, true, &state, &err), err);
    version = test_state_version(&state);
    assert_int_equal(version, checkpoint.step);
    test_free_state(&state);
    remat_checkpoint_free(&checkpoint);
    free(path);
    return version;
}

/* Saves `version` in a child with a fault; returns waitpid's status. The child exits with 0 or the save's status. */
static int save_with_fault(const char *folder, int version, enum fault fault, int at, int number)
{
    int wait_status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct remat_error err;
        enum remat_status status;
        inject.at = at;
        inject.number = number;
        inject.fault = fault;
        status = save(folder, version, &err);
        inject.fault = NO_FAULT;
        if (status != REMAT_OK && err.message[0] == 0)
            _exit(99);
        _exit(inject.calls <= at ? 100 : (int)status); /* 100: the fault was never reached */
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    return wait_status;
}

static void start(char *folder)
{
    struct remat_error err;
    test_make_folder(folder);
    CHECK_OK(save(folder, 10, &err), err);
    CHECK_OK(save(folder, 20, &err), err);
}

static int hidden_entries(const char *folder)
{
    DIR *stream = opendir(folder);
    int count = 0;
    assert_non_null(stream);
    for (struct dirent *entry = readdir(stream); entry; entry = readdir(stream))
        count += entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

/* After any interruption: the newest checkpoint is whole, the next save works, and nothing is left over. */
static void check_folder(const char *folder, int version)
{
    struct remat_error err;
    int found = restored(folder);
    if (found != 20 && found != version)
        fail_msg("step %d was restored", found);
    CHECK_OK(save(folder, 40, &err), err);
    assert_int_equal(restored(folder), 40);
    assert_int_equal(hidden_entries(folder), 0);
}

static int kill_at_every_call(enum fault fault, int version)
{
    for (int at = 0;; at++) {
        char folder[TEST_PATH_BYTES];
        int wait_status;
        start(folder);
        wait_status = save_with_fault(folder, version, fault, at, 0);
        check_folder(folder, version);
        test_remove_folder(folder);
        if (WIFEXITED(wait_status)) {
            assert_int_equal(WEXITSTATUS(wait_status), 100);
            return at;
        }
        assert_int_equal(WTERMSIG(wait_status), SIGKILL);
    }
}

static void a_kill_before_any_call_leaves_a_good_checkpoint(void **state)
{
    (void)state;
    assert_true(kill_at_every_call(KILL_BEFORE, 30) > 20);
}

static void a_kill_after_any_call_leaves_a_good_checkpoint(void **state)
{
    (void)state;
    assert_true(kill_at_every_call(KILL_AFTER, 30) > 20);
}

/* Saving a step again replaces its checkpoint. */
static void a_kill_while_replacing_leaves_a_good_checkpoint(void **state)
{
    (void)state;
    assert_true(kill_at_every_call(KILL_BEFORE, 20) > 20);
    assert_true(kill_at_every_call(KILL_AFTER, 20) > 20);
}

static void fail_at_every_call(int number)
{
    int failed = 0, reached = 1;
    for (int at = 0; reached; at++) {
        char folder[TEST_PATH_BYTES];
        int wait_status;
        start(folder);
        wait_status = save_with_fault(folder, 30, FAIL, at, number);
        assert_true(WIFEXITED(wait_status));
        reached = WEXITSTATUS(wait_status) != 100;
        if (WEXITSTATUS(wait_status) == REMAT_IO)
            failed++;
        else if (reached)
            assert_int_equal(WEXITSTATUS(wait_status), REMAT_OK);
        if (WEXITSTATUS(wait_status) == REMAT_OK)
            assert_int_equal(restored(folder), 30);
        check_folder(folder, 30);
        test_remove_folder(folder);
    }
    assert_true(failed > 10);
}

static void a_full_disk_at_any_call_leaves_a_good_checkpoint(void **state)
{
    (void)state;
    fail_at_every_call(ENOSPC);
}

static void an_io_error_at_any_call_leaves_a_good_checkpoint(void **state)
{
    (void)state;
    fail_at_every_call(EIO);
}

static void a_full_disk_is_said_before_anything_is_written(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_error err;
    (void)state;
    start(folder);
    inject.full = true;
    assert_int_equal(save(folder, 30, &err), REMAT_IO);
    inject.full = false;
    assert_non_null(strstr(err.message, "the disk is full"));
    assert_int_equal(restored(folder), 20);
    test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kill_before_any_call_leaves_a_good_checkpoint),
        cmocka_unit_test(a_kill_after_any_call_leaves_a_good_checkpoint),
        cmocka_unit_test(a_kill_while_replacing_leaves_a_good_checkpoint),
        cmocka_unit_test(a_full_disk_at_any_call_leaves_a_good_checkpoint),
        cmocka_unit_test(an_io_error_at_any_call_leaves_a_good_checkpoint),
        cmocka_unit_test(a_full_disk_is_said_before_anything_is_written),
    };
    test_prefer_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
