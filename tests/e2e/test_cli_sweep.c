/* remat sweep, batchsize and report: what is planned is what is measured, no budget is exceeded, the pictures are
 * there, and no process outlives the command. */
#include "bench/worker.h"
#include "core/base/clock.h"
#include "support_cli.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { INFEASIBLE = 3, BAD_DATA = 65, MISSING_INPUT = 66, INTERRUPTED = 130, KILLED = 137, BUDGETS = 4, STEPS = 2 };

#define SWEEP "sweep resnet18 --batch 4 --image 32 --classes 10 --threads 2 --solver chain -o sweep"
#define SOLVE "solve resnet18 --batch 4 --image 32 --classes 10 --threads 2 --analytic"
#define TEXT "gpt2 --layers 2 --width 32 --heads 2 --seq 32 --vocab 50 --threads 1 --recipe char"

/* --- sweep ------------------------------------------------------------------------------------------------------- */

static void check_measured(const json_t *point)
{
    int64_t planned = cli_integer(point, "planned_peak_bytes"), process = cli_integer(point, "process_peak_bytes");
    assert_string_equal(cli_text(point, "status"), "ok");
    assert_int_equal(cli_integer(point, "measured_peak_bytes"), planned);
    assert_int_equal(cli_integer(point, "measured_live_bytes"), cli_integer(point, "planned_live_bytes"));
    assert_true(planned <= cli_integer(point, "budget_bytes"));
    assert_in_range(process, planned, planned + planned / 100 + (16 << 20));
    /* Steps that disagree are measured again, up to three times. */
    assert_in_range(json_array_size(json_object_get(point, "steps_ns")), STEPS, 3 * STEPS);
    assert_int_equal(json_array_size(json_object_get(point, "keep_all_steps_ns")),
                     json_array_size(json_object_get(point, "steps_ns")));
    assert_true(cli_integer(point, "measured_step_ns") > 0);
    assert_true(json_real_value(json_object_get(point, "relative_step")) > 0);
    assert_true(cli_integer(point, "lower_bound_ns") <= cli_integer(point, "predicted_step_ns"));
}

static void check_points(struct cli *cli, const json_t *sweep)
{
    const json_t *points = json_object_get(sweep, "points"), *point;
    const char *hash = NULL;
    int measured = 0;
    size_t i;
    json_array_foreach(points, i, point)
    {
        char plan[CLI_PATH_BYTES];
        if (strcmp(cli_text(point, "solver"), "chain") != 0)
            continue;
        check_measured(point);
        hash = hash ? hash : cli_text(point, "state_hash");
        assert_string_equal(cli_text(point, "state_hash"), hash);
        snprintf(plan, sizeof plan, "sweep/%s", cli_text(point, "plan"));
        assert_true(cli_exists(cli, plan));
        measured++;
    }
    assert_int_equal(measured, BUDGETS);
    assert_int_equal(cli_integer(json_array_get(points, 0), "budget_bytes"), cli_integer(sweep, "smallest_peak_bytes"));
    point = json_array_get(points, json_array_size(points) - 1);
    assert_int_equal(cli_integer(point, "budget_bytes"), cli_integer(sweep, "keep_all_peak_bytes"));
}

static void check_csv(struct cli *cli, const json_t *sweep)
{
    static const char *const head =
        "solver,budget_bytes,status,planned_peak_bytes,measured_peak_bytes,process_peak_bytes,"
        "predicted_step_ns,measured_step_ns,relative_step";
    char *text = cli_read(cli, "sweep/sweep.csv", NULL);
    size_t lines = 0;
    int commas = -1;
    assert_memory_equal(text, head, strlen(head));
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        int found = 0;
        for (const char *c = line; *c != '\n'; c++)
            found += *c == ',';
        commas = commas < 0 ? found : commas;
        assert_int_equal(found, commas);
        lines++;
    }
    assert_int_equal(lines, json_array_size(json_object_get(sweep, "points")) + 1);
    free(text);
}

