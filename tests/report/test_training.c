/* The report of a training run and of evaluated checkpoints. */
#include "tests/report/support_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char START[] =
    "{\"event\": \"start\", \"step\": 0, \"steps_per_epoch\": 100, \"planned_peak_bytes\": 104857600, "
    "\"budget_bytes\": 115343360, \"persistent_bytes\": 3145728, \"parameters\": 11689512, \"solver\": \"chain\", "
    "\"device\": \"some device\", \"config\": {\"model\": {\"name\": \"resnet18\"}}}\n";

static void write_steps(FILE *log, int count)
{
    for (int i = 1; i <= count; i++)
        fprintf(log,
                "{\"event\": \"step\", \"step\": %d, \"epoch\": %d, \"loss\": %.6f, \"learning_rate\": %.6f, "
                "\"samples_per_second\": 400.5, \"step_ns\": 250000000}\n",
                i, (i - 1) / 100 + 1, 2.3 * exp(-i / 300.0) + 0.1 * (i % 7) / 7.0, 0.1 * (1 - i / 5000.0));
}

static void write_epochs(FILE *log, int count)
{
    for (int i = 1; i <= count; i++)
        fprintf(log,
                "{\"event\": \"epoch\", \"epoch\": %d, \"step\": %d, \"train_loss\": %.6f, \"train_accuracy\": %.6f, "
                "\"test_loss\": %.6f, \"test_accuracy\": %.6f, \"learning_rate\": 0.05, \"seconds\": 12.5}\n",
                i, 100 * i, 2 * exp(-i / 5.0), 1 - exp(-i / 4.0), 2 * exp(-i / 6.0) + 0.2, 0.87125 - exp(-i / 3.0));
}

/* A log with so many steps and epochs, and `tail` after them. */
static void write_log(const char *folder, int steps, int epochs, const char *tail)
{
    char *text;
    size_t bytes;
    FILE *log = open_memstream(&text, &bytes);
    assert_non_null(log);
    fputs(START, log);
    write_steps(log, steps);
    write_epochs(log, epochs);
    fputs(tail, log);
    fclose(log);
    folder_write(folder, "log.jsonl", text);
    free(text);
}

static void expect_on_page(const char *folder, const char *text, bool expected)
{
    char *page = folder_page(folder);
    if ((strstr(page, text) != NULL) != expected)
        fail_msg("the page says %s%s", expected ? "nothing of " : "", text);
    free(page);
}

static void test_epochs(void **state)
{
    write_log(*state, 1000, 10,
              "{\"event\": \"end\", \"step\": 1000, \"measured_peak_bytes\": 104857600, \"seconds\": 130.0}\n");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "training");
    expect_on_page(*state, "resnet18: training", true);
    expect_on_page(*state, "11,689,512", true);
    expect_on_page(*state, "100.00 MiB", true);
    expect_on_page(*state, "110.00 MiB", true);
    expect_on_page(*state, "<td>83.56</td>", true); /* test accuracy after epoch 10 */
    expect_on_page(*state, "<h2>Epochs</h2>", true);
}

static void test_steps_without_epochs(void **state)
{
    write_log(*state, 30, 0, "");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "training");
    expect_on_page(*state, "<h2>Epochs</h2>", false);
}

/* A run that stopped within its first epoch is drawn over steps. */
static void test_part_of_an_epoch(void **state)
{
    write_log(*state, 40, 0,
              "{\"event\": \"epoch\", \"epoch\": 1, \"step\": 40, \"train_loss\": 2.0, \"test_loss\": 2.1}\n");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "training");
    expect_on_page(*state, "<td>2.0000</td><td>&ndash;</td><td>2.1000</td>", true);
}

static void test_single_step(void **state)
{
    write_log(*state, 1, 0, "");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "training");
}

static void test_many_steps_stay_small(void **state)
{
    char *svg;
    size_t bytes;
    write_log(*state, 20000, 3, "");
    folder_report(*state, REMAT_OK);
    svg = folder_read(*state, "charts/training.svg", &bytes);
    assert_true(bytes < 200000);
    free(svg);
}

static void test_half_a_line_at_the_end(void **state)
{
    write_log(*state, 5, 0, "{\"event\": \"step\", \"st");
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "log.jsonl ends within line 7", true);
}

static void test_broken_line_within(void **state)
{
    write_log(*state, 5, 0, "{\"event\": \"step\", \"st\n{\"event\": \"end\"}\n");
    assert_non_null(strstr(folder_report(*state, REMAT_BAD_DATA), "log.jsonl, line 7"));
}

static void test_wrong_member(void **state)
{
    write_log(*state, 5, 0, "{\"event\": \"step\", \"step\": \"six\"}\n");
    assert_non_null(strstr(folder_report(*state, REMAT_BAD_DATA), "\"step\""));
}

static void test_other_events_are_passed_over(void **state)
{
    write_log(*state, 2, 0, "{\"event\": \"checkpoint\", \"step\": 2}\n{\"event\": \"unheard-of\"}\n\n");
    folder_report(*state, REMAT_OK);
}

static void test_start_alone_is_no_training(void **state)
{
    folder_write(*state, "log.jsonl", START);
    folder_report(*state, REMAT_MISSING_INPUT);
}

static void test_missing_losses(void **state)
{
    folder_write(*state, "log.jsonl", "{\"event\": \"step\", \"step\": 1}\n");
    folder_report(*state, REMAT_OK);
    expect_on_page(*state, "has no losses, accuracies or learning rates", true);
}

static void test_evaluations_alone(void **state)
{
    folder_write(*state, "evaluation.json",
                 "{\"format\": \"remat-evaluation\", \"version\": 1, \"checkpoints\": ["
                 "{\"step\": 500, \"epoch\": 1, \"loss\": 1.5, \"accuracy\": 0.51, \"rows\": 10000},"
                 "{\"step\": 1000, \"epoch\": 2, \"loss\": 1.25, \"accuracy\": 0.6125, \"rows\": 10000}]}");
    folder_report(*state, REMAT_OK);
    check_chart(*state, "training");
    expect_on_page(*state, "<td>51.00</td>", true);
    expect_on_page(*state, "<td>61.25</td>", true);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {TEST(test_epochs),
                                       TEST(test_steps_without_epochs),
                                       TEST(test_part_of_an_epoch),
                                       TEST(test_single_step),
                                       TEST(test_many_steps_stay_small),
                                       TEST(test_half_a_line_at_the_end),
                                       TEST(test_broken_line_within),
                                       TEST(test_wrong_member),
                                       TEST(test_other_events_are_passed_over),
                                       TEST(test_start_alone_is_no_training),
                                       TEST(test_missing_losses),
                                       TEST(test_evaluations_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
