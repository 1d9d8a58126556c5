/* remat solve and explain: the numbers that they print are true, infeasible budgets are answered with one that works,
 * and files that are wrong in any way are refused. */
#include "support_cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USAGE = 2, INFEASIBLE = 3, BAD_DATA = 65, MISSING_INPUT = 66, UNAVAILABLE = 69, IO_ERROR = 74 };

/* Small, but with enough activations for budgets to matter. */
#define MODEL "gpt2 --layers 3 --width 32 --heads 2 --seq 64 --batch 4 --vocab 50 --threads 1"
/* Made by setup_profile, so that all commands of a test work with the same times. */
#define SOLVE "solve --profile p.json"

/* The state given is the profile's text: it is made once. */
static int setup_profile(void **state)
{
    const char *text = *state;
    if (cli_setup(state) != 0)
        return -1;
    cli_write_text(*state, "p.json", text);
    return 0;
}

static json_t *solve_json(struct cli *cli, const char *options)
{
    cli_succeed(cli, SOLVE " --json %s", options);
    return cli_json(cli);
}

/* Members are there, of the right type and agree with each other. */
static void check_summary(const json_t *json)
{
    int64_t peak = cli_integer(json, "planned_peak_bytes"), step = cli_integer(json, "predicted_step_ns");
    int64_t bound = cli_integer(json, "lower_bound_ns");
    const json_t *budget = json_object_get(json, "budget_bytes"), *gap = json_object_get(json, "gap");
    assert_string_equal(cli_text(json, "status"), "ok");
    assert_in_range(cli_integer(json, "planned_live_bytes"), 1, peak);
    assert_in_range(cli_integer(json, "keep_all_step_ns"), 1, step);
    assert_in_range(bound, 1, step);
    assert_true(cli_integer(json, "solve_ns") > 0);
    assert_true(json_is_real(gap));
    assert_true(fabs(json_real_value(gap) - ((double)step / (double)bound - 1)) < 1e-6);
    assert_true(json_is_null(budget) || json_integer_value(budget) >= peak);
}

static void test_solve_and_explain(void **state)
{
    struct cli *cli = *state;
    json_t *all = solve_json(cli, "-o all.json"), *half = solve_json(cli, "--budget 60% -o half.json");
    int64_t all_bytes = cli_integer(all, "planned_peak_bytes"), half_bytes = cli_integer(half, "planned_peak_bytes");
    char text[64];
    size_t short_length;
    check_summary(all);
    check_summary(half);
    assert_true(json_is_null(json_object_get(all, "budget_bytes")));
    assert_int_equal(cli_integer(all, "predicted_step_ns"), cli_integer(all, "keep_all_step_ns"));
    assert_int_equal(cli_integer(half, "budget_bytes"), all_bytes * 60 / 100);
    assert_int_equal(cli_integer(half, "keep_all_step_ns"), cli_integer(all, "keep_all_step_ns"));
    assert_true(cli_integer(half, "predicted_step_ns") > cli_integer(all, "predicted_step_ns"));
    cli_succeed(cli, "explain half.json");
    snprintf(text, sizeof text, "(%lld bytes)", (long long)half_bytes);
    cli_expect_text(cli->out, text);
    cli_expect_text(cli->out, "gpt2");
    cli_expect_text(cli->out, "recompute");
    short_length = strlen(cli->out);
    cli_succeed(cli, "explain half.json --instructions");
    assert_true(strlen(cli->out) > 2 * short_length);
    assert_int_equal(cli_count_entries(cli, ""), 3);
    json_decref(all);
    json_decref(half);
}

