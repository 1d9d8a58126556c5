#include "support_cmocka.h"
#include "support_files.h"

#include "core/base/file.h"
#include "solver/solver.h"
#include "trainer/evaluate.h"
#include "trainer/interrupt.h"
#include "trainer/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A small transformer on made-up tokens: 10 steps an epoch. */
static struct remat_train_config text_config(void)
{
    struct remat_train_config config = {
        .workload = {.model = "gpt2",
                     .options = {.length = 8, .vocabulary = 20, .layers = 2, .width = 16, .heads = 2, .positions = 8},
                     .device = "cpu",
                     .device_config = {.threads = 1},
                     .times = REMAT_TIMES_ROUGH},
        .data = {.path = "synthetic", .samples = {40, 10}},
        .seed = 5,
    };
    const struct remat_recipe *recipe;
    struct remat_error err;
    CHECK_OK(remat_recipe_find("char", REMAT_TEXT_MODEL, &recipe, &err), err);
    config.recipe = *recipe;
    config.recipe.batch = 4;
    config.recipe.steps = 16;
    config.recipe.rate.warmup_steps = 4;
    config.recipe.rate.peak = 1e-2;
    return config;
}

static struct remat_train_result train(const struct remat_train_config *config)
{
    struct remat_train_result result;
    struct remat_error err;
    CHECK_OK(remat_train(config, &result, &err), err);
    return result;
}

static void train_until(struct remat_train_config config, int64_t step)
{
    struct remat_train_result result;
    struct remat_error err;
    config.stop_step = step;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_INTERRUPTED);
    assert_int_equal(result.steps, step);
}

/* The third column of steps.csv: the losses, which no clock changes. */
static int read_losses(const char *folder, char losses[32][32])
{
    char path[2 * TEST_PATH_BYTES], *text, *rest;
    struct remat_error err;
    size_t bytes;
    int count = 0;
    snprintf(path, sizeof path, "%s/steps.csv", folder);
    CHECK_OK(remat_file_read(path, 1 << 20, &text, &bytes, &err), err);
    strtok_r(text, "\n", &rest);
    for (char *line = strtok_r(NULL, "\n", &rest); line && count < 32; line = strtok_r(NULL, "\n", &rest), count++)
        assert_int_equal(sscanf(line, "%*d,%*d,%31[^,],", losses[count]), 1);
    free(text);
    return count;
}

/* Stopping at each of some steps and resuming gives the same bits and the same log as never stopping. */
static void check_resume(struct remat_train_config config)
{
    static const int64_t stops[] = {1, 3, 10, 15};
    char whole[TEST_PATH_BYTES], parts[TEST_PATH_BYTES], a[32][32], b[32][32];
    struct remat_train_result once, resumed;
    test_make_folder(whole);
    test_make_folder(parts);
    config.folder = whole;
    once = train(&config);
    assert_int_equal(once.steps, 16);
    config.folder = parts;
    config.resume = true;
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        train_until(config, stops[i]);
    resumed = train(&config);
    assert_int_equal(resumed.first_step, 15);
    assert_true(resumed.state_hash == once.state_hash);
    assert_true(resumed.test_loss == once.test_loss && resumed.train_loss == once.train_loss);
    once = train(&config);
    assert_int_equal(once.first_step, 16);
    assert_true(once.state_hash == resumed.state_hash);
    assert_true(once.test_loss == resumed.test_loss && once.train_loss == resumed.train_loss);
    assert_int_equal(read_losses(whole, a), 16);
    assert_int_equal(read_losses(parts, b), 16);
    for (int i = 0; i < 16; i++)
        assert_string_equal(a[i], b[i]);
    test_remove_folder(whole);
    test_remove_folder(parts);
}

static void resuming_gives_the_same_bits(void **state)
{
    (void)state;
    check_resume(text_config());
}

static void resuming_gives_the_same_bits_with_dropout_and_clipping(void **state)
{
    struct remat_train_config config = text_config();
    (void)state;
    config.workload.options.dropout = 0.1f;
    config.recipe.max_norm = 0.5f;
    check_resume(config);
}

static void resuming_gives_the_same_bits_with_accumulation(void **state)
{
    struct remat_train_config config = text_config();
    (void)state;
    config.recipe.batch = 2;
    config.micro_count = 2;
    config.recipe.optimizer = REMAT_SGD;
    config.recipe.momentum = 0.9f;
    config.recipe.nesterov = true;
    check_resume(config);
}

