/* Format "remat-plan", described in docs/format-plan.md. */
#include "core/plan/plan.h"

#include "core/base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FORMAT_VERSION = 2, WHERE_BYTES = 256 };

static const char FORMAT[] = "remat-plan";
static const char *const space_texts[REMAT_SPACE_COUNT] = {"device", "host"};
static const char *const kind_texts[] = {"run", "store", "fetch", "wait", "move"}; /* in the order of the kinds */

static json_t *from_list(const int32_t *list, int32_t room)
{
    json_t *array = json_array();
    int32_t count = room, k;
    while (count > 0 && list[count - 1] < 0)
        count--;
    for (k = 0; k < count; k++)
        json_array_append_new(array, json_integer(list[k]));
    return array;
}

static json_t *from_instruction(const struct remat_instruction *instruction)
{
    const char *kind = kind_texts[instruction->kind];
    if (instruction->kind == REMAT_WAIT)
        return json_pack("{s:s, s:i}", "kind", kind, "event", (int)instruction->event);
    if (instruction->kind != REMAT_RUN)
        return json_pack("{s:s, s:i, s:i}", "kind", kind, "from", (int)instruction->inputs[0], "to",
                         (int)instruction->outputs[0]);
    return json_pack("{s:s, s:i, s:i, s:o, s:o, s:i}", "kind", kind, "task", (int)instruction->task, "option",
                     (int)instruction->option, "inputs", from_list(instruction->inputs, REMAT_MAX_INPUTS), "outputs",
                     from_list(instruction->outputs, REMAT_MAX_OUTPUTS), "scratch", (int)instruction->scratch);
}

static json_t *from_buffer(const struct remat_buffer *buffer)
{
    return json_pack("{s:s, s:I, s:I, s:i, s:i}", "space", space_texts[buffer->space], "offset_bytes",
                     (json_int_t)buffer->offset, "bytes", (json_int_t)buffer->bytes, "begin", (int)buffer->begin, "end",
                     (int)buffer->end);
}

static json_t *from_view(const struct remat_view *view)
{
    return json_pack("{s:i, s:i, s:I}", "value", (int)view->value, "buffer", (int)view->buffer, "offset_bytes",
                     (json_int_t)view->offset);
}

static json_t *from_budget(int64_t bytes)
{
    return bytes == INT64_MAX ? json_null() : json_integer(bytes);
}

static json_t *from_header(const struct remat_plan *plan)
{
    json_t *object =
        json_pack("{s:s, s:i, s:o, s:o, s:s, s:i}", "format", FORMAT, "version", FORMAT_VERSION, "graph_hash",
                  remat_json_from_hash(plan->graph_hash), "plan_hash", remat_json_from_hash(remat_plan_hash(plan)),
                  "solver", plan->solver, "finish_begin", (int)plan->finish_begin);
    json_object_set_new(object, "budget_bytes", from_budget(plan->budget_bytes));
    json_object_set_new(object, "host_budget_bytes", from_budget(plan->host_budget_bytes));
    json_object_set_new(object, "arena_bytes", json_integer(plan->arena_bytes));
    json_object_set_new(object, "live_peak_bytes", json_integer(plan->live_peak_bytes));
    json_object_set_new(object, "host_bytes", json_integer(plan->host_bytes));
    json_object_set_new(object, "host_live_peak_bytes", json_integer(plan->host_live_peak_bytes));
    json_object_set_new(object, "peak_instruction", json_integer(plan->peak_instruction));
    json_object_set_new(object, "predicted_step_ns", json_integer(plan->predicted_step_ns));
    json_object_set_new(object, "keep_all_step_ns", json_integer(plan->keep_all_step_ns));
    json_object_set_new(object, "lower_bound_ns", json_integer(plan->lower_bound_ns));
    json_object_set_new(object, "solve_ns", json_integer(plan->solve_ns));
    return object;
}

