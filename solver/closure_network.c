#include "solver/closure_network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE, SINK, FIRST_NODE };

int64_t remat_price_bytes(double price, int64_t bytes, bool up)
{
    int exponent;
    int64_t mantissa = (int64_t)ldexp(frexp(price, &exponent), 53);
    __int128 product = (__int128)mantissa * bytes;
    exponent -= 53;
    if (exponent < -120)
        return up && product > 0;
    if (exponent < 0) {
        __int128 rounding = up ? ((__int128)1 << -exponent) - 1 : 0;
        product = (product + rounding) >> -exponent;
    } else if (exponent > 62 || product > (__int128)INT64_MAX >> exponent) {
        return product > 0 ? INT64_MAX : 0;
    } else {
        product <<= exponent;
    }
    return product > INT64_MAX ? INT64_MAX : (int64_t)product;
}

static int64_t units(const struct remat_closure_network *network, int64_t time_ns)
{
    return network->shift >= 0 ? time_ns << network->shift : time_ns >> -network->shift;
}

/* The finest unit with which the capacities that leave the source sum to less than 2^61. */
static void choose_unit(struct remat_closure_network *network)
{
    const struct remat_cut_model *model = network->model;
    double sum = 1, room;
    int32_t w;
    for (w = 0; w < model->ways_count; w++)
        sum += (double)model->ways[w].time_ns;
    room = (double)REMAT_FLOW_INFINITE / (sum * (model->values_count + model->ways_count + 2));
    network->shift = (int32_t)floor(log2(room)) - 1;
    network->shift = network->shift > 40 ? 40 : network->shift;
    network->most = 1;
    for (w = 0; w < model->ways_count; w++)
        network->most += units(network, model->ways[w].time_ns);
}

enum remat_status remat_closure_network_init(struct remat_closure_network *network, const struct remat_cut_model *model,
                                             struct remat_error *err)
{
    int32_t v;
    memset(network, 0, sizeof *network);
    network->model = model;
    network->position = -1;
    choose_unit(network);
    REMAT_TRY(REMAT_ALLOC(network->weights, model->values_count, err));
    REMAT_TRY(REMAT_ALLOC(network->way_node, model->ways_count, err));
    REMAT_TRY(REMAT_ALLOC(network->value_node, model->values_count, err));
    REMAT_TRY(REMAT_ALLOC(network->ways, model->ways_count, err));
    REMAT_TRY(REMAT_ALLOC(network->values, model->values_count, err));
    REMAT_TRY(REMAT_ALLOC(network->active, model->ways_count, err));
    REMAT_TRY(REMAT_ALLOC(network->queue, model->ways_count, err));
    REMAT_TRY(REMAT_ALLOC(network->needed, model->values_count, err));
    for (v = 0; v < model->values_count; v++)
        network->weights[v] = model->values[v].bytes;
    return REMAT_OK;
}

void remat_closure_network_free(struct remat_closure_network *network)
{
    remat_flow_free(&network->flow);
    free(network->weights);
    free(network->way_node);
    free(network->value_node);
    free(network->ways);
    free(network->values);
    free(network->arcs);
    free(network->active);
    free(network->queue);
    free(network->needed);
    memset(network, 0, sizeof *network);
}

static bool read_later(const struct remat_closure_network *network, int32_t value)
{
    const struct remat_cut_value *v = &network->model->values[value];
    return v->made <= network->position && v->last_read > network->position;
}

static int32_t way_at(const struct remat_closure_network *network, int32_t value)
{
    return remat_cut_reproducible(network->model, value, network->position) ? network->model->values[value].way : -1;
}

static void meet_way(struct remat_closure_network *network, int32_t way)
{
    if (network->way_node[way] >= 0)
        return;
    network->way_node[way] = 0;
    network->ways[network->ways_count++] = way;
}

static enum remat_status add_priced(struct remat_closure_network *network, int32_t value, struct remat_error *err)
{
    struct remat_priced_arc arc = {value, way_at(network, value), network->weights[value]};
    REMAT_TRY(REMAT_GROW(network->arcs, network->arcs_capacity, network->arcs_count + 1, err));
    network->arcs[network->arcs_count++] = arc;
    if (arc.way >= 0)
        meet_way(network, arc.way);
    return REMAT_OK;
}