static void check_picture(struct cli *cli, const char *path, const char *magic, size_t least_bytes)
{
    size_t bytes;
    char *data = cli_read(cli, path, &bytes);
    assert_true(bytes >= least_bytes);
    assert_memory_equal(data, magic, strlen(magic));
    free(data);
}

static void check_charts(struct cli *cli, const char *const *names)
{
    for (; *names; names++) {
        char path[CLI_PATH_BYTES];
        snprintf(path, sizeof path, "sweep/charts/%s.png", *names);
        check_picture(cli, path, "\x89PNG", 1000);
        snprintf(path, sizeof path, "sweep/charts/%s.svg", *names);
        check_picture(cli, path, "<?xml", 1000);
    }
}

/* Nothing on the page comes from elsewhere. */
static void check_page(struct cli *cli, const char *name)
{
    char *page = cli_read(cli, name, NULL);
    cli_expect_text(page, "<html");
    cli_expect_text(page, "</html>");
    cli_expect_text(page, "<svg");
    assert_null(strstr(page, "src=\"http"));
    assert_null(strstr(page, "<link"));
    free(page);
}

static void test_sweep(void **state)
{
    static const char *const charts[] = {
        "peak",         "time",           "predicted",       "memory", "arena-smallest",
        "arena-middle", "arena-keep-all", "blocks-smallest", NULL};
    struct cli *cli = *state;
    json_t *sweep;
    char path[2 * CLI_PATH_BYTES];
    cli_succeed(cli, SWEEP " --budgets %d --steps %d", BUDGETS, STEPS);
    assert_string_equal(cli->out, "sweep/index.html\n");
    sweep = cli_read_json(cli, "sweep/sweep.json");
    assert_string_equal(cli_text(sweep, "format"), "remat-sweep");
    cli_expect_text(cli_text(sweep, "command"), "remat sweep");
    check_points(cli, sweep);
    check_csv(cli, sweep);
    check_charts(cli, charts);
    check_page(cli, "sweep/index.html");
    json_decref(sweep);
    cli_succeed(cli, "explain sweep/plans/keep-all.json");
    cli_path(cli, "sweep/index.html", path);
    assert_int_equal(unlink(path), 0);
    cli_path(cli, "sweep/charts/peak.png", path);
    assert_int_equal(unlink(path), 0);
    cli_succeed(cli, "report sweep");
    assert_string_equal(cli->out, "sweep/index.html\n");
    check_charts(cli, charts);
    check_page(cli, "sweep/index.html");
}

static void test_sweep_without_running(void **state)
{
    struct cli *cli = *state;
    json_t *sweep, *point;
    size_t i;
    cli_refuse(cli, INFEASIBLE, "largest budget|feasible",
               "sweep " TEXT " --batch 4 --analytic --budgets 3 --largest 1KiB -o sweep");
    cli_succeed(cli, "sweep " TEXT " --batch 4 --analytic --budgets 3 --largest 90%% -o sweep");
    sweep = cli_read_json(cli, "sweep/sweep.json");
    json_array_foreach(json_object_get(sweep, "points"), i, point)
        assert_null(json_object_get(point, "measured_peak_bytes"));
    json_decref(sweep);
    check_page(cli, "sweep/index.html");
    cli_succeed(cli,
                "sweep " TEXT " --batch 4 --analytic --steps 1 --budgets 2 --smallest 80%% --largest 90%% -o some");
    sweep = cli_read_json(cli, "some/sweep.json");
    point = json_array_get(json_object_get(sweep, "points"), 0);
    assert_true(cli_integer(sweep, "keep_all_peak_bytes") * 4 / 5 - cli_integer(point, "budget_bytes") <= 1);
    assert_int_equal(cli_integer(point, "planned_peak_bytes"), cli_integer(point, "measured_peak_bytes"));
    json_decref(sweep);
}

