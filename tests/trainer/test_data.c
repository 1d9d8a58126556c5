#include "support_cmocka.h"
#include "support_files.h"

#include "trainer/data/loader.h"
#include "trainer/data/order.h"
#include "trainer/data/prefetch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One CIFAR-10 folder for all tests of this program. */
static int make_cifar10(void **state)
{
    static char folder[TEST_PATH_BYTES];
    test_make_folder(folder);
    test_write_cifar10(folder);
    *state = folder;
    return 0;
}

static int remove_cifar10(void **state)
{
    test_remove_folder(*state);
    return 0;
}

static void order_is_a_permutation_keyed_by_epoch(void **state)
{
    enum { COUNT = 1000 };
    int32_t a[COUNT], b[COUNT], seen[COUNT] = {0}, fixed = 0;
    (void)state;
    remat_order_shuffle(7, 3, COUNT, a);
    remat_order_shuffle(7, 3, COUNT, b);
    assert_memory_equal(a, b, sizeof a);
    for (int i = 0; i < COUNT; i++) {
        assert_in_range(a[i], 0, COUNT - 1);
        seen[a[i]]++;
        fixed += a[i] == i;
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    assert_true(fixed < 10);
    remat_order_shuffle(7, 4, COUNT, b);
    assert_memory_not_equal(a, b, sizeof a);
    remat_order_shuffle(8, 3, COUNT, b);
    assert_memory_not_equal(a, b, sizeof a);
}

/* All 24 orders of four things about equally often: chi-square with 23 degrees of freedom, 0.1 % point 49.7. */
static void order_is_uniform(void **state)
{
    enum { EPOCHS = 24000 };
    int count[256] = {0};
    double chi = 0;
    (void)state;
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int32_t order[4];
        remat_order_shuffle(1, epoch, 4, order);
        count[order[0] * 64 + order[1] * 16 + order[2] * 4 + order[3]]++;
    }
    for (int i = 0; i < 256; i++)
        if (count[i])
            chi += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000.0;
    assert_true(chi < 49.7);
}

static void cifar10_planes_become_pixels(void **state)
{
    struct remat_data_config config = {.path = *state};
    struct remat_data_source source;
    struct remat_error err;
    uint8_t pixels[3072];
    int32_t label;
    CHECK_OK(remat_data_open(&config, &source, &err), err);
    assert_int_equal(source.samples[REMAT_TRAINING_SET], 50000);
    assert_int_equal(source.samples[REMAT_TEST_SET], 10000);
    assert_int_equal(remat_sample_bytes(&source.shape), 3072);
    CHECK_OK(remat_data_read(&source, REMAT_TRAINING_SET, 0, 20123, pixels, &label, &err), err);
    assert_int_equal(label, 3);
    for (int i = 0; i < 1024; i++)
        for (int c = 0; c < 3; c++)
            assert_int_equal(pixels[i * 3 + c], test_cifar10_byte(2, 123, c * 1024 + i));
    CHECK_OK(remat_data_read(&source, REMAT_TEST_SET, 0, 9999, pixels, &label, &err), err);
    assert_int_equal(label, 9);
    assert_int_equal(pixels[5], test_cifar10_byte(5, 9999, 2 * 1024 + 1));
    assert_int_equal(remat_data_read(&source, REMAT_TEST_SET, 0, 10000, pixels, &label, &err), REMAT_INTERNAL);
    remat_data_close(&source);
}

static void cifar10_is_found_in_the_archives_subfolder(void **state)
{
    char parent[TEST_PATH_BYTES], link[2 * TEST_PATH_BYTES];
    struct remat_data_config config = {.path = parent};
    struct remat_data_source source;
    struct remat_error err;
    test_make_folder(parent);
    snprintf(link, sizeof link, "%s/cifar-10-batches-bin", parent);
    assert_int_equal(symlink(*state, link), 0);
    CHECK_OK(remat_data_open(&config, &source, &err), err);
    remat_data_close(&source);
    test_remove_folder(parent);
}

