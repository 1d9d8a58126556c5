#include "support_cmocka.h"
#include "support_files.h"

#include "core/base/file.h"
#include "trainer/log.h"
#include "trainer/md5.h"
#include "trainer/progress.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_text(const char *folder, const char *name)
{
    char path[2 * TEST_PATH_BYTES], *text;
    struct remat_error err;
    size_t bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(remat_file_read(path, 1 << 20, &text, &bytes, &err), err);
    return text;
}

static void log_steps(struct remat_log *log, int64_t first, int64_t end)
{
    struct remat_error err;
    for (int64_t step = first; step < end; step++) {
        struct remat_log_step record = {step, 1, 1.0 / (double)step, 0.125, 100, 1000000 + step};
        CHECK_OK(remat_log_step(log, &record, &err), err);
    }
}

/* Resuming at a position gives the same files as never having stopped. */
static void resuming_cuts_what_came_after_the_checkpoint(void **state)
{
    static const char *const names[] = {"log.jsonl", "steps.csv", "epochs.csv"};
    struct remat_log_epoch epoch = {1, 9, 0.5, 0.75, 0.25, 1, 0.125, 3};
    char whole[TEST_PATH_BYTES], resumed[TEST_PATH_BYTES];
    int64_t positions[REMAT_LOG_FILES], unused[REMAT_LOG_FILES];
    struct remat_log *log;
    struct remat_error err;
    (void)state;
    test_make_folder(whole);
    test_make_folder(resumed);
    CHECK_OK(remat_log_open(whole, NULL, &log, &err), err);
    log_steps(log, 1, 10);
    CHECK_OK(remat_log_epoch(log, &epoch, &err), err);
    remat_log_close(log);

    CHECK_OK(remat_log_open(resumed, NULL, &log, &err), err);
    log_steps(log, 1, 5);
    CHECK_OK(remat_log_sync(log, positions, &err), err);
    log_steps(log, 5, 8);
    CHECK_OK(remat_log_epoch(log, &epoch, &err), err);
    remat_log_close(log);
    CHECK_OK(remat_log_open(resumed, positions, &log, &err), err);
    log_steps(log, 5, 10);
    CHECK_OK(remat_log_epoch(log, &epoch, &err), err);
    CHECK_OK(remat_log_sync(log, unused, &err), err);
    remat_log_close(log);

    for (int i = 0; i < 3; i++) {
        char *a = read_text(whole, names[i]), *b = read_text(resumed, names[i]);
        assert_string_equal(a, b);
        assert_int_equal((int64_t)strlen(a), unused[i]);
        free(a);
        free(b);
    }
    test_remove_folder(whole);
    test_remove_folder(resumed);
}

static void each_line_is_an_object_with_an_event(void **state)
{
    char folder[TEST_PATH_BYTES], *text;
    struct remat_log *log;
    struct remat_error err;
    int lines = 0;
    (void)state;
    test_make_folder(folder);
    CHECK_OK(remat_log_open(folder, NULL, &log, &err), err);
    log_steps(log, 1, 4);
    CHECK_OK(remat_log_event(log, json_pack("{s:s, s:s}", "event", "note", "text", "a\nb"), &err), err);
    assert_int_equal(remat_log_event(log, NULL, &err), REMAT_OUT_OF_MEMORY);
    remat_log_close(log);
    text = read_text(folder, "log.jsonl");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        json_t *json = json_loads(line, 0, NULL);
        assert_true(json_is_string(json_object_get(json, "event")));
        json_decref(json);
    }
    assert_int_equal(lines, 4);
    free(text);
    /* Begun anew, the old records are gone. */
    CHECK_OK(remat_log_open(folder, NULL, &log, &err), err);
    remat_log_close(log);
    text = read_text(folder, "log.jsonl");
    assert_string_equal(text, "");
    free(text);
    text = read_text(folder, "steps.csv");
    assert_string_equal(text, "step,epoch,loss,learning_rate,samples_per_second,step_ns\n");
    free(text);
    test_remove_folder(folder);
}

static const struct remat_progress_state sample_state = {
    "epoch 3/80", 500, 500, 1.25, 812.5, "img", 3725, (int64_t)3 << 30, (int64_t)1 << 30};

static void progress_is_plain_in_a_file(void **state)
{
    char text[1024] = "";
    FILE *stream = tmpfile();
    struct remat_progress progress;
    size_t used;
    (void)state;
    assert_non_null(stream);
    remat_progress_begin(&progress, stream);
    assert_false(progress.terminal);
    remat_progress_update(&progress, &sample_state);
    remat_progress_line(&progress, "saved %d", 7);
    remat_progress_end(&progress);
    rewind(stream);
    used = fread(text, 1, sizeof text - 1, stream);
    text[used] = 0;
    assert_non_null(strstr(text, "epoch 3/80 500/500  loss 1.2500  812.5 img/s  ETA 1:02:05"));
    assert_non_null(strstr(text, "plan 3.00 GiB  used 1.00 GiB\n"));
    assert_non_null(strstr(text, "saved 7\n"));
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\033'));
    fclose(stream);
    remat_progress_begin(&progress, NULL);
    remat_progress_update(&progress, &sample_state);
    remat_progress_line(&progress, "nothing");
    remat_progress_end(&progress);
}

static void draw_on_terminal(char *text, size_t capacity)
{
    int master, slave;
    struct winsize size = {.ws_row = 24, .ws_col = 60};
    struct remat_progress progress;
    FILE *stream;
    ssize_t used;
    assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    stream = fdopen(slave, "w");
    remat_progress_begin(&progress, stream);
    assert_true(progress.terminal);
    remat_progress_update(&progress, &sample_state);
    remat_progress_end(&progress);
    used = read(master, text, capacity - 1);
    assert_true(used > 0);
    text[used] = 0;
    fclose(stream);
    close(master);
}

static void progress_is_a_bar_on_a_terminal(void **state)
{
    char text[1024];
    (void)state;
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    draw_on_terminal(text, sizeof text);
    assert_non_null(strstr(text, "[####################]"));
    assert_non_null(strstr(text, "epoch 3/80"));
    assert_non_null(strstr(text, "\033[32m"));
    assert_null(strstr(text, "GiB")); /* cut at 60 columns */
    setenv("NO_COLOR", "1", 1);
    draw_on_terminal(text, sizeof text);
    assert_null(strstr(text, "\033[32m"));
}

static void md5_matches_the_rfc(void **state)
{
    static const char *const vectors[][2] = {
        {"", "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", "0cc175b9c0f1b6a831c399e269772661"},
        {"abc", "900150983cd24fb0d6963f7d28e17f72"},
        {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
        {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "57edf4a22be3c955ac49da2e2107b67a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
        for (size_t step = 1; step <= 80; step += 13) {
            const char *text = vectors[i][0];
            size_t left = strlen(text);
            struct remat_md5 md5;
            char found[33];
            remat_md5_begin(&md5);
            while (left > 0) {
                size_t part = left < step ? left : step;
                remat_md5_add(&md5, text, part);
                text += part;
                left -= part;
            }
            remat_md5_end(&md5, found);
            assert_string_equal(found, vectors[i][1]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resuming_cuts_what_came_after_the_checkpoint),
        cmocka_unit_test(each_line_is_an_object_with_an_event),
        cmocka_unit_test(progress_is_plain_in_a_file),
        cmocka_unit_test(progress_is_a_bar_on_a_terminal),
        cmocka_unit_test(md5_matches_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
