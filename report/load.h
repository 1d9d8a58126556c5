/* The recorded data of a run's folder (docs/format-results.md), as numbers ready to draw.
 *
 * Missing numbers are NaN, missing texts "". Texts are borrowed from the JSON trees that the data owns. */
#ifndef REMAT_REPORT_LOAD_H
#define REMAT_REPORT_LOAD_H

#include "core/base/memory.h"

#include <jansson.h>
#include <stdbool.h>

struct report_point {
    const char *solver, *status, *message, *plan, *state_hash;
    double budget_bytes, planned_peak_bytes, measured_peak_bytes, process_peak_bytes;
    double predicted_step_ns, predicted_relative, lower_bound_ns, gap, solve_ns;
    double measured_step_ns, relative, relative_low, relative_high; /* to keep-all; median and quartiles */
    bool ok;
};

struct report_reference_point {
    double budget_bytes, peak_bytes, relative;
};

struct report_sweep {
    double base_time_ns, keep_all_peak_bytes, smallest_peak_bytes;
    struct report_point *points;
    struct report_reference_point *reference;
    const char *reference_name;
    int32_t points_count, reference_count;
    const char *solver; /* the one that was measured; without measurements the first point's */
};

struct report_batch {
    const char *status, *message, *plan;
    double batch, persistent_bytes, planned_peak_bytes, measured_peak_bytes;
    double predicted_step_ns, measured_step_ns, predicted_speed, speed; /* samples a second */
    bool ok;
};

struct report_batchsize {
    double memory_bytes, best_batch, largest_batch;
    struct report_batch *points;
    int32_t points_count;
};

struct report_step {
    double step, epoch, loss, learning_rate, speed, step_ns;
};

struct report_epoch {
    double epoch, step, train_loss, train_accuracy, test_loss, test_accuracy, learning_rate, seconds;
};

/* A checkpoint on the test set, by remat eval. */
struct report_evaluation {
    double step, epoch, loss, accuracy, rows;
};

struct report_training {
    struct report_step *steps;
    struct report_epoch *epochs;
    struct report_evaluation *evaluations;
    int32_t steps_count, steps_capacity, epochs_count, epochs_capacity, evaluations_count;
    json_t *start, *end; /* the events of these names, or NULL */
};

enum { REPORT_MAX_NOTES = 32 };

struct report_data {
    const char *folder; /* borrowed */
    json_t *sweep_json, *batchsize_json, *evaluation_json;
    struct report_sweep sweep;
    struct report_batchsize batchsize;
    struct report_training training;
    struct remat_pool pool;
    const char *notes[REPORT_MAX_NOTES]; /* what is missing or failed, for the page */
    int32_t notes_count;
};

/* Reads what is there; see remat_report() for failures. The caller frees *out in any case. */
REMAT_MUST_CHECK enum remat_status report_load(const char *folder, struct report_data *out, struct remat_error *err);
bool report_any_training(const struct report_training *training);
void report_data_free(struct report_data *data);

/* Adds a note; those that find no room are dropped. */
void report_note(struct report_data *data, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* log.jsonl and evaluation.json; a missing file leaves the training empty. */
REMAT_MUST_CHECK enum remat_status report_load_training(struct report_data *data, struct remat_error *err);

/* A number, or NaN if the member is missing or null. Another type is REMAT_BAD_DATA. */
REMAT_MUST_CHECK enum remat_status report_number(const json_t *object, const char *key, const char *where, double *out,
                                                 struct remat_error *err);
/* The same for a text. */
REMAT_MUST_CHECK enum remat_status report_text(const json_t *object, const char *key, const char *where,
                                               const char **out, struct remat_error *err);

#endif