/* Copies of the good folder's files as links, with file `name` replaced by `bytes` bytes starting with `head`. */
static enum remat_status open_damaged(const char *good, const char *name, const char *head, size_t head_bytes,
                                      int64_t bytes, struct remat_error *err)
{
    static const char *const names[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"};
    char folder[TEST_PATH_BYTES], from[2 * TEST_PATH_BYTES], to[2 * TEST_PATH_BYTES];
    struct remat_data_config config = {.path = folder};
    struct remat_data_source source;
    enum remat_status status;
    test_make_folder(folder);
    for (int i = 0; i < 6; i++) {
        snprintf(from, sizeof from, "%s/%s", good, names[i]);
        snprintf(to, sizeof to, "%s/%s", folder, names[i]);
        if (strcmp(names[i], name) != 0)
            assert_int_equal(symlink(from, to), 0);
    }
    if (bytes >= 0) {
        test_write_file(folder, name, head, head_bytes);
        snprintf(to, sizeof to, "%s/%s", folder, name);
        assert_int_equal(truncate(to, bytes), 0);
    }
    status = remat_data_open(&config, &source, err);
    remat_data_close(&source);
    test_remove_folder(folder);
    return status;
}

static void cifar10_damage_has_one_clear_message(void **state)
{
    static const struct {
        const char *name, *head;
        size_t head_bytes;
        int64_t bytes;
        enum remat_status status;
        const char *words;
    } cases[] = {
        {"data_batch_3.bin", "", 0, -1, REMAT_MISSING_INPUT, "data_batch_3.bin"},
        {"data_batch_1.bin", "", 0, -1, REMAT_MISSING_INPUT, "no data_batch_1.bin"},
        {"data_batch_2.bin", "", 0, 30729999, REMAT_BAD_DATA, "truncated"},
        {"data_batch_2.bin", "", 0, 0, REMAT_BAD_DATA, "truncated"},
        {"test_batch.bin", "", 0, 30730001, REMAT_BAD_DATA, "oversized"},
        {"test_batch.bin", "\012", 1, 30730000, REMAT_BAD_DATA, "record 0 has label 10"},
        {"data_batch_4.bin", "", 0, 30740000, REMAT_BAD_DATA, "CIFAR-100"},
        {"data_batch_1.bin", "\200\002}q", 4, 31035704, REMAT_BAD_DATA, "pickle"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct remat_error err;
        assert_int_equal(open_damaged(*state, cases[i].name, cases[i].head, cases[i].head_bytes, cases[i].bytes, &err),
                         cases[i].status);
        if (!strstr(err.message, cases[i].words))
            fail_msg("'%s' does not mention '%s'", err.message, cases[i].words);
    }
}

static void other_data_sets_are_recognised(void **state)
{
    static const struct {
        const char *name, *words;
        enum remat_status status;
    } cases[] = {{"data_batch_1", "pickle", REMAT_BAD_DATA},
                 {"train.bin", "CIFAR-100", REMAT_BAD_DATA},
                 {"data_batch_1.mat", "Matlab", REMAT_BAD_DATA},
                 {"unrelated", "remat data cifar10", REMAT_MISSING_INPUT}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char folder[TEST_PATH_BYTES];
        struct remat_data_config config = {.path = folder};
        struct remat_data_source source;
        struct remat_error err;
        test_make_folder(folder);
        test_write_file(folder, cases[i].name, "x", 1);
        assert_int_equal(remat_data_open(&config, &source, &err), cases[i].status);
        assert_non_null(strstr(err.message, cases[i].words));
        remat_data_close(&source);
        test_remove_folder(folder);
    }
}

static void augmentation_matches_a_padded_crop(void **state)
{
    enum { H = 6, W = 5, C = 3, PAD = 2 };
    struct remat_augment augment = {.pad = PAD, .flip = true};
    uint8_t in[H * W * C], out[H * W * C];
    int seen_mirrored = 0, seen_row[2 * PAD + 1] = {0};
    (void)state;
    for (int i = 0; i < H * W * C; i++)
        in[i] = (uint8_t)(i + 1);
    for (int64_t sample = 0; sample < 200; sample++) {
        struct remat_augment_draw draw = remat_augment_draw(&augment, H, W, 5, 2, sample);
        seen_mirrored += draw.mirrored;
        seen_row[draw.row_offset + PAD]++;
        remat_augment_apply(&augment, &draw, H, W, C, in, out);
        for (int row = 0; row < H; row++)
            for (int column = 0; column < W; column++) {
                int from_row = row + draw.row_offset;
                int from_column = (draw.mirrored ? W - 1 - column : column) + draw.column_offset;
                int inside = from_row >= 0 && from_row < H && from_column >= 0 && from_column < W;
                for (int c = 0; c < C; c++)
                    assert_int_equal(out[(row * W + column) * C + c],
                                     inside ? in[(from_row * W + from_column) * C + c] : 0);
            }
    }
    assert_in_range(seen_mirrored, 70, 130);
    for (int i = 0; i <= 2 * PAD; i++)
        assert_true(seen_row[i] > 15);
}

static void cutout_clears_a_square(void **state)
{
    enum { H = 16, W = 16 };
    struct remat_augment augment = {.cutout = 4};
    uint8_t in[H * W], out[H * W];
    (void)state;
    memset(in, 9, sizeof in);
    for (int64_t sample = 0; sample < 50; sample++) {
        struct remat_augment_draw draw = remat_augment_draw(&augment, H, W, 5, 2, sample);
        remat_augment_apply(&augment, &draw, H, W, 1, in, out);
        for (int row = 0; row < H; row++)
            for (int column = 0; column < W; column++) {
                int cut = row >= draw.cut_row - 2 && row < draw.cut_row + 2 && column >= draw.cut_column - 2 &&
                          column < draw.cut_column + 2;
                assert_int_equal(out[row * W + column], cut ? 0 : 9);
            }
    }
}

static void text_predicts_every_validation_byte_once(void **state)
{
    enum { BYTES = 1003, LENGTH = 16, TRAIN = 902 };
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES], text[BYTES];
    struct remat_data_config config = {.path = path, .shape.length = LENGTH, .seed = 3};
    struct remat_data_source source;
    struct remat_error err;
    int32_t tokens[LENGTH], labels[LENGTH], first[LENGTH];
    int place = TRAIN, moved = 0;
    (void)state;
    for (int i = 0; i < BYTES; i++)
        text[i] = (char)("\n adgz"[i * i % 6]);
    test_make_folder(folder);
    test_write_file(folder, "text", text, BYTES);
    snprintf(path, sizeof path, "%s/text", folder);
    CHECK_OK(remat_data_open(&config, &source, &err), err);
    assert_int_equal(source.shape.vocabulary, 4); /* squares modulo 6: 0, 1, 3, 4 */
    for (int64_t sample = 0; sample < source.samples[REMAT_TEST_SET]; sample++) {
        CHECK_OK(remat_data_read(&source, REMAT_TEST_SET, 0, sample, tokens, labels, &err), err);
        for (int i = 0; i < LENGTH && labels[i] >= 0; i++, place++) {
            assert_int_equal("\n adg"[tokens[i] < 2 ? tokens[i] : tokens[i] + 1], text[place]);
            assert_int_equal("\n adg"[labels[i] < 2 ? labels[i] : labels[i] + 1], text[place + 1]);
        }
    }
    assert_int_equal(place, BYTES - 1);
    CHECK_OK(remat_data_read(&source, REMAT_TRAINING_SET, 0, 0, first, labels, &err), err);
    for (int64_t epoch = 0; epoch < 20; epoch++) {
        int64_t last = source.samples[REMAT_TRAINING_SET] - 1;
        CHECK_OK(remat_data_read(&source, REMAT_TRAINING_SET, epoch, last, tokens, labels, &err), err);
        for (int i = 0; i < LENGTH; i++)
            assert_true(labels[i] >= 0);
        CHECK_OK(remat_data_read(&source, REMAT_TRAINING_SET, epoch, 0, tokens, labels, &err), err);
        moved += memcmp(tokens, first, sizeof first) != 0;
    }
    assert_true(moved > 5);
    remat_data_close(&source);
    config.byte_vocabulary = true;
    CHECK_OK(remat_data_open(&config, &source, &err), err);
    assert_int_equal(source.shape.vocabulary, 256);
    CHECK_OK(remat_data_read(&source, REMAT_TEST_SET, 0, 0, tokens, labels, &err), err);
    assert_int_equal(tokens[0], text[TRAIN]);
    remat_data_close(&source);
    test_write_file(folder, "text", text, 20);
    assert_int_equal(remat_data_open(&config, &source, &err), REMAT_BAD_DATA);
    remat_data_close(&source);
    test_remove_folder(folder);
}

static void open_synthetic_images(struct remat_data_source *source, int64_t training, int64_t test)
{
    struct remat_data_config config = {
        .path = "synthetic",
        .seed = 11,
        .shape = {.kind = REMAT_IMAGE_SAMPLES, .height = 4, .width = 4, .channels = 3, .classes = 5},
        .samples = {training, test}};
    struct remat_error err;
    CHECK_OK(remat_data_open(&config, source, &err), err);
}

static void a_training_pass_uses_each_sample_once(void **state)
{
    enum { BATCH = 3, BYTES = 48, SAMPLES = 10 };
    struct remat_data_source source;
    struct remat_loader loader;
    struct remat_error err;
    uint8_t inputs[BATCH * BYTES], sample[BYTES];
    int32_t labels[BATCH], label, found = 0;
    (void)state;
    open_synthetic_images(&source, SAMPLES, 7);
    CHECK_OK(remat_loader_open(&source, BATCH, &loader, &err), err);
    assert_int_equal(remat_loader_batches(&loader, REMAT_TRAINING_SET), 3);
    assert_int_equal(remat_loader_batches(&loader, REMAT_TEST_SET), 3);
    for (int64_t index = 0; index < 3; index++) {
        struct remat_batch batch = {inputs, labels};
        CHECK_OK(remat_loader_fill(&loader, REMAT_TRAINING_SET, 4, index, &batch, &err), err);
        for (int row = 0; row < BATCH; row++)
            for (int64_t id = 0; id < SAMPLES; id++) {
                CHECK_OK(remat_data_read(&source, REMAT_TRAINING_SET, 4, id, sample, &label, &err), err);
                if (memcmp(sample, inputs + row * BYTES, BYTES) == 0) {
                    assert_int_equal(label, labels[row]);
                    found |= 1 << id;
                }
            }
    }
    assert_int_equal(__builtin_popcount((unsigned)found), 9);
    remat_loader_close(&loader);
    assert_int_equal(remat_loader_open(&source, SAMPLES + 1, &loader, &err), REMAT_BAD_DATA);
    remat_loader_close(&loader);
    remat_data_close(&source);
}

static void the_last_test_batch_is_filled_with_ignored_rows(void **state)
{
    enum { BATCH = 3, BYTES = 48 };
    struct remat_data_source source;
    struct remat_loader loader;
    struct remat_error err;
    uint8_t inputs[BATCH * BYTES];
    int32_t labels[BATCH];
    struct remat_batch batch = {inputs, labels};
    (void)state;
    open_synthetic_images(&source, 10, 7);
    CHECK_OK(remat_loader_open(&source, BATCH, &loader, &err), err);
    memset(inputs, 1, sizeof inputs);
    CHECK_OK(remat_loader_fill(&loader, REMAT_TEST_SET, 0, 2, &batch, &err), err);
    assert_true(labels[0] >= 0);
    assert_int_equal(labels[1], -1);
    assert_int_equal(labels[2], -1);
    for (int i = BYTES; i < BATCH * BYTES; i++)
        assert_int_equal(inputs[i], 0);
    remat_loader_close(&loader);
    remat_data_close(&source);
}

/* The thread gives the same batches as the loader, over several passes, resumed and ended early. */
static void prefetch_gives_the_loaders_batches(void **state)
{
    enum { BATCH = 4, BYTES = 48, SAMPLES = 80 };
    static const struct {
        enum remat_split split;
        int64_t epoch, first, end, use;
    } passes[] = {{REMAT_TRAINING_SET, 0, 0, 20, 20},
                  {REMAT_TEST_SET, 0, 0, 3, 3},
                  {REMAT_TRAINING_SET, 1, 7, 20, 5},
                  {REMAT_TRAINING_SET, 2, 0, 20, 0},
                  {REMAT_TRAINING_SET, 1, 13, 20, 7}};
    struct remat_data_source source;
    struct remat_loader loader, plain;
    struct remat_prefetch *prefetch;
    struct remat_error err;
    uint8_t inputs[2][BATCH * BYTES], wanted[BATCH * BYTES];
    int32_t labels[2][BATCH], wanted_labels[BATCH];
    struct remat_batch slots[2] = {{inputs[0], labels[0]}, {inputs[1], labels[1]}}, batch = {wanted, wanted_labels};
    (void)state;
    open_synthetic_images(&source, SAMPLES, 11);
    CHECK_OK(remat_loader_open(&source, BATCH, &loader, &err), err);
    CHECK_OK(remat_loader_open(&source, BATCH, &plain, &err), err);
    CHECK_OK(remat_prefetch_open(&loader, &prefetch, &err), err);
    for (size_t i = 0; i < sizeof passes / sizeof passes[0]; i++) {
        remat_prefetch_begin(prefetch, passes[i].split, passes[i].epoch, passes[i].first, passes[i].end, slots);
        for (int64_t k = 0; k < passes[i].use; k++) {
            int32_t slot;
            CHECK_OK(remat_prefetch_next(prefetch, &slot, &err), err);
            CHECK_OK(remat_loader_fill(&plain, passes[i].split, passes[i].epoch, passes[i].first + k, &batch, &err),
                     err);
            usleep(200);
            assert_memory_equal(inputs[slot], wanted, sizeof wanted);
            assert_memory_equal(labels[slot], wanted_labels, sizeof wanted_labels);
        }
        remat_prefetch_end(prefetch);
    }
    remat_prefetch_close(prefetch);
    remat_loader_close(&loader);
    remat_loader_close(&plain);
    remat_data_close(&source);
}

/* A file that is cut while training is an error of the batch that needs it, not a crash. */
static void prefetch_reports_the_threads_error(void **state)
{
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
    struct remat_data_config config = {.path = folder};
    struct remat_data_source source;
    struct remat_loader loader;
    struct remat_prefetch *prefetch;
    struct remat_error err;
    enum { BATCH = 5000 };
    uint8_t *inputs = malloc((size_t)BATCH * 3072);
    int32_t *labels = malloc(BATCH * sizeof *labels), slot;
    struct remat_batch slots[2] = {{inputs, labels}, {inputs, labels}};
    (void)state;
    test_make_folder(folder);
    test_write_cifar10(folder);
    CHECK_OK(remat_data_open(&config, &source, &err), err);
    CHECK_OK(remat_loader_open(&source, BATCH, &loader, &err), err);
    CHECK_OK(remat_prefetch_open(&loader, &prefetch, &err), err);
    snprintf(path, sizeof path, "%s/test_batch.bin", folder);
    assert_int_equal(truncate(path, 6000 * 3073), 0);
    remat_prefetch_begin(prefetch, REMAT_TEST_SET, 0, 0, 2, slots);
    CHECK_OK(remat_prefetch_next(prefetch, &slot, &err), err);
    assert_int_equal(remat_prefetch_next(prefetch, &slot, &err), REMAT_IO);
    assert_non_null(strstr(err.message, "cut while in use"));
    remat_prefetch_end(prefetch);
    remat_prefetch_close(prefetch);
    remat_loader_close(&loader);
    remat_data_close(&source);
    test_remove_folder(folder);
    free(inputs);
    free(labels);
}

static void unknown_data_is_refused(void **state)
{
    struct remat_data_config config = {.path = "/nonexistent/data"};
    struct remat_data_source source;
    struct remat_error err;
    (void)state;
    assert_int_equal(remat_data_open(&config, &source, &err), REMAT_MISSING_INPUT);
    remat_data_close(&source);
    config.kind = "imagenet";
    assert_int_equal(remat_data_open(&config, &source, &err), REMAT_USAGE);
    remat_data_close(&source);
    config = (struct remat_data_config){.path = "synthetic"};
    assert_int_equal(remat_data_open(&config, &source, &err), REMAT_USAGE);
    remat_data_close(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_is_a_permutation_keyed_by_epoch),
        cmocka_unit_test(order_is_uniform),
        cmocka_unit_test(cifar10_planes_become_pixels),
        cmocka_unit_test(cifar10_is_found_in_the_archives_subfolder),
        cmocka_unit_test(cifar10_damage_has_one_clear_message),
        cmocka_unit_test(other_data_sets_are_recognised),
        cmocka_unit_test(augmentation_matches_a_padded_crop),
        cmocka_unit_test(cutout_clears_a_square),
        cmocka_unit_test(text_predicts_every_validation_byte_once),
        cmocka_unit_test(a_training_pass_uses_each_sample_once),
        cmocka_unit_test(the_last_test_batch_is_filled_with_ignored_rows),
        cmocka_unit_test(prefetch_gives_the_loaders_batches),
        cmocka_unit_test(prefetch_reports_the_threads_error),
        cmocka_unit_test(unknown_data_is_refused),
    };
    return cmocka_run_group_tests(tests, make_cifar10, remove_cifar10);
}