/* A stopped sweep goes on: points that it measured stay as they are, others are measured. */
static void test_a_resumed_sweep(void **state)
{
    struct cli *cli = *state;
    char path[2 * CLI_PATH_BYTES];
    json_t *whole, *stopped, *resumed, *points;
    cli_succeed(cli, "sweep " TEXT " --batch 4 --cache cache.json --solver chain --steps 1 --budgets 3 -o parts");
    whole = cli_read_json(cli, "parts/sweep.json");
    stopped = json_deep_copy(whole);
    points = json_object_get(stopped, "points");
    while (json_array_size(points) > 1)
        json_array_remove(points, json_array_size(points) - 1);
    cli_path(cli, "parts/sweep.json", path);
    assert_int_equal(json_dump_file(stopped, path, 0), 0);
    cli_succeed(cli,
                "sweep " TEXT " --batch 4 --cache cache.json --solver chain --steps 1 --budgets 3 --resume -o parts");
    resumed = cli_read_json(cli, "parts/sweep.json");
    points = json_object_get(resumed, "points");
    assert_int_equal(json_array_size(points), json_array_size(json_object_get(whole, "points")));
    assert_true(json_equal(json_object_get(json_array_get(points, 0), "steps_ns"),
                           json_object_get(json_array_get(json_object_get(whole, "points"), 0), "steps_ns")));
    assert_non_null(json_object_get(json_array_get(points, 0), "measured_by"));
    assert_null(json_object_get(json_array_get(points, json_array_size(points) - 1), "measured_by"));
    cli_refuse(cli, BAD_DATA, "another model|--resume",
               "sweep gpt2 --layers 3 --width 32 --heads 2 --seq 32 --vocab 50 --threads 1 --recipe char --batch 4 "
               "--cache cache.json --steps 1 --budgets 3 --resume -o parts");
    cli_refuse(cli, BAD_DATA, "profile|--refresh",
               "sweep " TEXT " --batch 4 --analytic --steps 1 --budgets 3 --resume -o parts");
    json_decref(whole);
    json_decref(stopped);
    json_decref(resumed);
}

/* --- processes --------------------------------------------------------------------------------------------------- */

static ssize_t read_link(const char *pid, const char *name, char *out, size_t capacity)
{
    char path[300];
    ssize_t length;
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    length = readlink(path, out, capacity - 1);
    out[length > 0 ? length : 0] = '\0';
    return length;
}

static bool mentions(const char *pid, const char *word)
{
    char path[300], line[2048];
    size_t length;
    FILE *file;
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    file = fopen(path, "rb");
    if (!file)
        return false;
    length = fread(line, 1, sizeof line, file);
    fclose(file);
    return memmem(line, length, word, strlen(word)) != NULL;
}

/* Processes that work in the test's folder with `word` in their command line; *pid is one of them. */
static int find_processes(const struct cli *cli, const char *word, pid_t *pid)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    int count = 0;
    assert_non_null(processes);
    while ((entry = readdir(processes)) != NULL) {
        char folder[2 * CLI_PATH_BYTES];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
            read_link(entry->d_name, "cwd", folder, sizeof folder) < 0)
            continue;
        if (strcmp(folder, cli->work) != 0 || !mentions(entry->d_name, word))
            continue;
        *pid = (pid_t)strtol(entry->d_name, NULL, 10);
        count++;
    }
    closedir(processes);
    return count;
}

/* Waits until at least (or, for 0, exactly) so many processes are there. */
static pid_t await_processes(const struct cli *cli, const char *word, int expected)
{
    struct timespec pause = {0, 5000000};
    pid_t pid = 0;
    int count = find_processes(cli, word, &pid);
    for (int i = 0; i < 6000 && (expected == 0 ? count != 0 : count < expected); i++) {
        nanosleep(&pause, NULL);
        count = find_processes(cli, word, &pid);
    }
    if (expected == 0 ? count != 0 : count < expected)
        fail_msg("%d processes with \"%s\", expected %d", count, word, expected);
    return pid;
}