json_t *remat_plan_to_json(const struct remat_plan *plan)
{
    json_t *object = from_header(plan), *list = json_array();
    int32_t i;
    for (i = 0; i < plan->buffers_count; i++)
        json_array_append_new(list, from_buffer(&plan->buffers[i]));
    json_object_set_new(object, "buffers", list);
    list = json_array();
    for (i = 0; i < plan->views_count; i++)
        json_array_append_new(list, from_view(&plan->views[i]));
    json_object_set_new(object, "views", list);
    list = json_array();
    for (i = 0; i < plan->instructions_count; i++)
        json_array_append_new(list, from_instruction(&plan->instructions[i]));
    json_object_set_new(object, "instructions", list);
    return object;
}

static enum remat_status read_int32(const json_t *object, const char *key, const char *where, int64_t minimum,
                                    int64_t maximum, int32_t *out, struct remat_error *err)
{
    int64_t number;
    REMAT_TRY(remat_json_int(object, key, where, minimum, maximum, &number, err));
    *out = (int32_t)number;
    return REMAT_OK;
}

static enum remat_status read_budget(const json_t *object, const char *key, const char *where, int64_t *out,
                                     struct remat_error *err)
{
    *out = INT64_MAX;
    if (json_is_null(json_object_get(object, key)))
        return REMAT_OK;
    return remat_json_int(object, key, where, 0, INT64_MAX, out, err);
}

static enum remat_status read_memory(const json_t *json, const char *where, struct remat_plan *out,
                                     struct remat_error *err)
{
    REMAT_TRY(read_budget(json, "budget_bytes", where, &out->budget_bytes, err));
    REMAT_TRY(remat_json_int(json, "arena_bytes", where, 0, INT64_MAX, &out->arena_bytes, err));
    REMAT_TRY(remat_json_int(json, "live_peak_bytes", where, 0, INT64_MAX, &out->live_peak_bytes, err));
    REMAT_TRY(read_int32(json, "peak_instruction", where, 0, INT32_MAX, &out->peak_instruction, err));
    REMAT_TRY(read_budget(json, "host_budget_bytes", where, &out->host_budget_bytes, err));
    REMAT_TRY(remat_json_int(json, "host_bytes", where, 0, INT64_MAX, &out->host_bytes, err));
    return remat_json_int(json, "host_live_peak_bytes", where, 0, INT64_MAX, &out->host_live_peak_bytes, err);
}

static enum remat_status read_header(const json_t *json, const char *where, struct remat_plan *out,
                                     struct remat_error *err)
{
    const char *solver;
    REMAT_TRY(remat_json_expect(json, where, FORMAT, FORMAT_VERSION, err));
    REMAT_TRY(remat_json_hash(json, "graph_hash", where, &out->graph_hash, err));
    REMAT_TRY(remat_json_text(json, "solver", where, &solver, err));
    if (strlen(solver) >= sizeof out->solver)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"solver\" has %zu characters; at most %zu are possible", where,
                          strlen(solver), sizeof out->solver - 1);
    strcpy(out->solver, solver);
    REMAT_TRY(read_int32(json, "finish_begin", where, 0, INT32_MAX, &out->finish_begin, err));
    REMAT_TRY(read_memory(json, where, out, err));
    REMAT_TRY(remat_json_int(json, "predicted_step_ns", where, 0, INT64_MAX, &out->predicted_step_ns, err));
    REMAT_TRY(remat_json_int(json, "keep_all_step_ns", where, 0, INT64_MAX, &out->keep_all_step_ns, err));
    REMAT_TRY(remat_json_int(json, "lower_bound_ns", where, 0, INT64_MAX, &out->lower_bound_ns, err));
    return remat_json_int(json, "solve_ns", where, 0, INT64_MAX, &out->solve_ns, err);
}

