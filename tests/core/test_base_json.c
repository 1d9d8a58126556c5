/* JSON reading: every wrong shape has a message that names the place. */
#include "core/base/file.h"
#include "core/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[256];

static int make_path(void **state)
{
    const char *base = getenv("TMPDIR");
    int fd;
    (void)state;
    snprintf(path, sizeof path, "%s/remat-json-XXXXXX", base ? base : "/tmp");
    fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static void expect_load(const char *text, enum remat_status expected, const char *part)
{
    struct remat_error err = {0};
    json_t *json;
    assert_int_equal(remat_file_write(path, text, strlen(text), &err), REMAT_OK);
    assert_int_equal(remat_json_load(path, &json, &err), expected);
    if (expected != REMAT_OK) {
        assert_null(json);
        assert_non_null(strstr(err.message, path));
        assert_non_null(strstr(err.message, part));
    }
    json_decref(json);
}

static void malformed_files(void **state)
{
    struct remat_error err;
    json_t *json;
    (void)state;
    expect_load("{\"a\": 1}", REMAT_OK, "");
    expect_load("", REMAT_BAD_DATA, "line 1");
    expect_load("{\"a\": 1", REMAT_BAD_DATA, "line 1");
    expect_load("{\"a\": 1,\n \"a\": 2}", REMAT_BAD_DATA, "line 2");
    expect_load("{\"a\": 1} x", REMAT_BAD_DATA, "line 1");
    expect_load("{\"a\": 99999999999999999999999}", REMAT_BAD_DATA, "too big");
    expect_load("{\"a\": 1e999}", REMAT_BAD_DATA, "real number overflow");
    expect_load("{\"a\": NaN}", REMAT_BAD_DATA, "line 1");
    expect_load("\xff\xfe", REMAT_BAD_DATA, "line 1");
    assert_int_equal(remat_json_load("/nonexistent.json", &json, &err), REMAT_MISSING_INPUT);
    assert_int_equal(remat_json_load("/", &json, &err), REMAT_IO);
}

static void deep_nesting_is_an_error_not_a_crash(void **state)
{
    enum { DEPTH = 1000000 };
    char *text = malloc(DEPTH + 1);
    (void)state;
    assert_non_null(text);
    memset(text, '[', DEPTH);
    text[DEPTH] = 0;
    expect_load(text, REMAT_BAD_DATA, "depth");
    free(text);
}

static void getters(void **state)
{
    json_t *json = json_pack("{s:i, s:f, s:s, s:[i], s:{s:i}, s:s}", "int", 7, "real", 2.5, "text", "hi", "array", 1,
                             "object", "x", 1, "hash", "00000000deadbeef");
    struct remat_error err;
    const json_t *part;
    const char *text;
    int64_t number;
    double real;
    uint64_t hash;
    (void)state;
    assert_int_equal(remat_json_int(json, "int", "f", 0, 7, &number, &err), REMAT_OK);
    assert_int_equal(number, 7);
    assert_int_equal(remat_json_int(json, "int", "f", 0, 6, &number, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "f: \"int\" is 7; it must be from 0 to 6"));
    assert_int_equal(remat_json_int(json, "real", "f", 0, 6, &number, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_json_int(json, "none", "f", 0, 6, &number, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "found nothing"));
    assert_int_equal(remat_json_number(json, "int", "f", &real, &err), REMAT_OK);
    assert_true(real == 7.0);
    assert_int_equal(remat_json_number(json, "real", "f", &real, &err), REMAT_OK);
    assert_int_equal(remat_json_number(json, "text", "f", &real, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_json_text(json, "text", "f", &text, &err), REMAT_OK);
    assert_string_equal(text, "hi");
    assert_int_equal(remat_json_text(json, "int", "f", &text, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_json_array(json, "array", "f", &part, &err), REMAT_OK);
    assert_int_equal(remat_json_array(json, "object", "f", &part, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_json_object(json, "object", "f", &part, &err), REMAT_OK);
    assert_int_equal(remat_json_object(json, "array", "f", &part, &err), REMAT_BAD_DATA);
    assert_int_equal(remat_json_hash(json, "hash", "f", &hash, &err), REMAT_OK);
    assert_true(hash == 0xdeadbeefu);
    assert_int_equal(remat_json_hash(json, "text", "f", &hash, &err), REMAT_BAD_DATA);
    json_decref(json);
}

static void expects_format_and_version(void **state)
{
    json_t *json = json_pack("{s:s, s:i}", "format", "remat-plan", "version", 2), *array = json_array();
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_json_expect(json, "p", "remat-plan", 2, &err), REMAT_OK);
    assert_int_equal(remat_json_expect(json, "p", "remat-profile", 2, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "expected the format \"remat-profile\", found \"remat-plan\""));
    assert_int_equal(remat_json_expect(json, "p", "remat-plan", 1, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "found version 2"));
    assert_int_equal(remat_json_expect(array, "p", "remat-plan", 1, &err), REMAT_BAD_DATA);
    json_decref(json);
    json_decref(array);
}

static void saves_what_it_loads(void **state)
{
    json_t *json = json_object(), *again;
    struct remat_error err;
    (void)state;
    json_object_set_new(json, "real", json_real(0.1));
    json_object_set_new(json, "hash", remat_json_from_hash(UINT64_MAX - 1));
    assert_int_equal(remat_json_save(path, json, &err), REMAT_OK);
    assert_int_equal(remat_json_load(path, &again, &err), REMAT_OK);
    assert_true(json_equal(json, again));
    assert_int_equal(remat_json_save("/nonexistent/file.json", json, &err), REMAT_IO);
    assert_int_equal(remat_json_save(path, NULL, &err), REMAT_OUT_OF_MEMORY);
    json_decref(json);
    json_decref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malformed_files),
        cmocka_unit_test(deep_nesting_is_an_error_not_a_crash),
        cmocka_unit_test(getters),
        cmocka_unit_test(expects_format_and_version),
        cmocka_unit_test(saves_what_it_loads),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