/* A run that lost its newest checkpoint goes on from the one before, to the same end. */
static void resuming_from_an_older_checkpoint_gives_the_same_bits(void **state)
{
    char folder[TEST_PATH_BYTES], path[2 * TEST_PATH_BYTES];
    struct remat_train_config config = text_config();
    struct remat_train_result once = train(&config), resumed;
    (void)state;
    test_make_folder(folder);
    config.folder = folder;
    config.resume = true;
    train_until(config, 4);
    train_until(config, 7);
    snprintf(path, sizeof path, "%s/checkpoints/step-00000007", folder);
    test_write_file(path, "model.safetensors", "damaged", 7);
    resumed = train(&config);
    assert_int_equal(resumed.first_step, 4);
    assert_true(resumed.state_hash == once.state_hash);
    test_remove_folder(folder);
}

/* Every solver's smallest plan trains to the bits of keep-all, within its budget. */
static void plans_do_not_change_the_result(void **state)
{
    struct remat_train_config config = text_config();
    struct remat_train_result keep_all = train(&config);
    (void)state;
    assert_int_equal(keep_all.planned_bytes, keep_all.measured_bytes);
    for (const struct remat_solver *solver = remat_solvers; solver->name; solver++) {
        struct remat_size budget = {.fraction = 0.9};
        struct remat_train_result result;
        struct remat_error err;
        enum remat_status status;
        config.planning.solver = solver->name;
        config.planning.budget = &budget;
        status = remat_train(&config, &result, &err);
        if (strcmp(solver->name, "keep-all") == 0) {
            assert_int_equal(status, REMAT_INFEASIBLE);
            continue;
        }
        CHECK_OK(status, err);
        assert_true(result.state_hash == keep_all.state_hash);
        assert_true(result.planned_bytes <= result.budget_bytes && result.budget_bytes < keep_all.planned_bytes);
        assert_int_equal(result.planned_bytes, result.measured_bytes);
    }
}

static void the_loss_falls(void **state)
{
    struct remat_train_config config = text_config();
    struct remat_train_result result;
    (void)state;
    config.data.samples[REMAT_TRAINING_SET] = 400;
    config.recipe.steps = 300;
    result = train(&config);
    /* Half of the tokens follow from the one before: at best about ln(20) / 2 + ln(2) = 2.2; guessing gives 3.0. */
    assert_true(result.test_loss < 2.6);
    assert_true(result.test_loss > 2.0);
    assert_true(result.test_accuracy > 0.35);
}

static void images_train_too(void **state)
{
    struct remat_train_config config = {
        .workload = {.model = "resnet18",
                     .options = {.image = 32, .classes = 10},
                     .device = "cpu",
                     .device_config = {.threads = 1},
                     .times = REMAT_TIMES_ROUGH},
        .data = {.path = "synthetic", .samples = {24, 7}},
    };
    const struct remat_recipe *recipe;
    struct remat_train_result first, second;
    struct remat_error err;
    (void)state;
    CHECK_OK(remat_recipe_find("remat", REMAT_IMAGE_MODEL, &recipe, &err), err);
    config.recipe = *recipe;
    config.recipe.batch = 8;
    config.recipe.epochs = 1;
    first = train(&config);
    assert_int_equal(first.steps, 3);
    assert_true(isfinite(first.test_loss));
    second = train(&config);
    assert_true(first.state_hash == second.state_hash);
}

static void divergence_is_told_and_spares_the_checkpoints(void **state)
{
    char folder[TEST_PATH_BYTES], *path;
    struct remat_train_config config = text_config();
    struct remat_train_result result;
    struct remat_checkpoint checkpoint;
    struct remat_error err;
    (void)state;
    test_make_folder(folder);
    config.folder = folder;
    config.save_epochs = 1;
    config.recipe.steps = 30;
    config.recipe.optimizer = REMAT_SGD;
    config.recipe.rate = (struct remat_rate){.kind = REMAT_RATE_CONSTANT, .peak = 1e30, .warmup_steps = 1};
    config.recipe.rate.kind = REMAT_RATE_STEP;
    config.recipe.rate.gamma = 1;
    config.recipe.rate.period = 1;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_FAILED);
    assert_non_null(strstr(err.message, "training has diverged"));
    snprintf(err.message, sizeof err.message, "%s/checkpoints", folder);
    assert_int_equal(remat_checkpoint_latest(err.message, NULL, &path, &checkpoint, &err), REMAT_MISSING_INPUT);
    remat_checkpoint_free(&checkpoint);
    test_remove_folder(folder);
}

