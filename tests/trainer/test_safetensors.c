#include "support_cmocka.h"

#include "core/base/rng.h"
#include "trainer/checkpoint/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A file with this header text (without its length) and data_bytes of data. */
static enum remat_status parse(const char *header, int64_t data_bytes, struct remat_error *err)
{
    struct remat_safetensors file;
    size_t used = strlen(header);
    unsigned char *bytes = malloc(8 + used);
    enum remat_status status;
    assert_non_null(bytes);
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)((uint64_t)used >> (8 * i));
    memcpy(bytes + 8, header, used);
    err->message[0] = 0;
    status = remat_safetensors_parse(bytes, (int64_t)(8 + used), (int64_t)(8 + used) + data_bytes, "file", &file, err);
    remat_safetensors_free(&file);
    free(bytes);
    return status;
}

static void good_headers_are_accepted(void **state)
{
    static const struct {
        const char *header;
        int64_t data_bytes;
    } cases[] = {
        {"{}", 0},
        {"{}      ", 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}", 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4},
        {"{\"a\":{\"dtype\":\"I64\",\"shape\":[0,7],\"data_offsets\":[0,0]}}", 0},
        {"{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[1,5]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         5},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[2,2],\"data_offsets\":[0,2]}}", 2},
        {"{\"z\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[4,4]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
         4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct remat_error err;
        CHECK_OK(parse(cases[i].header, cases[i].data_bytes, &err), err);
    }
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        const char *header;
        int64_t data_bytes;
        const char *words;
    } cases[] = {
        {"", 0, "start with '{'"},
        {" {}", 0, "start with '{'"},
        {"\n{}", 0, "start with '{'"},
        {"[]", 0, "start with '{'"},
        {"{", 0, "valid JSON"},
        {"{}x", 0, "valid JSON"},
        {"{\"a\xff\":1}", 0, "valid JSON"},
        {"{\"a\":1,\"a\":1}", 0, "valid JSON"},
        {"{\"a\":1}", 0, "expected an object"},
        {"{\"__metadata__\":[]}", 0, "must be an object"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "must be a string"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "expected an object"},
        {"{\"a\":{\"dtype\":\"F31\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type 'F31'"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "unknown type"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,4]}}", 4, "not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":7,\"data_offsets\":[0,4]}}", 4, "must be an array"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "must be an array"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "begin <= end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "begin <= end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "begin <= end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "need 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "too many"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,0]}}", 0, "valid JSON"},
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, "no whole bytes"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "a hole"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
         6, "overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}",
         4, "overlap"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 3, "truncated"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 5, "oversized"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct remat_error err;
        if (parse(cases[i].header, cases[i].data_bytes, &err) != REMAT_BAD_DATA || !strstr(err.message, cases[i].words))
            fail_msg("%s: '%s' does not say '%s'", cases[i].header, err.message, cases[i].words);
    }
}

static void bad_lengths_are_refused(void **state)
{
    unsigned char bytes[16] = {0};
    struct remat_safetensors file;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_safetensors_parse(bytes, 7, 7, "file", &file, &err), REMAT_BAD_DATA);
    bytes[0] = 9;
    assert_int_equal(remat_safetensors_parse(bytes, 16, 16, "file", &file, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "truncated"));
    memset(bytes, 255, 8);
    assert_int_equal(remat_safetensors_parse(bytes, 16, INT64_MAX, "file", &file, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "at most 100000000"));
}

static char *make_file(int64_t *bytes)
{
    struct remat_safetensor tensors[3] = {{.name = "a", .dtype = "F32", .dims_count = 2, .dims = {2, 3}},
                                          {.name = "bb", .dtype = "F64", .dims_count = 1, .dims = {4}},
                                          {.name = "c", .dtype = "U8", .dims_count = 0}};
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    struct remat_error err;
    char *header;
    size_t used;
    CHECK_OK(remat_safetensors_layout(tensors, 3, &err), err);
    CHECK_OK(remat_safetensors_header(tensors, 3, metadata, &header, &used, &err), err);
    json_decref(metadata);
    *bytes = (int64_t)used;
    return header;
}

static void what_is_written_is_read(void **state)
{
    int64_t bytes;
    char *header = make_file(&bytes);
    struct remat_safetensors file;
    struct remat_error err;
    (void)state;
    assert_int_equal(bytes % 8, 0);
    CHECK_OK(remat_safetensors_parse(header, bytes, bytes + 24 + 32 + 1, "file", &file, &err), err);
    assert_int_equal(file.count, 3);
    assert_int_equal(remat_safetensors_find(&file, "bb")->begin, 24);
    assert_int_equal(remat_safetensors_find(&file, "bb")->dims[0], 4);
    assert_string_equal(remat_safetensors_find(&file, "c")->dtype, "U8");
    assert_null(remat_safetensors_find(&file, "d"));
    remat_safetensors_free(&file);
    free(header);
}

/* Random damage must give a refusal or a header whose tensors lie inside the file; never a crash. */
static void random_damage_never_crashes(void **state)
{
    enum { ROUNDS = 20000 };
    int64_t bytes;
    char *good = make_file(&bytes), *bad = malloc((size_t)bytes);
    int accepted = 0;
    (void)state;
    assert_non_null(bad);
    for (int round = 0; round < ROUNDS; round++) {
        struct remat_rng_block draw = remat_rng(99, REMAT_RNG_SYNTHETIC, 0, 0, (uint64_t)round);
        int64_t length = draw.word[3] % 4 == 0 ? draw.word[2] % bytes : bytes, extra = 57;
        struct remat_safetensors file;
        struct remat_error err;
        memcpy(bad, good, (size_t)bytes);
        for (uint32_t k = 0; k <= draw.word[3] % 3; k++) {
            struct remat_rng_block where = remat_rng(99, REMAT_RNG_SYNTHETIC, 1 + k, 0, (uint64_t)round);
            static const char alphabet[] = "{}[]\",:0123456789aF \\";
            bad[where.word[0] % bytes] =
                where.word[1] % 2 ? alphabet[where.word[2] % (sizeof alphabet - 1)] : (char)where.word[2];
        }
        if (remat_safetensors_parse(bad, length, length + extra, "file", &file, &err) == REMAT_OK) {
            accepted++;
            for (int32_t i = 0; i < file.count; i++)
                assert_true(file.tensors[i].begin >= 0 && file.tensors[i].end <= length + extra - file.data_begin);
        }
        remat_safetensors_free(&file);
    }
    assert_in_range(accepted, 1, ROUNDS - 1);
    free(bad);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_accepted),   cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(bad_lengths_are_refused),     cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(random_damage_never_crashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
