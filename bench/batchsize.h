/* The batch-size test: the batch with the highest throughput within a memory bound, and the largest that fits.
 *
 * Sizes are exact for every batch (lowering alone tells them); times come from an affine fit per task through two
 * profiled batches: 8 and 32, on a GPU an eighth and a third of the largest that fits. So the search is arithmetic;
 * only the winners are run. */
#ifndef REMAT_BENCH_BATCHSIZE_H
#define REMAT_BENCH_BATCHSIZE_H

#include "core/base/size.h"
#include "solver/solver.h"
#include "trainer/workload.h"

struct remat_batchsize_config {
    const char *folder, *command;
    char *const *worker_command; /* argv without --batch; "--batch N" and the plan's path are added */
    const struct remat_solver *solver;
    struct remat_solve_options solve; /* budget ignored */
    struct remat_size memory;         /* persistent + arena; a fraction is of what the device has available */
    int32_t steps;                    /* measured steps of the winners; 0 = none */
    void (*progress)(void *context, const char *what, double fraction);
    void *context;
};

struct remat_batchsize_result {
    int64_t best_batch, largest_batch;
    double best_samples_per_second; /* measured, or predicted with steps = 0 */
};

/* `workload` gives model, device and optimizer; its batch is ignored. Writes DIR/batchsize.json and the plans. */
REMAT_MUST_CHECK enum remat_status remat_batchsize(const struct remat_workload_config *workload,
                                                   const struct remat_batchsize_config *config,
                                                   struct remat_batchsize_result *out, struct remat_error *err);

#endif