static void a_signal_finishes_the_step_and_saves(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_train_config config = text_config();
    struct remat_train_result result;
    struct remat_error err;
    (void)state;
    test_make_folder(folder);
    config.folder = folder;
    config.stop = remat_interrupt_install();
    assert_int_equal(raise(SIGTERM), 0);
    assert_int_equal(*config.stop, SIGTERM);
    assert_int_equal(remat_train(&config, &result, &err), REMAT_INTERRUPTED);
    remat_interrupt_remove();
    assert_int_equal(result.steps, 1);
    config.stop = NULL;
    config.resume = true;
    result = train(&config);
    assert_int_equal(result.first_step, 1);
    config.resume = false;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
    assert_non_null(strstr(err.message, "earlier run"));
    config.resume = true;
    config.recipe.rate.peak = 2e-2;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
    assert_non_null(strstr(err.message, "peak was"));
    config = text_config();
    config.folder = folder;
    config.resume = true;
    config.seed = 6;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
    assert_non_null(strstr(err.message, "seed 5"));
    test_remove_folder(folder);
}

struct evaluations {
    struct remat_evaluation at[8];
    int count;
};

static void collect(void *context, const struct remat_evaluation *evaluation)
{
    struct evaluations *all = context;
    assert_true(all->count < 8);
    all->at[all->count++] = *evaluation;
}

/* Evaluating saved checkpoints gives what training measured. */
static void evaluation_of_checkpoints_matches_training(void **state)
{
    char folder[TEST_PATH_BYTES];
    struct remat_train_config config = text_config();
    struct remat_evaluate_config evaluate = {.checkpoint = folder,
                                             .data = {.path = "synthetic", .samples = {40, 10}, .seed = 5},
                                             .device_config = {.threads = 1},
                                             .all = true};
    struct evaluations all = {.count = 0};
    struct remat_train_result result;
    struct remat_error err;
    (void)state;
    test_make_folder(folder);
    config.folder = folder;
    config.save_epochs = 1;
    result = train(&config);
    CHECK_OK(remat_evaluate(&evaluate, collect, &all, &err), err);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.at[0].step, 10);
    assert_int_equal(all.at[0].epoch, 1);
    assert_int_equal(all.at[1].step, 16);
    assert_int_equal(all.at[1].rows, 10 * 8);
    assert_true(all.at[1].loss == result.test_loss);
    assert_true(all.at[1].accuracy == result.test_accuracy);
    evaluate.all = false;
    evaluate.batch = 3;
    CHECK_OK(remat_evaluate(&evaluate, collect, &all, &err), err);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.at[2].rows, 10 * 8);
    assert_true(fabs(all.at[2].loss - result.test_loss) < 1e-5);
    assert_true(all.at[2].accuracy == result.test_accuracy);
    test_remove_folder(folder);
    assert_int_equal(remat_evaluate(&evaluate, collect, &all, &err), REMAT_MISSING_INPUT);
}

static void impossible_runs_are_refused_before_step_0(void **state)
{
    struct remat_size tiny = {.bytes = 4096, .fraction = -1}, least = {.bytes = 64, .fraction = -1};
    struct remat_train_config config;
    struct remat_train_result result;
    struct remat_error err;
    (void)state;
    config = text_config();
    config.planning.budget = &tiny;
    config.planning.solver = "keep-all";
    assert_int_equal(remat_train(&config, &result, &err), REMAT_INFEASIBLE);
    config = text_config();
    config.planning.memory = &least;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_INFEASIBLE);
    config = text_config();
    config.recipe.batch = 41;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_BAD_DATA);
    config = text_config();
    config.workload.model = "nosuch";
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
    config = text_config();
    config.data.path = "/nonexistent";
    assert_int_equal(remat_train(&config, &result, &err), REMAT_MISSING_INPUT);
    config = text_config();
    config.recipe.rate.peak = NAN;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
    config = text_config();
    config.micro_count = 11;
    assert_int_equal(remat_train(&config, &result, &err), REMAT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resuming_gives_the_same_bits),
        cmocka_unit_test(resuming_gives_the_same_bits_with_dropout_and_clipping),
        cmocka_unit_test(resuming_gives_the_same_bits_with_accumulation),
        cmocka_unit_test(resuming_from_an_older_checkpoint_gives_the_same_bits),
        cmocka_unit_test(plans_do_not_change_the_result),
        cmocka_unit_test(the_loss_falls),
        cmocka_unit_test(images_train_too),
        cmocka_unit_test(divergence_is_told_and_spares_the_checkpoints),
        cmocka_unit_test(a_signal_finishes_the_step_and_saves),
        cmocka_unit_test(evaluation_of_checkpoints_matches_training),
        cmocka_unit_test(impossible_runs_are_refused_before_step_0),
    };
    test_prefer_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
