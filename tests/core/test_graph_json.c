/* Task graphs as files: round trips, the public import format, and damaged files, which give an error or a valid graph
 * but never a crash. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "core/base/rng.h"
#include "core/graph/task_graph.h"
#include "tests/core/support_random_graph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum remat_status reader(const json_t *json, const char *where, struct remat_task_graph *out,
                                 struct remat_error *err);

static json_t *write_graph(const struct remat_task_graph *graph)
{
    json_t *json = remat_task_graph_to_json(graph);
    assert_non_null(json);
    return json;
}

static void read_graph(const json_t *json, struct remat_task_graph *out)
{
    struct remat_error err = {0};
    if (remat_task_graph_from_json(json, "test", out, &err) != REMAT_OK)
        fail_msg("%s", err.message);
}

static void round_trips_keep_everything(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct remat_task_graph graph, again;
        json_t *json, *rewritten;
        random_graph(&graph, seed, 6);
        graph.name = "random";
        graph.device = "cpu, 2 threads";
        graph.measured = true;
        graph.tasks[0].attr.kernel[1] = 3;
        graph.tasks[0].attr.mean[2] = 0.1f;
        graph.tasks[0].attr.relu = true;
        json = write_graph(&graph);
        read_graph(json, &again);
        rewritten = write_graph(&again);
        assert_true(json_equal(json, rewritten));
        assert_int_equal(remat_task_graph_base_time_ns(&graph), remat_task_graph_base_time_ns(&again));
        assert_int_equal(graph.staging_bytes, again.staging_bytes);
        assert_int_equal(graph.persistent_bytes, again.persistent_bytes);
        assert_true(again.tasks[0].attr.mean[2] == 0.1f);
        json_decref(json);
        json_decref(rewritten);
        remat_task_graph_free(&graph);
        remat_task_graph_free(&again);
    }
}

static void files_keep_the_identity(void **state)
{
    struct remat_task_graph graph, again;
    struct remat_error err;
    char path[256];
    json_t *json, *loaded;
    const char *base = getenv("TMPDIR");
    int fd;
    (void)state;
    snprintf(path, sizeof path, "%s/remat-profile-XXXXXX", base ? base : "/tmp");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    random_graph(&graph, 7, 8);
    json = write_graph(&graph);
    assert_int_equal(remat_json_save(path, json, &err), REMAT_OK);
    assert_int_equal(remat_json_load(path, &loaded, &err), REMAT_OK);
    assert_true(json_equal(json, loaded));
    read_graph(loaded, &again);
    assert_true(remat_task_graph_hash(&graph) == remat_task_graph_hash(&again));
    json_decref(json);
    json_decref(loaded);
    remat_task_graph_free(&graph);
    remat_task_graph_free(&again);
    assert_int_equal(remove(path), 0);
}

/* Parses and reads; whatever is accepted must pass the check. Returns whether it was accepted. */
static bool survives(reader *read, const char *text, size_t bytes)
{
    struct remat_task_graph graph;
    struct remat_error err = {0};
    json_t *json = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    enum remat_status status;
    if (!json)
        return false;
    status = read(json, "damaged", &graph, &err);
    if (status == REMAT_OK)
        assert_int_equal(remat_task_graph_check(&graph, &err), REMAT_OK);
    else if (status != REMAT_BAD_DATA || !strstr(err.message, "damaged"))
        fail_msg("status %d: %s", status, err.message);
    json_decref(json);
    remat_task_graph_free(&graph);
    return status == REMAT_OK;
}

static void damage(reader *read, const char *text)
{
    static const char bytes[] = "0123456789-.e\"[]{},:tfna\xff";
    static const char *const numbers[] = {
        "-1",    "0",  "2147483648", "9223372036854775807",   "-9223372036854775808", "1.5", "null",
        "\"x\"", "[]", "{}",         "[0,0,0,0,0,0,0,0,0,0]", "9007199254740993"};
    const size_t length = strlen(text);
    char *copy = malloc(length + 64);
    int refused = 0, tried = 0;
    assert_non_null(copy);
    for (size_t i = 0; i < length; i += 7) /* truncation */
        assert_false(survives(read, text, i));
    for (uint32_t i = 0; i < 4000; i++) { /* one byte changed */
        struct remat_rng_block random = remat_rng(1, REMAT_RNG_SYNTHETIC, 0, 0, i);
        memcpy(copy, text, length);
        copy[random.word[0] % length] = bytes[random.word[1] % (sizeof bytes - 1)];
        survives(read, copy, length);
    }
    for (size_t i = 0; i + 1 < length; i++) { /* a number replaced */
        size_t digits = strspn(text + i, "0123456789");
        const char *number = numbers[(i / 3) % (sizeof numbers / sizeof numbers[0])];
        if (digits == 0)
            continue;
        memcpy(copy, text, i);
        strcpy(copy + i, number);
        strcpy(copy + i + strlen(number), text + i + digits);
        refused += !survives(read, copy, strlen(copy));
        tried++;
        i += digits;
    }
    assert_true(refused > tried / 4);
    free(copy);
}