/* Keep-all fits only if values wait on the host. */
static void test_offloading(void **state)
{
    struct cli *cli = *state;
    json_t *json = solve_json(cli, "--solver keep-all --budget 75% --offload 64MiB -o plan.json"), *file;
    int64_t host_bytes = cli_integer(json, "planned_host_bytes");
    char text[64];
    check_summary(json);
    assert_true(host_bytes > 0 && host_bytes <= 64 << 20);
    json_decref(json);
    file = cli_read_json(cli, "plan.json");
    assert_int_equal(cli_integer(file, "host_bytes"), host_bytes);
    assert_int_equal(cli_integer(file, "host_budget_bytes"), 64 << 20);
    json_decref(file);
    cli_succeed(cli, "explain plan.json --instructions");
    snprintf(text, sizeof text, "(%lld bytes), at most 64", (long long)host_bytes);
    cli_expect_text(cli->out, text);
    cli_expect_text(cli->out, "In host memory for a while");
    cli_expect_text(cli->out, "store ");
    cli_expect_text(cli->out, "fetch ");
    cli_refuse(cli, INFEASIBLE, "smallest feasible budget", SOLVE " --solver keep-all --budget 75%% --offload 64");
    cli_refuse(cli, UNAVAILABLE, "plan.txt|C and F lines|--offload",
               SOLVE " --solver keep-all --budget 75%% --offload 64MiB --schedule plan.txt --json");
    cli_refuse(cli, USAGE, "--offload|size", SOLVE " --offload much");
}

/* A profile of another time, or a graph of another system, does not say how fast copies are. */
static void test_offloading_without_rates(void **state)
{
    struct cli *cli = *state;
    json_t *profile = cli_read_json(cli, "p.json");
    assert_true(cli_integer(profile, "to_host_bytes_per_s") > 0);
    assert_true(cli_integer(profile, "to_device_bytes_per_s") > 0);
    json_object_del(profile, "to_host_bytes_per_s");
    cli_write_json(cli, "old.json", profile);
    json_decref(profile);
    cli_refuse(cli, UNAVAILABLE, "how fast copies to the host are|remat profile",
               "solve --profile old.json --budget 75%% --offload 64MiB");
    cli_succeed(cli, "solve --profile old.json --budget 75%%");
    cli_write_text(cli, "graph.json",
                   "{\"format\": \"remat-graph\", \"version\": 1, \"name\": \"pair\", \"nodes\": "
                   "[{\"name\": \"a\", \"time_ns\": 1, \"bytes\": 1}, {\"name\": \"b\", "
                   "\"time_ns\": 1, \"bytes\": 1}], \"edges\": [[0, 1]]}");
    cli_refuse(cli, UNAVAILABLE, "pair|how fast copies to the host are", "solve --graph graph.json --offload 1MiB");
}

static void test_curve(void **state)
{
    struct cli *cli = *state;
    json_t *points, *point;
    size_t i;
    int64_t last_budget = 0, last_step = INT64_MAX;
    cli_succeed(cli, SOLVE " --curve --json");
    points = cli_json(cli);
    assert_int_equal(json_array_size(points), 15);
    json_array_foreach(points, i, point)
    {
        check_summary(point);
        assert_true(cli_integer(point, "budget_bytes") > last_budget);
        assert_true(cli_integer(point, "predicted_step_ns") <= last_step);
        last_budget = cli_integer(point, "budget_bytes");
        last_step = cli_integer(point, "predicted_step_ns");
    }
    assert_int_equal(last_step, cli_integer(json_array_get(points, 0), "keep_all_step_ns"));
    json_decref(points);
}

/* The number before " bytes), set by task". */
static int64_t smallest_named(const char *message)
{
    const char *at = strstr(message, "smallest feasible budget is");
    assert_non_null(at);
    assert_non_null(strstr(at, "bytes), set by task '"));
    at = strchr(at, '(');
    assert_non_null(at);
    return strtoll(at + 1, NULL, 10);
}

static void test_infeasible_budgets_name_the_smallest(void **state)
{
    static const char *const solvers[] = {"chain", "sqrt", "keep-all"};
    struct cli *cli = *state;
    for (size_t i = 0; i < sizeof solvers / sizeof solvers[0]; i++) {
        char options[128];
        int64_t smallest;
        json_t *json;
        cli_refuse(cli, INFEASIBLE, "gpt2|smallest feasible budget|set by task|larger budget",
                   SOLVE " --solver %s --budget 1KiB --json -o plan.json", solvers[i]);
        smallest = smallest_named(cli->err);
        assert_false(cli_exists(cli, "plan.json"));
        snprintf(options, sizeof options, "--solver %s --budget %lld", solvers[i], (long long)smallest);
        json = solve_json(cli, options);
        check_summary(json);
        assert_int_equal(cli_integer(json, "planned_peak_bytes"), smallest);
        json_decref(json);
        cli_refuse(cli, INFEASIBLE, "smallest feasible budget", SOLVE " --solver %s --budget %lld", solvers[i],
                   (long long)smallest - 64);
        assert_int_equal(smallest_named(cli->err), smallest);
    }
}

