/* One mode of a model, training or evaluation, ready to run: its plan, its executor, its staging slots, and one batch
 * through it. */
#ifndef REMAT_TRAINER_RUNNER_H
#define REMAT_TRAINER_RUNNER_H

#include "core/plan/plan.h"
#include "runtime/exec/exec.h"
#include "trainer/data/loader.h"

struct remat_runner {
    struct remat_exec *exec; /* owned */
    struct remat_batch slots[2];
    struct remat_state *state;              /* borrows */
    const struct remat_state_cell *metrics; /* borrows; f64[4]: sum of losses, rows, rows right */
    int32_t ahead;                          /* slot of the next batch, taken already and on its way; -1 = none */
};

/* Sums over rows. */
struct remat_totals {
    double loss;
    int64_t rows, correct;
};
double remat_totals_loss(const struct remat_totals *totals);     /* mean, NaN without rows */
double remat_totals_accuracy(const struct remat_totals *totals); /* share, NaN without rows */

/* Borrows everything. The staging slots must hold samples of `shape`. The caller closes *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_runner_open(const struct remat_backend *backend, struct remat_device *device,
                                                     const struct remat_layer_graph *layers,
                                                     const struct remat_task_graph *graph,
                                                     const struct remat_plan *plan, struct remat_state *state,
                                                     const struct remat_memory *arena,
                                                     const struct remat_sample_shape *shape, bool track,
                                                     struct remat_runner *out, struct remat_error *err);
void remat_runner_close(struct remat_runner *runner);

struct remat_prefetch;
/* Begins a pass over batches [first, end) for this runner. */
void remat_runner_begin(struct remat_runner *runner, struct remat_prefetch *prefetch, enum remat_split split,
                        int64_t epoch, int64_t first, int64_t end);
/* Runs micro steps and the finish section of one step on the next batches, while the batch after them is taken to the
 * device; *totals are this step's own. */
REMAT_MUST_CHECK enum remat_status remat_runner_step(struct remat_runner *runner, struct remat_prefetch *prefetch,
                                                     const struct remat_step_record *record,
                                                     struct remat_totals *totals, struct remat_error *err);
/* A whole pass over the test set. */
REMAT_MUST_CHECK enum remat_status remat_runner_evaluate(struct remat_runner *runner, struct remat_prefetch *prefetch,
                                                         int64_t batches, struct remat_totals *totals,
                                                         struct remat_error *err);

#endif
