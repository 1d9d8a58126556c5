#include "report/load.h"

#include "core/base/json.h"
#include "core/base/quantile.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void report_note(struct report_data *data, const char *format, ...)
{
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (data->notes_count < REPORT_MAX_NOTES &&
        remat_pool_printf(&data->pool, &data->notes[data->notes_count], NULL, "%s", text) == REMAT_OK)
        data->notes_count++;
}

enum remat_status report_number(const json_t *object, const char *key, const char *where, double *out,
                                struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = NAN;
    if (!value || json_is_null(value))
        return REMAT_OK;
    return remat_json_number(object, key, where, out, err);
}

enum remat_status report_text(const json_t *object, const char *key, const char *where, const char **out,
                              struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    *out = "";
    if (!value || json_is_null(value))
        return REMAT_OK;
    return remat_json_text(object, key, where, out, err);
}

/* Members that are plain numbers: name in the file, place in the structure. */
struct member {
    const char *key;
    size_t offset;
};

static enum remat_status read_numbers(const json_t *object, const char *where, const struct member *members,
                                      void *structure, struct remat_error *err)
{
    for (const struct member *m = members; m->key; m++)
        REMAT_TRY(report_number(object, m->key, where, (double *)(void *)((char *)structure + m->offset), err));
    return REMAT_OK;
}

/* The texts that points of both kinds have. */
static enum remat_status read_state(const json_t *object, const char *where, const char **status, const char **message,
                                    const char **plan, bool *ok, struct remat_error *err)
{
    if (!json_is_object(object))
        return remat_fail(err, REMAT_BAD_DATA, "%s: expected an object", where);
    REMAT_TRY(remat_json_text(object, "status", where, status, err));
    REMAT_TRY(report_text(object, "message", where, message, err));
    REMAT_TRY(report_text(object, "plan", where, plan, err));
    *ok = strcmp(*status, "ok") == 0;
    return REMAT_OK;
}

static enum remat_status read_times(struct report_data *data, const json_t *object, const char *key, const char *where,
                                    double **out, int32_t *count, struct remat_error *err)
{
    const json_t *list = json_object_get(object, key);
    *out = NULL;
    *count = (int32_t)json_array_size(list);
    REMAT_TRY(REMAT_POOL_ALLOC(&data->pool, *out, *count, err));
    for (int32_t i = 0; i < *count; i++) {
        const json_t *value = json_array_get(list, (size_t)i);
        if (!json_is_number(value))
            return remat_fail(err, REMAT_BAD_DATA, "%s: expected a number as \"%s\"[%d]", where, key, i);
        (*out)[i] = json_number_value(value);
    }
    return REMAT_OK;
}

/* Of older files, which do not tell: quartiles of the steps over the median of the keep-all steps in between. */
static enum remat_status read_quartiles(struct report_data *data, const json_t *object, const char *where,
                                        struct report_point *point, struct remat_error *err)
{
    double *steps, *base;
    int32_t steps_count, base_count;
    if (!isnan(point->relative_low) && !isnan(point->relative_high))
        return REMAT_OK;
    REMAT_TRY(read_times(data, object, "steps_ns", where, &steps, &steps_count, err));
    REMAT_TRY(read_times(data, object, "keep_all_steps_ns", where, &base, &base_count, err));
    point->relative_low = remat_quantile(steps, steps_count, 0.25) / remat_quantile(base, base_count, 0.5);
    point->relative_high = remat_quantile(steps, steps_count, 0.75) / remat_quantile(base, base_count, 0.5);
    return REMAT_OK;
}

