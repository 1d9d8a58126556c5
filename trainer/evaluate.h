/* Loss and accuracy of checkpoints on a test set. The model is built from what the checkpoint recorded. */
#ifndef REMAT_TRAINER_EVALUATE_H
#define REMAT_TRAINER_EVALUATE_H

#include "runtime/backend/backend.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/source.h"

struct remat_evaluate_config {
    const char *checkpoint;        /* a step-NNNNNNNN folder, a folder of them, or a run's folder */
    struct remat_data_config data; /* path and kind */
    const char *device;            /* NULL = "cpu" */
    struct remat_device_config device_config;
    enum remat_dtype precision; /* of activations, whatever training had: parameters are f32 */
    int64_t batch;              /* 0 = that of training; results do not depend on it but for rounding */
    bool all;                   /* each checkpoint, ascending; else the newest valid one */
    struct remat_notes notes;
};

struct remat_evaluation {
    int64_t step, epoch;
    double loss, accuracy; /* means over the test set */
    int64_t rows;
};

/* Calls `result` for each checkpoint evaluated. With `all`, damaged checkpoints are noted and left out. */
REMAT_MUST_CHECK enum remat_status remat_evaluate(const struct remat_evaluate_config *config,
                                                  void (*result)(void *context,
                                                                 const struct remat_evaluation *evaluation),
                                                  void *context, struct remat_error *err);

#endif
