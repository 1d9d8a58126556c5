/* Overview, help and every way of asking for what cannot be: one line that says so, exit code 2, nothing left behind.
 */
#include "support_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE = 2, MAX_OPTIONS = 64, OPTION_BYTES = 40 };

static const char *const commands[] = {"check",     "models", "profile", "solve", "explain", "sweep",
                                       "batchsize", "train",  "eval",    "data",  "report"};
enum { COMMANDS_COUNT = sizeof commands / sizeof commands[0] };

static void test_overview_and_version(void **state)
{
    struct cli *cli = *state;
    assert_int_equal(cli_run(cli, " "), USAGE);
    assert_string_equal(cli->out, "");
    cli_expect_text(cli->err, "usage: remat COMMAND");
    for (int i = 0; i < COMMANDS_COUNT; i++)
        cli_expect_text(cli->err, commands[i]);
    cli_succeed(cli, "--help");
    for (int i = 0; i < COMMANDS_COUNT; i++)
        cli_expect_text(cli->out, commands[i]);
    assert_string_equal(cli->err, "");
    cli_succeed(cli, "--version");
    assert_memory_equal(cli->out, "remat ", 6);
    assert_true(cli->out[6] >= '0' && cli->out[6] <= '9');
    assert_int_equal(cli_count_entries(cli, ""), 0);
}

/* The names under "options:"; *valued tells whether an argument follows. */
static int list_options(const char *help, char names[MAX_OPTIONS][OPTION_BYTES], bool valued[MAX_OPTIONS])
{
    const char *line = strstr(help, "\noptions:\n");
    int count = 0;
    assert_non_null(line);
    for (line += strlen("\noptions:\n"); *line; line = strchr(line, '\n') + 1) {
        size_t length;
        assert_true(count < MAX_OPTIONS);
        assert_memory_equal(line, "  --", 4);
        length = strcspn(line + 4, " ");
        assert_in_range(length, 1, OPTION_BYTES - 1);
        memcpy(names[count], line + 4, length);
        names[count][length] = '\0';
        valued[count] = line[4 + length + 1] != ' ';
        /* what it means stands in the same line, right of the argument */
        assert_true(strcspn(line, "\n") > 31);
        count++;
    }
    return count;
}

static bool is_listed(const char *name, size_t length, char names[MAX_OPTIONS][OPTION_BYTES], int count)
{
    for (int i = 0; i < count; i++)
        if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0)
            return true;
    return false;
}

/* Every --option of usage and examples is one that the command takes. */
static void check_mentioned(const char *help, char names[MAX_OPTIONS][OPTION_BYTES], int count)
{
    for (const char *line = strstr(help, "remat "); line; line = strstr(line, "  remat ")) {
        const char *end = strchr(line, '\n');
        for (const char *at = strstr(line, "--"); at && at < end; at = strstr(at + 2, "--")) {
            size_t length = strspn(at + 2, "abcdefghijklmnopqrstuvwxyz-");
            if (!is_listed(at + 2, length, names, count))
                fail_msg("the help speaks of --%.*s, which is not among the options:\n%s", (int)length, at + 2, help);
        }
        line = end;
    }
}

static void test_help_of_every_command(void **state)
{
    struct cli *cli = *state;
    char names[MAX_OPTIONS][OPTION_BYTES], example[64];
    bool valued[MAX_OPTIONS];
    for (int i = 0; i < COMMANDS_COUNT; i++) {
        int count;
        cli_succeed(cli, "%s --help", commands[i]);
        assert_memory_equal(cli->out, "usage: remat ", 13);
        snprintf(example, sizeof example, "\n  remat %s", commands[i]);
        cli_expect_text(cli->out, "example");
        cli_expect_text(cli->out, example);
        count = list_options(cli->out, names, valued);
        check_mentioned(cli->out, names, count);
    }
    assert_int_equal(cli_count_entries(cli, ""), 0);
}

static void test_options_want_their_values(void **state)
{
    struct cli *cli = *state;
    char names[MAX_OPTIONS][OPTION_BYTES], words[OPTION_BYTES + 8];
    bool valued[MAX_OPTIONS];
    int count;
    cli_succeed(cli, "train -h");
    count = list_options(cli->out, names, valued);
    assert_true(count > 40);
    for (int i = 0; i < count; i++) {
        snprintf(words, sizeof words, "--%.40s", names[i]);
        if (valued[i])
            cli_refuse(cli, USAGE, words, "train resnet18 --data synthetic --%s", names[i]);
        else
            cli_refuse(cli, USAGE, "takes no value", "train resnet18 --data synthetic --%s=1", names[i]);
    }
    assert_int_equal(cli_count_entries(cli, ""), 0);
}

struct refusal {
    const char *words, *arguments;
};

static void refuse_all(struct cli *cli, const struct refusal *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cli_refuse(cli, USAGE, cases[i].words, "%s", cases[i].arguments);
    assert_int_equal(cli_count_entries(cli, ""), 0);
}