static void test_memory_counts_parameters(void **state)
{
    struct cli *cli = *state;
    json_t *json;
    cli_refuse(cli, INFEASIBLE, "parameters|gpt2|4096", SOLVE " --memory 4KiB");
    json = solve_json(cli, "--memory 64MiB");
    assert_true(cli_integer(json, "budget_bytes") < 64 << 20);
    check_summary(json);
    json_decref(json);
}

/* --- graphs from elsewhere, and a replay of the schedule that shares nothing with the program ----------------------
 */

enum { LAYERS = 9, NODES = 2 * LAYERS + 1 };

/* The chain of Revolve's tests: forward nodes 0..8, the loss, backward nodes; every forward output is read by its
 * successor and by its backward node. All bytes and times are 1. */
static json_t *unit_chain(void)
{
    json_t *nodes = json_array(), *edges = json_array();
    for (int i = 0; i < NODES; i++) {
        char name[16];
        snprintf(name, sizeof name, "%c%d", i < LAYERS ? 'f' : i == LAYERS ? 'l' : 'b', i);
        json_array_append_new(nodes, json_pack("{s:s, s:i, s:i}", "name", name, "time_ns", 1, "bytes", 1));
        if (i > 0)
            json_array_append_new(edges, json_pack("[i, i]", i - 1, i));
        if (i > LAYERS)
            json_array_append_new(edges, json_pack("[i, i]", NODES - 1 - i, i));
    }
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "format", "remat-graph", "version", 1, "name", "unit chain", "nodes",
                     nodes, "edges", edges);
}

struct replay {
    bool live[NODES];
    int seen; /* nodes computed at least once: they must come in order */
    int64_t cost_ns, peak_bytes;
};

static void replay_compute(struct replay *replay, const json_t *edges, int node)
{
    int64_t bytes = 0;
    const json_t *edge;
    size_t i;
    assert_in_range(node, 0, replay->seen);
    json_array_foreach(edges, i, edge) if (json_integer_value(json_array_get(edge, 1)) == node)
        assert_true(replay->live[json_integer_value(json_array_get(edge, 0))]);
    replay->seen += node == replay->seen;
    replay->live[node] = true;
    replay->cost_ns++;
    for (int k = 0; k < NODES; k++)
        bytes += replay->live[k];
    replay->peak_bytes = bytes > replay->peak_bytes ? bytes : replay->peak_bytes;
}

static void replay_schedule(struct cli *cli, const char *name, const json_t *edges, struct replay *out)
{
    char *text = cli_read(cli, name, NULL), *rest = NULL;
    memset(out, 0, sizeof *out);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *end;
        long node = strtol(line + 2, &end, 10);
        assert_true((line[0] == 'C' || line[0] == 'F') && line[1] == ' ' && *end == '\0');
        assert_in_range(node, 0, NODES - 1);
        if (line[0] == 'C') {
            replay_compute(out, edges, (int)node);
        } else {
            assert_true(out->live[node]);
            out->live[node] = false;
        }
    }
    assert_int_equal(out->seen, NODES);
    free(text);
}

static void test_schedules_of_a_unit_chain(void **state)
{
    struct cli *cli = *state;
    json_t *graph = unit_chain();
    int64_t last = INT64_MAX, smallest;
    cli_write_json(cli, "chain.json", graph);
    cli_refuse(cli, INFEASIBLE, "unit chain|smallest feasible budget", "solve --graph chain.json --budget 1B");
    smallest = smallest_named(cli->err);
    assert_in_range(smallest, 3, LAYERS + 2);
    for (int64_t budget = smallest; budget <= LAYERS + 2; budget++) {
        struct replay replay;
        json_t *json;
        cli_succeed(cli, "solve --graph chain.json --budget %lldB --schedule s.txt --json -o plan.json",
                    (long long)budget);
        json = cli_json(cli);
        check_summary(json);
        replay_schedule(cli, "s.txt", json_object_get(graph, "edges"), &replay);
        assert_int_equal(replay.cost_ns, cli_integer(json, "predicted_step_ns"));
        assert_int_equal(replay.peak_bytes, cli_integer(json, "planned_live_bytes"));
        assert_true(replay.peak_bytes <= budget);
        assert_true(replay.cost_ns <= last);
        last = replay.cost_ns;
        json_decref(json);
    }
    assert_int_equal(last, NODES); /* the largest budget keeps all */
    cli_succeed(cli, "explain plan.json");
    json_decref(graph);
}

