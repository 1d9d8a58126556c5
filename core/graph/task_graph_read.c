/* Reads a task graph from JSON, format "remat-profile" (docs/formats.md). Types and ranges are checked here, where the
 * place in the file can be named; the meaning by remat_task_graph_finish(). */
#include "core/base/json.h"
#include "core/graph/op_attr.h"
#include "core/graph/task_graph.h"
#include "core/graph/task_graph_text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_OPTIONS = 64 };
static const int64_t MAX_NUMBER = INT64_C(1) << 53;

/* The place of element i in messages. */
struct place {
    char text[256];
};

static struct place element_of(const char *where, const char *key, size_t i)
{
    struct place place;
    snprintf(place.text, sizeof place.text, "%.200s: %s[%zu]", where, key, i);
    return place;
}

static enum remat_status read_i32(const json_t *object, const char *key, const char *where, int32_t minimum,
                                  int32_t maximum, int32_t *out, struct remat_error *err)
{
    int64_t number;
    REMAT_TRY(remat_json_int(object, key, where, minimum, maximum, &number, err));
    *out = (int32_t)number;
    return REMAT_OK;
}

static enum remat_status read_bool(const json_t *object, const char *key, const char *where, bool *out,
                                   struct remat_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_boolean(value))
        return remat_fail(err, REMAT_BAD_DATA, "%s: expected true or false as \"%s\"", where, key);
    *out = json_is_true(value);
    return REMAT_OK;
}

static enum remat_status read_name(const json_t *object, const struct remat_names *names, const char *where, int *out,
                                   struct remat_error *err)
{
    const char *text;
    REMAT_TRY(remat_json_text(object, names->what, where, &text, err));
    *out = remat_names_find(names, text);
    if (*out < 0)
        return remat_fail(err, REMAT_BAD_DATA, "%s: unknown %s \"%.64s\"", where, names->what, text);
    return REMAT_OK;
}

/* An array of numbers into out[0..*count). */
static enum remat_status read_numbers(const json_t *object, const char *key, const char *where, int64_t minimum,
                                      int64_t maximum, int32_t room, int64_t *out, int32_t *count,
                                      struct remat_error *err)
{
    const json_t *array;
    REMAT_TRY(remat_json_array(object, key, where, &array, err));
    if (json_array_size(array) > (size_t)room)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" has %zu elements; at most %d are possible", where, key,
                          json_array_size(array), room);
    *count = (int32_t)json_array_size(array);
    for (int32_t i = 0; i < *count; i++) {
        const json_t *number = json_array_get(array, (size_t)i);
        if (!json_is_integer(number) || json_integer_value(number) < minimum || json_integer_value(number) > maximum)
            return remat_fail(err, REMAT_BAD_DATA, "%s: %s[%d] is not a whole number from %lld to %lld", where, key, i,
                              (long long)minimum, (long long)maximum);
        out[i] = json_integer_value(number);
    }
    return REMAT_OK;
}

static enum remat_status read_ids(const json_t *object, const char *key, const char *where, int32_t limit, int32_t room,
                                  int32_t *out, int32_t *count, struct remat_error *err)
{
    int64_t ids[REMAT_MAX_INPUTS + REMAT_MAX_OUTPUTS];
    REMAT_TRY(read_numbers(object, key, where, 0, (int64_t)limit - 1, room, ids, count, err));
    for (int32_t i = 0; i < *count; i++)
        out[i] = (int32_t)ids[i];
    return REMAT_OK;
}

static enum remat_status read_tensor(const json_t *object, const char *where, struct remat_tensor *out,
                                     struct remat_error *err)
{
    const char *dtype, *layout;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_json_text(object, "dtype", where, &dtype, err));
    REMAT_TRY(remat_json_text(object, "layout", where, &layout, err));
    if (remat_dtype_parse(dtype, &out->dtype, err) != REMAT_OK ||
        remat_layout_parse(layout, &out->layout, err) != REMAT_OK)
        return remat_error_prefix(err, "%s", where);
    REMAT_TRY(read_numbers(object, "shape", where, 1, MAX_NUMBER, REMAT_MAX_DIMS, out->dims, &out->dims_count, err));
    return remat_tensor_check(out, where, err);
}

