/* remat train and eval: what a budget may not change, interruptions of every kind, wrong data, full disks. */
#include "support_cli.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { USAGE = 2, INFEASIBLE = 3, BAD_DATA = 65, MISSING_INPUT = 66, IO_ERROR = 74, INTERRUPTED = 130, KILLED = 137 };
enum { TEXT_BYTES = 4000, RECORD = 3073, RECORDS = 10000, CIFAR_FILES = 6 };

/* 56 steps an epoch. */
#define TRAIN                                                                                            \
    "train gpt2 --layers 2 --width 32 --heads 2 --seq 16 --batch 4 --threads 1 --analytic --dropout 0.1" \
    " --data text.txt"
#define IMAGES "train resnet18 --batch 32 --threads 2 --analytic --json"

static int setup_text(void **state)
{
    char text[TEXT_BYTES];
    uint32_t draw = 1;
    if (cli_setup(state) != 0)
        return -1;
    for (int i = 0; i < TEXT_BYTES; i++) {
        draw = draw * 1664525u + 1013904223u;
        text[i] = "abcdefgh \n"[(draw >> 16) % 10];
    }
    cli_write(*state, "text.txt", text, sizeof text);
    return 0;
}

static void take_hash(const struct cli *cli, char hash[17])
{
    json_t *json = cli_json(cli);
    assert_int_equal(strlen(cli_text(json, "state_hash")), 16);
    assert_int_equal(cli_integer(json, "planned_peak_bytes"), cli_integer(json, "measured_peak_bytes"));
    memcpy(hash, cli_text(json, "state_hash"), 17);
    json_decref(json);
}

static void check_hash(const struct cli *cli, const char *expected)
{
    char hash[17];
    take_hash(cli, hash);
    assert_string_equal(hash, expected);
}

static int count_lines(const struct cli *cli, const char *name, const char *with)
{
    char *text = cli_read(cli, name, NULL), *rest = NULL;
    int count = 0;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        count += strstr(line, with) != NULL;
    free(text);
    return count;
}

/* --- results -------------------------------------------------------------------------------------------------------
 */

static void test_a_run_leaves_its_records(void **state)
{
    struct cli *cli = *state;
    cli_succeed(cli, TRAIN " --steps 70 --budget 60%% -o run");
    cli_expect_text(cli->out, "steps 70");
    cli_expect_text(cli->out, "run/index.html");
    assert_null(strstr(cli->err, "remat:"));
    assert_null(strchr(cli->err, '\r')); /* no terminal: plain lines */
    assert_int_equal(count_lines(cli, "run/log.jsonl", "\"event\":\"step\""), 70);
    assert_int_equal(count_lines(cli, "run/log.jsonl", "\"event\":\"end\""), 1);
    assert_int_equal(count_lines(cli, "run/steps.csv", ","), 71);
    assert_int_equal(count_lines(cli, "run/epochs.csv", ","), 3);
    assert_true(cli_exists(cli, "run/checkpoints/step-00000056/manifest.json"));
    assert_true(cli_exists(cli, "run/checkpoints/step-00000070/model.safetensors"));
    assert_int_equal(cli_count_entries(cli, "run/checkpoints"), 2);
    assert_true(cli_exists(cli, "run/index.html"));
    cli_succeed(cli, "explain run/plan.json");
    cli_expect_text(cli->out, "recompute");
    cli_succeed(cli, TRAIN " --steps 70 --plan run/plan.json -o again");
    cli_refuse(cli, USAGE, "run/checkpoints|earlier run|resume|another folder", TRAIN " --steps 70 --json -o run");
}

static void test_budgets_change_no_bit(void **state)
{
    static const char *const options[] = {"", " --accumulate 3 --clip 0.5",
                                          " --optimizer sgd --momentum 0.9 --nesterov"};
    struct cli *cli = *state;
    char expected[17];
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        cli_succeed(cli, TRAIN " --steps 6 --json%s", options[i]);
        take_hash(cli, expected);
        cli_succeed(cli, TRAIN " --steps 6 --json --budget 75%%%s", options[i]);
        check_hash(cli, expected);
        cli_succeed(cli, TRAIN " --steps 6 --json --budget 70%% --solver sqrt%s", options[i]);
        check_hash(cli, expected);
    }
    cli_succeed(cli, TRAIN " --steps 6 --json --seed 2%s", options[2]);
    assert_null(strstr(cli->out, expected));
    assert_int_equal(cli_count_entries(cli, ""), 1); /* without -o, nothing is written */
}