/* What the order reads later. */
static enum remat_status find_demands(struct remat_closure_network *network, struct remat_error *err)
{
    int32_t v;
    for (v = 0; v < network->model->values_count; v++) {
        if (network->weights[v] == 0 || !read_later(network, v))
            continue;
        if (way_at(network, v) < 0) {
            network->fixed_bytes += network->weights[v];
            continue;
        }
        network->loose_bytes += network->weights[v];
        REMAT_TRY(add_priced(network, v, err));
    }
    network->demands_count = network->arcs_count;
    return REMAT_OK;
}

/* What making those again needs beside. */
static enum remat_status find_needs(struct remat_closure_network *network, struct remat_error *err)
{
    const struct remat_cut_model *model = network->model;
    int32_t w, k;
    for (w = 0; w < network->ways_count; w++) {
        const struct remat_way *way = &model->ways[network->ways[w]];
        for (k = 0; k < way->inputs_count; k++) {
            int32_t v = model->inputs[way->inputs + k];
            if (network->weights[v] == 0 || network->value_node[v] >= 0 || read_later(network, v))
                continue;
            network->value_node[v] = 0;
            network->values[network->values_count++] = v;
            REMAT_TRY(add_priced(network, v, err));
        }
    }
    return REMAT_OK;
}

static enum remat_status connect(struct remat_closure_network *network, struct remat_error *err)
{
    const struct remat_cut_model *model = network->model;
    struct remat_flow *flow = &network->flow;
    int32_t nodes = FIRST_NODE + network->ways_count + network->values_count, w, k;
    REMAT_TRY(remat_flow_begin(flow, nodes, err));
    for (w = 0; w < network->ways_count; w++)
        network->way_node[network->ways[w]] = FIRST_NODE + w;
    for (k = 0; k < network->values_count; k++)
        network->value_node[network->values[k]] = FIRST_NODE + network->ways_count + k;
    for (w = 0; w < network->ways_count; w++) {
        int64_t time = units(network, model->ways[network->ways[w]].time_ns);
        REMAT_TRY(remat_flow_add(flow, FIRST_NODE + w, SINK, time, err));
        REMAT_TRY(remat_flow_add(flow, SOURCE, FIRST_NODE + w, 0, err));
    }
    for (k = 0; k < network->arcs_count; k++) {
        const struct remat_priced_arc *arc = &network->arcs[k];
        int32_t from = k < network->demands_count ? SOURCE : network->value_node[arc->value];
        REMAT_TRY(remat_flow_add(flow, from, arc->way >= 0 ? network->way_node[arc->way] : SINK, 0, err));
    }
    for (w = 0; w < network->ways_count; w++) {
        const struct remat_way *way = &model->ways[network->ways[w]];
        for (k = 0; k < way->inputs_count; k++) {
            int32_t to = network->value_node[model->inputs[way->inputs + k]];
            if (to >= 0)
                REMAT_TRY(remat_flow_add(flow, FIRST_NODE + w, to, REMAT_FLOW_INFINITE, err));
        }
    }
    return REMAT_OK;
}

static void set_weights(struct remat_closure_network *network, bool at_cut)
{
    const struct remat_cut_memory *memory = &network->memory;
    int32_t k;
    for (k = 0; k < memory->count; k++)
        network->weights[memory->values[k]] =
            at_cut ? memory->weights[k] : network->model->values[memory->values[k]].bytes;
}

enum remat_status remat_closure_network_cut(struct remat_closure_network *network, int32_t position,
                                            struct remat_error *err)
{
    const struct remat_cut_model *model = network->model;
    if (network->position == position)
        return REMAT_OK;
    set_weights(network, false);
    remat_cut_memory_at(model, model->graph->order[position], &network->memory);
    set_weights(network, true);
    network->position = position;
    network->fixed_bytes = network->memory.fixed_bytes;
    network->loose_bytes = 0;
    network->ways_count = network->values_count = network->arcs_count = 0;
    memset(network->way_node, 0xff, (size_t)model->ways_count * sizeof *network->way_node);
    memset(network->value_node, 0xff, (size_t)model->values_count * sizeof *network->value_node);
    REMAT_TRY(find_demands(network, err));
    REMAT_TRY(find_needs(network, err));
    return connect(network, err);
}

bool remat_closure_network_used(const struct remat_closure_network *network, int32_t way)
{
    int32_t node = network->way_node[way];
    return node >= 0 && remat_flow_side(&network->flow, node);
}

static bool survives(const struct remat_closure_network *network, int32_t k)
{
    const struct remat_priced_arc *arc = &network->arcs[k];
    bool needed = k < network->demands_count || remat_flow_side(&network->flow, network->value_node[arc->value]);
    return needed && (arc->way < 0 || !remat_closure_network_used(network, arc->way));
}