static enum remat_status read_cell(const json_t *object, const char *where, struct remat_task_graph *graph,
                                   struct remat_error *err)
{
    struct remat_tensor tensor;
    const char *name;
    int32_t parameter, id;
    int kind;
    REMAT_TRY(remat_json_text(object, "name", where, &name, err));
    REMAT_TRY(read_tensor(object, where, &tensor, err));
    REMAT_TRY(read_name(object, &remat_cell_kind_names, where, &kind, err));
    REMAT_TRY(read_i32(object, "parameter", where, -1, INT32_MAX, &parameter, err));
    return remat_add_cell(graph, &tensor, (enum remat_cell_kind)kind, parameter, name, &id, err);
}

static enum remat_status read_value(const json_t *object, const char *where, struct remat_task_graph *graph,
                                    struct remat_error *err)
{
    struct remat_tensor tensor;
    const char *name;
    int32_t block, id;
    int category, space;
    int64_t bytes;
    REMAT_TRY(remat_json_text(object, "name", where, &name, err));
    REMAT_TRY(read_tensor(object, where, &tensor, err));
    REMAT_TRY(read_name(object, &remat_category_names, where, &category, err));
    REMAT_TRY(read_name(object, &remat_space_names, where, &space, err));
    REMAT_TRY(read_i32(object, "block", where, 0, INT32_MAX, &block, err));
    REMAT_TRY(remat_json_int(object, "bytes", where, 0, MAX_NUMBER, &bytes, err));
    REMAT_TRY(remat_add_value(graph, &tensor, (enum remat_category)category, block, &id, err, "%s", name));
    graph->values[id].space = (enum remat_space)space;
    graph->values[id].bytes = bytes;
    return REMAT_OK;
}

static const struct remat_attr_field *find_field(const char *name)
{
    for (const struct remat_attr_field *field = remat_attr_fields; field->name; field++)
        if (strcmp(field->name, name) == 0)
            return field;
    return NULL;
}

static bool element_fits(const struct remat_attr_field *field, const json_t *value)
{
    switch (field->type) {
    case REMAT_ATTR_INT:
        return json_is_integer(value) && json_integer_value(value) >= INT32_MIN &&
               json_integer_value(value) <= INT32_MAX;
    case REMAT_ATTR_BOOL:
        return json_is_boolean(value);
    case REMAT_ATTR_FLOAT:
        return json_is_number(value) && fabs(json_number_value(value)) <= (double)FLT_MAX;
    }
    return false;
}

static enum remat_status read_field(const struct remat_attr_field *field, const json_t *value, const char *where,
                                    struct remat_op_attr *out, struct remat_error *err)
{
    bool array = field->count > 1;
    if (array && json_array_size(value) != (size_t)field->count)
        return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" is not an array of %d elements", where, field->name,
                          field->count);
    for (int32_t k = 0; k < field->count; k++) {
        const json_t *element = array ? json_array_get(value, (size_t)k) : value;
        if (!element_fits(field, element))
            return remat_fail(err, REMAT_BAD_DATA, "%s: \"%s\" has a wrong type or is out of range", where,
                              field->name);
        remat_attr_set(out, field, k, json_is_boolean(element) ? json_is_true(element) : json_number_value(element));
    }
    return REMAT_OK;
}

static enum remat_status read_attr(const json_t *task, const char *where, struct remat_op_attr *out,
                                   struct remat_error *err)
{
    const json_t *object;
    const char *key;
    json_t *value;
    REMAT_TRY(remat_json_object(task, "attr", where, &object, err));
    json_object_foreach((json_t *)object, key, value)
    {
        const struct remat_attr_field *field = find_field(key);
        if (!field)
            return remat_fail(err, REMAT_BAD_DATA, "%s: unknown attribute \"%.64s\"", where, key);
        REMAT_TRY(read_field(field, value, where, out, err));
    }
    return REMAT_OK;
}

