#include "cli/recipe.h"

#include "cli/common.h"
#include "models/models.h"

#include <stdlib.h>
#include <string.h>

static enum remat_status parse_milestones(const char *text, struct remat_rate *rate, struct remat_error *err)
{
    rate->milestones_count = 0;
    while (*text) {
        char *end;
        long epoch = strtol(text, &end, 10);
        if (end == text || epoch < 1 || epoch > 1 << 20 || (*end && *end != ',') ||
            rate->milestones_count == REMAT_MAX_MILESTONES)
            return remat_fail(err, REMAT_USAGE, "--milestones: expected at most %d epochs such as 20,40,60",
                              (int)REMAT_MAX_MILESTONES);
        rate->milestones[rate->milestones_count++] = (int32_t)epoch;
        text = *end ? end + 1 : end;
    }
    return REMAT_OK;
}

static enum remat_status change_rate(const struct cli_args *args, struct remat_rate *rate, struct remat_error *err)
{
    if (args->lr_schedule)
        REMAT_TRY(remat_rate_parse(args->lr_schedule, &rate->kind, err));
    if (args->milestones)
        REMAT_TRY(parse_milestones(args->milestones, rate, err));
    if (args->period)
        rate->period = (int32_t)args->period;
    if (args->learning_rate > 0)
        rate->peak = args->learning_rate;
    if (args->min_rate >= 0)
        rate->floor = args->min_rate;
    if (args->gamma >= 0)
        rate->gamma = args->gamma;
    if (args->warmup_epochs >= 0) {
        rate->warmup_epochs = args->warmup_epochs;
        rate->warmup_steps = 0;
    }
    return REMAT_OK;
}

static enum remat_status change_optimizer(const struct cli_args *args, struct remat_recipe *recipe,
                                          struct remat_error *err)
{
    struct remat_lower_options defaults;
    if (args->optimizer) {
        if (strcmp(args->optimizer, "sgd") != 0 && strcmp(args->optimizer, "adamw") != 0)
            return remat_fail(err, REMAT_USAGE, "--optimizer: expected sgd or adamw, found \"%s\"", args->optimizer);
        recipe->optimizer = strcmp(args->optimizer, "sgd") == 0 ? REMAT_SGD : REMAT_ADAMW;
        defaults = remat_lower_defaults(REMAT_TRAIN, recipe->optimizer);
        recipe->momentum = defaults.momentum;
        recipe->beta1 = defaults.beta1;
        recipe->beta2 = defaults.beta2;
        recipe->epsilon = defaults.epsilon;
    }
    if (args->momentum >= 0)
        recipe->momentum = (float)args->momentum;
    if (args->weight_decay >= 0)
        recipe->weight_decay = (float)args->weight_decay;
    if (args->smoothing >= 0)
        recipe->smoothing = (float)args->smoothing;
    if (args->max_norm >= 0)
        recipe->max_norm = (float)args->max_norm;
    recipe->nesterov |= args->nesterov;
    return REMAT_OK;
}

enum remat_status cli_recipe(const struct cli_args *args, struct remat_recipe *out, struct remat_error *err)
{
    const struct remat_model *model;
    const struct remat_recipe *preset;
    REMAT_TRY(remat_model_find(args->positionals[0], &model, err));
    REMAT_TRY(remat_recipe_find(args->recipe, model->kind, &preset, err));
    *out = *preset;
    REMAT_TRY(change_optimizer(args, out, err));
    REMAT_TRY(change_rate(args, &out->rate, err));
    REMAT_TRY(cli_precision(args, &out->precision, err));
    if (args->batch)
        out->batch = args->batch;
    if (args->epochs || args->steps) {
        out->epochs = args->epochs;
        out->steps = args->steps;
    }
    if (args->augment_off)
        memset(&out->augment, 0, sizeof out->augment);
    return remat_recipe_check(out, err);
}
