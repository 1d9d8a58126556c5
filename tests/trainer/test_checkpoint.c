#include "support_cmocka.h"
#include "support_files.h"
#include "support_state.h"

#include "trainer/checkpoint/cells.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct remat_checkpoint position(int64_t step)
{
    struct remat_checkpoint checkpoint = {.step = step,
                                          .epoch = step / 10,
                                          .samples = step * 100,
                                          .seed = 0xfedcba9876543210u,
                                          .graph_hash = 42,
                                          .epoch_loss = 0.1 + (double)step / 3,
                                          .epoch_rows = 7,
                                          .epoch_correct = 5,
                                          .log_bytes = {1, 2, 3}};
    checkpoint.config = json_pack("{s:s, s:i}", "model", "resnet18", "batch", 100);
    return checkpoint;
}

static enum remat_status try_save(const char *folder, int version, int32_t keep, struct remat_error *err)
{
    struct remat_state state;
    struct remat_checkpoint checkpoint = position(version);
    enum remat_status status;
    test_make_state(&state, version);
    status = remat_checkpoint_save(folder, &state, &checkpoint, keep, err);
    remat_checkpoint_free(&checkpoint);
    test_free_state(&state);
    return status;
}

static void save(const char *folder, int version, int32_t keep)
{
    struct remat_error err;
    CHECK_OK(try_save(folder, version, keep, &err), err);
}

static void count_note(void *context, const char *text)
{
    assert_non_null(strstr(text, "step-"));
    ++*(int *)context;
}

/* The version that the newest valid checkpoint restores. */
static int restored(const char *folder, int *notes_count)
{
    struct remat_notes notes = {count_note, notes_count};
    struct remat_checkpoint checkpoint;
    struct remat_state state;
    struct remat_error err;
    char *path;
    int version;
    *notes_count = 0;
    CHECK_OK(remat_checkpoint_latest(folder, &notes, &path, &checkpoint, &err), err);
    test_make_state(&state, 0);
    CHECK_OK(remat_checkpoint_load(path, true, &state, &err), err);
    version = test_state_version(&state);
    assert_int_equal(version, checkpoint.step);
    test_free_state(&state);
    remat_checkpoint_free(&checkpoint);
    free(path);
    return version;
}

static void what_is_saved_is_loaded(void **state_pointer)
{
    char folder[TEST_PATH_BYTES];
    struct remat_checkpoint checkpoint, expected = position(31);
    struct remat_error err;
    char *path, *same;
    int notes;
    (void)state_pointer;
    test_make_folder(folder);
    save(folder, 31, 2);
    assert_int_equal(restored(folder, &notes), 31);
    assert_int_equal(notes, 0);
    CHECK_OK(remat_checkpoint_latest(folder, NULL, &path, &checkpoint, &err), err);
    assert_int_equal(checkpoint.epoch, 3);
    assert_int_equal(checkpoint.samples, 3100);
    assert_true(checkpoint.seed == expected.seed && checkpoint.graph_hash == 42);
    assert_true(checkpoint.epoch_loss == expected.epoch_loss);
    assert_memory_equal(checkpoint.log_bytes, expected.log_bytes, sizeof expected.log_bytes);
    assert_true(json_equal(checkpoint.config, expected.config));
    remat_checkpoint_free(&checkpoint);
    CHECK_OK(remat_checkpoint_latest(path, NULL, &same, &checkpoint, &err), err);
    assert_string_equal(same, path);
    free(same);
    remat_checkpoint_free(&checkpoint);
    remat_checkpoint_free(&expected);
    free(path);
    test_remove_folder(folder);
}