static enum remat_status read_cell_uses(const json_t *object, const char *where, const struct remat_task_graph *graph,
                                        struct remat_task *task, struct remat_error *err)
{
    const json_t *array;
    REMAT_TRY(remat_json_array(object, "cells", where, &array, err));
    if (json_array_size(array) > REMAT_MAX_CELLS)
        return remat_fail(err, REMAT_BAD_DATA, "%s: %zu cells; at most %d are possible", where, json_array_size(array),
                          REMAT_MAX_CELLS);
    task->cells_count = (int32_t)json_array_size(array);
    for (int32_t i = 0; i < task->cells_count; i++) {
        const json_t *use = json_array_get(array, (size_t)i);
        struct place place = element_of(where, "cells", (size_t)i);
        REMAT_TRY(read_i32(use, "cell", place.text, 0, graph->cells_count - 1, &task->cells[i].cell, err));
        REMAT_TRY(read_bool(use, "write", place.text, &task->cells[i].write, err));
    }
    return REMAT_OK;
}

static enum remat_status read_option(const json_t *object, const char *where, struct remat_option *out,
                                     struct remat_error *err)
{
    REMAT_TRY(remat_json_text(object, "name", where, &out->name, err));
    REMAT_TRY(remat_json_int(object, "time_ns", where, 0, MAX_NUMBER, &out->time_ns, err));
    REMAT_TRY(remat_json_int(object, "spread_ns", where, 0, MAX_NUMBER, &out->spread_ns, err));
    REMAT_TRY(remat_json_int(object, "scratch_bytes", where, 0, MAX_NUMBER, &out->scratch_bytes, err));
    return read_i32(object, "numerics", where, INT32_MIN, INT32_MAX, &out->numerics, err);
}

static enum remat_status read_options(const json_t *object, const char *where, struct remat_option *out,
                                      struct remat_task *task, struct remat_error *err)
{
    const json_t *array;
    REMAT_TRY(remat_json_array(object, "options", where, &array, err));
    if (json_array_size(array) > MAX_OPTIONS)
        return remat_fail(err, REMAT_BAD_DATA, "%s: %zu options; at most %d are possible", where,
                          json_array_size(array), MAX_OPTIONS);
    task->options = out;
    task->options_count = (int32_t)json_array_size(array);
    for (int32_t i = 0; i < task->options_count; i++) {
        struct place place = element_of(where, "options", (size_t)i);
        REMAT_TRY(read_option(json_array_get(array, (size_t)i), place.text, &out[i], err));
    }
    return REMAT_OK;
}

static enum remat_status read_kind(const json_t *object, const char *where, struct remat_task *task,
                                   struct remat_error *err)
{
    const char *op;
    int phase, section;
    REMAT_TRY(remat_json_text(object, "op", where, &op, err));
    if (remat_op_parse(op, &task->op, err) != REMAT_OK)
        return remat_error_prefix(err, "%s", where);
    REMAT_TRY(read_name(object, &remat_phase_names, where, &phase, err));
    REMAT_TRY(read_name(object, &remat_section_names, where, &section, err));
    task->phase = (enum remat_phase)phase;
    task->section = (enum remat_section)section;
    return read_attr(object, where, &task->attr, err);
}

static enum remat_status read_task(const json_t *object, const char *where, struct remat_task_graph *graph,
                                   struct remat_error *err)
{
    struct remat_option options[MAX_OPTIONS];
    struct remat_task task;
    int32_t id;
    memset(&task, 0, sizeof task);
    REMAT_TRY(remat_json_text(object, "name", where, &task.name, err));
    REMAT_TRY(read_kind(object, where, &task, err));
    REMAT_TRY(read_i32(object, "block", where, 0, INT32_MAX, &task.block, err));
    REMAT_TRY(
        read_ids(object, "inputs", where, graph->values_count, REMAT_MAX_INPUTS, task.inputs, &task.inputs_count, err));
    REMAT_TRY(read_ids(object, "outputs", where, graph->values_count, REMAT_MAX_OUTPUTS, task.outputs,
                       &task.outputs_count, err));
    REMAT_TRY(read_cell_uses(object, where, graph, &task, err));
    REMAT_TRY(read_options(object, where, options, &task, err));
    return remat_add_task(graph, &task, true, &id, err); /* the order is read afterwards */
}