#define REFUSE_ALL(cli, cases) refuse_all(cli, cases, sizeof(cases) / sizeof(cases)[0])

static void test_unknown_names(void **state)
{
    static const struct refusal cases[] = {
        {"unknown command|\"trian\"|--help", "trian resnet18"},
        {"unknown command|\"--solve\"", "--solve"},
        {"--budgett|remat solve --help", "solve resnet18 --budgett 1GiB"},
        {"--data|remat solve --help", "solve resnet18 --data x"},
        {"-x|remat solve --help", "solve resnet18 -x"},
        {"unknown model|\"resnet19\"|resnet18|gpt2-xl", "solve resnet19 --analytic"},
        {"unknown model|\"resnet19\"|resnet18", "train resnet19 --data synthetic"},
        {"unknown model|\"resnet19\"|resnet18", "sweep resnet19 -o out"},
        {"unknown model|\"resnet19\"|resnet18", "batchsize resnet19 --memory 1GiB -o out"},
        {"unknown model|\"resnet19\"|resnet18", "profile resnet19"},
        {"solver|'gurobi'|keep-all|chain", "solve resnet18 --solver gurobi --analytic"},
        {"device|'tpu'|cpu|ref", "solve resnet18 --device tpu --analytic"},
        {"--precision|f32|\"f8\"", "solve resnet18 --precision f8 --analytic"},
        {"--stem|imagenet|cifar|\"mnist\"", "solve resnet18 --stem mnist --analytic"},
        {"--optimizer|sgd|adamw|\"lion\"", "train resnet18 --data synthetic --optimizer lion"},
        {"recipe|'magic'|reference", "train resnet18 --data synthetic --recipe magic"},
        {"recipe|'char'", "train resnet18 --data synthetic --recipe char"},
        {"'zigzag'|cosine", "train resnet18 --data synthetic --lr-schedule zigzag"},
        {"period is 0|--period", "train resnet18 --data synthetic --lr-schedule step --gamma 0.5"},
        {"--milestones|20,40,60", "train resnet18 --data synthetic --milestones 3,x"},
        {"cifar10|generate|\"mnist\"", "data mnist out"},
    };
    REFUSE_ALL(*state, cases);
}

static void test_missing_and_extra_arguments(void **state)
{
    static const struct refusal cases[] = {
        {"MODEL|--profile|--graph", "solve"},
        {"missing|usage: remat profile", "profile"},
        {"missing|usage: remat explain", "explain"},
        {"missing|usage: remat train", "train"},
        {"missing|usage: remat report", "report"},
        {"missing|usage: remat data", "data cifar10"},
        {"--data", "train resnet18"},
        {"--checkpoint|--data", "eval"},
        {"-o DIR", "sweep resnet18"},
        {"--memory|-o DIR", "batchsize resnet18 -o out"},
        {"--memory|-o DIR", "batchsize resnet18 --memory 1GiB"},
        {"--budget|SIZE", "solve resnet18 --budget"},
        {"--output|PATH", "solve resnet18 -o"},
        {"unexpected|\"resnet34\"", "solve resnet18 resnet34 --analytic"},
        {"unexpected|\"again\"", "report here again"},
        {"unexpected|\"extra\"", "models extra"},
        {"takes no value", "models --json=yes"},
        {"--graph|--profile|one of", "solve resnet18 --graph g.json"},
        {"--graph|--profile|one of", "solve --profile p.json --graph g.json"},
    };
    REFUSE_ALL(*state, cases);
}

static void test_numbers_out_of_range(void **state)
{
    static const struct refusal cases[] = {
        {"--batch|1 to|found 0", "solve resnet18 --batch 0"},
        {"--batch|1 to|found -4", "solve resnet18 --batch -4"},
        {"--batch|found 99999999999", "solve resnet18 --batch 99999999999"},
        {"--batch|whole number|\"1e400\"", "solve resnet18 --batch 1e400"},
        {"--batch|whole number|\"many\"", "solve resnet18 --batch many"},
        {"--batch|whole number|\"2.5\"", "solve resnet18 --batch 2.5"},
        {"--batch|whole number|\"0x10\"", "solve resnet18 --batch 0x10"},
        {"--batch|whole number|\"1e3\"", "solve resnet18 --batch 1e3"},
        {"--batch|whole number|\"\"", "solve resnet18 --batch="},
        {"--image|found 0", "solve resnet18 --image 0"},
        {"--image|found 16385", "solve resnet18 --image 16385"},
        {"--seq|found 0", "solve gpt2 --seq 0"},
        {"--classes|2 to|found 1", "solve resnet18 --classes 1"},
        {"--dropout|found 1", "solve gpt2 --dropout 1"},
        {"--dropout|number|\"nan\"", "solve gpt2 --dropout nan"},
        {"--threads|found 0", "solve resnet18 --threads 0"},
        {"--seed|found -1", "train resnet18 --data synthetic --seed -1"},
        {"--lr|found 0", "train resnet18 --data synthetic --lr 0"},
        {"--momentum|found 1.5", "train resnet18 --data synthetic --momentum 1.5"},
        {"--steps|found 0", "train resnet18 --data synthetic --steps 0"},
        {"--epochs|found -1", "train resnet18 --data synthetic --epochs -1"},
        {"--accumulate|found 0", "train resnet18 --data synthetic --accumulate 0"},
        {"--time-limit|found -1", "solve resnet18 --time-limit -1"},
        {"--budgets|2 to|found 1", "sweep resnet18 -o out --budgets 1"},
        {"steps|64", "sweep gpt2 --layers 1 --width 32 --heads 2 --seq 8 --batch 1 --vocab 9 --steps 1000 -o out"},
        {"steps|64", "batchsize gpt2 --layers 1 --width 32 --heads 2 --seq 8 --memory 1GiB --steps 1000 -o out"},
    };
    REFUSE_ALL(*state, cases);
}

