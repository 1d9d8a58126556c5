/* Imports the public "remat-graph" format (docs/formats.md): a node is a task with one output, an edge a read. */
#include "core/base/json.h"
#include "core/graph/task_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int64_t MAX_NUMBER = INT64_C(1) << 53;

/* What the nodes read, gathered before tasks can be made. */
struct reads {
    int32_t count, values[REMAT_MAX_INPUTS];
};

/* In ascending order, so that a graph is the same in whatever order its edges are listed. */
static void insert(struct reads *node, int32_t value)
{
    int32_t k = node->count++;
    for (; k > 0 && node->values[k - 1] > value; k--)
        node->values[k] = node->values[k - 1];
    node->values[k] = value;
}

static enum remat_status read_edge(const json_t *edge, const char *where, size_t i, int32_t nodes, struct reads *reads,
                                   struct remat_error *err)
{
    const json_t *from = json_array_get(edge, 0), *to = json_array_get(edge, 1);
    json_int_t u = json_integer_value(from), v = json_integer_value(to);
    struct reads *node;
    if (json_array_size(edge) != 2 || !json_is_integer(from) || !json_is_integer(to) || u < 0 || u >= v || v >= nodes)
        return remat_fail(err, REMAT_BAD_DATA, "%s: edges[%zu] is not [u, v] with 0 <= u < v < %d nodes", where, i,
                          nodes);
    node = &reads[v];
    for (int32_t k = 0; k < node->count; k++)
        if (node->values[k] == u)
            return remat_fail(err, REMAT_BAD_DATA, "%s: edges[%zu] stands there twice", where, i);
    if (node->count == REMAT_MAX_INPUTS)
        return remat_fail(err, REMAT_BAD_DATA, "%s: node %lld reads more than %d nodes, which is not supported", where,
                          (long long)v, REMAT_MAX_INPUTS);
    insert(node, (int32_t)u);
    return REMAT_OK;
}

static enum remat_status read_node(const json_t *node, const char *where, int32_t id, const struct reads *reads,
                                   struct remat_task_graph *graph, struct remat_error *err)
{
    struct remat_option option = {.name = "imported"};
    struct remat_task task;
    struct remat_tensor tensor;
    int64_t bytes, elements;
    int32_t value;
    memset(&task, 0, sizeof task);
    REMAT_TRY(remat_json_text(node, "name", where, &task.name, err));
    REMAT_TRY(remat_json_int(node, "time_ns", where, 0, MAX_NUMBER, &option.time_ns, err));
    REMAT_TRY(remat_json_int(node, "bytes", where, 0, MAX_NUMBER, &bytes, err));
    elements = bytes > 0 ? bytes : 1;
    tensor = remat_tensor_make(REMAT_U8, 1, &elements);
    REMAT_TRY(remat_add_value(graph, &tensor, REMAT_ACTIVATION, 0, &value, err, "%s", task.name));
    graph->values[value].bytes = bytes; /* exact: budgets of such graphs are in their own units */
    task.op = REMAT_OP_OPAQUE;
    task.attr.layer = id;
    task.inputs_count = reads->count;
    memcpy(task.inputs, reads->values, sizeof reads->values);
    task.outputs_count = 1;
    task.outputs[0] = value;
    task.options_count = 1;
    task.options = &option;
    return remat_add_task(graph, &task, false, &value, err);
}

static enum remat_status read_graph(const json_t *nodes, const json_t *edges, const char *where, struct reads *reads,
                                    struct remat_task_graph *graph, struct remat_error *err)
{
    const int32_t count = (int32_t)json_array_size(nodes);
    char place[256];
    for (size_t i = 0; i < json_array_size(edges); i++)
        REMAT_TRY(read_edge(json_array_get(edges, i), where, i, count, reads, err));
    for (int32_t i = 0; i < count; i++) {
        snprintf(place, sizeof place, "%.200s: nodes[%d]", where, i);
        REMAT_TRY(read_node(json_array_get(nodes, (size_t)i), place, i, &reads[i], graph, err));
    }
    return REMAT_OK;
}

static enum remat_status name_graph(struct remat_task_graph *graph, const char *name, struct remat_error *err)
{
    REMAT_TRY(remat_pool_printf(&graph->pool, &graph->name, err, "%s", name));
    REMAT_TRY(REMAT_POOL_ALLOC(&graph->pool, graph->block_names, 1, err));
    graph->block_names[0] = graph->name;
    graph->blocks_count = 1;
    return REMAT_OK;
}

enum remat_status remat_task_graph_import(const json_t *json, const char *where, struct remat_task_graph *out,
                                          struct remat_error *err)
{
    const json_t *nodes, *edges;
    const char *name;
    struct reads *reads;
    enum remat_status status;
    struct remat_error local;
    remat_task_graph_init(out);
    err = err ? err : &local;
    REMAT_TRY(remat_json_expect(json, where, "remat-graph", 1, err));
    REMAT_TRY(remat_json_text(json, "name", where, &name, err));
    REMAT_TRY(remat_json_array(json, "nodes", where, &nodes, err));
    REMAT_TRY(remat_json_array(json, "edges", where, &edges, err));
    REMAT_TRY(name_graph(out, name, err));
    REMAT_TRY(REMAT_ALLOC(reads, (int64_t)json_array_size(nodes), err));
    status = read_graph(nodes, edges, where, reads, out, err);
    free(reads);
    REMAT_TRY(status);
    if (remat_task_graph_finish(out, err) != REMAT_OK)
        return remat_error_prefix(err, "%s", where);
    return REMAT_OK;
}
