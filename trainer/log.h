/* The log of a run, three files in its folder, each record one write of a whole line:
 *
 *   log.jsonl    every event as a JSON object with "event": start, step, epoch, checkpoint, end
 *   steps.csv    step,epoch,loss,learning_rate,samples_per_second,step_ns
 *   epochs.csv   epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,learning_rate,seconds
 *
 * Checkpoints record the files' lengths; resuming cuts them there, so that no step is logged twice. */
#ifndef REMAT_TRAINER_LOG_H
#define REMAT_TRAINER_LOG_H

#include "core/base/status.h"
#include "trainer/checkpoint/checkpoint.h"

#include <jansson.h>
#include <stdint.h>

struct remat_log;

struct remat_log_step {
    int64_t step, epoch; /* the step done, from 1; the epoch it belongs to, from 1 */
    double loss, learning_rate, samples_per_second;
    int64_t step_ns;
};

struct remat_log_epoch {
    int64_t epoch, step; /* epochs done, steps done */
    double train_loss, train_accuracy, test_loss, test_accuracy, learning_rate, seconds;
};

/* Creates the folder. `bytes` are the lengths to cut the files to; NULL begins anew. The caller closes *out, also after
 * a failure (NULL is fine). */
REMAT_MUST_CHECK enum remat_status remat_log_open(const char *folder, const int64_t bytes[REMAT_LOG_FILES],
                                                  struct remat_log **out, struct remat_error *err);
void remat_log_close(struct remat_log *log);

REMAT_MUST_CHECK enum remat_status remat_log_step(struct remat_log *log, const struct remat_log_step *record,
                                                  struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_log_epoch(struct remat_log *log, const struct remat_log_epoch *record,
                                                   struct remat_error *err);
/* Any other event; takes `event`, an object with "event". */
REMAT_MUST_CHECK enum remat_status remat_log_event(struct remat_log *log, json_t *event, struct remat_error *err);
/* Makes the files durable and tells their lengths. */
REMAT_MUST_CHECK enum remat_status remat_log_sync(struct remat_log *log, int64_t bytes[REMAT_LOG_FILES],
                                                  struct remat_error *err);

#endif