static enum remat_status read_point(struct report_data *data, const json_t *object, const char *where,
                                    struct report_point *point, struct remat_error *err)
{
#define MEMBER(key, field)                        \
    {                                             \
        key, offsetof(struct report_point, field) \
    }
    static const struct member members[] = {MEMBER("budget_bytes", budget_bytes),
                                            MEMBER("planned_peak_bytes", planned_peak_bytes),
                                            MEMBER("measured_peak_bytes", measured_peak_bytes),
                                            MEMBER("process_peak_bytes", process_peak_bytes),
                                            MEMBER("predicted_step_ns", predicted_step_ns),
                                            MEMBER("predicted_relative_step", predicted_relative),
                                            MEMBER("lower_bound_ns", lower_bound_ns),
                                            MEMBER("gap", gap),
                                            MEMBER("solve_ns", solve_ns),
                                            MEMBER("measured_step_ns", measured_step_ns),
                                            MEMBER("relative_step", relative),
                                            MEMBER("relative_low", relative_low),
                                            MEMBER("relative_high", relative_high),
                                            {NULL, 0}};
#undef MEMBER
    REMAT_TRY(read_state(object, where, &point->status, &point->message, &point->plan, &point->ok, err));
    REMAT_TRY(remat_json_text(object, "solver", where, &point->solver, err));
    REMAT_TRY(report_text(object, "state_hash", where, &point->state_hash, err));
    REMAT_TRY(read_numbers(object, where, members, point, err));
    return read_quartiles(data, object, where, point, err);
}

static enum remat_status read_reference(struct report_data *data, const json_t *file, const char *path,
                                        struct remat_error *err)
{
    struct report_sweep *sweep = &data->sweep;
    const json_t *reference = json_object_get(file, "reference"), *points;
    char where[PATH_MAX + 32];
    if (!reference || json_is_null(reference))
        return REMAT_OK;
    snprintf(where, sizeof where, "%s: reference", path);
    REMAT_TRY(remat_json_text(reference, "name", where, &sweep->reference_name, err));
    REMAT_TRY(remat_json_array(reference, "points", where, &points, err));
    sweep->reference_count = (int32_t)json_array_size(points);
    REMAT_TRY(REMAT_POOL_ALLOC(&data->pool, sweep->reference, sweep->reference_count, err));
    for (int32_t i = 0; i < sweep->reference_count; i++) {
        struct report_reference_point *point = &sweep->reference[i];
        const json_t *object = json_array_get(points, (size_t)i);
        snprintf(where, sizeof where, "%s: reference.points[%d]", path, i);
        REMAT_TRY(report_number(object, "budget_bytes", where, &point->budget_bytes, err));
        REMAT_TRY(report_number(object, "peak_bytes", where, &point->peak_bytes, err));
        REMAT_TRY(report_number(object, "relative_step", where, &point->relative, err));
    }
    return REMAT_OK;
}

static const char *measured_solver(const struct report_sweep *sweep)
{
    for (int32_t i = 0; i < sweep->points_count; i++)
        if (isfinite(sweep->points[i].measured_peak_bytes))
            return sweep->points[i].solver;
    return sweep->points_count > 0 ? sweep->points[0].solver : "";
}

static enum remat_status read_sweep(struct report_data *data, const json_t *file, const char *path,
                                    struct remat_error *err)
{
    struct report_sweep *sweep = &data->sweep;
    const json_t *points;
    char where[PATH_MAX + 32];
    REMAT_TRY(remat_json_expect(file, path, "remat-sweep", 1, err));
    REMAT_TRY(report_number(file, "base_time_ns", path, &sweep->base_time_ns, err));
    REMAT_TRY(report_number(file, "keep_all_peak_bytes", path, &sweep->keep_all_peak_bytes, err));
    REMAT_TRY(report_number(file, "smallest_peak_bytes", path, &sweep->smallest_peak_bytes, err));
    REMAT_TRY(remat_json_array(file, "points", path, &points, err));
    sweep->points_count = (int32_t)json_array_size(points);
    REMAT_TRY(REMAT_POOL_ALLOC(&data->pool, sweep->points, sweep->points_count, err));
    for (int32_t i = 0; i < sweep->points_count; i++) {
        snprintf(where, sizeof where, "%s: points[%d]", path, i);
        REMAT_TRY(read_point(data, json_array_get(points, (size_t)i), where, &sweep->points[i], err));
    }
    sweep->solver = measured_solver(sweep);
    return read_reference(data, file, path, err);
}

