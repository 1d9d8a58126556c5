#include "trainer/checkpoint/manifest.h"

#include "core/base/json.h"
#include "trainer/checkpoint/output.h"

#include <stdlib.h>
#include <string.h>

const char *const remat_checkpoint_files[REMAT_CHECKPOINT_FILES] = {"model.safetensors", "state.safetensors"};
static const char format[] = "remat-checkpoint";
enum { VERSION = 1 };

void remat_checkpoint_free(struct remat_checkpoint *checkpoint)
{
    json_decref(checkpoint->config);
    memset(checkpoint, 0, sizeof *checkpoint);
}

static json_t *files_json(const struct remat_checkpoint_file *files)
{
    json_t *object = json_object();
    for (int32_t i = 0; i < REMAT_CHECKPOINT_FILES; i++)
        json_object_set_new(
            object, remat_checkpoint_files[i],
            json_pack("{s:I, s:o}", "bytes", (json_int_t)files[i].bytes, "xxh3", remat_json_from_hash(files[i].hash)));
    return object;
}

static json_t *manifest_json(const struct remat_checkpoint *c, const struct remat_checkpoint_file *files)
{
    json_t *log = json_array();
    for (int32_t i = 0; i < REMAT_LOG_FILES; i++)
        json_array_append_new(log, json_integer(c->log_bytes[i]));
    return json_pack("{s:s, s:i, s:I, s:I, s:I, s:o, s:o, s:f, s:I, s:I, s:o, s:o, s:O}", "format", format, "version",
                     VERSION, "step", (json_int_t)c->step, "epoch", (json_int_t)c->epoch, "samples",
                     (json_int_t)c->samples, "seed", remat_json_from_hash(c->seed), "graph_hash",
                     remat_json_from_hash(c->graph_hash), "epoch_loss_sum", c->epoch_loss, "epoch_rows",
                     (json_int_t)c->epoch_rows, "epoch_correct", (json_int_t)c->epoch_correct, "log_bytes", log,
                     "files", files_json(files), "config", c->config);
}

enum remat_status remat_manifest_write(const char *path, const struct remat_checkpoint *checkpoint,
                                       const struct remat_checkpoint_file *files, struct remat_error *err)
{
    json_t *manifest = manifest_json(checkpoint, files);
    char *text = manifest ? json_dumps(manifest, JSON_INDENT(2) | JSON_REAL_PRECISION(17)) : NULL;
    struct remat_output *output = NULL;
    int64_t bytes;
    uint64_t hash;
    enum remat_status status;
    json_decref(manifest);
    if (!text)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory while writing %s", path);
    status = remat_output_open(path, (int64_t)strlen(text), &output, err);
    if (status == REMAT_OK)
        status = remat_output_write(output, text, strlen(text), err);
    if (status == REMAT_OK)
        status = remat_output_finish(output, &bytes, &hash, err);
    else
        remat_output_abandon(output);
    free(text);
    return status;
}

static enum remat_status read_position(const json_t *json, const char *where, struct remat_checkpoint *out,
                                       struct remat_error *err)
{
    REMAT_TRY(remat_json_int(json, "step", where, 0, INT64_MAX, &out->step, err));
    REMAT_TRY(remat_json_int(json, "epoch", where, 0, INT64_MAX, &out->epoch, err));
    REMAT_TRY(remat_json_int(json, "samples", where, 0, INT64_MAX, &out->samples, err));
    REMAT_TRY(remat_json_hash(json, "seed", where, &out->seed, err));
    REMAT_TRY(remat_json_hash(json, "graph_hash", where, &out->graph_hash, err));
    REMAT_TRY(remat_json_number(json, "epoch_loss_sum", where, &out->epoch_loss, err));
    REMAT_TRY(remat_json_int(json, "epoch_rows", where, 0, INT64_MAX, &out->epoch_rows, err));
    return remat_json_int(json, "epoch_correct", where, 0, INT64_MAX, &out->epoch_correct, err);
}

static enum remat_status read_log(const json_t *json, const char *where, struct remat_checkpoint *out,
                                  struct remat_error *err)
{
    const json_t *log;
    REMAT_TRY(remat_json_array(json, "log_bytes", where, &log, err));
    if (json_array_size(log) != REMAT_LOG_FILES)
        return remat_fail(err, REMAT_BAD_DATA, "%s: log_bytes has %zu entries; expected %d", where,
                          json_array_size(log), REMAT_LOG_FILES);
    for (int32_t i = 0; i < REMAT_LOG_FILES; i++) {
        const json_t *bytes = json_array_get(log, (size_t)i);
        if (!json_is_integer(bytes) || json_integer_value(bytes) < 0)
            return remat_fail(err, REMAT_BAD_DATA, "%s: log_bytes[%d] is no size", where, i);
        out->log_bytes[i] = json_integer_value(bytes);
    }
    return REMAT_OK;
}

static enum remat_status read_files(const json_t *json, const char *where, struct remat_checkpoint_file *files,
                                    struct remat_error *err)
{
    const json_t *object, *file;
    REMAT_TRY(remat_json_object(json, "files", where, &object, err));
    for (int32_t i = 0; i < REMAT_CHECKPOINT_FILES; i++) {
        REMAT_TRY(remat_json_object(object, remat_checkpoint_files[i], where, &file, err));
        REMAT_TRY(remat_json_int(file, "bytes", where, 0, INT64_MAX, &files[i].bytes, err));
        REMAT_TRY(remat_json_hash(file, "xxh3", where, &files[i].hash, err));
    }
    return REMAT_OK;
}

static enum remat_status read_all(const json_t *json, const char *where, struct remat_checkpoint *out,
                                  struct remat_checkpoint_file *files, struct remat_error *err)
{
    const json_t *config;
    REMAT_TRY(remat_json_expect(json, where, format, VERSION, err));
    REMAT_TRY(read_position(json, where, out, err));
    REMAT_TRY(read_log(json, where, out, err));
    REMAT_TRY(read_files(json, where, files, err));
    REMAT_TRY(remat_json_object(json, "config", where, &config, err));
    out->config = json_deep_copy(config);
    return out->config ? REMAT_OK : remat_fail(err, REMAT_OUT_OF_MEMORY, "%s: out of host memory", where);
}

enum remat_status remat_manifest_read(const char *path, struct remat_checkpoint *out,
                                      struct remat_checkpoint_file *files, struct remat_error *err)
{
    json_t *json;
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_json_load(path, &json, err));
    status = read_all(json, path, out, files, err);
    json_decref(json);
    return status;
}
