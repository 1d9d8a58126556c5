/* The dynamic program over a chain of blocks: Rotor's recurrence (O. Beaumont, L. Eyraud-Dubois, J. Hermann, A. Joly,
 * A. Shilova, "Optimal checkpointing for heterogeneous chains", RR-9302, arXiv 1911.13214), with several ways to run
 * each block, and with runs of blocks whose inputs are made again together from what the blocks kept.
 *
 * Costs are what recomputation adds to one plain pass, step functions of the memory m (solver/steps.h): nothing is
 * rounded. Everything is relative to the input of the sub-chain, which is accounted for by whoever holds it:
 *
 *   again[i..l](m)  blocks i..l are run forward again and then backward, with the gradient of l's output present:
 *     keep   again_i + extra_c + again[i+1..l](m - kept_c - input_{i+1})
 *     check  sum of again_k for i <= k < j  +  again[j..l](m - input_j)  +  again[i..j-1](m)
 *     base   i = l: the backward part alone, everything made just in time
 *   first[i](m)     blocks i.. after their first forward pass:
 *     run    blocks i..j-1 keep c_i .. c_{j-1} and only input_j is held beside: before the backward part of block j-1
 * the inputs i+1..j-1 are made again at soft_c each check  first[j](m - input_j) + again[i..j-1](m) */
#ifndef REMAT_SOLVER_CHAIN_DP_H
#define REMAT_SOLVER_CHAIN_DP_H

#include "solver/steps.h"

#include <stdbool.h>

/* A way to run a block whose forward pass keeps something. Peaks exclude the block's input, include everything else. */
struct remat_chain_choice {
    int64_t kept_bytes; /* inner values kept, the output not counted */
    int64_t forward_peak_bytes, backward_peak_bytes;
    double extra_ns;         /* made again in its backward part, its output being present */
    double soft_ns;          /* its output made again from its input and what is kept */
    int64_t soft_peak_bytes; /* of that */
    bool nested;             /* also tried in sub-chains, where there are too many to try all */
    uint8_t *treatments;
};

/* A way to run the backward part of a block right after entering it with its input only. */
struct remat_chain_last {
    int64_t backward_peak_bytes;
    double cost_ns;
    uint8_t *treatments;
};

/* A way to run the backward part of a block in which every datum is held from a stage of its own on. Either whoever ran
 * the block holds its input, which is not counted (makes = 0), or the input is one of those data: it is made again from
 * an earlier block's so many times, while `beside_bytes` are live at most. */
struct remat_chain_light {
    int64_t backward_peak_bytes, beside_bytes;
    double cost_ns; /* without what making the input takes */
    int32_t makes;
    int32_t *since; /* of the candidates, then of the input: stage of the backward part */
};

struct remat_chain_block {
    int64_t input_bytes, output_bytes; /* output: what of the next input is new */
    int64_t gradient_bytes;            /* arrives at its backward part */
    double again_ns;                   /* forward pass, keeping nothing; INFINITY if it cannot be run again */
    int64_t pass_peak_bytes;           /* of that, with its input, which dies */
    int64_t hold_peak_bytes;           /* of that, its input held and not counted */
    struct remat_chain_choice *choices;
    struct remat_chain_last *lasts; /* by increasing cost */
    struct remat_chain_light *lights;
    int32_t choices_count, lasts_count, lights_count;
};

struct remat_chain {
    int32_t count;
    struct remat_chain_block *blocks;
    int64_t *shared;      /* [i * count + j], i < j: bytes of j's input that are also in i's; NULL = none */
    int64_t always_bytes; /* held all along, beside what the program counts */
};

struct remat_chain_table;

/* Solves for all memories up to limit_bytes at once. A step that gains less than tolerance_ns is left out wherever it
 * turns up, so that a cost is at most 2 * count * tolerance_ns above the least. Past `deadline`, seconds of the
 * monotonic clock, it gives up: then costs have no step. 0 = none. `chain` is borrowed; the caller frees *out. */
REMAT_MUST_CHECK enum remat_status remat_chain_table_make(const struct remat_chain *chain, int64_t limit_bytes,
                                                          double tolerance_ns, double deadline,
                                                          struct remat_chain_table **out, struct remat_error *err);
void remat_chain_table_free(struct remat_chain_table *table);
/* Added cost of the whole chain. */
const struct remat_steps *remat_chain_costs(const struct remat_chain_table *table);

enum remat_chain_act { REMAT_CHAIN_CHOOSE, REMAT_CHAIN_LAST, REMAT_CHAIN_LIGHT, REMAT_CHAIN_INPUT };

/* What the plan does. `since` = number of blocks: from the first forward pass on, else from the backward part of block
 * `since` on.
 *   CHOOSE  block runs as choices[index], its kept values held since `since`
 *   LAST    block runs as lasts[index]
 *   LIGHT   block runs as lights[index]
 *   INPUT   the input of block is held since `since` to the end of the backward part of block `until` */
struct remat_chain_decision {
    enum remat_chain_act act;
    int32_t block, index, since, until;
};

/* The decisions of step `step` of remat_chain_costs(): at most 2 * count + 1, written to `out`; their number is
 * returned. */
int32_t remat_chain_extract(const struct remat_chain_table *table, int32_t step, struct remat_chain_decision *out);

#endif