/* Filters are [K,R,S,C] in memory and [K,C,R,S] in the file. */
static void filters_are_in_the_reference_layout(void **state_pointer)
{
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
    struct remat_safetensors file;
    const struct remat_safetensor *tensor;
    struct remat_state state;
    struct remat_error err;
    float values[60];
    int descriptor;
    (void)state_pointer;
    test_make_folder(folder);
    save(folder, 8, 2);
    test_make_state(&state, 8);
    snprintf(path, sizeof path, "%s/step-00000008/model.safetensors", folder);
    descriptor = open(path, O_RDONLY);
    CHECK_OK(remat_safetensors_open(descriptor, path, &file, &err), err);
    assert_int_equal(file.count, 3);
    assert_int_equal(file.data_begin % 8, 0);
    tensor = remat_safetensors_find(&file, "conv1.weight");
    assert_non_null(tensor);
    assert_int_equal(tensor->dims[1], 5);
    assert_int_equal(tensor->dims[3], 2);
    assert_int_equal(pread(descriptor, values, sizeof values, file.data_begin + tensor->begin), sizeof values);
    for (int k = 0; k < 3; k++)
        for (int r = 0; r < 2; r++)
            for (int s = 0; s < 2; s++)
                for (int c = 0; c < 5; c++)
                    assert_true(values[((k * 5 + c) * 2 + r) * 2 + s] ==
                                ((float *)state.cells[0].data)[((k * 2 + r) * 2 + s) * 5 + c]);
    close(descriptor);
    remat_safetensors_free(&file);
    test_free_state(&state);
    test_remove_folder(folder);
}

static void old_checkpoints_are_deleted(void **state_pointer)
{
    char folder[TEST_PATH_BYTES];
    struct remat_error err;
    int64_t *steps;
    int32_t count;
    (void)state_pointer;
    test_make_folder(folder);
    for (int step = 1; step <= 5; step++)
        save(folder, step, 3);
    CHECK_OK(remat_checkpoint_list(folder, &steps, &count, &err), err);
    assert_int_equal(count, 3);
    assert_int_equal(steps[0], 3);
    assert_int_equal(steps[2], 5);
    free(steps);
    save(folder, 6, 0);
    CHECK_OK(remat_checkpoint_list(folder, &steps, &count, &err), err);
    assert_int_equal(count, 2);
    free(steps);
    test_remove_folder(folder);
}

