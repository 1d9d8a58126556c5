/* Minimum cut of a small directed network in exact integers.
 *
 * Push-relabel with the highest label first, gap and global relabelling (B. Cherkassky, A. Goldberg, "On implementing
 * push-relabel method for the maximum flow problem", Algorithmica 19, 1997); only its first phase, which already tells
 * the cut. A network is built once and solved for many sets of capacities; nothing is allocated while it is solved.
 *
 * Capacities are at least 0; those that leave the source must sum to less than 2^61. */
#ifndef REMAT_SOLVER_MAX_FLOW_H
#define REMAT_SOLVER_MAX_FLOW_H

#include "core/base/memory.h"

#include <stdbool.h>

#define REMAT_FLOW_INFINITE (INT64_C(1) << 61)

struct remat_flow {
    int32_t nodes_count, arcs_count;   /* an arc and its reverse are 2 k and 2 k + 1 */
    int32_t *first, *next, *head;      /* arcs of a node as a list */
    int64_t *capacity, *residual;      /* per arc */
    int64_t *excess;                   /* per node */
    int32_t *height, *current, *below; /* per node; below: the next one in its bucket */
    int32_t *bucket, *members, *queue; /* per height: first active node, number of nodes; breadth-first search */
    int32_t nodes_capacity[8], arcs_capacity[4];
    int32_t highest, relabels;
};

void remat_flow_free(struct remat_flow *flow);
/* Forgets all arcs; memory is kept. Node 0 is the source, node 1 the sink. */
REMAT_MUST_CHECK enum remat_status remat_flow_begin(struct remat_flow *flow, int32_t nodes_count,
                                                    struct remat_error *err);
/* Adds an arc, whose number is the count of arcs added before. */
REMAT_MUST_CHECK enum remat_status remat_flow_add(struct remat_flow *flow, int32_t from, int32_t to, int64_t capacity,
                                                  struct remat_error *err);
void remat_flow_set(struct remat_flow *flow, int32_t arc, int64_t capacity);
/* The capacity of a minimum cut. Then remat_flow_side() tells whether a node is on the source's side of the one with
 * the largest source side. */
int64_t remat_flow_solve(struct remat_flow *flow);
bool remat_flow_side(const struct remat_flow *flow, int32_t node);

#endif