static void test_interrupted_sweeps_leave_no_process(void **state)
{
    struct cli *cli = *state;
    json_t *sweep;
    cli_start(cli, SWEEP " --budgets 100 --steps 10");
    await_processes(cli, "worker", 2);
    kill(-cli->pid, SIGINT); /* as from a keyboard: to the whole group */
    cli_wait(cli);
    cli_expect_refusal(cli, INTERRUPTED, "stopped after|points|sweep/sweep.json");
    await_processes(cli, "remat", 0);
    sweep = cli_read_json(cli, "sweep/sweep.json");
    assert_true(json_array_size(json_object_get(sweep, "points")) < 100);
    json_decref(sweep);
    cli_start(cli, SWEEP " --budgets 100 --steps 10");
    await_processes(cli, "worker", 2);
    kill(cli->pid, SIGKILL);
    assert_int_equal(cli_wait(cli), KILLED);
    await_processes(cli, "remat", 0);
}

/* A worker that dies is one point's failure, not the sweep's. */
/* Of a point, or the one of keep-all that all points share: the next point has new ones. */
static void check_killed_worker(struct cli *cli, const char *plan)
{
    json_t *sweep, *points, *point;
    size_t i = 0;
    cli_start(cli, SWEEP " --budgets 2 --steps 10");
    await_processes(cli, "plans/chain", 1);
    kill(await_processes(cli, plan, 1), SIGKILL);
    assert_int_equal(cli_wait(cli), 0);
    sweep = cli_read_json(cli, "sweep/sweep.json");
    points = json_object_get(sweep, "points");
    point = json_array_get(points, 0);
    assert_string_equal(cli_text(point, "status"), "error");
    cli_expect_text(cli_text(point, "message"), "measuring process");
    do /* the next one that was measured */
        point = json_array_get(points, ++i);
    while (strcmp(cli_text(point, "solver"), "chain") != 0);
    assert_string_equal(cli_text(point, "status"), "ok");
    await_processes(cli, "remat", 0);
    json_decref(sweep);
}

static void test_a_killed_worker(void **state)
{
    check_killed_worker(*state, "plans/chain");
    check_killed_worker(*state, "plans/keep-all");
}

/* --- workers -----------------------------------------------------------------------------------------------------
 */

static void start_worker(struct cli *cli, const char *plan, struct remat_worker *worker)
{
    char path[2 * CLI_PATH_BYTES];
    const char *const command[] = {REMAT_BINARY, "worker", "resnet18",  "--batch", "4",  "--image", "32",
                                   "--classes",  "10",     "--threads", "2",       path, NULL};
    struct remat_error err;
    cli_path(cli, plan, path);
    assert_int_equal(remat_worker_start((char *const *)(uintptr_t)command, worker, &err), REMAT_OK);
}

static void expect_turn(const struct remat_worker *worker, const char *line)
{
    static const char turn[] = "turn\n";
    char answer[sizeof turn] = "";
    assert_int_equal(write(worker->to, line, strlen(line)), (ssize_t)strlen(line));
    for (size_t i = 0; i < sizeof turn - 1; i++)
        assert_int_equal(read(worker->from, answer + i, 1), 1);
    assert_string_equal(answer, turn);
}