static void flip_byte(const char *path, long offset)
{
    FILE *file = fopen(path, "r+b");
    int byte;
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    byte = fgetc(file);
    assert_int_equal(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* Any damage to the newest checkpoint is noticed, and the one before is used. */
static void damage_falls_back_to_the_checkpoint_before(void **state_pointer)
{
    static const char *const names[] = {"model.safetensors", "state.safetensors", "manifest.json"};
    enum { FLIP_FIRST, FLIP_LAST, TRUNCATE, EXTEND, EMPTY, REMOVE, DAMAGES };
    (void)state_pointer;
    for (int file = 0; file < 3; file++)
        for (int damage = 0; damage < DAMAGES; damage++) {
            char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
            struct stat info;
            int notes;
            if (file == 2 && (damage == FLIP_LAST || damage == EXTEND))
                continue; /* may leave valid JSON of the same meaning */
            test_make_folder(folder);
            save(folder, 1, 2);
            save(folder, 2, 2);
            snprintf(path, sizeof path, "%s/step-00000002/%s", folder, names[file]);
            assert_int_equal(stat(path, &info), 0);
            if (damage == FLIP_FIRST)
                flip_byte(path, 0);
            else if (damage == FLIP_LAST)
                flip_byte(path, -1);
            else if (damage == REMOVE)
                assert_int_equal(unlink(path), 0);
            else
                assert_int_equal(truncate(path, damage == TRUNCATE ? info.st_size - 3
                                                : damage == EXTEND ? info.st_size + 1
                                                                   : 0),
                                 0);
            assert_int_equal(restored(folder, &notes), 1);
            assert_int_equal(notes, 1);
            test_remove_folder(folder);
        }
}

static void nothing_to_load_is_said(void **state_pointer)
{
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES], *found;
    struct remat_checkpoint checkpoint;
    struct remat_error err;
    (void)state_pointer;
    test_make_folder(folder);
    assert_int_equal(remat_checkpoint_latest(folder, NULL, &found, &checkpoint, &err), REMAT_MISSING_INPUT);
    save(folder, 1, 2);
    snprintf(path, sizeof path, "%s/step-00000001/model.safetensors", folder);
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(remat_checkpoint_latest(folder, NULL, &found, &checkpoint, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "none of its 1 checkpoints"));
    test_remove_folder(folder);
    assert_int_equal(remat_checkpoint_latest(folder, NULL, &found, &checkpoint, &err), REMAT_MISSING_INPUT);
}

static void another_models_checkpoint_is_refused(void **state_pointer)
{
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
    struct remat_state state;
    struct remat_error err;
    (void)state_pointer;
    test_make_folder(folder);
    save(folder, 1, 2);
    snprintf(path, sizeof path, "%s/step-00000001", folder);
    test_make_state(&state, 0);
    state.cells[2].tensor.dims[0] = 3;
    assert_int_equal(remat_checkpoint_load(path, true, &state, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "fc.weight"));
    state.cells[2].tensor.dims[0] = 4;
    state.cells[2].name = "head.weight";
    assert_int_equal(remat_checkpoint_load(path, true, &state, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "lacks 'head.weight'"));
    state.cells[2].kind = REMAT_GRADIENT_SUM;
    assert_int_equal(remat_checkpoint_load(path, true, &state, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "has 3 tensors"));
    test_free_state(&state);
    test_remove_folder(folder);
}

static void diverged_parameters_are_not_saved(void **state_pointer)
{
    char folder[TEST_PATH_BYTES];
    struct remat_state state;
    struct remat_checkpoint checkpoint = position(2);
    struct remat_error err;
    int notes;
    (void)state_pointer;
    test_make_folder(folder);
    save(folder, 1, 2);
    test_make_state(&state, 2);
    ((float *)state.cells[2].data)[5] = NAN;
    assert_int_equal(remat_checkpoint_save(folder, &state, &checkpoint, 2, &err), REMAT_FAILED);
    assert_non_null(strstr(err.message, "'fc.weight' element 5"));
    assert_int_equal(restored(folder, &notes), 1);
    remat_checkpoint_free(&checkpoint);
    test_free_state(&state);
    test_remove_folder(folder);
}

/* A file-size limit stands for a full disk: writing fails half way. */
static void a_limit_on_file_sizes_leaves_the_old_checkpoint(void **state_pointer)
{
    char folder[TEST_PATH_BYTES];
    int notes, wait_status;
    pid_t child;
    (void)state_pointer;
    test_make_folder(folder);
    save(folder, 1, 2);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit limit = {300, 300};
        struct remat_error err;
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
            _exit(9);
        if (try_save(folder, 2, 2, &err) != REMAT_IO || !strstr(err.message, "free space"))
            _exit(8);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_true(WIFEXITED(wait_status));
    assert_int_equal(WEXITSTATUS(wait_status), 0);
    assert_int_equal(restored(folder, &notes), 1);
    assert_int_equal(notes, 0);
    save(folder, 3, 2);
    assert_int_equal(restored(folder, &notes), 3);
    test_remove_folder(folder);
}

static void left_over_folders_are_removed(void **state_pointer)
{
    static const char *const names[] = {".tmp-step-00000007-999999999", ".trash-00000003", ".tmp-step-00000007-1",
                                        "step-00000001", ".keep-this"};
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
    struct stat info;
    (void)state_pointer;
    test_make_folder(folder);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(mkdir(path, 0777), 0);
        test_write_file(path, "file", "x", 1);
    }
    remat_checkpoint_clean(folder);
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(stat(path, &info) == 0, i >= 2);
    }
    test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_is_loaded),
        cmocka_unit_test(filters_are_in_the_reference_layout),
        cmocka_unit_test(old_checkpoints_are_deleted),
        cmocka_unit_test(damage_falls_back_to_the_checkpoint_before),
        cmocka_unit_test(nothing_to_load_is_said),
        cmocka_unit_test(another_models_checkpoint_is_refused),
        cmocka_unit_test(diverged_parameters_are_not_saved),
        cmocka_unit_test(a_limit_on_file_sizes_leaves_the_old_checkpoint),
        cmocka_unit_test(left_over_folders_are_removed),
    };
    test_prefer_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
