/* Training steps shaped like lowered residual networks, small and with made-up times: blocks of two linear layers with
 * batch normalisation and a residual sum, backward in reverse with updates in between, statistics that are written once
 * and reproduced from what was saved. And the chains of the dynamic program's closed forms. */
#ifndef REMAT_TESTS_SOLVER_SUPPORT_CHAIN_H
#define REMAT_TESTS_SOLVER_SUPPORT_CHAIN_H

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "solver/chain_dp.h"
#include "solver/solver.h"

#define CHECK_OK(expression, err)                                  \
    do {                                                           \
        if ((expression) != REMAT_OK)                              \
            fail_msg("%s failed: %s", #expression, (err).message); \
    } while (0)

/* A residual step of `blocks` equal blocks unless the seed is odd, when widths and times vary. */
void chain_graph(struct remat_task_graph *graph, int32_t blocks, int64_t rows, uint64_t seed);

/* Only linear layers, one a block: forward and backward values of equal size. */
void linear_graph(struct remat_task_graph *graph, int32_t layers, int64_t rows, uint64_t seed);

/* Blocks z = x + gelu(x w): in-place sums and activations, values that two tasks read. */
void gelu_graph(struct remat_task_graph *graph, int32_t blocks, int64_t rows, uint64_t seed);

/* The public unit chain: `layers` forward nodes and one more, then backward node j reads what forward node j read and
 * the gradient; every node takes 1 byte and 1 ns. */
void unit_chain(struct remat_task_graph *graph, int32_t layers);

/* The closed form's chain for the dynamic program: equal blocks whose inputs take `input` bytes, whose backward part
 * takes `whole` bytes and whose forward pass takes `forward` ns. Free the blocks with free(). */
struct remat_chain uniform_chain(int32_t count, int64_t input, int64_t whole, double forward);
void free_chain(struct remat_chain *chain);

#endif
