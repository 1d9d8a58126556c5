/* A run's configuration as JSON: what checkpoints record, so that a resumed run can refuse another configuration and an
 * evaluation can build the same model. Only what changes the numbers is in it: no paths, budgets, plans or threads. */
#ifndef REMAT_TRAINER_RUN_CONFIG_H
#define REMAT_TRAINER_RUN_CONFIG_H

#include "trainer/data/source.h"
#include "trainer/recipe.h"

/* Fills unset sizes of the model (image, classes, length, vocabulary) from the data, or the shape of synthetic data
 * from the model. REMAT_USAGE if model and data do not fit. Call once before the data is opened (*data may be
 * completed) and remat_fit_model_to_data() once after. */
REMAT_MUST_CHECK enum remat_status remat_fit_data_to_model(const char *model, const struct remat_model_options *options,
                                                           struct remat_data_config *data, struct remat_error *err);
REMAT_MUST_CHECK enum remat_status remat_fit_model_to_data(const char *model, const struct remat_data_source *source,
                                                           struct remat_model_options *options,
                                                           struct remat_error *err);

/* NULL if out of memory. */
json_t *remat_run_config_to_json(const char *model, const struct remat_model_options *options,
                                 const struct remat_recipe *recipe, int32_t micro_count, int64_t total_steps,
                                 const struct remat_data_source *source);
/* What an evaluation needs. `model` borrows from the JSON. */
struct remat_recorded_run {
    const char *model;
    struct remat_model_options options;
    bool normalize;
    bool byte_vocabulary;
    int64_t batch;
};
REMAT_MUST_CHECK enum remat_status remat_run_config_from_json(const json_t *json, const char *where,
                                                              struct remat_recorded_run *out, struct remat_error *err);
/* REMAT_USAGE names the first member in which a resumed run differs from the recorded one. */
REMAT_MUST_CHECK enum remat_status remat_run_config_compare(const json_t *recorded, const json_t *now,
                                                            struct remat_error *err);

#endif
