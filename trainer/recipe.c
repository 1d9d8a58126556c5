#include "trainer/recipe.h"

#include <string.h>

/* Mean and standard deviation of CIFAR-10's training pixels per channel, scaled to [0, 1]. */
static const float cifar10_mean[3] = {0.4914f, 0.4822f, 0.4465f}, cifar10_std[3] = {0.2470f, 0.2435f, 0.2616f};

const struct remat_recipe remat_recipes[] = {
    {
        .name = "remat",
        .summary = "images: SGD with Nesterov momentum, label smoothing, normalised inputs, warm-up and cosine to 0",
        .kind = REMAT_IMAGE_MODEL,
        .optimizer = REMAT_SGD,
        .momentum = 0.9f,
        .nesterov = true,
        .weight_decay = 5e-4f,
        .smoothing = 0.1f,
        .rate = {.kind = REMAT_RATE_COSINE, .peak = 0.1, .warmup_epochs = 5},
        .batch = 100,
        .epochs = 80,
        .augment = {.pad = 4, .cutout = 8, .flip = true},
        .normalize = true,
    },
    {
        .name = "reference",
        .summary = "images: the reference system's: AdamW, rate 1e-3 divided by 3 each 20 epochs, plain inputs",
        .kind = REMAT_IMAGE_MODEL,
        .optimizer = REMAT_ADAMW,
        .beta1 = 0.9f,
        .beta2 = 0.999f,
        .epsilon = 1e-8f,
        .rate = {.kind = REMAT_RATE_MULTISTEP,
                 .peak = 1e-3,
                 .gamma = 1.0 / 3,
                 .milestones = {20, 40, 60, 80},
                 .milestones_count = 4},
        .batch = 100,
        .epochs = 80,
        .augment = {.pad = 4, .flip = true},
    },
    {
        .name = "char",
        .summary = "text: AdamW with warm-up and cosine, for small models of characters",
        .kind = REMAT_TEXT_MODEL,
        .optimizer = REMAT_ADAMW,
        .beta1 = 0.9f,
        .beta2 = 0.99f,
        .epsilon = 1e-8f,
        .weight_decay = 0.1f,
        .rate = {.kind = REMAT_RATE_COSINE, .peak = 3e-3, .floor = 1e-4, .warmup_steps = 100},
        .batch = 12,
        .steps = 2000,
    },
    {.name = NULL},
};

enum remat_status remat_recipe_find(const char *name, enum remat_model_kind kind, const struct remat_recipe **out,
                                    struct remat_error *err)
{
    for (const struct remat_recipe *r = remat_recipes; r->name; r++) {
        bool right_kind = r->kind == kind;
        if (name ? strcmp(r->name, name) != 0 : !right_kind)
            continue;
        if (!right_kind)
            return remat_fail(err, REMAT_USAGE, "recipe '%s' is for %s models, and this is the other kind", name,
                              r->kind == REMAT_IMAGE_MODEL ? "image" : "text");
        *out = r;
        return REMAT_OK;
    }
    return remat_fail(err, REMAT_USAGE, "unknown recipe '%s': there are reference and remat (images), char (text)",
                      name ? name : "");
}

static enum remat_status check_range(const char *what, double value, double low, double high, struct remat_error *err)
{
    if (value >= low && value <= high)
        return REMAT_OK;
    return remat_fail(err, REMAT_USAGE, "the %s is %g; expected %g to %g", what, value, low, high);
}

