/* The solver test: peak memory and step time over a range of budgets, measured.
 *
 * Each point is its own process; its steps alternate with keep-all steps in another process, a fifth of a second
 * of the one and as much of the other, so that the ratio survives a noisy machine. Writes DIR/sweep.json, sweep.csv,
 * profile.json and plans/. */
#ifndef REMAT_BENCH_SWEEP_H
#define REMAT_BENCH_SWEEP_H

#include "core/base/size.h"
#include "solver/solver.h"
#include "trainer/workload.h"

#include <signal.h>

struct remat_sweep_config {
    const char *folder;
    const char *command;         /* model and step options as the user typed them, for the record */
    char *const *worker_command; /* argv of a worker up to the plan's path, which is added; ended by NULL */
    const struct remat_solver *solver;
    struct remat_solve_options solve; /* budget ignored */
    int32_t budgets;                  /* from the smallest to the largest */
    struct remat_size smallest;       /* fractions being of keep-all's peak; all zero = the smallest feasible one */
    struct remat_size largest;        /* the same; all zero = keep-all's peak */
    int32_t steps;                    /* measured steps a point; 0 = plan only */
    bool interleave;                  /* keep-all steps in between, where both fit into memory */
    bool resume;                      /* what `folder` has of the same plans is not measured again (earlier.h) */
    const int64_t *extra_budgets;     /* absolute ones, may be infeasible */
    int32_t extra_count;
    json_t *reference;                 /* borrowed: published points to draw beside ours (published.h); NULL = none */
    const volatile sig_atomic_t *stop; /* set by a signal handler; NULL = none */
    void (*progress)(void *context, const char *what, double fraction);
    void *context;
};

/* A point that is infeasible or fails is recorded as such; the sweep goes on. Fails if a measured peak exceeds its
 * budget or differs from the planned one (after writing everything). REMAT_INTERRUPTED after a stop: the points so far
 * are written. */
REMAT_MUST_CHECK enum remat_status remat_sweep(struct remat_workload *workload, const struct remat_sweep_config *config,
                                               struct remat_error *err);

#endif