/* --- files that are wrong ------------------------------------------------------------------------------------------
 */

struct wrong {
    const char *words, *text;
};

static void test_wrong_graphs(void **state)
{
#define HEAD "{\"format\": \"remat-graph\", \"version\": 1, \"name\": \"g\", "
#define NODE "{\"name\": \"n\", \"time_ns\": 1, \"bytes\": 1}"
    static const struct wrong cases[] = {
        {"g.json", ""},
        {"g.json", "{"},
        {"g.json", "hello"},
        {"g.json", "\xff\xfe\x00"},
        {"g.json|object", "[]"},
        {"g.json|format", "{}"},
        {"g.json|format|remat-plan", "{\"format\": \"remat-plan\", \"version\": 1}"},
        {"g.json|version|2", "{\"format\": \"remat-graph\", \"version\": 2}"},
        {"g.json|version", "{\"format\": \"remat-graph\", \"version\": \"1\"}"},
        {"g.json|duplicate", "{\"format\": \"remat-graph\", \"format\": \"remat-graph\", \"version\": 1}"},
        {"g.json|nodes", HEAD "\"edges\": []}"},
        {"g.json|nodes", HEAD "\"nodes\": 7, \"edges\": []}"},
        {"g.json|task", HEAD "\"nodes\": [], \"edges\": []}"},
        {"g.json|nodes[0]", HEAD "\"nodes\": [3], \"edges\": []}"},
        {"g.json|nodes[0]|name", HEAD "\"nodes\": [{\"time_ns\": 1, \"bytes\": 1}], \"edges\": []}"},
        {"g.json|nodes[0]|time_ns",
         HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": -1, \"bytes\": 1}], \"edges\": []}"},
        {"g.json|nodes[0]|time_ns",
         HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": 1.5, \"bytes\": 1}], \"edges\": []}"},
        {"g.json", HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": 1e999, \"bytes\": 1}], \"edges\": []}"},
        {"g.json|nodes[0]|bytes",
         HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": 1, \"bytes\": 9007199254740993}], \"edges\": []}"},
        {"g.json",
         HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": 1, \"bytes\": 99999999999999999999}], \"edges\": []}"},
        {"g.json|bytes", HEAD "\"nodes\": [{\"name\": \"n\", \"time_ns\": 1, \"bytes\": 9007199254740991}, "
                              "{\"name\": \"m\", \"time_ns\": 1, \"bytes\": 9007199254740991}], \"edges\": [[0, 1]]}"},
        {"g.json|edges[0]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[1, 0]]}"},
        {"g.json|edges[1]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[0, 1], [1, 1]]}"},
        {"g.json|edges[1]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[0, 1], [0, 1]]}"},
        {"g.json|edges[0]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[0, 2]]}"},
        {"g.json|edges[0]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[-1, 1]]}"},
        {"g.json|edges[0]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [[0]]}"},
        {"g.json|edges[0]", HEAD "\"nodes\": [" NODE ", " NODE "], \"edges\": [\"0-1\"]}"},
        {"g.json", HEAD "\"nodes\": [" NODE "], \"edges\": []} trailing"},
    };
    struct cli *cli = *state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cli_write_text(cli, "g.json", cases[i].text);
        cli_refuse(cli, BAD_DATA, cases[i].words, "solve --graph g.json --json");
    }
    assert_int_equal(cli_count_entries(cli, ""), 2);
}

