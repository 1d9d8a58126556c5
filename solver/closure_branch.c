#include "solver/closure_branch.h"

#include <stdlib.h>
#include <string.h>

enum { PRICES_A_NODE = 8 };

/* An open part of the choices: one decision, and those of its parents. */
struct node {
    int32_t parent, way;
    enum remat_decision decision;
    int64_t proven;
    double price;
    int32_t branch; /* the way to decide next, -1 = none */
    bool open;
};

struct search {
    struct remat_closure_network *network;
    struct remat_branching *branching;
    struct node *nodes;
    int32_t count, capacity;
    bool *above, *below; /* per way: used by the last choice that does not fit, that fits */
};

static void decide(const struct search *s, int32_t node, bool undo)
{
    for (; s->nodes[node].parent >= 0; node = s->nodes[node].parent)
        remat_closure_network_decide(s->network, s->nodes[node].way, undo ? REMAT_WAY_FREE : s->nodes[node].decision);
}

static void remember(const struct search *s, bool *used)
{
    int32_t k;
    for (k = 0; k < s->network->ways_count; k++)
        used[s->network->ways[k]] = remat_closure_network_used(s->network, s->network->ways[k]);
}

/* One price; its value is a bound on the node. */
static struct remat_closure_line try_price(struct search *s, struct node *node, double price)
{
    struct remat_branching *b = s->branching;
    struct remat_closure_line line;
    int64_t value = remat_closure_network_solve(s->network, price, &line);
    value -= remat_price_bytes(price, b->bytes, true);
    b->solves--;
    if (value > node->proven) {
        node->proven = value;
        node->price = price;
    }
    if (line.bytes > (double)b->bytes) {
        remember(s, s->above);
    } else {
        remember(s, s->below);
        b->fitting = line.time < b->fitting ? line.time : b->fitting;
    }
    return line;
}

/* The way on which the choices beside the best price differ that matters most. */
static int32_t choose_way(const struct search *s, double price)
{
    const struct remat_closure_network *network = s->network;
    double most = -1;
    int32_t chosen = -1, k;
    for (k = 0; k < network->arcs_count; k++) {
        int32_t way = network->arcs[k].way;
        double time, held;
        if (way < 0 || s->above[way] == s->below[way])
            continue;
        time = (double)network->model->ways[way].time_ns;
        held = price * (double)network->arcs[k].weight;
        time = network->shift >= 0 ? time * (double)(INT64_C(1) << network->shift) : time;
        if ((time < held ? time : held) > most) {
            most = time < held ? time : held;
            chosen = way;
        }
    }
    return chosen;
}

/* Brackets the best price from where the parent's was, then takes crossings of the two lines. */
static void bound_node(struct search *s, struct node *node)
{
    const struct remat_branching *b = s->branching;
    struct remat_closure_line low = {0, 0}, high = {0, 0}; /* too many bytes; few enough */
    bool has_low = false, has_high = false;
    double price = node->price, factor = 1.25;
    int32_t step;
    for (step = 0; step < PRICES_A_NODE && b->solves > 0 && (double)node->proven < b->fitting; step++) {
        struct remat_closure_line line = try_price(s, node, price);
        double crossing;
        if (line.bytes > (double)b->bytes) {
            low = line;
            has_low = true;
        } else {
            high = line;
            has_high = true;
        }
        if (!has_low || !has_high) {
            price = has_low ? price * factor : step < 2 ? price / factor : 0;
            factor *= factor;
            continue;
        }
        crossing = (high.time - low.time) / (low.bytes - high.bytes);
        if (low.time + crossing * (low.bytes - (double)b->bytes) <= (double)node->proven + s->network->arcs_count + 8)
            break;
        price = crossing;
    }
    node->branch = has_low && has_high ? choose_way(s, node->price) : -1;
}

static enum remat_status add_node(struct search *s, struct node node, struct remat_error *err)
{
    REMAT_TRY(REMAT_GROW(s->nodes, s->capacity, s->count + 1, err));
    node.open = true;
    s->nodes[s->count++] = node;
    decide(s, s->count - 1, false);
    bound_node(s, &s->nodes[s->count - 1]);
    decide(s, s->count - 1, true);
    return REMAT_OK;
}

static int32_t weakest_open(const struct search *s)
{
    int32_t weakest = -1, k;
    for (k = 0; k < s->count; k++)
        if (s->nodes[k].open && (weakest < 0 || s->nodes[k].proven < s->nodes[weakest].proven))
            weakest = k;
    return weakest;
}

static enum remat_status branch(struct search *s, struct remat_error *err)
{
    struct remat_branching *b = s->branching;
    int32_t at;
    REMAT_TRY(add_node(s, (struct node){.parent = -1, .price = b->price}, err));
    for (;;) {
        struct node node;
        at = weakest_open(s);
        node = s->nodes[at];
        b->proven = (double)node.proven < b->fitting ? node.proven : (int64_t)b->fitting;
        if (node.branch < 0 || (double)node.proven >= b->fitting || b->fitting <= b->enough || b->solves <= 0)
            return REMAT_OK;
        s->nodes[at].open = false;
        node.parent = at;
        node.way = node.branch;
        for (node.decision = REMAT_WAY_USED; node.decision <= REMAT_WAY_UNUSED; node.decision++)
            REMAT_TRY(add_node(s, node, err));
    }
}

enum remat_status remat_closure_branch(struct remat_closure_network *network, struct remat_branching *branching,
                                       struct remat_error *err)
{
    struct search s = {.network = network, .branching = branching};
    enum remat_status status;
    branching->proven = 0;
    REMAT_TRY_GOTO(REMAT_ALLOC(s.above, network->model->ways_count, err), done);
    REMAT_TRY_GOTO(REMAT_ALLOC(s.below, network->model->ways_count, err), done);
    status = branch(&s, err);
done:
    free(s.nodes);
    free(s.above);
    free(s.below);
    return status;
}