static enum remat_status read_batch(const json_t *object, const char *where, struct report_batch *point,
                                    struct remat_error *err)
{
#define MEMBER(key, field)                        \
    {                                             \
        key, offsetof(struct report_batch, field) \
    }
    static const struct member members[] = {MEMBER("batch", batch),
                                            MEMBER("persistent_bytes", persistent_bytes),
                                            MEMBER("planned_peak_bytes", planned_peak_bytes),
                                            MEMBER("measured_peak_bytes", measured_peak_bytes),
                                            MEMBER("predicted_step_ns", predicted_step_ns),
                                            MEMBER("measured_step_ns", measured_step_ns),
                                            MEMBER("predicted_samples_per_second", predicted_speed),
                                            MEMBER("samples_per_second", speed),
                                            {NULL, 0}};
#undef MEMBER
    REMAT_TRY(read_state(object, where, &point->status, &point->message, &point->plan, &point->ok, err));
    return read_numbers(object, where, members, point, err);
}

static enum remat_status read_batchsize(struct report_data *data, const json_t *file, const char *path,
                                        struct remat_error *err)
{
    struct report_batchsize *out = &data->batchsize;
    const json_t *points;
    char where[PATH_MAX + 32];
    REMAT_TRY(remat_json_expect(file, path, "remat-batchsize", 1, err));
    REMAT_TRY(report_number(file, "memory_bytes", path, &out->memory_bytes, err));
    REMAT_TRY(report_number(file, "best_batch", path, &out->best_batch, err));
    REMAT_TRY(report_number(file, "largest_batch", path, &out->largest_batch, err));
    REMAT_TRY(remat_json_array(file, "points", path, &points, err));
    out->points_count = (int32_t)json_array_size(points);
    REMAT_TRY(REMAT_POOL_ALLOC(&data->pool, out->points, out->points_count, err));
    for (int32_t i = 0; i < out->points_count; i++) {
        snprintf(where, sizeof where, "%s: points[%d]", path, i);
        REMAT_TRY(read_batch(json_array_get(points, (size_t)i), where, &out->points[i], err));
    }
    return REMAT_OK;
}

/* A missing file is no failure: *out stays NULL. */
static enum remat_status load_if_there(const char *path, json_t **out, struct remat_error *err)
{
    enum remat_status status = remat_json_load(path, out, err);
    return status == REMAT_MISSING_INPUT ? REMAT_OK : status;
}

static enum remat_status load_files(struct report_data *data, struct remat_error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sweep.json", data->folder);
    REMAT_TRY(load_if_there(path, &data->sweep_json, err));
    if (data->sweep_json)
        REMAT_TRY(read_sweep(data, data->sweep_json, path, err));
    snprintf(path, sizeof path, "%s/batchsize.json", data->folder);
    REMAT_TRY(load_if_there(path, &data->batchsize_json, err));
    if (data->batchsize_json)
        REMAT_TRY(read_batchsize(data, data->batchsize_json, path, err));
    return report_load_training(data, err);
}

bool report_any_training(const struct report_training *training)
{
    return training->steps_count + training->epochs_count + training->evaluations_count > 0;
}

enum remat_status report_load(const char *folder, struct report_data *out, struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    out->folder = folder;
    out->sweep.solver = out->sweep.reference_name = "";
    if (strlen(folder) > PATH_MAX - 64)
        return remat_fail(err, REMAT_IO, "%.200s...: the path is too long", folder);
    REMAT_TRY(load_files(out, err));
    if (!out->sweep_json && !out->batchsize_json && !report_any_training(&out->training))
        return remat_fail(err, REMAT_MISSING_INPUT,
                          "%s: expected sweep.json, batchsize.json, evaluation.json or a log.jsonl with steps in it, "
                          "found none; give the folder that remat sweep, batchsize, train or eval wrote",
                          folder);
    return REMAT_OK;
}

void report_data_free(struct report_data *data)
{
    json_decref(data->sweep_json);
    json_decref(data->batchsize_json);
    json_decref(data->evaluation_json);
    json_decref(data->training.start);
    json_decref(data->training.end);
    free(data->training.steps);
    free(data->training.epochs);
    remat_pool_free(&data->pool);
}