static void damaged_profiles(void **state)
{
    struct remat_task_graph graph;
    json_t *json;
    char *text;
    (void)state;
    random_graph(&graph, 3, 2);
    json = write_graph(&graph);
    text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
    assert_true(survives(remat_task_graph_from_json, text, strlen(text)));
    damage(remat_task_graph_from_json, text);
    free(text);
    json_decref(json);
    remat_task_graph_free(&graph);
}

static const char diamond[] = "{\"format\": \"remat-graph\", \"version\": 1, \"name\": \"diamond\", \"note\": \"x\","
                              "\"nodes\": [{\"name\": \"a\", \"time_ns\": 5, \"bytes\": 3},"
                              "{\"name\": \"b\", \"time_ns\": 0, \"bytes\": 0},"
                              "{\"name\": \"c\", \"time_ns\": 7, \"bytes\": 790},"
                              "{\"name\": \"d\", \"time_ns\": 1, \"bytes\": 64}],"
                              "\"edges\": [[0, 1], [0, 2], [1, 3], [2, 3]]}";

static void imports_nodes_and_edges(void **state)
{
    struct remat_task_graph graph, again;
    struct remat_error err = {0};
    json_t *json = json_loads(diamond, 0, NULL), *profile;
    (void)state;
    if (remat_task_graph_import(json, "diamond.json", &graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_string_equal(graph.name, "diamond");
    assert_int_equal(graph.order_count, 4);
    assert_int_equal(graph.values[0].bytes, 3);
    assert_int_equal(graph.values[1].bytes, 0);
    assert_int_equal(graph.values[0].users_count, 2);
    assert_int_equal(graph.values[2].recipes_count, 1);
    assert_int_equal(graph.tasks[3].inputs_count, 2);
    assert_int_equal(remat_task_graph_base_time_ns(&graph), 13);
    assert_false(graph.tasks[0].signature == graph.tasks[1].signature);
    profile = write_graph(&graph);
    read_graph(profile, &again);
    assert_true(remat_task_graph_hash(&graph) == remat_task_graph_hash(&again));
    json_decref(json);
    json_decref(profile);
    remat_task_graph_free(&graph);
    remat_task_graph_free(&again);
}

static void expect_refused(const char *from, const char *to, const char *part)
{
    struct remat_task_graph graph;
    struct remat_error err = {0};
    const char *at = strstr(diamond, from);
    char text[1024];
    json_t *json;
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - diamond), diamond, to, at + strlen(from));
    json = json_loads(text, 0, NULL);
    assert_non_null(json);
    assert_int_equal(remat_task_graph_import(json, "file", &graph, &err), REMAT_BAD_DATA);
    if (!strstr(err.message, part))
        fail_msg("expected \"%s\" in \"%s\"", part, err.message);
    json_decref(json);
    remat_task_graph_free(&graph);
}

static void import_refuses(void **state)
{
    (void)state;
    expect_refused("remat-graph", "remat-plan", "file: expected the format \"remat-graph\"");
    expect_refused("\"version\": 1", "\"version\": 2", "found version 2");
    expect_refused("[1, 3]", "[3, 1]", "edges[2]");
    expect_refused("[1, 3]", "[1, 4]", "edges[2]");
    expect_refused("[1, 3]", "[1]", "edges[2]");
    expect_refused("[1, 3]", "[1, 1]", "edges[2]");
    expect_refused("[1, 3]", "[0, 1]", "twice");
    expect_refused("\"bytes\": 790", "\"bytes\": -1", "file: nodes[2]: \"bytes\" is -1");
    expect_refused("\"bytes\": 790", "\"bytes\": 9007199254740992", "2^53");
    expect_refused("\"time_ns\": 7", "\"time_ns\": 0.5", "nodes[2]: expected a whole number");
    expect_refused("\"nodes\"", "\"node\"", "expected an array as \"nodes\"");
}