/* Whatever is chosen, plans of one choice give the same bits, and the choice stays. */
static void test_any_options_change_no_bit_either(void **state)
{
#define ANY "train resnet18 --batch 4 --image 64 --threads 2 --data synthetic --steps 2 --json --options any"
    struct cli *cli = *state;
    char expected[17];
    cli_succeed(cli, ANY);
    take_hash(cli, expected);
    cli_succeed(cli, ANY " --budget 80%% -o run");
    check_hash(cli, expected);
    cli_succeed(cli, ANY " --plan run/plan.json");
    check_hash(cli, expected);
    cli_refuse(cli, USAGE, "--options|same or any|all", "train resnet18 --data synthetic --options all");
}

/* Nothing is recomputed, and not all of it fits: values wait on the host. */
static void test_offloading_changes_no_bit(void **state)
{
    static const char *const options[] = {"", " --accumulate 2 --clip 0.5"};
    struct cli *cli = *state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        char expected[17];
        json_t *json;
        cli_succeed(cli, TRAIN " --steps 6 --json%s", options[i]);
        take_hash(cli, expected);
        cli_succeed(cli, TRAIN " --steps 6 --json%s --solver keep-all --budget 80%% --offload 64MiB", options[i]);
        check_hash(cli, expected);
        json = cli_json(cli);
        assert_true(cli_integer(json, "planned_host_bytes") > 0);
        assert_int_equal(cli_integer(json, "planned_host_bytes"), cli_integer(json, "measured_host_bytes"));
        json_decref(json);
    }
    cli_succeed(cli, TRAIN " --steps 6 --solver keep-all --budget 80%% --offload 64MiB -o run");
    cli_expect_text(cli->out, "host memory: planned ");
    cli_succeed(cli, TRAIN " --steps 6 --plan run/plan.json");
    cli_succeed(cli, "report run");
}

static void test_images_within_half(void **state)
{
    struct cli *cli = *state;
    char expected[17];
    cli_succeed(cli, IMAGES " --image 32 --classes 10 --data synthetic --steps 2");
    take_hash(cli, expected);
    cli_succeed(cli, IMAGES " --image 32 --classes 10 --data synthetic --steps 2 --budget 70%%");
    check_hash(cli, expected);
}

static void test_impossible_budgets(void **state)
{
    struct cli *cli = *state;
    cli_refuse(cli, INFEASIBLE, "gpt2|smallest feasible budget|set by task",
               TRAIN " --steps 5 --json --budget 1KiB -o run");
    cli_refuse(cli, INFEASIBLE, "gpt2|parameters|4096", TRAIN " --steps 5 --json --memory 4KiB -o run");
    cli_refuse(cli, INFEASIBLE, "smallest feasible budget", TRAIN " --steps 5 --json --memory 700KiB -o run");
    assert_false(cli_exists(cli, "run"));
}

/* --- interruptions ---------------------------------------------------------------------------------------------------
 */

#define LONG TRAIN " --epochs 20 --save-every 2 --json"
#define STEPS 1120
#define RUN LONG " --budget 75%% -o run"

static void check_stopped(struct cli *cli)
{
    json_t *json;
    assert_int_equal(cli_wait(cli), INTERRUPTED);
    cli_expect_text(cli->err, "remat: stopped after step");
    cli_expect_text(cli->err, "of 1120");
    cli_expect_text(cli->err, "--resume");
    json = cli_json(cli);
    assert_in_range(cli_integer(json, "steps"), 112, STEPS - 1);
    json_decref(json);
}

/* Signals that can be handled and one that cannot, then a disk that fills up while saving: the end is that of a run
 * without any of it, and without a budget. */