static void test_wrong_places(void **state)
{
    struct cli *cli = *state;
    char nested[20000];
    memset(nested, '[', sizeof nested);
    cli_write(cli, "nested.json", nested, sizeof nested);
    cli_refuse(cli, BAD_DATA, "nested.json", "solve --graph nested.json");
    cli_refuse(cli, IO_ERROR, "directory", "solve --graph .");
    cli_refuse(cli, IO_ERROR, "directory", "solve --profile .");
    cli_refuse(cli, IO_ERROR, "directory", "explain .");
    cli_refuse(cli, MISSING_INPUT, "none.json", "explain none.json");
    cli_refuse(cli, IO_ERROR, "none/plan.json", SOLVE " --json -o none/plan.json");
    cli_refuse(cli, IO_ERROR, "none/s.txt", SOLVE " --json --schedule none/s.txt");
    assert_int_equal(cli_count_entries(cli, ""), 2);
}

/* A disk that fills up while the plan is written leaves the old plan and no temporary file. */
static void test_full_disk(void **state)
{
    struct cli *cli = *state;
    cli_write_text(cli, "plan.json", "old");
    cli->file_limit_bytes = 4096;
    cli_refuse(cli, IO_ERROR, "plan.json", SOLVE " --json -o plan.json");
    assert_int_equal(cli_count_entries(cli, ""), 2);
    cli->file_limit_bytes = 0;
    cli_refuse(cli, BAD_DATA, "plan.json", "explain plan.json");
}

/* Cuts a file short: whatever is left is refused. */
static void check_truncations(struct cli *cli, const char *name, const char *command)
{
    size_t bytes;
    char *text = cli_read(cli, name, &bytes);
    for (size_t part = 1; part < 8; part++) {
        cli_write(cli, "cut.json", text, bytes * part / 8);
        cli_refuse(cli, BAD_DATA, "cut.json", "%s cut.json", command);
    }
    free(text);
}

/* Picks one leaf or branch of a JSON tree by a number, as if by chance, and puts something else there. */
static void damage(json_t *json, uint32_t choice)
{
    static const char *const others[] = {"-1", "9007199254740992", "\"x\"", "null", "[]", "{}", "1.5", "true"};
    json_t *other = json_loads(others[choice % 8], JSON_DECODE_ANY, NULL), *child = NULL;
    size_t size = json_is_array(json) ? json_array_size(json) : json_object_size(json), at;
    void *item = json_object_iter(json);
    choice = choice * 1664525u + 1013904223u;
    at = size > 0 ? (choice >> 16) % size : 0;
    for (size_t i = 0; item && i < at; i++)
        item = json_object_iter_next(json, item);
    child = item ? json_object_iter_value(item) : json_array_get(json, at);
    if ((json_is_array(child) && json_array_size(child) > 0) ||
        (json_is_object(child) && json_object_size(child) > 0)) {
        json_decref(other);
        damage(child, choice);
    } else if (item) {
        json_object_iter_set_new(json, item, other);
    } else {
        json_array_set_new(json, at, other);
    }
}

/* Most damage is refused; some does no harm (a name, a spread). Nothing crashes, and what is accepted verifies. */
static void check_damage(struct cli *cli, const char *name, const char *command, int least_refused)
{
    enum { ROUNDS = 40 };
    int refused = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        json_t *json = cli_read_json(cli, name);
        damage(json, round * 2654435761u + 12345u);
        cli_write_json(cli, "damaged.json", json);
        json_decref(json);
        if (cli_run(cli, "%s damaged.json", command) == 0)
            continue;
        if (cli->exit_code != INFEASIBLE)
            cli_expect_refusal(cli, BAD_DATA, "damaged.json");
        refused++;
    }
    if (refused < least_refused)
        fail_msg("%s: only %d of %d damaged files were refused", name, refused, ROUNDS);
}

static void test_wrong_profiles(void **state)
{
    struct cli *cli = *state;
    cli_succeed(cli, SOLVE " --budget 60%% --json");
    check_truncations(cli, "p.json", "solve --profile");
    check_damage(cli, "p.json", "solve --profile", 20);
}

static void test_wrong_plans(void **state)
{
    struct cli *cli = *state;
    cli_succeed(cli, SOLVE " --budget 60%% -o plan.json");
    check_truncations(cli, "plan.json", "explain");
    check_damage(cli, "plan.json", "explain", 20);
}