static enum remat_status read_order(const json_t *file, const char *where, struct remat_task_graph *graph,
                                    struct remat_error *err)
{
    const json_t *array;
    size_t count;
    REMAT_TRY(remat_json_array(file, "order", where, &array, err));
    count = json_array_size(array);
    if (count > (size_t)graph->tasks_count)
        return remat_fail(err, REMAT_BAD_DATA, "%s: the order has %zu tasks; there are %d", where, count,
                          graph->tasks_count);
    REMAT_TRY(REMAT_GROW(graph->order, graph->order_capacity, (int32_t)count, err));
    for (size_t i = 0; i < count; i++) {
        const json_t *id = json_array_get(array, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= graph->tasks_count ||
            graph->tasks[json_integer_value(id)].position >= 0)
            return remat_fail(err, REMAT_BAD_DATA, "%s: order[%zu] is no task, or one that came before", where, i);
        graph->order[i] = (int32_t)json_integer_value(id);
        graph->tasks[graph->order[i]].position = (int32_t)i;
    }
    graph->order_count = (int32_t)count;
    return REMAT_OK;
}

/* A rate of copies, 0 where the file has none. */
static enum remat_status read_rate(const json_t *object, const char *key, const char *where, int64_t *out,
                                   struct remat_error *err)
{
    *out = 0;
    return json_object_get(object, key) ? remat_json_int(object, key, where, 0, MAX_NUMBER - 1, out, err) : REMAT_OK;
}

static enum remat_status read_head(const json_t *file, const char *where, struct remat_task_graph *graph,
                                   struct remat_error *err)
{
    const char *name, *device;
    const json_t *blocks;
    REMAT_TRY(remat_json_text(file, "name", where, &name, err));
    REMAT_TRY(remat_json_text(file, "device", where, &device, err));
    REMAT_TRY(read_bool(file, "measured", where, &graph->measured, err));
    REMAT_TRY(read_i32(file, "micro_count", where, 1, INT32_MAX, &graph->micro_count, err));
    REMAT_TRY(read_rate(file, "to_host_bytes_per_s", where, &graph->to_host_bytes_per_s, err));
    REMAT_TRY(read_rate(file, "to_device_bytes_per_s", where, &graph->to_device_bytes_per_s, err));
    REMAT_TRY(read_rate(file, "move_bytes_per_s", where, &graph->move_bytes_per_s, err));
    REMAT_TRY(remat_pool_printf(&graph->pool, &graph->name, err, "%s", name));
    REMAT_TRY(remat_pool_printf(&graph->pool, &graph->device, err, "%s", device));
    REMAT_TRY(remat_json_array(file, "blocks", where, &blocks, err));
    REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, graph->block_names, (int64_t)json_array_size(blocks), err));
    for (size_t i = 0; i < json_array_size(blocks); i++) {
        const char *text = json_string_value(json_array_get(blocks, i));
        if (!text)
            return remat_fail(err, REMAT_BAD_DATA, "%s: blocks[%zu] is not a text", where, i);
        REMAT_TRY(remat_pool_printf(&graph->pool, &graph->block_names[i], err, "%s", text));
        graph->blocks_count++;
    }
    return REMAT_OK;
}

typedef enum remat_status read_element(const json_t *object, const char *where, struct remat_task_graph *graph,
                                       struct remat_error *err);

static enum remat_status read_elements(const json_t *file, const char *key, const char *where, read_element *read,
                                       struct remat_task_graph *graph, struct remat_error *err)
{
    const json_t *array;
    REMAT_TRY(remat_json_array(file, key, where, &array, err));
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct place place = element_of(where, key, i);
        REMAT_TRY(read(json_array_get(array, i), place.text, graph, err));
    }
    return REMAT_OK;
}

enum remat_status remat_task_graph_from_json(const json_t *json, const char *where, struct remat_task_graph *out,
                                             struct remat_error *err)
{
    struct remat_error local;
    remat_task_graph_init(out);
    err = err ? err : &local; /* prefixes need one */
    REMAT_TRY(remat_json_expect(json, where, "remat-profile", 1, err));
    REMAT_TRY(read_head(json, where, out, err));
    REMAT_TRY(read_elements(json, "cells", where, read_cell, out, err));
    REMAT_TRY(read_elements(json, "values", where, read_value, out, err));
    REMAT_TRY(read_elements(json, "tasks", where, read_task, out, err));
    REMAT_TRY(read_order(json, where, out, err));
    if (remat_task_graph_finish(out, err) != REMAT_OK)
        return remat_error_prefix(err, "%s", where);
    return REMAT_OK;
}