static void test_interruptions(void **state)
{
    struct cli *cli = *state;
    char expected[17];
    cli_succeed(cli, LONG);
    take_hash(cli, expected);
    cli_start(cli, RUN);
    cli_await(cli, "run/checkpoints", "step-00000112");
    kill(cli->pid, SIGINT);
    check_stopped(cli);
    cli_start(cli, RUN " --resume");
    cli_await(cli, "run/checkpoints", "step-00000336");
    kill(cli->pid, SIGTERM);
    check_stopped(cli);
    cli_start(cli, RUN " --resume");
    cli_await(cli, "run/checkpoints", "step-00000560");
    kill(cli->pid, SIGKILL);
    assert_int_equal(cli_wait(cli), KILLED);
    cli->file_limit_bytes = 400 << 10; /* between the parameters' file and the optimizer's */
    cli_refuse(cli, IO_ERROR, "run/checkpoints|space", RUN " --resume");
    cli->file_limit_bytes = 0;
    cli_succeed(cli, RUN " --resume");
    check_hash(cli, expected);
    assert_int_equal(cli_count_entries(cli, "run/checkpoints"), 2);
    assert_int_equal(count_lines(cli, "run/log.jsonl", "\"event\":\"step\""), STEPS);
    cli_succeed(cli, RUN " --resume"); /* there is nothing left to do */
    cli_expect_text(cli->out, expected);
    cli_refuse(cli, USAGE, "checkpoint|seed", RUN " --resume --seed 5");
    cli_refuse(cli, USAGE, "checkpoint|another configuration|batch|4|5", RUN " --resume --batch 5");
}

static void flip_byte(const struct cli *cli, const char *name)
{
    size_t bytes;
    char *text = cli_read(cli, name, &bytes);
    text[bytes / 2] ^= 1;
    cli_write(cli, name, text, bytes);
    free(text);
}

static void test_damaged_checkpoints(void **state)
{
    struct cli *cli = *state;
    char expected[17];
    cli_succeed(cli, TRAIN " --epochs 3 --json -o run");
    take_hash(cli, expected);
    flip_byte(cli, "run/checkpoints/step-00000168/model.safetensors");
    cli_succeed(cli, "eval --checkpoint run --data text.txt");
    cli_expect_text(cli->err, "step-00000168");
    cli_expect_text(cli->out, "step      112");
    cli_succeed(cli, TRAIN " --epochs 3 -o run --resume");
    cli_expect_text(cli->err, "step-00000168");
    cli_expect_text(cli->err, "resumed from run/checkpoints/step-00000112");
    cli_expect_text(cli->out, expected);
    flip_byte(cli, "run/checkpoints/step-00000168/state.safetensors");
    flip_byte(cli, "run/checkpoints/step-00000112/manifest.json");
    cli_run(cli, TRAIN " --epochs 3 --json -o run --resume");
    cli_expect_refusal(cli, BAD_DATA, "run/checkpoints|step-00000168");
}

/* Files of the right size full of zeros: labels 0, black pixels. They take no room on the disk. */
static void write_cifar(struct cli *cli)
{
    char path[2 * CLI_PATH_BYTES], name[32];
    cli_path(cli, "cifar", path);
    assert_int_equal(mkdir(path, 0700), 0);
    for (int i = 1; i <= CIFAR_FILES; i++) {
        if (i < CIFAR_FILES)
            snprintf(name, sizeof name, "cifar/data_batch_%d.bin", i);
        else
            snprintf(name, sizeof name, "cifar/test_batch.bin");
        cli_write(cli, name, "", 0);
        cli_path(cli, name, path);
        assert_int_equal(truncate(path, (off_t)RECORD * RECORDS), 0);
    }
}

/* --- evaluation ------------------------------------------------------------------------------------------------------
 */

static void test_evaluation(void **state)
{
    struct cli *cli = *state;
    json_t *trained, *list, *row;
    size_t i;
    cli_succeed(cli, TRAIN " --epochs 4 --keep-checkpoints --json -o run");
    trained = cli_json(cli);
    cli_succeed(cli, "eval --checkpoint run --data text.txt --threads 1 --all --json -o run");
    list = cli_json(cli);
    assert_int_equal(json_array_size(list), 4);
    json_array_foreach(list, i, row)
    {
        assert_int_equal(cli_integer(row, "epoch"), (int64_t)i + 1);
        assert_int_equal(cli_integer(row, "step"), 56 * ((int64_t)i + 1));
        assert_int_equal(cli_integer(row, "rows"), TEXT_BYTES / 10 - 1);
    }
    row = json_array_get(list, 3);
    assert_true(json_equal(json_object_get(row, "loss"), json_object_get(trained, "test_loss")));
    assert_true(json_equal(json_object_get(row, "accuracy"), json_object_get(trained, "test_accuracy")));
    json_decref(list);
    json_decref(trained);
    assert_true(cli_exists(cli, "run/evaluation.json"));
    cli_succeed(cli, "eval --checkpoint run/checkpoints/step-00000112 --data text.txt");
    cli_expect_text(cli->out, "step      112");
    write_cifar(cli);
    cli_refuse(cli, MISSING_INPUT, "nowhere", "eval --checkpoint nowhere --data text.txt");
    cli_refuse(cli, MISSING_INPUT, "none.txt", "eval --checkpoint run --data none.txt");
    cli_refuse(cli, USAGE, "gpt2|text|images", "eval --checkpoint run --data cifar");
}

