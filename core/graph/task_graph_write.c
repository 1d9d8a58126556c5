/* Writes a task graph as JSON, format "remat-profile" (docs/formats.md). */
#include "core/graph/op_attr.h"
#include "core/graph/task_graph.h"
#include "core/graph/task_graph_text.h"

/* Sets a member and takes the value; false if either could not be made. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *from_ids(const int32_t *ids, int32_t count)
{
    json_t *array = json_array();
    bool good = true;
    for (int32_t i = 0; i < count; i++)
        good &= json_array_append_new(array, json_integer(ids[i])) == 0;
    if (good)
        return array;
    json_decref(array);
    return NULL;
}

static bool set_tensor(json_t *object, const struct remat_tensor *tensor)
{
    json_t *shape = json_array();
    bool good = true;
    for (int32_t i = 0; i < tensor->dims_count; i++)
        good &= json_array_append_new(shape, json_integer(tensor->dims[i])) == 0;
    return set(object, "shape", shape) && good && set(object, "dtype", json_string(remat_dtype_text(tensor->dtype))) &&
           set(object, "layout", json_string(remat_layout_text(tensor->layout)));
}

static bool from_cell(json_t *array, const struct remat_cell *cell)
{
    json_t *object = json_object();
    bool good = set(object, "name", json_string(cell->name)) && set_tensor(object, &cell->tensor) &&
                set(object, "kind", json_string(remat_cell_kind_names.texts[cell->kind])) &&
                set(object, "parameter", json_integer(cell->parameter));
    return json_array_append_new(array, object) == 0 && good;
}

static bool from_value(json_t *array, const struct remat_value *value)
{
    json_t *object = json_object();
    bool good = set(object, "name", json_string(value->name)) && set_tensor(object, &value->tensor) &&
                set(object, "bytes", json_integer(value->bytes)) &&
                set(object, "category", json_string(remat_category_names.texts[value->category])) &&
                set(object, "space", json_string(remat_space_names.texts[value->space])) &&
                set(object, "block", json_integer(value->block));
    return json_array_append_new(array, object) == 0 && good;
}

static json_t *attr_element(const struct remat_op_attr *attr, const struct remat_attr_field *field, int32_t k)
{
    double value = remat_attr_get(attr, field, k);
    if (field->type == REMAT_ATTR_BOOL)
        return json_boolean(value != 0.0);
    return field->type == REMAT_ATTR_INT ? json_integer((json_int_t)value) : json_real(value);
}

static bool attr_is_zero(const struct remat_op_attr *attr, const struct remat_attr_field *field)
{
    for (int32_t k = 0; k < field->count; k++)
        if (remat_attr_get(attr, field, k) != 0.0)
            return false;
    return true;
}

/* Fields that are zero are left out. */
static bool set_attr(json_t *object, const struct remat_op_attr *attr)
{
    json_t *fields = json_object();
    bool good = true;
    for (const struct remat_attr_field *field = remat_attr_fields; field->name; field++) {
        json_t *elements;
        if (attr_is_zero(attr, field))
            continue;
        elements = field->count > 1 ? json_array() : attr_element(attr, field, 0);
        for (int32_t k = 0; field->count > 1 && k < field->count; k++)
            good &= json_array_append_new(elements, attr_element(attr, field, k)) == 0;
        good &= set(fields, field->name, elements);
    }
    return set(object, "attr", fields) && good;
}

static bool set_cell_uses(json_t *object, const struct remat_task *task)
{
    json_t *uses = json_array();
    bool good = true;
    for (int32_t i = 0; i < task->cells_count; i++)
        good &= json_array_append_new(
                    uses, json_pack("{s:i, s:b}", "cell", task->cells[i].cell, "write", task->cells[i].write)) == 0;
    return set(object, "cells", uses) && good;
}

static bool set_options(json_t *object, const struct remat_task *task)
{
    json_t *options = json_array();
    bool good = true;
    for (int32_t i = 0; i < task->options_count; i++) {
        const struct remat_option *option = &task->options[i];
        good &= json_array_append_new(options,
                                      json_pack("{s:s, s:I, s:I, s:I, s:i}", "name", option->name, "time_ns",
                                                (json_int_t)option->time_ns, "spread_ns", (json_int_t)option->spread_ns,
                                                "scratch_bytes", (json_int_t)option->scratch_bytes, "numerics",
                                                option->numerics)) == 0;
    }
    return set(object, "options", options) && good;
}

static bool from_task(json_t *array, const struct remat_task *task)
{
    json_t *object = json_object();
    bool good = set(object, "name", json_string(task->name)) &&
                set(object, "op", json_string(remat_op_text(task->op))) && set_attr(object, &task->attr) &&
                set(object, "phase", json_string(remat_phase_names.texts[task->phase])) &&
                set(object, "section", json_string(remat_section_names.texts[task->section])) &&
                set(object, "block", json_integer(task->block)) &&
                set(object, "inputs", from_ids(task->inputs, task->inputs_count)) &&
                set(object, "outputs", from_ids(task->outputs, task->outputs_count)) && set_cell_uses(object, task) &&
                set_options(object, task);
    return json_array_append_new(array, object) == 0 && good;
}

static bool set_head(json_t *file, const struct remat_task_graph *graph)
{
    json_t *blocks = json_array();
    bool good = set(file, "format", json_string("remat-profile")) && set(file, "version", json_integer(1)) &&
                set(file, "name", json_string(graph->name)) && set(file, "device", json_string(graph->device)) &&
                set(file, "measured", json_boolean(graph->measured)) &&
                set(file, "micro_count", json_integer(graph->micro_count)) &&
                set(file, "to_host_bytes_per_s", json_integer(graph->to_host_bytes_per_s)) &&
                set(file, "to_device_bytes_per_s", json_integer(graph->to_device_bytes_per_s)) &&
                set(file, "move_bytes_per_s", json_integer(graph->move_bytes_per_s));
    for (int32_t i = 0; i < graph->blocks_count; i++)
        good &= json_array_append_new(blocks, json_string(graph->block_names[i])) == 0;
    return set(file, "blocks", blocks) && good;
}

/* A new array member, borrowed; NULL if it could not be made. */
static json_t *add_array(json_t *file, const char *key)
{
    json_t *array = json_array();
    return set(file, key, array) ? array : NULL;
}

json_t *remat_task_graph_to_json(const struct remat_task_graph *graph)
{
    json_t *file = json_object(), *cells, *values, *tasks;
    bool good = set_head(file, graph);
    cells = add_array(file, "cells");
    for (int32_t i = 0; good && i < graph->cells_count; i++)
        good = from_cell(cells, &graph->cells[i]);
    values = add_array(file, "values");
    for (int32_t i = 0; good && i < graph->values_count; i++)
        good = from_value(values, &graph->values[i]);
    tasks = add_array(file, "tasks");
    for (int32_t i = 0; good && i < graph->tasks_count; i++)
        good = from_task(tasks, &graph->tasks[i]);
    if (good && cells && values && tasks && set(file, "order", from_ids(graph->order, graph->order_count)))
        return file;
    json_decref(file);
    return NULL;
}