static void order_of_edges_means_nothing(void **state)
{
    static const char tail[] = "[0, 1], [0, 2], [1, 3], [2, 3]]}";
    struct remat_task_graph graphs[2];
    char text[1024];
    (void)state;
    snprintf(text, sizeof text, "%.*s[2, 3], [1, 3], [0, 2], [0, 1]]}", (int)(strlen(diamond) - strlen(tail)), diamond);
    for (int32_t k = 0; k < 2; k++) {
        struct remat_error err = {0};
        json_t *json = json_loads(k == 0 ? diamond : text, 0, NULL);
        assert_non_null(json);
        if (remat_task_graph_import(json, "diamond.json", &graphs[k], &err) != REMAT_OK)
            fail_msg("%s", err.message);
        json_decref(json);
    }
    assert_true(remat_task_graph_hash(&graphs[0]) == remat_task_graph_hash(&graphs[1]));
    remat_task_graph_free(&graphs[0]);
    remat_task_graph_free(&graphs[1]);
}

/* One node that reads all others. */
static enum remat_status import_star(int32_t reads, struct remat_task_graph *out, struct remat_error *err)
{
    json_t *json = json_pack("{s:s, s:i, s:s, s:[], s:[]}", "format", "remat-graph", "version", 1, "name", "star",
                             "nodes", "edges");
    enum remat_status status;
    for (int32_t i = 0; i <= reads; i++)
        json_array_append_new(json_object_get(json, "nodes"),
                              json_pack("{s:s, s:i, s:i}", "name", "n", "time_ns", 1, "bytes", 1));
    for (int32_t i = 0; i < reads; i++)
        json_array_append_new(json_object_get(json, "edges"), json_pack("[i, i]", (int)i, (int)reads));
    status = remat_task_graph_import(json, "star.json", out, err);
    json_decref(json);
    return status;
}

static void imports_wide_nodes(void **state)
{
    struct remat_task_graph graph;
    struct remat_error err = {0};
    (void)state;
    if (import_star(REMAT_MAX_INPUTS, &graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(graph.tasks[REMAT_MAX_INPUTS].inputs_count, 64);
    remat_task_graph_free(&graph);
    assert_int_equal(import_star(REMAT_MAX_INPUTS + 1, &graph, &err), REMAT_BAD_DATA);
    assert_non_null(strstr(err.message, "node 65 reads more than 64 nodes"));
    remat_task_graph_free(&graph);
}

static void damaged_imports(void **state)
{
    (void)state;
    assert_true(survives(remat_task_graph_import, diamond, strlen(diamond)));
    damage(remat_task_graph_import, diamond);
}

static void import_file(const char *path, int64_t nodes)
{
    struct remat_task_graph graph;
    struct remat_error err = {0};
    json_t *json;
    if (remat_json_load(path, &json, &err) != REMAT_OK || remat_task_graph_import(json, path, &graph, &err) != REMAT_OK)
        fail_msg("%s", err.message);
    assert_int_equal(graph.order_count, nodes);
    json_decref(json);
    remat_task_graph_free(&graph);
}

/* The published instances lie beside the project, where they are kept at all. */
static void imports_published_instances(void **state)
{
    static const struct {
        const char *name;
        int64_t nodes;
    } instances[] = {{"unit_chain_4", 9},   {"unit_chain_20", 41}, {"random_layered_100", 100},
                     {"resnet50_184", 405}, {"unet_11", 154},      {"vgg16_176", 97}};
    (void)state;
    for (size_t i = 0; i < sizeof instances / sizeof instances[0]; i++) {
        char path[512];
        FILE *file;
        snprintf(path, sizeof path, REMAT_SOURCE_DIR "/../shared/instances/%s.json", instances[i].name);
        file = fopen(path, "r");
        if (!file)
            continue;
        fclose(file);
        import_file(path, instances[i].nodes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips_keep_everything),
        cmocka_unit_test(files_keep_the_identity),
        cmocka_unit_test(damaged_profiles),
        cmocka_unit_test(imports_nodes_and_edges),
        cmocka_unit_test(import_refuses),
        cmocka_unit_test(imports_wide_nodes),
        cmocka_unit_test(order_of_edges_means_nothing),
        cmocka_unit_test(damaged_imports),
        cmocka_unit_test(imports_published_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