static void test_sizes_that_are_none(void **state)
{
    static const struct refusal cases[] = {
        {"--budget|\"0\"|1 byte", "solve resnet18 --budget 0"},
        {"--budget|\"0%\"", "solve resnet18 --budget 0%"},
        {"--budget|\"abc\"|512MiB", "solve resnet18 --budget abc"},
        {"--budget|\"-5MiB\"|512MiB", "solve resnet18 --budget -5MiB"},
        {"--budget|\"5XB\"|512MiB", "solve resnet18 --budget 5XB"},
        {"--budget|\"1e9\"", "solve resnet18 --budget 1e9"},
        {"--budget|\"99999999TiB\"|8192 TiB", "solve resnet18 --budget 99999999TiB"},
        {"--budget|\"1200%\"|1000%", "solve resnet18 --budget 1200%"},
        {"--memory|\"\"", "train resnet18 --data synthetic --memory="},
        {"--memory|\"half\"", "batchsize resnet18 --memory half -o out"},
    };
    REFUSE_ALL(*state, cases);
}

static void test_models_that_cannot_be(void **state)
{
    static const struct refusal cases[] = {
        {"resnet18|larger", "solve resnet18 --image 1 --batch 1 --analytic"},
        {"resnet18|larger", "solve resnet18 --image 7 --batch 1 --analytic"},
        {"resnet50|2^53", "solve resnet50 --image 16384 --batch 1048576 --analytic"},
        {"gpt2|width of 32|5 heads", "solve gpt2 --width 32 --heads 5 --layers 1 --seq 8 --analytic"},
        {"gpt2|layers|4096", "solve gpt2 --layers 4096 --analytic"},
        {"gpt2|2^53", "solve gpt2 --seq 1048576 --batch 1048576 --width 65536 --heads 1 --analytic"},
    };
    REFUSE_ALL(*state, cases);
}

static void test_missing_paths(void **state)
{
    struct cli *cli = *state;
    cli_refuse(cli, 66, "nowhere.json", "explain nowhere.json");
    cli_refuse(cli, 66, "nowhere.json", "solve --graph nowhere.json");
    cli_refuse(cli, 66, "nowhere.json", "solve --profile nowhere.json");
    cli_refuse(cli, 66, "nowhere", "report nowhere");
    cli_refuse(cli, 66, "nowhere", "train resnet18 --data nowhere");
    cli_refuse(cli, 66, "nowhere", "eval --checkpoint nowhere --data synthetic");
    cli_refuse(cli, 66, "nowhere.json", "train resnet18 --data synthetic --image 32 --plan nowhere.json");
    assert_int_equal(cli_count_entries(cli, ""), 0);
}

static void test_models_and_check(void **state)
{
    struct cli *cli = *state;
    json_t *list, *check;
    int64_t resnet18 = 0, gpt2_small = 0;
    size_t i;
    json_t *model;
    cli_succeed(cli, "models --json");
    list = cli_json(cli);
    json_array_foreach(list, i, model)
    {
        if (strcmp(cli_text(model, "name"), "resnet18") == 0)
            resnet18 = cli_integer(model, "parameters");
        if (strcmp(cli_text(model, "name"), "gpt2-small") == 0)
            gpt2_small = cli_integer(model, "parameters");
    }
    json_decref(list);
    assert_int_equal(resnet18, 11689512);
    assert_int_equal(gpt2_small, 124439808);
    cli_succeed(cli, "check --json");
    check = cli_json(cli);
    assert_true(json_array_size(json_object_get(check, "devices")) >= 2);
    json_decref(check);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, cli_setup, cli_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_overview_and_version), TEST(test_help_of_every_command),       TEST(test_options_want_their_values),
        TEST(test_unknown_names),        TEST(test_missing_and_extra_arguments), TEST(test_numbers_out_of_range),
        TEST(test_sizes_that_are_none),  TEST(test_models_that_cannot_be),       TEST(test_missing_paths),
        TEST(test_models_and_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