/* The array under `key` and its length. */
static enum remat_status read_array(const json_t *json, const char *key, const char *where, const json_t **array,
                                    int32_t *count, struct remat_error *err)
{
    *count = 0;
    REMAT_TRY(remat_json_array(json, key, where, array, err));
    if (json_array_size(*array) > INT32_MAX)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" has too many elements", where, key);
    *count = (int32_t)json_array_size(*array);
    return REMAT_OK;
}

static enum remat_status read_buffer(const json_t *object, const char *where, struct remat_buffer *out,
                                     struct remat_error *err)
{
    const char *space;
    REMAT_TRY(remat_json_text(object, "space", where, &space, err));
    for (out->space = REMAT_DEVICE; out->space < REMAT_SPACE_COUNT; out->space++)
        if (strcmp(space, space_texts[out->space]) == 0)
            break;
    if (out->space == REMAT_SPACE_COUNT)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"space\" is \"%.64s\"; it must be \"device\" or \"host\"", where,
                          space);
    REMAT_TRY(remat_json_int(object, "offset_bytes", where, 0, INT64_MAX, &out->offset, err));
    REMAT_TRY(remat_json_int(object, "bytes", where, 0, INT64_MAX, &out->bytes, err));
    REMAT_TRY(read_int32(object, "begin", where, 0, INT32_MAX, &out->begin, err));
    return read_int32(object, "end", where, out->begin, INT32_MAX, &out->end, err);
}

static enum remat_status read_list(const json_t *object, const char *key, const char *where, int32_t limit,
                                   int32_t *list, int32_t room, struct remat_error *err)
{
    const json_t *array;
    int32_t count, k;
    REMAT_TRY(read_array(object, key, where, &array, &count, err));
    if (count > room)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" has %d elements; at most %d are possible", where, key, count,
                          room);
    for (k = 0; k < room; k++)
        list[k] = -1;
    for (k = 0; k < count; k++) {
        const json_t *number = json_array_get(array, (size_t)k);
        if (!json_is_integer(number) || json_integer_value(number) < -1 || json_integer_value(number) >= limit)
            return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\"[%d] is not a whole number from -1 to %d", where, key, k,
                              limit - 1);
        list[k] = (int32_t)json_integer_value(number);
    }
    return REMAT_OK;
}

static enum remat_status read_run(const json_t *object, const char *where, int32_t views_count,
                                  struct remat_instruction *out, struct remat_error *err)
{
    REMAT_TRY(read_int32(object, "task", where, 0, INT32_MAX, &out->task, err));
    REMAT_TRY(read_int32(object, "option", where, 0, INT32_MAX, &out->option, err));
    REMAT_TRY(read_list(object, "inputs", where, views_count, out->inputs, REMAT_MAX_INPUTS, err));
    REMAT_TRY(read_list(object, "outputs", where, views_count, out->outputs, REMAT_MAX_OUTPUTS, err));
    return read_int32(object, "scratch", where, -1, (int64_t)views_count - 1, &out->scratch, err);
}

static enum remat_status read_copy(const json_t *object, const char *where, int32_t views_count,
                                   struct remat_instruction *out, struct remat_error *err)
{
    REMAT_TRY(read_int32(object, "from", where, 0, (int64_t)views_count - 1, &out->inputs[0], err));
    return read_int32(object, "to", where, 0, (int64_t)views_count - 1, &out->outputs[0], err);
}

static enum remat_status read_instruction(const json_t *object, const char *where, int32_t at, int32_t views_count,
                                          struct remat_instruction *out, struct remat_error *err)
{
    const char *kind;
    memset(out, 0xff, sizeof *out); /* -1: none */
    REMAT_TRY(remat_json_text(object, "kind", where, &kind, err));
    for (out->kind = REMAT_RUN; out->kind <= REMAT_MOVE; out->kind++)
        if (strcmp(kind, kind_texts[out->kind]) == 0)
            break;
    switch (out->kind) {
    case REMAT_RUN:
        return read_run(object, where, views_count, out, err);
    case REMAT_STORE:
    case REMAT_FETCH:
    case REMAT_MOVE:
        return read_copy(object, where, views_count, out, err);
    case REMAT_WAIT:
        return read_int32(object, "event", where, 0, (int64_t)at - 1, &out->event, err);
    }
    return remat_fail(err, REMAT_BAD_DATA,
                      "%s: \"kind\" is \"%.64s\"; it must be \"run\", \"store\", \"fetch\", \"wait\" or \"move\"",
                      where, kind);
}