enum remat_status remat_recipe_check(const struct remat_recipe *recipe, struct remat_error *err)
{
    REMAT_TRY(remat_rate_check(&recipe->rate, err));
    REMAT_TRY(check_range("batch size", (double)recipe->batch, 1, 1 << 24, err));
    REMAT_TRY(check_range("number of epochs", (double)recipe->epochs, 0, 1e9, err));
    REMAT_TRY(check_range("number of steps", (double)recipe->steps, recipe->epochs > 0 ? 0 : 1, 1e12, err));
    REMAT_TRY(check_range("momentum", recipe->momentum, 0, 0.999999, err));
    REMAT_TRY(check_range("weight decay", recipe->weight_decay, 0, 1e6, err));
    REMAT_TRY(check_range("label smoothing", recipe->smoothing, 0, 0.999, err));
    REMAT_TRY(check_range("gradient norm limit", recipe->max_norm, 0, 1e30, err));
    REMAT_TRY(check_range("padding", recipe->augment.pad, 0, 1024, err));
    REMAT_TRY(check_range("cutout side", recipe->augment.cutout, 0, 1 << 20, err));
    if (recipe->optimizer == REMAT_ADAMW) {
        REMAT_TRY(check_range("first beta", recipe->beta1, 0, 0.999999, err));
        REMAT_TRY(check_range("second beta", recipe->beta2, 0, 0.999999999, err));
        REMAT_TRY(check_range("epsilon", recipe->epsilon, 1e-30, 1, err));
    }
    return REMAT_OK;
}

struct remat_lower_options remat_recipe_lower(const struct remat_recipe *recipe, enum remat_mode mode,
                                              int32_t micro_count)
{
    struct remat_lower_options options = remat_lower_defaults(mode, recipe->optimizer);
    options.momentum = recipe->momentum;
    options.weight_decay = recipe->weight_decay;
    options.beta1 = recipe->beta1;
    options.beta2 = recipe->beta2;
    options.epsilon = recipe->epsilon;
    options.nesterov = recipe->nesterov;
    options.max_norm = recipe->max_norm;
    options.smoothing = recipe->smoothing;
    options.dtype = recipe->precision;
    options.micro_count = mode == REMAT_TRAIN ? micro_count : 1;
    return options;
}

void remat_normalization(bool normalize, float mean[4], float std[4])
{
    for (int32_t c = 0; c < 4; c++) {
        mean[c] = normalize && c < 3 ? cifar10_mean[c] : 0;
        std[c] = normalize && c < 3 ? cifar10_std[c] : 0;
    }
}

static json_t *rate_to_json(const struct remat_rate *rate)
{
    json_t *milestones = json_array();
    for (int32_t i = 0; i < rate->milestones_count; i++)
        json_array_append_new(milestones, json_integer(rate->milestones[i]));
    return json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:i, s:o}", "schedule", remat_rate_text(rate->kind), "peak",
                     rate->peak, "floor", rate->floor, "gamma", rate->gamma, "warmup_epochs", rate->warmup_epochs,
                     "warmup_steps", (json_int_t)rate->warmup_steps, "period_epochs", rate->period, "milestones",
                     milestones);
}

static json_t *numbers_to_json(const struct remat_recipe *recipe)
{
    return json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:b, s:f, s:f, s:o, s:I, s:I, s:I, s:i, s:i, s:b, s:b}",
                     "name", recipe->name ? recipe->name : "custom", "optimizer",
                     recipe->optimizer == REMAT_SGD ? "sgd" : "adamw", "momentum", (double)recipe->momentum,
                     "weight_decay", (double)recipe->weight_decay, "beta1", (double)recipe->beta1, "beta2",
                     (double)recipe->beta2, "epsilon", (double)recipe->epsilon, "nesterov", recipe->nesterov,
                     "max_norm", (double)recipe->max_norm, "label_smoothing", (double)recipe->smoothing,
                     "learning_rate", rate_to_json(&recipe->rate), "batch", (json_int_t)recipe->batch, "epochs",
                     (json_int_t)recipe->epochs, "steps", (json_int_t)recipe->steps, "pad", recipe->augment.pad,
                     "cutout", recipe->augment.cutout, "flip", recipe->augment.flip, "normalize", recipe->normalize);
}

/* f32, which all runs were before there was another, is left out. */
json_t *remat_recipe_to_json(const struct remat_recipe *recipe)
{
    json_t *json = numbers_to_json(recipe);
    if (json && recipe->precision != REMAT_F32)
        json_object_set_new(json, "precision", json_string(remat_dtype_text(recipe->precision)));
    return json;
}
