/* Training: epochs of steps of a verified plan, evaluation after each epoch, log, checkpoints, resumption.
 *
 * A run is a pure function of configuration, data and seed: stopped anywhere and resumed, under whatever budget, it
 * ends in the same bits. Everything is allocated before step 0; steps allocate nothing. */
#ifndef REMAT_TRAINER_TRAIN_H
#define REMAT_TRAINER_TRAIN_H

#include "runtime/exec/ladder.h"
#include "trainer/data/source.h"
#include "trainer/planning.h"
#include "trainer/recipe.h"
#include "trainer/workload.h"

#include <signal.h>
#include <stdio.h>

struct remat_train_config {
    struct remat_workload_config workload; /* model, its options, device, times; lowering follows the recipe */
    struct remat_recipe recipe;            /* its batch is used if the model's options leave it out */
    struct remat_data_config data;         /* path and kind; the rest follows model and recipe */
    struct remat_planning planning;
    int32_t micro_count; /* batches a step, their gradients averaged; 0 = 1 */
    uint64_t seed;
    const char *folder;                /* log, plan.json, checkpoints/; NULL = none of them */
    int32_t save_epochs;               /* a checkpoint each so many epochs and at the end; 0 = only at the end */
    int32_t keep;                      /* checkpoints kept; 0 = all */
    int32_t log_steps;                 /* log each so many steps; 0 = all */
    int64_t stop_step;                 /* stop as if interrupted after this step; 0 = never */
    bool resume;                       /* continue from the newest checkpoint, if there is one */
    const volatile sig_atomic_t *stop; /* set by a signal handler (interrupt.h); NULL = none */
    FILE *progress;                    /* borrowed; NULL = silent */
};

struct remat_train_result {
    int64_t steps, epochs;                                       /* done in all */
    int64_t first_step;                                          /* where this process began */
    double train_loss, train_accuracy, test_loss, test_accuracy; /* of the last whole epoch; NaN = none */
    uint64_t state_hash;
    int64_t planned_bytes, measured_bytes;           /* arena: the plan's, and the highest extent handed to a kernel */
    int64_t planned_host_bytes, measured_host_bytes; /* the same of host memory for offloaded values */
    int64_t persistent_bytes, budget_bytes;          /* INT64_MAX = no budget */
    double seconds;
    struct remat_memory_ladder memory; /* at the end, all being still open */
};

/* REMAT_INTERRUPTED after a stop: the checkpoint is saved (with a folder) and *out tells how far it went. A loss that
 * is not finite is REMAT_FAILED. REMAT_USAGE if the folder has checkpoints and `resume` is off. */
REMAT_MUST_CHECK enum remat_status remat_train(const struct remat_train_config *config, struct remat_train_result *out,
                                               struct remat_error *err);

#endif
