/* The table of models, and what all have in common: defaults and the check of sizes. */
#include "models/models.h"

#include "models/families.h"

#include <stdio.h>
#include <string.h>

#define RESNET(name, summary)                                                                              \
    {                                                                                                      \
        name, summary, REMAT_IMAGE_MODEL, {.batch = 32, .image = 224, .classes = 1000}, remat_build_resnet \
    }

#define GPT2(name, summary, layers_, width_, heads_) \
    {                                                \
        name, summary, REMAT_TEXT_MODEL,             \
            {.batch = 8,                             \
             .length = 1024,                         \
             .vocabulary = 50257,                    \
             .positions = 1024,                      \
             .layers = layers_,                      \
             .width = width_,                        \
             .heads = heads_},                       \
            remat_build_gpt2                         \
    }

const struct remat_model remat_models[] = {
    RESNET("resnet18", "residual network, 18 layers, basic blocks"),
    RESNET("resnet34", "residual network, 34 layers, basic blocks"),
    RESNET("resnet50", "residual network, 50 layers, bottleneck blocks"),
    RESNET("resnet101", "residual network, 101 layers, bottleneck blocks"),
    RESNET("resnet152", "residual network, 152 layers, bottleneck blocks"),
    GPT2("gpt2-small", "transformer, 12 layers of width 768, 12 heads", 12, 768, 12),
    GPT2("gpt2-medium", "transformer, 24 layers of width 1024, 16 heads", 24, 1024, 16),
    GPT2("gpt2-large", "transformer, 36 layers of width 1280, 20 heads", 36, 1280, 20),
    GPT2("gpt2-xl", "transformer, 48 layers of width 1600, 25 heads", 48, 1600, 25),
    GPT2("gpt2", "transformer of any size: --layers, --width, --heads", 12, 768, 12),
    {NULL, NULL, REMAT_IMAGE_MODEL, {0}, NULL},
};

enum remat_status remat_model_find(const char *name, const struct remat_model **out, struct remat_error *err)
{
    char known[512] = "";
    size_t used = 0;
    for (const struct remat_model *model = remat_models; model->name; model++) {
        if (strcmp(model->name, name) == 0) {
            *out = model;
            return REMAT_OK;
        }
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", model->name);
    }
    return remat_fail(err, REMAT_USAGE, "unknown model \"%.64s\"; known are %s", name, known);
}

static int64_t either(int64_t chosen, int64_t otherwise)
{
    return chosen > 0 ? chosen : otherwise;
}

struct remat_model_options remat_model_resolve(const struct remat_model *model,
                                               const struct remat_model_options *options)
{
    const struct remat_model_options *defaults = &model->defaults;
    struct remat_model_options out = *options;
    out.batch = either(options->batch, defaults->batch);
    out.image = either(options->image, defaults->image);
    out.classes = either(options->classes, defaults->classes);
    out.length = either(options->length, defaults->length);
    out.vocabulary = either(options->vocabulary, defaults->vocabulary);
    out.layers = either(options->layers, defaults->layers);
    out.width = either(options->width, defaults->width);
    out.heads = either(options->heads, defaults->heads);
    out.dropout = options->dropout > 0.0f ? options->dropout : 0.0f;
    out.positions = either(options->positions, defaults->positions);
    if (options->positions <= 0 && out.length > out.positions)
        out.positions = out.length;
    return out;
}

/* A size that the command line can set, its largest sensible value, and the kind of model that it belongs to. */
struct size {
    const char *flag;
    int64_t value, most;
    bool image, text;
};

static enum remat_status check_sizes(const struct remat_model *model, const struct remat_model_options *options,
                                     struct remat_error *err)
{
    const struct size sizes[] = {
        {"batch", options->batch, INT64_C(1) << 24, true, true},
        {"image", options->image, 1 << 14, true, false},
        {"classes", options->classes, 1 << 24, true, false},
        {"length", options->length, 1 << 20, false, true},
        {"vocabulary", options->vocabulary, 1 << 24, false, true},
        {"positions", options->positions, 1 << 24, false, true},
        {"layers", options->layers, 1000, false, true},
        {"width", options->width, 1 << 16, false, true},
        {"heads", options->heads, 1 << 16, false, true},
    };
    bool text = model->kind == REMAT_TEXT_MODEL;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct size *size = &sizes[i];
        if (size->value > 0 && !(text ? size->text : size->image))
            return remat_fail(err, REMAT_USAGE, "%s is %s model: it has no %s to set", model->name,
                              text ? "a text" : "an image", size->flag);
        if (size->value > size->most)
            return remat_fail(err, REMAT_USAGE, "%s: a %s of %lld is too large; at most %lld", model->name, size->flag,
                              (long long)size->value, (long long)size->most);
    }
    return REMAT_OK;
}

static enum remat_status check_options(const struct remat_model *model, const struct remat_model_options *options,
                                       struct remat_error *err)
{
    REMAT_TRY(check_sizes(model, options, err));
    if (model->kind == REMAT_TEXT_MODEL && options->width % options->heads != 0)
        return remat_fail(err, REMAT_USAGE, "%s: a width of %lld does not divide into %lld heads; choose other heads",
                          model->name, (long long)options->width, (long long)options->heads);
    if (!(options->dropout < 1.0f))
        return remat_fail(err, REMAT_USAGE, "%s: dropout %g is not below 1", model->name, (double)options->dropout);
    if (model->kind == REMAT_IMAGE_MODEL && options->dropout > 0.0f)
        return remat_fail(err, REMAT_USAGE, "%s has no dropout", model->name);
    if (model->kind == REMAT_TEXT_MODEL && options->stem != REMAT_STEM_IMAGENET)
        return remat_fail(err, REMAT_USAGE, "%s is a text model: it has no stem to set", model->name);
    return REMAT_OK;
}

enum remat_status remat_model_build(const char *name, const struct remat_model_options *options,
                                    struct remat_layer_graph *out, struct remat_error *err)
{
    const struct remat_model *model = NULL;
    struct remat_model_options resolved;
    remat_layer_graph_init(out, name);
    REMAT_TRY(remat_model_find(name, &model, err));
    resolved = remat_model_resolve(model, options);
    REMAT_TRY(check_options(model, &resolved, err));
    model->build(model, &resolved, out);
    return remat_layer_graph_check(out, err);
}