/* --- wrong data ------------------------------------------------------------------------------------------------------
 */

static void test_wrong_texts(void **state)
{
    struct cli *cli = *state;
#define ON(data) "train gpt2 --layers 1 --width 32 --heads 2 --seq 16 --batch 4 --steps 1 --json --data " data
    cli_write_text(cli, "empty.txt", "");
    cli_write_text(cli, "short.txt", "too short");
    cli_refuse(cli, BAD_DATA, "empty.txt|0 bytes|too few", ON("empty.txt"));
    cli_refuse(cli, BAD_DATA, "short.txt|9 bytes|too few", ON("short.txt"));
    cli_refuse(cli, MISSING_INPUT, "none.txt", ON("none.txt"));
    cli_refuse(cli, USAGE, "vocabulary|4|10", ON("text.txt --vocab 4"));
    cli_refuse(cli, USAGE, "text.txt|text|images", IMAGES " --steps 1 --data text.txt");
    cli_refuse(cli, USAGE, "batches", ON("text.txt --accumulate 1000"));
}

static void change_cifar(struct cli *cli, int64_t size, int64_t at, int byte)
{
    char path[2 * CLI_PATH_BYTES];
    FILE *file;
    cli_path(cli, "cifar/data_batch_4.bin", path);
    assert_int_equal(truncate(path, (off_t)size), 0);
    if (at < 0)
        return;
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    fputc(byte, file);
    assert_int_equal(fclose(file), 0);
}

static void test_wrong_images(void **state)
{
    struct cli *cli = *state;
    const int64_t right = (int64_t)RECORD * RECORDS;
    char path[2 * CLI_PATH_BYTES];
#define CIFAR IMAGES " --steps 1 --budget 1KiB --data cifar"
    write_cifar(cli);
    cli_refuse(cli, INFEASIBLE, "smallest feasible budget", CIFAR); /* as far as this they are right */
    cli_refuse(cli, USAGE, "image size|64|32", CIFAR " --image 64");
    cli_refuse(cli, USAGE, "classes|100|10", CIFAR " --classes 100");
    change_cifar(cli, right - 1, -1, 0);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|truncated|30729999|30730000|remat data cifar10", CIFAR);
    change_cifar(cli, 0, -1, 0);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|truncated|0 bytes", CIFAR);
    change_cifar(cli, right + RECORD, -1, 0);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|oversized|30733073", CIFAR);
    change_cifar(cli, (int64_t)RECORDS * (RECORD + 1), -1, 0);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|CIFAR-100", CIFAR);
    change_cifar(cli, right, (int64_t)RECORD * 9999, 10);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|record 9999|label 10|0 to 9", CIFAR);
    cli_write(cli, "cifar/data_batch_4.bin", "\x80\x04\x95 a pickle", 12);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|pickle|binary", CIFAR);
    cli_path(cli, "cifar/data_batch_4.bin", path);
    assert_int_equal(unlink(path), 0);
    cli_refuse(cli, MISSING_INPUT, "cifar/data_batch_4.bin|remat data cifar10", CIFAR);
    assert_int_equal(mkdir(path, 0700), 0);
    cli_refuse(cli, BAD_DATA, "cifar/data_batch_4.bin|plain file", CIFAR);
    cli_path(cli, "cifar/data_batch_1.bin", path);
    assert_int_equal(unlink(path), 0);
    cli_refuse(cli, MISSING_INPUT, "cifar|data_batch_1.bin|remat data cifar10", CIFAR);
    cli_write_text(cli, "cifar/data_batch_1", "");
    cli_refuse(cli, BAD_DATA, "cifar|Python|binary", CIFAR);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_text, cli_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_run_leaves_its_records),
        TEST(test_budgets_change_no_bit),
        TEST(test_any_options_change_no_bit_either),
        TEST(test_offloading_changes_no_bit),
        TEST(test_images_within_half),
        TEST(test_impossible_budgets),
        TEST(test_interruptions),
        TEST(test_damaged_checkpoints),
        TEST(test_evaluation),
        TEST(test_wrong_texts),
        TEST(test_wrong_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
