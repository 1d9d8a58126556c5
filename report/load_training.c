/* The training log, a JSON object a line, and evaluations of checkpoints. */
#include "core/base/file.h"
#include "core/base/json.h"
#include "report/load.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t LOG_BYTES_LIMIT = INT64_C(1) << 30;

static enum remat_status add_step(struct report_training *training, const json_t *event, const char *where,
                                  struct remat_error *err)
{
    struct report_step *step;
    REMAT_TRY(REMAT_GROW(training->steps, training->steps_capacity, training->steps_count + 1, err));
    step = &training->steps[training->steps_count++];
    REMAT_TRY(remat_json_number(event, "step", where, &step->step, err));
    REMAT_TRY(report_number(event, "epoch", where, &step->epoch, err));
    REMAT_TRY(report_number(event, "loss", where, &step->loss, err));
    REMAT_TRY(report_number(event, "learning_rate", where, &step->learning_rate, err));
    REMAT_TRY(report_number(event, "samples_per_second", where, &step->speed, err));
    return report_number(event, "step_ns", where, &step->step_ns, err);
}

static enum remat_status add_epoch(struct report_training *training, const json_t *event, const char *where,
                                   struct remat_error *err)
{
    struct report_epoch *epoch;
    REMAT_TRY(REMAT_GROW(training->epochs, training->epochs_capacity, training->epochs_count + 1, err));
    epoch = &training->epochs[training->epochs_count++];
    REMAT_TRY(remat_json_number(event, "epoch", where, &epoch->epoch, err));
    REMAT_TRY(report_number(event, "step", where, &epoch->step, err));
    REMAT_TRY(report_number(event, "train_loss", where, &epoch->train_loss, err));
    REMAT_TRY(report_number(event, "train_accuracy", where, &epoch->train_accuracy, err));
    REMAT_TRY(report_number(event, "test_loss", where, &epoch->test_loss, err));
    REMAT_TRY(report_number(event, "test_accuracy", where, &epoch->test_accuracy, err));
    REMAT_TRY(report_number(event, "learning_rate", where, &epoch->learning_rate, err));
    return report_number(event, "seconds", where, &epoch->seconds, err);
}

static void replace(json_t **kept, json_t *event)
{
    json_decref(*kept);
    *kept = json_incref(event);
}

static enum remat_status add_event(struct report_data *data, json_t *event, const char *where, struct remat_error *err)
{
    const char *kind, *note;
    REMAT_TRY(remat_json_text(event, "event", where, &kind, err));
    if (strcmp(kind, "step") == 0)
        return add_step(&data->training, event, where, err);
    if (strcmp(kind, "epoch") == 0)
        return add_epoch(&data->training, event, where, err);
    if (strcmp(kind, "start") == 0)
        replace(&data->training.start, event);
    else if (strcmp(kind, "end") == 0)
        replace(&data->training.end, event);
    else if (strcmp(kind, "note") == 0 && report_text(event, "text", where, &note, NULL) == REMAT_OK && note[0])
        report_note(data, "Training log: %s", note);
    return REMAT_OK;
}

/* The last line may be half a line: the run was killed while it wrote. */
static enum remat_status add_line(struct report_data *data, const char *path, const char *line, size_t length,
                                  int64_t number, bool last, struct remat_error *err)
{
    char where[PATH_MAX + 32];
    json_error_t reason;
    enum remat_status status;
    json_t *event = json_loadb(line, length, 0, &reason);
    snprintf(where, sizeof where, "%s, line %lld", path, (long long)number);
    if (!event && last) {
        report_note(data, "log.jsonl ends within line %lld: the run stopped while it wrote it.", (long long)number);
        return REMAT_OK;
    }
    if (!event)
        return remat_fail(err, REMAT_BAD_DATA, "%s: %s", where, reason.text);
    status = add_event(data, event, where, err);
    json_decref(event);
    return status;
}

static enum remat_status add_lines(struct report_data *data, const char *path, const char *text, size_t bytes,
                                   struct remat_error *err)
{
    const char *end = text + bytes;
    for (int64_t number = 1; text < end; number++) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((stop ? stop : end) - text);
        if (length > 0)
            REMAT_TRY(add_line(data, path, text, length, number, !stop, err));
        text += length + 1;
    }
    return REMAT_OK;
}

static enum remat_status load_log(struct report_data *data, struct remat_error *err)
{
    char path[PATH_MAX], *text;
    size_t bytes;
    enum remat_status status;
    snprintf(path, sizeof path, "%s/log.jsonl", data->folder);
    status = remat_file_read(path, LOG_BYTES_LIMIT, &text, &bytes, err);
    if (status == REMAT_MISSING_INPUT)
        return REMAT_OK;
    REMAT_TRY(status);
    status = add_lines(data, path, text, bytes, err);
    free(text);
    return status;
}

static enum remat_status read_evaluations(struct report_data *data, const char *path, struct remat_error *err)
{
    struct report_training *training = &data->training;
    const json_t *list;
    char where[PATH_MAX + 32];
    REMAT_TRY(remat_json_expect(data->evaluation_json, path, "remat-evaluation", 1, err));
    REMAT_TRY(remat_json_array(data->evaluation_json, "checkpoints", path, &list, err));
    training->evaluations_count = (int32_t)json_array_size(list);
    REMAT_TRY(REMAT_POOL_ALLOC(&data->pool, training->evaluations, training->evaluations_count, err));
    for (int32_t i = 0; i < training->evaluations_count; i++) {
        struct report_evaluation *out = &training->evaluations[i];
        const json_t *object = json_array_get(list, (size_t)i);
        snprintf(where, sizeof where, "%s: checkpoints[%d]", path, i);
        REMAT_TRY(report_number(object, "step", where, &out->step, err));
        REMAT_TRY(report_number(object, "epoch", where, &out->epoch, err));
        REMAT_TRY(report_number(object, "loss", where, &out->loss, err));
        REMAT_TRY(report_number(object, "accuracy", where, &out->accuracy, err));
        REMAT_TRY(report_number(object, "rows", where, &out->rows, err));
    }
    return REMAT_OK;
}

enum remat_status report_load_training(struct report_data *data, struct remat_error *err)
{
    char path[PATH_MAX];
    enum remat_status status;
    REMAT_TRY(load_log(data, err));
    snprintf(path, sizeof path, "%s/evaluation.json", data->folder);
    status = remat_json_load(path, &data->evaluation_json, err);
    if (status == REMAT_MISSING_INPUT)
        return REMAT_OK;
    REMAT_TRY(status);
    return read_evaluations(data, path, err);
}
