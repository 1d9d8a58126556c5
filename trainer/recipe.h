/* Recipes: all that decides what a training run computes, but the model and the seed. Named ones are presets. */
#ifndef REMAT_TRAINER_RECIPE_H
#define REMAT_TRAINER_RECIPE_H

#include "models/models.h"
#include "runtime/lower/lower.h"
#include "trainer/data/augment.h"
#include "trainer/schedule.h"

#include <jansson.h>
#include <stdbool.h>

struct remat_recipe {
    const char *name, *summary;
    enum remat_model_kind kind; /* of the models it is for */
    enum remat_optimizer optimizer;
    float momentum, weight_decay, beta1, beta2, epsilon;
    bool nesterov;
    float max_norm;  /* clip the global gradient norm; 0 = off */
    float smoothing; /* label smoothing */
    struct remat_rate rate;
    int64_t batch;
    int64_t epochs; /* length of the run; 0 = `steps` counts */
    int64_t steps;
    struct remat_augment augment;
    enum remat_dtype precision; /* of activations: REMAT_F32 (also for tf32) or REMAT_BF16 */
    bool normalize;             /* images: subtract the mean and divide by the deviation of CIFAR-10's channels */
};

/* All presets, ended by a null name; the first of a kind is its default. */
extern const struct remat_recipe remat_recipes[];
/* A preset by name, or the default of `kind` for NULL. REMAT_USAGE if it is unknown or for another kind. */
REMAT_MUST_CHECK enum remat_status remat_recipe_find(const char *name, enum remat_model_kind kind,
                                                     const struct remat_recipe **out, struct remat_error *err);
/* REMAT_USAGE names the first number that cannot be. */
REMAT_MUST_CHECK enum remat_status remat_recipe_check(const struct remat_recipe *recipe, struct remat_error *err);
/* What lowering needs of it. */
struct remat_lower_options remat_recipe_lower(const struct remat_recipe *recipe, enum remat_mode mode,
                                              int32_t micro_count);
/* The normalisation of CIFAR-10's images per channel, as lowering takes it; zeros without. */
void remat_normalization(bool normalize, float mean[4], float std[4]);
/* Every number that changes the course of training, for manifests and logs. NULL if out of memory. */
json_t *remat_recipe_to_json(const struct remat_recipe *recipe);

#endif
