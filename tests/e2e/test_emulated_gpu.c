/* What commands say of a device's own memory, on the emulated GPU: 4 GiB, of which its context takes 64 MiB. */
#include "support_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "gpt2 --layers 1 --width 16 --heads 2 --seq 8 --batch 2 --device emulated"
#define TRAIN "train " MODEL " --data text.txt --steps 3 --json"

enum { INFEASIBLE = 3 };
static const int64_t total_bytes = (int64_t)4 << 30, context_bytes = (int64_t)64 << 20;

static int setup(void **state)
{
    char text[400];
    if (cli_setup(state) != 0)
        return -1;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "abcde"[i * i % 7 % 5];
    cli_write(*state, "text.txt", text, sizeof text);
    unsetenv("REMAT_CUDA_LIBRARY_PATH");
    return 0;
}

/* The folder with the NVML that knows the emulated card. */
static void bring_nvml(void)
{
    char path[512];
    const char *slash = strrchr(REMAT_BINARY, '/');
    snprintf(path, sizeof path, "%.*s/tests/nvml", (int)(slash - REMAT_BINARY), REMAT_BINARY);
    setenv("REMAT_CUDA_LIBRARY_PATH", path, 1);
}

/* A share of the memory is of the device's, which is never that of the host. */
static void test_shares_of_memory(void **state)
{
    struct cli *cli = *state;
    json_t *json;
    int64_t whole = (total_bytes - context_bytes) * 40 / 100, budget;
    cli_succeed(cli, "solve " MODEL " --memory 40%% --json");
    json = cli_json(cli);
    budget = cli_integer(json, "budget_bytes");
    json_decref(json);
    assert_in_range(budget, whole - (8 << 20), whole - 1); /* less parameters and optimizer state */
    cli_refuse(cli, INFEASIBLE, "parameters and optimizer state", TRAIN " --memory 0.0001%%");
    cli_succeed(cli, TRAIN " --memory 40%%");
}

static int64_t gap(const json_t *memory, const char *name)
{
    return cli_integer(json_object_get(memory, "gaps"), name);
}

static void test_ladder(void **state)
{
    struct cli *cli = *state;
    json_t *json;
    const json_t *memory;
    int64_t plan, arena, asked, pool, process;
    char *log;
    bring_nvml();
    cli_succeed(cli, TRAIN " -o out");
    json = cli_json(cli);
    memory = json_object_get(json, "memory");
    plan = cli_integer(memory, "plan_bytes");
    arena = cli_integer(memory, "arena_bytes");
    asked = cli_integer(memory, "asked_bytes");
    pool = cli_integer(memory, "pool_bytes");
    process = cli_integer(memory, "process_bytes");
    assert_int_equal(plan, cli_integer(json, "measured_peak_bytes") + cli_integer(json, "persistent_bytes"));
    assert_true(0 < plan && plan <= arena && arena < asked && asked < pool && pool < process);
    assert_int_equal(gap(memory, "other_plans_bytes"), arena - plan);
    assert_int_equal(gap(memory, "records_bytes"), 2 * 64);
    assert_int_equal(gap(memory, "records_bytes"), asked - arena);
    assert_int_equal(gap(memory, "pages_bytes"), pool - asked);
    assert_int_equal(gap(memory, "context_bytes"), context_bytes);
    assert_int_equal(gap(memory, "libraries_bytes"), 0);
    assert_int_equal(gap(memory, "code_bytes"), process - pool - context_bytes);
    assert_int_equal(cli_integer(memory, "device_free_bytes"), total_bytes - process);
    assert_null(json_object_get(memory, "note"));
    json_decref(json);
    log = cli_read(cli, "out/log.jsonl", NULL);
    cli_expect_text(log, "\"process_bytes\"");
    free(log);
}

/* Without NVML the rung is missing, and the run says why. */
static void test_without_nvml(void **state)
{
    struct cli *cli = *state;
    json_t *json;
    const json_t *memory;
    cli_succeed(cli, TRAIN);
    json = cli_json(cli);
    memory = json_object_get(json, "memory");
    assert_null(json_object_get(memory, "process_bytes"));
    assert_null(json_object_get(json_object_get(memory, "gaps"), "code_bytes"));
    assert_true(cli_integer(memory, "pool_bytes") > cli_integer(memory, "plan_bytes"));
    cli_expect_text(cli_text(memory, "note"), "NVML"); /* or its file's name */
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shares_of_memory, setup, cli_teardown),
        cmocka_unit_test_setup_teardown(test_ladder, setup, cli_teardown),
        cmocka_unit_test_setup_teardown(test_without_nvml, setup, cli_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
