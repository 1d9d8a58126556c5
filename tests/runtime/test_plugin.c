/* Backends that are loaded: found, refused, and told apart from unknown devices. */
#include "runtime/backend/plugin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test has the folders of the environment at first, and leaves them. */
static char *folders;

static int keep_folders(void **state)
{
    (void)state;
    folders = getenv("REMAT_BACKEND_PATH") ? strdup(getenv("REMAT_BACKEND_PATH")) : NULL;
    return 0;
}

static int restore_folders(void **state)
{
    (void)state;
    if (folders)
        setenv("REMAT_BACKEND_PATH", folders, 1);
    else
        unsetenv("REMAT_BACKEND_PATH");
    free(folders);
    return 0;
}

static void test_absent(void **state)
{
    const struct remat_backend *backend;
    struct remat_error err;
    (void)state;
    setenv("REMAT_BACKEND_PATH", "/nonexistent/a:/nonexistent/b", 1);
    assert_int_equal(remat_plugin_load("absent", &backend, &err), REMAT_UNAVAILABLE);
    assert_null(backend);
    assert_non_null(strstr(err.message, "libremat_absent.so"));
    assert_non_null(strstr(err.message, "/nonexistent/a, /nonexistent/b"));
    assert_non_null(strstr(err.message, "REMAT_BACKEND_PATH"));
}

static void test_names(void **state)
{
    static const char *const wrong[] = {"", "../cuda", "CUDA", "a/b", "a b", "abacus"};
    const struct remat_backend *backend;
    struct remat_error err;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(remat_plugin_exists(wrong[i]));
        assert_int_equal(remat_backend_find(wrong[i], &backend, &err), REMAT_USAGE);
        assert_null(backend);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* A file that is no shared object is named with the loader's reason. */
static void test_broken(void **state)
{
    char folder[] = "/tmp/remat-plugin-XXXXXX", path[128];
    const struct remat_backend *backend;
    struct remat_error err;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/libremat_cuda.so", folder);
    write_file(path, "not a shared object\n");
    setenv("REMAT_BACKEND_PATH", folder, 1);
    assert_true(remat_plugin_exists("cuda"));
    assert_int_equal(remat_backend_find("cuda", &backend, &err), REMAT_UNAVAILABLE);
    assert_non_null(strstr(err.message, path));
    unlink(path);
    rmdir(folder);
}

/* What is there can be loaded, again and again, and opens or tells why not. */
static void test_present(void **state)
{
    static const char *const names[] = {"cuda", "emulated"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct remat_device_config config = {0}, beyond = {.ordinal = 1000};
        const struct remat_backend *first, *second;
        struct remat_device *device;
        struct remat_device_info info;
        struct remat_error err;
        if (!remat_plugin_exists(names[i]))
            continue;
        assert_int_equal(remat_backend_find(names[i], &first, &err), REMAT_OK);
        assert_int_equal(remat_backend_find(names[i], &second, &err), REMAT_OK);
        assert_ptr_equal(first, second);
        assert_false(first->ops->host);
        assert_int_equal(first->open(&beyond, &device, &err), REMAT_UNAVAILABLE);
        assert_null(device);
        if (first->open(&config, &device, &err) != REMAT_OK) {
            assert_null(device);
            assert_non_null(strstr(err.message, "NVIDIA"));
            assert_non_null(strstr(err.message, "cuDNN")); /* what libraries there are, or which is missing */
            continue;
        }
        first->describe(device, &info);
        assert_string_equal(info.name, "cuda");
        assert_true(info.memory_bytes > 0);
        first->close(device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_absent, keep_folders, restore_folders),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_broken, keep_folders, restore_folders),
        cmocka_unit_test(test_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