/* In slices of an instruction each: the same steps, and what one waits for the other does not count as its own. */
static void test_workers_take_turns(void **state)
{
    struct cli *cli = *state;
    struct remat_worker turns[2], alone, waiting;
    struct remat_worker *const both[2] = {&turns[0], &turns[1]};
    struct remat_worker_report reports[3];
    struct remat_error err;
    int64_t steps_ns[2], sum_ns = 0, begin_ns, alone_ns;
    cli_succeed(cli, SOLVE " --solver keep-all -o all.json");
    cli_succeed(cli, SOLVE " --solver chain --budget 95%% -o some.json");
    start_worker(cli, "all.json", &turns[0]);
    start_worker(cli, "some.json", &turns[1]);
    start_worker(cli, "some.json", &alone);
    start_worker(cli, "some.json", &waiting);
    expect_turn(&waiting, "step 1\n");
    expect_turn(&waiting, "go\n");
    assert_int_equal(remat_worker_end(&waiting, NULL, &err), REMAT_OK); /* within a step */
    for (int step = 0; step < 3; step++)
        assert_int_equal(remat_worker_step(&alone, &alone_ns, &err), REMAT_OK);
    begin_ns = remat_clock_ns();
    for (int step = 0; step < 3; step++) {
        assert_int_equal(remat_workers_step_in_turn(both, (const int64_t[]){1, 1}, steps_ns, &err), REMAT_OK);
        sum_ns += steps_ns[0] + steps_ns[1];
        assert_true(steps_ns[0] > 0 && steps_ns[1] > 0);
    }
    assert_true(sum_ns <= remat_clock_ns() - begin_ns);
    for (int i = 0; i < 2; i++)
        assert_int_equal(remat_worker_end(&turns[i], &reports[i], &err), REMAT_OK);
    assert_int_equal(remat_worker_end(&alone, &reports[2], &err), REMAT_OK);
    assert_true(reports[0].state_hash == reports[2].state_hash);
    assert_int_equal(reports[1].peak_bytes, reports[2].peak_bytes);
    assert_true(reports[1].state_hash == reports[2].state_hash);
}

/* --- batchsize and report --------------------------------------------------------------------------------------------
 */

static void test_batchsize(void **state)
{
    struct cli *cli = *state;
    json_t *json;
    int64_t largest, best;
    cli_succeed(cli, "batchsize " TEXT " --memory 4MiB --steps 1 -o batch");
    cli_expect_text(cli->out, "best batch");
    cli_expect_text(cli->out, "batch/index.html");
    json = cli_read_json(cli, "batch/batchsize.json");
    assert_string_equal(cli_text(json, "format"), "remat-batchsize");
    assert_int_equal(cli_integer(json, "memory_bytes"), 4 << 20);
    largest = cli_integer(json, "largest_batch");
    best = cli_integer(json, "best_batch");
    json_decref(json);
    assert_in_range(best, 1, largest);
    assert_true(cli_exists(cli, "batch/charts/throughput.png"));
    check_page(cli, "batch/index.html");
    cli_succeed(cli, "train " TEXT " --data synthetic --steps 1 --memory 4MiB --json --analytic --batch %lld",
                (long long)largest);
    cli_refuse(cli, INFEASIBLE, "smallest feasible budget",
               "train " TEXT " --data synthetic --steps 1 --memory 4MiB --json --analytic --batch %lld",
               (long long)largest + 1);
    cli_refuse(cli, INFEASIBLE, "not even a batch of 1|4096", "batchsize " TEXT " --memory 4KiB --steps 1 -o none");
    cli_refuse(cli, INFEASIBLE, "not even a batch of 2", "batchsize resnet18 --image 32 --memory 90MiB -o none");
    assert_false(cli_exists(cli, "none"));
}

static void test_reports_of_nothing(void **state)
{
    struct cli *cli = *state;
    cli_refuse(cli, MISSING_INPUT, ".|sweep.json|found none", "report .");
    cli_refuse(cli, MISSING_INPUT, "nowhere", "report nowhere");
    assert_int_equal(cli_count_entries(cli, ""), 0);
    cli_write_text(cli, "sweep.json", "{\"format\": \"remat-sweep\"");
    cli_refuse(cli, BAD_DATA, "sweep.json", "report .");
    cli_write_text(cli, "sweep.json", "{\"format\": \"remat-sweep\", \"version\": 9}");
    cli_refuse(cli, BAD_DATA, "sweep.json|version", "report .");
    cli_write_text(cli, "sweep.json", "{\"format\": \"remat-sweep\", \"version\": 1, \"points\": 3}");
    cli_refuse(cli, BAD_DATA, "sweep.json", "report .");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, cli_setup, cli_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sweep),           TEST(test_sweep_without_running),
        TEST(test_a_resumed_sweep), TEST(test_interrupted_sweeps_leave_no_process),
        TEST(test_a_killed_worker), TEST(test_workers_take_turns),
        TEST(test_batchsize),       TEST(test_reports_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