bool remat_closure_network_survives(const struct remat_closure_network *network, int32_t value)
{
    int32_t way = way_at(network, value), node = network->value_node[value];
    if (network->model->values[value].made > network->position)
        return false;
    if (!read_later(network, value) && (node < 0 || !remat_flow_side(&network->flow, node)))
        return false;
    return network->weights[value] == 0 || way < 0 || !remat_closure_network_used(network, way);
}

static struct remat_closure_line solved_line(const struct remat_closure_network *network)
{
    struct remat_closure_line line = {0, 0};
    int32_t k;
    for (k = 0; k < network->ways_count; k++)
        if (remat_closure_network_used(network, network->ways[k]))
            line.time += (double)units(network, network->model->ways[network->ways[k]].time_ns);
    for (k = 0; k < network->arcs_count; k++)
        if (survives(network, k))
            line.bytes += (double)network->arcs[k].weight;
    return line;
}

int64_t remat_closure_network_solve(struct remat_closure_network *network, double price,
                                    struct remat_closure_line *line)
{
    int64_t value;
    int32_t k;
    for (k = 0; k < network->arcs_count; k++) {
        int64_t capacity = remat_price_bytes(price, network->arcs[k].weight, false);
        remat_flow_set(&network->flow, 2 * network->ways_count + k,
                       capacity < network->most ? capacity : network->most);
    }
    value = remat_flow_solve(&network->flow);
    *line = solved_line(network);
    return value;
}

void remat_closure_network_least(struct remat_closure_network *network, struct remat_closure_line *line)
{
    int32_t k;
    for (k = 0; k < network->ways_count; k++)
        remat_flow_set(&network->flow, 2 * k, 0);
    for (k = 0; k < network->arcs_count; k++)
        remat_flow_set(&network->flow, 2 * network->ways_count + k, network->arcs[k].weight);
    remat_flow_solve(&network->flow);
    for (k = 0; k < network->ways_count; k++)
        remat_flow_set(&network->flow, 2 * k, units(network, network->model->ways[network->ways[k]].time_ns));
    *line = solved_line(network);
}

void remat_closure_network_decide(struct remat_closure_network *network, int32_t way, enum remat_decision decision)
{
    int32_t k = network->way_node[way] - FIRST_NODE;
    int64_t time = units(network, network->model->ways[way].time_ns);
    remat_flow_set(&network->flow, 2 * k, decision == REMAT_WAY_UNUSED ? REMAT_FLOW_INFINITE : time);
    remat_flow_set(&network->flow, 2 * k + 1, decision == REMAT_WAY_USED ? network->most : 0);
}

static void use(struct remat_closure_network *network, int32_t way, int32_t *used_count,
                struct remat_closure_line *line)
{
    if (network->active[way])
        return;
    network->active[way] = true;
    network->queue[(*used_count)++] = way;
    line->time += (double)units(network, network->model->ways[way].time_ns);
}

/* The needs of a way that is used, each once. */
static void meet_needs(struct remat_closure_network *network, int32_t way, const bool *used, int32_t *used_count,
                       struct remat_closure_line *line)
{
    const struct remat_cut_model *model = network->model;
    const int32_t *inputs = model->inputs + model->ways[way].inputs;
    int32_t k;
    for (k = 0; k < model->ways[way].inputs_count; k++) {
        int32_t node = network->value_node[inputs[k]];
        const struct remat_priced_arc *arc;
        if (node < 0 || network->needed[inputs[k]])
            continue;
        network->needed[inputs[k]] = true;
        arc = &network->arcs[network->demands_count + node - FIRST_NODE - network->ways_count];
        if (arc->way >= 0 && (!used || used[arc->way]))
            use(network, arc->way, used_count, line);
        else
            line->bytes += (double)arc->weight;
    }
}

struct remat_closure_line remat_closure_network_line(struct remat_closure_network *network, const bool *used)
{
    struct remat_closure_line line = {0, 0};
    int32_t used_count = 0, k;
    memset(network->active, 0, (size_t)network->model->ways_count * sizeof *network->active);
    memset(network->needed, 0, (size_t)network->model->values_count * sizeof *network->needed);
    for (k = 0; k < network->demands_count; k++)
        if (!used || used[network->arcs[k].way])
            use(network, network->arcs[k].way, &used_count, &line);
        else
            line.bytes += (double)network->arcs[k].weight;
    for (k = 0; k < used_count; k++)
        meet_needs(network, network->queue[k], used, &used_count, &line);
    return line;
}
