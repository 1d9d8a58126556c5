/* One block of a partition alone: what it costs to keep which of its values.
 *
 * The block's forward and backward tasks run in a small model of their own, with the values that enter it from outside
 * (its input, the arriving gradients) as sources. Every way to treat its inner values is tried and measured with the
 * true rules (in-place, scratch, several outputs, alternates, dying inputs); what no other way beats remains. */
#ifndef REMAT_SOLVER_BLOCK_H
#define REMAT_SOLVER_BLOCK_H

#include "solver/chain_dp.h"
#include "solver/partition.h"

/* What happens to an inner value that backward needs. */
enum remat_treatment {
    REMAT_AGAIN, /* made again for each use */
    REMAT_HELD,  /* made again at its first use, then held to the end of the block's backward part */
    REMAT_KEPT,  /* kept from the forward pass */
};

struct remat_block_model {
    struct remat_model model;
    struct remat_retention work;
    struct remat_hold *holds;
    int32_t block;
    int32_t candidates_count, *candidates; /* data: inner values, then (from outputs_begin) what it hands on */
    int32_t outputs_begin;
    int32_t *forward_end; /* per datum: stage of `whole` up to which the forward pass holds it */
    bool *given;          /* per datum: comes from outside, is pinned or belongs to backward: always held */
    bool *input;          /* per datum: among the block's input */
    /* Stage lists: whole = source, forward, gap, arrival, backward, end; last = without forward and gap;
     * pass = source, gap; hold = the same with the input kept; soft = source, kept values, gap; light = last with
     * the input made by input_node whenever that is needed. */
    int32_t *whole, whole_count, gap, *last, last_count, pass[3], hold[3], soft[4], kept_node;
    int32_t *light, input_node;   /* light: last_count stages */
    int32_t gap_node, gap_inputs; /* of `whole`: reads what is handed on, and the values kept beyond that */
    int64_t input_bytes, output_bytes, base_ns, backward_ns;
    uint64_t signature;
};

REMAT_MUST_CHECK enum remat_status remat_block_model_make(const struct remat_task_graph *graph,
                                                          const struct remat_partition *partition,
                                                          const int32_t *last_keys, int32_t block,
                                                          struct remat_block_model *out, struct remat_error *err);
void remat_block_model_free(struct remat_block_model *block);

/* Fills in out->choices and lasts, and the pass through the block; treatments are allocated in the pool. */
REMAT_MUST_CHECK enum remat_status remat_block_options(struct remat_block_model *block, struct remat_pool *pool,
                                                       struct remat_chain_block *out, struct remat_error *err);
/* Fills in out->lights. */
REMAT_MUST_CHECK enum remat_status remat_block_lights(struct remat_block_model *block, struct remat_pool *pool,
                                                      struct remat_chain_block *out, struct remat_error *err);

#endif
