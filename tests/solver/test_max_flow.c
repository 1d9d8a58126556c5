/* Minimum cuts against the enumeration of all cuts of small networks, and against augmenting paths on larger ones. */
#include "tests/solver/support_chain.h"

#include "solver/max_flow.h"

#include "tests/core/support_random_graph.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 120, MOST_ARCS = 800 };

struct network {
    int32_t nodes, arcs, from[MOST_ARCS], to[MOST_ARCS];
    int64_t capacity[MOST_ARCS];
};

static void random_network(struct network *network, uint64_t seed, int32_t nodes, int32_t arcs)
{
    struct random_stream stream = {.seed = seed};
    int32_t k;
    network->nodes = nodes;
    network->arcs = arcs;
    for (k = 0; k < arcs; k++) {
        network->from[k] = random_below(&stream, nodes);
        network->to[k] = random_below(&stream, nodes);
        if (network->from[k] == network->to[k])
            network->to[k] = (network->from[k] + 1) % nodes;
        network->capacity[k] = random_below(&stream, 8) == 0 ? REMAT_FLOW_INFINITE : random_below(&stream, 30);
        if (network->from[k] == 0 && network->capacity[k] == REMAT_FLOW_INFINITE)
            network->capacity[k] = INT64_C(1) << 50;
    }
}

/* The capacity of one cut; infinite arcs saturate. */
static int64_t cut_capacity(const struct network *network, const bool *side)
{
    int64_t sum = 0;
    int32_t k;
    for (k = 0; k < network->arcs; k++)
        if (side[network->from[k]] && !side[network->to[k]]) {
            if (network->capacity[k] == REMAT_FLOW_INFINITE)
                return REMAT_FLOW_INFINITE;
            sum += network->capacity[k];
        }
    return sum;
}

static int64_t enumerate_cuts(const struct network *network)
{
    int64_t best = REMAT_FLOW_INFINITE;
    uint32_t set;
    for (set = 0; set < 1u << (network->nodes - 2); set++) {
        bool side[MOST_NODES] = {true, false};
        int64_t capacity;
        int32_t v;
        for (v = 2; v < network->nodes; v++)
            side[v] = set >> (v - 2) & 1;
        capacity = cut_capacity(network, side);
        best = capacity < best ? capacity : best;
    }
    return best;
}

/* Shortest augmenting paths (Edmonds and Karp) on a matrix. */
static int64_t augment(const struct network *network)
{
    static int64_t residual[MOST_NODES][MOST_NODES];
    int64_t flow = 0;
    memset(residual, 0, sizeof residual);
    for (int32_t k = 0; k < network->arcs; k++)
        residual[network->from[k]][network->to[k]] += network->capacity[k] / 8;
    for (;;) {
        int32_t parent[MOST_NODES], queue[MOST_NODES], begin = 0, end = 1, v;
        int64_t amount = INT64_MAX;
        memset(parent, 0xff, sizeof parent);
        queue[0] = parent[0] = 0;
        for (; begin < end && parent[1] < 0; begin++)
            for (v = 0; v < network->nodes; v++)
                if (parent[v] < 0 && residual[queue[begin]][v] > 0) {
                    parent[v] = queue[begin];
                    queue[end++] = v;
                }
        if (parent[1] < 0)
            return flow;
        for (v = 1; v != 0; v = parent[v])
            amount = residual[parent[v]][v] < amount ? residual[parent[v]][v] : amount;
        for (v = 1; v != 0; v = parent[v]) {
            residual[parent[v]][v] -= amount;
            residual[v][parent[v]] += amount;
        }
        flow += amount;
    }
}

static void build(struct remat_flow *flow, const struct network *network)
{
    struct remat_error err = {0};
    CHECK_OK(remat_flow_begin(flow, network->nodes, &err), err);
    for (int32_t k = 0; k < network->arcs; k++)
        CHECK_OK(remat_flow_add(flow, network->from[k], network->to[k], network->capacity[k], &err), err);
}

/* The value is that of the side told. */
static void check_side(const struct remat_flow *flow, const struct network *network, int64_t value)
{
    bool side[MOST_NODES];
    for (int32_t v = 0; v < network->nodes; v++)
        side[v] = remat_flow_side(flow, v);
    assert_true(side[0] && !side[1]);
    assert_true(cut_capacity(network, side) == value);
}

static void test_small(void **state)
{
    struct remat_flow flow = {0};
    struct network network;
    int32_t compared = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        int32_t nodes = 2 + (int32_t)(seed % 9);
        int64_t best, value;
        random_network(&network, seed, nodes, nodes + (int32_t)(seed % 17));
        best = enumerate_cuts(&network);
        if (best >= INT64_C(1) << 50)
            continue; /* the source reaches the sink by infinite arcs */
        build(&flow, &network);
        value = remat_flow_solve(&flow);
        assert_true(value == best);
        check_side(&flow, &network, value);
        compared++;
    }
    assert_true(compared > 1000);
    remat_flow_free(&flow);
}

static void test_large(void **state)
{
    struct remat_flow flow = {0};
    struct network network;
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        random_network(&network, seed, 20 + (int32_t)(seed % 100), 100 + (int32_t)(seed * 37 % 700));
        for (int32_t k = 0; k < network.arcs; k++)
            network.capacity[k] = 8 * (1 + k * 7919 % 1000);
        build(&flow, &network);
        assert_true(remat_flow_solve(&flow) == 8 * augment(&network));
    }
    remat_flow_free(&flow);
}

/* Capacities set anew give what a new network gives. */
static void test_again(void **state)
{
    struct remat_flow flow = {0}, fresh = {0};
    struct network network;
    (void)state;
    random_network(&network, 5, 40, 200);
    for (int32_t k = 0; k < network.arcs; k++)
        network.capacity[k] = k;
    build(&flow, &network);
    for (int32_t round = 0; round < 20; round++) {
        for (int32_t k = 0; k < network.arcs; k++) {
            network.capacity[k] = (k * 31 + round * 17) % 50;
            remat_flow_set(&flow, k, network.capacity[k]);
        }
        build(&fresh, &network);
        int64_t value = remat_flow_solve(&flow);
        assert_true(value == remat_flow_solve(&fresh));
        check_side(&flow, &network, value);
    }
    remat_flow_free(&flow);
    remat_flow_free(&fresh);
}

/* A long path whose arcs all bind in turn: labels have to rise along it. */
static void test_path(void **state)
{
    struct remat_flow flow = {0};
    struct remat_error err = {0};
    enum { LENGTH = 3000 };
    (void)state;
    CHECK_OK(remat_flow_begin(&flow, LENGTH + 2, &err), err);
    CHECK_OK(remat_flow_add(&flow, 0, 2, INT64_C(1) << 40, &err), err);
    for (int32_t v = 2; v <= LENGTH; v++)
        CHECK_OK(remat_flow_add(&flow, v, v + 1, (INT64_C(1) << 30) - v, &err), err);
    CHECK_OK(remat_flow_add(&flow, LENGTH + 1, 1, INT64_C(1) << 35, &err), err);
    assert_true(remat_flow_solve(&flow) == (INT64_C(1) << 30) - LENGTH);
    remat_flow_set(&flow, LENGTH / 2, 0);
    assert_true(remat_flow_solve(&flow) == 0);
    remat_flow_free(&flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
