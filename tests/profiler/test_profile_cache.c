#include "core/base/file.h"
#include "profiler/cache.h"
#include "profiler/profiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/remat-cache-XXXXXX";
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/deep/er/profile.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char name[160];
    (void)state;
    unlink(path);
    snprintf(name, sizeof name, "%s/deep/er", folder);
    rmdir(name);
    snprintf(name, sizeof name, "%s/deep", folder);
    rmdir(name);
    return rmdir(folder);
}

static void put_one(const char *fingerprint, uint64_t signature, const char *option, int64_t time)
{
    struct remat_profile_cache cache;
    struct remat_error err;
    assert_int_equal(remat_profile_cache_open(path, fingerprint, &cache, &err), REMAT_OK);
    assert_int_equal(remat_profile_cache_put(&cache, signature, option, time, time / 10, &err), REMAT_OK);
    assert_int_equal(remat_profile_cache_save(&cache, path, &err), REMAT_OK);
    remat_profile_cache_close(&cache);
}

static bool get_one(const char *fingerprint, uint64_t signature, const char *option, int64_t *time, int64_t *spread)
{
    struct remat_profile_cache cache;
    struct remat_error err;
    bool found;
    assert_int_equal(remat_profile_cache_open(path, fingerprint, &cache, &err), REMAT_OK);
    found = remat_profile_cache_get(&cache, signature, option, time, spread);
    remat_profile_cache_close(&cache);
    return found;
}

/* Entries survive, and differ by signature, option and device. */
static void test_keys(void **state)
{
    int64_t time, spread;
    (void)state;
    assert_false(get_one("cpu a", 1, "loops", &time, &spread));
    put_one("cpu a", 1, "loops", 1000);
    put_one("cpu a", UINT64_MAX, "loops", 2000);
    put_one("cpu a", 1, "onednn", 3000);
    put_one("cpu b", 1, "loops", 4000);
    assert_true(get_one("cpu a", 1, "loops", &time, &spread));
    assert_int_equal(time, 1000);
    assert_int_equal(spread, 100);
    assert_true(get_one("cpu a", UINT64_MAX, "loops", &time, &spread) && time == 2000);
    assert_true(get_one("cpu a", 1, "onednn", &time, &spread) && time == 3000);
    assert_true(get_one("cpu b", 1, "loops", &time, &spread) && time == 4000);
    assert_false(get_one("cpu b", 1, "onednn", &time, &spread));
    assert_false(get_one("cpu c", 1, "loops", &time, &spread));
    put_one("cpu a", 1, "loops", 1500);
    assert_true(get_one("cpu a", 1, "loops", &time, &spread) && time == 1500);
}

static void expect_refused(const char *text)
{
    struct remat_profile_cache cache;
    struct remat_error err;
    assert_int_equal(remat_file_write(path, text, strlen(text), &err), REMAT_OK);
    assert_int_equal(remat_profile_cache_open(path, "cpu", &cache, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "delete it"));
    remat_profile_cache_close(&cache);
}

static void test_malformed(void **state)
{
    int64_t time, spread;
    struct remat_error err;
    static const char odd[] = "{\"format\":\"remat-profile-cache\",\"version\":1,\"devices\":{\"cpu\":"
                              "{\"0000000000000001/loops\":[-5,1],\"0000000000000002/loops\":\"x\"}}}";
    (void)state;
    expect_refused("{");
    expect_refused("[]");
    expect_refused("{\"format\":\"remat-plan\",\"version\":1,\"devices\":{}}");
    expect_refused("{\"format\":\"remat-profile-cache\",\"version\":1,\"devices\":[]}");
    assert_int_equal(remat_file_write(path, odd, strlen(odd), &err), REMAT_OK);
    assert_false(get_one("cpu", 1, "loops", &time, &spread));
    assert_false(get_one("cpu", 2, "loops", &time, &spread));
}

static void test_default_path(void **state)
{
    char buffer[64];
    struct remat_error err;
    (void)state;
    setenv("HOME", "/home/someone", 1);
    setenv("XDG_CACHE_HOME", "/var/cache/x", 1);
    assert_int_equal(remat_profile_cache_path(buffer, sizeof buffer, &err), REMAT_OK);
    assert_string_equal(buffer, "/var/cache/x/remat/profile.json");
    unsetenv("XDG_CACHE_HOME");
    assert_int_equal(remat_profile_cache_path(buffer, sizeof buffer, &err), REMAT_OK);
    assert_string_equal(buffer, "/home/someone/.cache/remat/profile.json");
    assert_int_equal(remat_profile_cache_path(buffer, 8, &err), REMAT_FAILED);
    unsetenv("HOME");
    assert_int_equal(remat_profile_cache_path(buffer, sizeof buffer, &err), REMAT_MISSING_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_default_path),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
