#include "bench/results.h"

#include "commit.h" /* made at build time: cmake/commit.cmake */
#include "core/base/json.h"

#include <string.h>
#include <time.h>

const char *remat_build_commit(void)
{
    return REMAT_COMMIT;
}

static json_t *date_now(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    return json_string(text);
}

json_t *remat_results_header(const char *format, const struct remat_workload *workload, const char *command)
{
    json_t *header = json_pack("{s:s, s:i, s:o, s:s}", "format", format, "version", 1, "date", date_now(), "commit",
                               remat_build_commit());
    json_t *machine =
        json_pack("{s:s, s:s, s:s, s:i}", "device", workload->info.name, "description", workload->info.description,
                  "fingerprint", workload->info.fingerprint, "threads", (int)workload->info.threads);
    json_t *model = json_pack("{s:s, s:I, s:I}", "name", workload->layers.name, "parameters",
                              (json_int_t)remat_layer_graph_parameters(&workload->layers), "persistent_bytes",
                              (json_int_t)workload->graph.persistent_bytes);
    if (command)
        json_object_set_new(header, "command", json_string(command));
    json_object_set_new(header, "machine", machine);
    json_object_set_new(header, "model", model);
    return header;
}

enum remat_status remat_save_plan(const char *path, const struct remat_task_graph *graph, const struct remat_plan *plan,
                                  struct remat_error *err)
{
    json_t *json = remat_plan_to_json(plan);
    enum remat_status status;
    if (!json || json_object_set_new(json, "graph", remat_task_graph_to_json(graph)) != 0) {
        json_decref(json);
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "%s: out of memory while writing the plan", path);
    }
    status = remat_json_save(path, json, err);
    json_decref(json);
    return status;
}

enum remat_status remat_load_plan(const char *path, struct remat_task_graph *graph, struct remat_plan *plan,
                                  struct remat_error *err)
{
    const json_t *graph_json;
    json_t *json = NULL;
    enum remat_status status;
    remat_task_graph_init(graph);
    memset(plan, 0, sizeof *plan);
    REMAT_TRY(remat_json_load(path, &json, err));
    REMAT_TRY_GOTO(remat_plan_from_json(json, path, plan, err), done);
    REMAT_TRY_GOTO(remat_json_object(json, "graph", path, &graph_json, err), done);
    REMAT_TRY_GOTO(remat_task_graph_from_json(graph_json, path, graph, err), done);
    status = remat_plan_verify(graph, plan, err);
    if (status != REMAT_OK)
        remat_error_prefix(err, "%s", path);
done:
    json_decref(json);
    return status;
}