static enum remat_status read_buffers(const json_t *json, const char *where, struct remat_plan *out,
                                      struct remat_error *err)
{
    char place[WHERE_BYTES];
    const json_t *array;
    int32_t i;
    REMAT_TRY(read_array(json, "buffers", where, &array, &out->buffers_count, err));
    REMAT_TRY(REMAT_ALLOC(out->buffers, out->buffers_count, err));
    for (i = 0; i < out->buffers_count; i++) {
        snprintf(place, sizeof place, "%.200s: buffers[%d]", where, i);
        REMAT_TRY(read_buffer(json_array_get(array, (size_t)i), place, &out->buffers[i], err));
    }
    return REMAT_OK;
}

static enum remat_status read_views(const json_t *json, const char *where, struct remat_plan *out,
                                    struct remat_error *err)
{
    char place[WHERE_BYTES];
    const json_t *array;
    int32_t i;
    REMAT_TRY(read_array(json, "views", where, &array, &out->views_count, err));
    REMAT_TRY(REMAT_ALLOC(out->views, out->views_count, err));
    for (i = 0; i < out->views_count; i++) {
        const json_t *object = json_array_get(array, (size_t)i);
        snprintf(place, sizeof place, "%.200s: views[%d]", where, i);
        REMAT_TRY(read_int32(object, "value", place, -1, INT32_MAX, &out->views[i].value, err));
        REMAT_TRY(read_int32(object, "buffer", place, 0, (int64_t)out->buffers_count - 1, &out->views[i].buffer, err));
        REMAT_TRY(remat_json_int(object, "offset_bytes", place, 0, INT64_MAX, &out->views[i].offset, err));
    }
    return REMAT_OK;
}

static enum remat_status read_instructions(const json_t *json, const char *where, struct remat_plan *out,
                                           struct remat_error *err)
{
    char place[WHERE_BYTES];
    const json_t *array;
    int32_t i;
    REMAT_TRY(read_array(json, "instructions", where, &array, &out->instructions_count, err));
    REMAT_TRY(REMAT_ALLOC(out->instructions, out->instructions_count, err));
    for (i = 0; i < out->instructions_count; i++) {
        snprintf(place, sizeof place, "%.200s: instructions[%d]", where, i);
        REMAT_TRY(
            read_instruction(json_array_get(array, (size_t)i), place, i, out->views_count, &out->instructions[i], err));
    }
    return REMAT_OK;
}

/* The hash guards against files edited by hand or damaged. */
static enum remat_status check_hash(const json_t *json, const char *where, const struct remat_plan *plan,
                                    struct remat_error *err)
{
    uint64_t hash, found = remat_plan_hash(plan);
    REMAT_TRY(remat_json_hash(json, "plan_hash", where, &hash, err));
    if (hash != found)
        return remat_fail(err, REMAT_BAD_DATA,
                          "%s: \"plan_hash\" is %016llx, but the content has %016llx; the file was changed", where,
                          (unsigned long long)hash, (unsigned long long)found);
    return REMAT_OK;
}

enum remat_status remat_plan_from_json(const json_t *json, const char *where, struct remat_plan *out,
                                       struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    REMAT_TRY(read_header(json, where, out, err));
    REMAT_TRY(read_buffers(json, where, out, err));
    REMAT_TRY(read_views(json, where, out, err));
    REMAT_TRY(read_instructions(json, where, out, err));
    return check_hash(json, where, out, err);
}
