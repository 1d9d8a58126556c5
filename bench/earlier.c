#include "bench/earlier.h"

#include "bench/results.h"
#include "core/base/json.h"

#include <stdio.h>

/* What must be the same for times to be comparable. */
static enum remat_status compare(const json_t *earlier, const char *path, const struct remat_workload *workload,
                                 struct remat_error *err)
{
    static const char *const keys[] = {"machine", "model"};
    json_t *header = remat_results_header("remat-sweep", workload, NULL);
    int64_t base_ns, expected_ns = remat_task_graph_base_time_ns(&workload->graph);
    enum remat_status status = REMAT_OK;
    for (size_t k = 0; k < sizeof keys / sizeof *keys && status == REMAT_OK; k++)
        if (!json_equal(json_object_get(header, keys[k]), json_object_get(earlier, keys[k])))
            status = remat_fail(err, REMAT_BAD_DATA, "%s: is of another %s; give another folder, or no --resume", path,
                                keys[k]);
    json_decref(header);
    REMAT_TRY(status);
    REMAT_TRY(remat_json_int(earlier, "base_time_ns", path, 0, INT64_MAX, &base_ns, err));
    if (base_ns != expected_ns)
        return remat_fail(
            err, REMAT_BAD_DATA,
            "%s: its profile has a step of %lld ns, the one at hand of %lld ns; a resumed sweep takes the "
            "same profile (no --refresh, the same --cache)",
            path, (long long)base_ns, (long long)expected_ns);
    return REMAT_OK;
}

enum remat_status remat_earlier_sweep(const char *folder, const struct remat_workload *workload, json_t **out,
                                      struct remat_error *err)
{
    char path[512];
    enum remat_status status;
    *out = NULL;
    snprintf(path, sizeof path, "%s/sweep.json", folder);
    status = remat_json_load(path, out, err);
    if (status == REMAT_MISSING_INPUT)
        return REMAT_OK;
    REMAT_TRY(status);
    REMAT_TRY(remat_json_expect(*out, path, "remat-sweep", 1, err));
    return compare(*out, path, workload, err);
}

static bool is_same(const json_t *a, const json_t *b, const char *key)
{
    const json_t *value = json_object_get(a, key);
    return value && json_equal(value, json_object_get(b, key));
}

static bool was_measured(const json_t *point, const json_t *earlier)
{
    return is_same(point, earlier, "solver") && is_same(point, earlier, "budget_bytes") &&
           is_same(point, earlier, "plan_hash") && json_object_get(earlier, "steps_ns") &&
           json_equal(json_object_get(earlier, "measured_peak_bytes"), json_object_get(point, "planned_peak_bytes"));
}

static void take_over(const json_t *earlier, const json_t *measured, json_t *point)
{
    json_t *by = json_object_get(measured, "measured_by");
    json_object_update_missing(point, (json_t *)measured);
    if (!by)
        json_object_set_new(point, "measured_by",
                            json_pack("{s:O, s:O}", "commit", json_object_get(earlier, "commit"), "date",
                                      json_object_get(earlier, "date")));
}

bool remat_earlier_point(const json_t *earlier, json_t *point)
{
    const json_t *points = json_object_get(earlier, "points"), *measured;
    size_t i;
    json_array_foreach(points, i, measured) if (was_measured(point, measured))
    {
        take_over(earlier, measured, point);
        return true;
    }
    return false;
}
