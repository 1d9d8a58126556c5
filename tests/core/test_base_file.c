/* Files and folders: whole or not at all. */
#include "core/base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[256];

static int make_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/remat-file-XXXXXX", base ? base : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static void inside(char *path, size_t bytes, const char *name)
{
    snprintf(path, bytes, "%s/%s", folder, name);
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"file", "link", "a/b/c", "a/b", "a", ""};
    char path[512];
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        inside(path, sizeof path, names[i]);
        remove(path);
    }
    return access(folder, F_OK) == 0 ? -1 : 0; /* something unexpected was left */
}

static void expect_content(const char *path, const char *content, size_t bytes)
{
    struct remat_error err = {0};
    char *text;
    size_t found;
    if (remat_file_read(path, 1 << 20, &text, &found, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(found, bytes);
    assert_memory_equal(text, content, bytes);
    assert_int_equal(text[found], 0);
    free(text);
}

static void writes_and_replaces(void **state)
{
    char path[512], link[512];
    struct stat info;
    struct remat_error err;
    (void)state;
    inside(path, sizeof path, "file");
    inside(link, sizeof link, "link");
    assert_int_equal(remat_file_write(path, "a\0b", 3, &err), REMAT_OK);
    expect_content(path, "a\0b", 3);
    assert_int_equal(symlink("file", link), 0);
    assert_int_equal(remat_file_write(link, "new", 3, &err), REMAT_OK);
    expect_content(path, "new", 3);
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(remat_file_write(path, "", 0, &err), REMAT_OK);
    expect_content(path, "", 0);
}

static int files_in_folder(void)
{
    DIR *stream = opendir(folder);
    int count = 0;
    assert_non_null(stream);
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static void failures_leave_nothing_behind(void **state)
{
    char path[512];
    struct remat_error err;
    int before = files_in_folder();
    (void)state;
    inside(path, sizeof path, "missing/file");
    assert_int_equal(remat_file_write(path, "x", 1, &err), REMAT_IO);
    assert_non_null(strstr(err.message, "missing/file"));
    assert_int_equal(remat_file_write(folder, "x", 1, &err), REMAT_IO);
    assert_int_equal(remat_file_write("/dev/full", "x", 1, &err), REMAT_IO);
    assert_non_null(strstr(err.message, "free some space"));
    assert_int_equal(remat_file_write("/dev/null", "x", 1, &err), REMAT_OK);
    assert_int_equal(files_in_folder(), before);
}

static void reading_fails_clearly(void **state)
{
    char path[512], *text;
    size_t bytes;
    struct remat_error err;
    (void)state;
    inside(path, sizeof path, "nothing");
    assert_int_equal(remat_file_read(path, 10, &text, &bytes, &err), REMAT_MISSING_INPUT);
    assert_null(text);
    assert_int_equal(remat_file_read(folder, 10, &text, &bytes, &err), REMAT_IO);
    assert_int_equal(remat_file_read("/dev/zero", 100000, &text, &bytes, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "larger than"));
    assert_null(text);
    inside(path, sizeof path, "file");
    assert_int_equal(remat_file_write(path, "0123456789", 10, &err), REMAT_OK);
    assert_int_equal(remat_file_read(path, 9, &text, &bytes, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_file_read(path, 10, &text, &bytes, &err), REMAT_OK);
    free(text);
}

static void folders(void **state)
{
    char path[512];
    struct stat info;
    struct remat_error err;
    (void)state;
    inside(path, sizeof path, "a/b/c");
    assert_int_equal(remat_make_folders(path, &err), REMAT_OK);
    assert_int_equal(remat_make_folders(path, &err), REMAT_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_true(S_ISDIR(info.st_mode));
    assert_int_equal(remat_sync_folder(path, &err), REMAT_OK);
    assert_int_equal(remat_sync_folder("/nonexistent/folder", &err), REMAT_IO);
    assert_int_equal(remat_make_folders("", &err), REMAT_IO);
    inside(path, sizeof path, "file");
    assert_int_equal(remat_file_write(path, "x", 1, &err), REMAT_OK);
    assert_int_equal(remat_make_folders(path, &err), REMAT_IO);
    inside(path, sizeof path, "file/below");
    assert_int_equal(remat_make_folders(path, &err), REMAT_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_replaces),
        cmocka_unit_test(failures_leave_nothing_behind),
        cmocka_unit_test(reading_fails_clearly),
        cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
