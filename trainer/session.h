/* A training run with everything open: made by session.c, driven by train.c. */
#ifndef REMAT_TRAINER_SESSION_H
#define REMAT_TRAINER_SESSION_H

#include "runtime/backend/memory.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/prefetch.h"
#include "trainer/log.h"
#include "trainer/progress.h"
#include "trainer/runner.h"
#include "trainer/train.h"

struct remat_session {
    const struct remat_train_config *config; /* borrowed */
    struct remat_recipe recipe;
    struct remat_model_options model_options;
    struct remat_data_source source;
    struct remat_loader loader;
    struct remat_prefetch *prefetch;
    struct remat_workload workload; /* the training graph */
    struct remat_task_graph eval_graph;
    struct remat_plan plan, eval_plan;
    struct remat_state state;
    struct remat_memory arena;
    struct remat_runner train, eval;
    struct remat_log *log; /* NULL without a folder */
    char *checkpoints;     /* folder; NULL without one */
    struct remat_progress progress;
    struct remat_checkpoint position; /* where the run is; its config is the run's */
    int64_t saved_step;               /* of the newest checkpoint, -1 = none */
    int32_t micro_count;
    int64_t budget_bytes, steps_per_epoch, total_steps;
};

/* The caller closes *out in any case. */
REMAT_MUST_CHECK enum remat_status remat_session_open(const struct remat_train_config *config,
                                                      struct remat_session *out, struct remat_error *err);
void remat_session_close(struct remat_session *run);
/* Saves the position, unless it is saved already; nothing without a folder. */
REMAT_MUST_CHECK enum remat_status remat_session_save(struct remat_session *run, struct remat_error *err);

#endif
