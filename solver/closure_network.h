/* The minimum cut behind one cut of the order at one price a byte.
 *
 * Nodes on the source's side are "yes": a way: it is used after the cut; a value (only those that no task of the order
 * reads after the cut): it is needed then.
 *   source -> way       capacity price x weight: a value read later survives unless its way is used
 *   way -> sink         capacity its time
 *   way -> value        infinite: its inputs are needed
 *   value -> its way    capacity price x weight: a needed value survives unless its way is used
 *   value -> sink       the same, if it cannot be made again
 * Ways may be decided: used (source -> way, no matter what) or not (way -> sink, no matter what).
 * Time is counted in units of 2^-shift ns, so that rounding down costs nothing that matters. */
#ifndef REMAT_SOLVER_CLOSURE_NETWORK_H
#define REMAT_SOLVER_CLOSURE_NETWORK_H

#include "solver/cut_model.h"
#include "solver/max_flow.h"

/* An arc whose capacity is price x weight: cut = the value survives. */
struct remat_priced_arc {
    int32_t value, way; /* way: -1 = cannot be made again */
    int64_t weight;
};

struct remat_closure_network {
    const struct remat_cut_model *model; /* borrowed */
    struct remat_flow flow;
    int32_t shift;    /* unit: 2^-shift ns */
    int64_t most;     /* more than all ways' times in units; no capacity is larger, so that no sum overflows */
    int64_t *weights; /* per value, at the current cut */
    struct remat_cut_memory memory;
    int32_t position; /* the current cut, or -1 */
    /* What the cut needs beside the priced arcs. */
    int64_t fixed_bytes; /* the run itself and what must survive in any case */
    int64_t loose_bytes; /* what survives if nothing is made again */
    /* Arcs of the network: way i -> sink is arc 2 i, source -> way i arc 2 i + 1; then the priced ones: those from the
     * source, then one a value. */
    int32_t *ways, ways_count, *values, values_count; /* in the network */
    int32_t *way_node, *value_node;                   /* -1 = not in it */
    struct remat_priced_arc *arcs;
    int32_t demands_count, arcs_count, arcs_capacity;
    bool *active, *needed; /* per way, per value: working memory of remat_closure_network_line() */
    int32_t *queue;
};

REMAT_MUST_CHECK enum remat_status remat_closure_network_init(struct remat_closure_network *network,
                                                              const struct remat_cut_model *model,
                                                              struct remat_error *err);
void remat_closure_network_free(struct remat_closure_network *network);
/* Makes a task's first run the current cut. */
REMAT_MUST_CHECK enum remat_status remat_closure_network_cut(struct remat_closure_network *network, int32_t position,
                                                             struct remat_error *err);

/* A choice of ways at the current cut: the time it takes in units and the bytes that survive beside fixed_bytes. */
struct remat_closure_line {
    double time, bytes;
};

/* The least time + price x bytes over all choices, in units, rounded down, and the choice that has it; price in units a
 * byte. */
int64_t remat_closure_network_solve(struct remat_closure_network *network, double price,
                                    struct remat_closure_line *line);
/* The choice of least bytes. */
void remat_closure_network_least(struct remat_closure_network *network, struct remat_closure_line *line);
/* After either: whether a way is used; whether a value that was made by then survives. */
bool remat_closure_network_used(const struct remat_closure_network *network, int32_t way);
bool remat_closure_network_survives(const struct remat_closure_network *network, int32_t value);
/* Decides ways of the current cut, or frees them again. */
enum remat_decision { REMAT_WAY_FREE, REMAT_WAY_USED, REMAT_WAY_UNUSED };
void remat_closure_network_decide(struct remat_closure_network *network, int32_t way, enum remat_decision decision);
/* The line of a given choice: used[way] says which ways may be used; NULL: all. */
struct remat_closure_line remat_closure_network_line(struct remat_closure_network *network, const bool *used);

/* price x bytes in units, exactly, rounded up or down; at most INT64_MAX. */
int64_t remat_price_bytes(double price, int64_t bytes, bool up);

#endif