/* --- plans that lie ------------------------------------------------------------------------------------------------
 */

static void add_to(json_t *object, const char *key, int64_t change)
{
    json_object_set_new(object, key, json_integer(cli_integer(object, key) + change));
}

static void test_tampered_plans(void **state)
{
    struct cli *cli = *state;
    static const char *const members[] = {"arena_bytes", "live_peak_bytes", "predicted_step_ns", "keep_all_step_ns"};
    json_t *plan;
    cli_succeed(cli, SOLVE " --budget 60%% -o plan.json");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        plan = cli_read_json(cli, "plan.json");
        add_to(plan, members[i], -64);
        cli_write_json(cli, "t.json", plan);
        cli_refuse(cli, BAD_DATA, "t.json", "explain t.json");
        json_decref(plan);
    }
    plan = cli_read_json(cli, "plan.json");
    add_to(json_array_get(json_object_get(plan, "buffers"), 3), "offset_bytes", 64);
    cli_write_json(cli, "t.json", plan);
    cli_refuse(cli, BAD_DATA, "t.json|hash", "explain t.json");
    json_object_set_new(plan, "budget_bytes", json_integer(64));
    cli_write_json(cli, "t.json", plan);
    cli_refuse(cli, BAD_DATA, "t.json", "explain t.json");
    json_decref(plan);
    plan = cli_read_json(cli, "plan.json");
    json_object_set_new(plan, "graph_hash", json_string("0123456789abcdef"));
    cli_write_json(cli, "t.json", plan);
    cli_refuse(cli, BAD_DATA, "t.json", "explain t.json");
    json_decref(plan);
}

static void test_plans_for_something_else(void **state)
{
    struct cli *cli = *state;
    cli_succeed(cli, SOLVE " --budget 60%% -o plan.json");
#define TRAIN(batch, threads)                                                                                         \
    "train gpt2 --layers 3 --width 32 --heads 2 --seq 64 --vocab 50 --data synthetic --steps 1 --json --batch " batch \
    " --threads " threads " --plan plan.json -o run"
    cli_refuse(cli, BAD_DATA, "plan|made for|solve again", TRAIN("5", "1"));
    cli_refuse(cli, BAD_DATA, "plan|made for|1 threads|2 threads|solve again", TRAIN("4", "2"));
    cli_refuse(cli, BAD_DATA, "plan|made for|solve again", TRAIN("4", "1") " --optimizer sgd");
    cli_refuse(cli, INFEASIBLE, "plan|budget", TRAIN("4", "1") " --budget 1KiB");
    assert_false(cli_exists(cli, "run"));
    cli_succeed(cli, TRAIN("4", "1"));
    cli_write_text(cli, "bad.json", "{\"format\": \"remat-plan\"}");
    cli_refuse(cli, BAD_DATA, "bad.json", "train " MODEL " --data synthetic --steps 1 --json --plan bad.json");
}

int main(void)
{
    void *first;
    char *profile;
    int failed;
    assert_int_equal(cli_setup(&first), 0);
    cli_succeed(first, "profile " MODEL " --analytic --recipe char -o p.json");
    profile = cli_read(first, "p.json", NULL);
    cli_teardown(&first);
    {
#define TEST(name) cmocka_unit_test_prestate_setup_teardown(name, setup_profile, cli_teardown, profile)
        const struct CMUnitTest tests[] = {
            TEST(test_solve_and_explain),
            TEST(test_offloading),
            TEST(test_offloading_without_rates),
            TEST(test_curve),
            TEST(test_infeasible_budgets_name_the_smallest),
            TEST(test_memory_counts_parameters),
            TEST(test_schedules_of_a_unit_chain),
            TEST(test_wrong_graphs),
            TEST(test_wrong_places),
            TEST(test_full_disk),
            TEST(test_wrong_profiles),
            TEST(test_wrong_plans),
            TEST(test_tampered_plans),
            TEST(test_plans_for_something_else),
        };
        failed = cmocka_run_group_tests(tests, NULL, NULL);
    }
    free(profile);
    return failed;
}
