#include "trainer/run_config.h"

#include "core/base/json.h"

#include <stdlib.h>
#include <string.h>

enum remat_status remat_fit_data_to_model(const char *model, const struct remat_model_options *options,
                                          struct remat_data_config *data, struct remat_error *err)
{
    const struct remat_model *found;
    struct remat_model_options resolved;
    REMAT_TRY(remat_model_find(model, &found, err));
    resolved = remat_model_resolve(found, options);
    if (found->kind == REMAT_TEXT_MODEL)
        data->shape = (struct remat_sample_shape){
            .kind = REMAT_TOKEN_SAMPLES, .length = resolved.length, .vocabulary = resolved.vocabulary};
    else
        data->shape = (struct remat_sample_shape){.kind = REMAT_IMAGE_SAMPLES,
                                                  .height = resolved.image,
                                                  .width = resolved.image,
                                                  .channels = 3,
                                                  .classes = resolved.classes};
    return REMAT_OK;
}

static enum remat_status fit(const char *what, int64_t *option, int64_t found, struct remat_error *err)
{
    if (*option <= 0)
        *option = found;
    if (*option == found)
        return REMAT_OK;
    return remat_fail(err, REMAT_USAGE, "the model is asked for with %s %lld and the data has %lld; leave it out", what,
                      (long long)*option, (long long)found);
}

enum remat_status remat_fit_model_to_data(const char *model, const struct remat_data_source *source,
                                          struct remat_model_options *options, struct remat_error *err)
{
    const struct remat_sample_shape *shape = &source->shape;
    const struct remat_model *found;
    bool text_model;
    REMAT_TRY(remat_model_find(model, &found, err));
    text_model = found->kind == REMAT_TEXT_MODEL;
    if (text_model != (shape->kind == REMAT_TOKEN_SAMPLES))
        return remat_fail(err, REMAT_USAGE, "%s is %s model and the data (%s) holds %s", model,
                          text_model ? "a text" : "an image", source->kind->name, text_model ? "images" : "text");
    if (!text_model) {
        REMAT_TRY(fit("image size", &options->image, shape->height, err));
        return fit("classes", &options->classes, shape->classes, err);
    }
    REMAT_TRY(fit("length", &options->length, shape->length, err));
    if (options->vocabulary <= 0)
        options->vocabulary = shape->vocabulary;
    if (options->vocabulary < shape->vocabulary)
        return remat_fail(err, REMAT_USAGE, "the model's vocabulary is %lld and the data has %lld different tokens",
                          (long long)options->vocabulary, (long long)shape->vocabulary);
    return REMAT_OK;
}

static json_t *model_json(const char *model, const struct remat_model_options *o)
{
    return json_pack("{s:s, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "name", model, "batch",
                     (json_int_t)o->batch, "image", (json_int_t)o->image, "classes", (json_int_t)o->classes, "stem",
                     o->stem == REMAT_STEM_CIFAR ? "cifar" : "imagenet", "length", (json_int_t)o->length, "vocabulary",
                     (json_int_t)o->vocabulary, "positions", (json_int_t)o->positions, "layers", (json_int_t)o->layers,
                     "width", (json_int_t)o->width, "heads", (json_int_t)o->heads, "dropout", (double)o->dropout);
}

json_t *remat_run_config_to_json(const char *model, const struct remat_model_options *options,
                                 const struct remat_recipe *recipe, int32_t micro_count, int64_t total_steps,
                                 const struct remat_data_source *source)
{
    bool bytes = source->shape.kind == REMAT_TOKEN_SAMPLES && source->shape.vocabulary == 256;
    return json_pack("{s:o, s:o, s:i, s:I, s:{s:s, s:I, s:b}}", "model", model_json(model, options), "recipe",
                     remat_recipe_to_json(recipe), "micro_steps", micro_count, "total_steps", (json_int_t)total_steps,
                     "data", "kind", source->kind->name, "training_samples",
                     (json_int_t)source->samples[REMAT_TRAINING_SET], "byte_vocabulary", bytes);
}

static enum remat_status read_model(const json_t *json, const char *where, struct remat_recorded_run *out,
                                    struct remat_error *err)
{
    struct remat_model_options *o = &out->options;
    struct {
        const char *key;
        int64_t *value;
    } sizes[] = {{"batch", &o->batch},   {"image", &o->image},           {"classes", &o->classes},
                 {"length", &o->length}, {"vocabulary", &o->vocabulary}, {"positions", &o->positions},
                 {"layers", &o->layers}, {"width", &o->width},           {"heads", &o->heads}};
    const char *stem;
    double dropout;
    REMAT_TRY(remat_json_text(json, "name", where, &out->model, err));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        REMAT_TRY(remat_json_int(json, sizes[i].key, where, 0, INT64_MAX, sizes[i].value, err));
    REMAT_TRY(remat_json_text(json, "stem", where, &stem, err));
    REMAT_TRY(remat_json_number(json, "dropout", where, &dropout, err));
    o->stem = strcmp(stem, "cifar") == 0 ? REMAT_STEM_CIFAR : REMAT_STEM_IMAGENET;
    o->dropout = (float)dropout;
    out->batch = o->batch;
    return REMAT_OK;
}

enum remat_status remat_run_config_from_json(const json_t *json, const char *where, struct remat_recorded_run *out,
                                             struct remat_error *err)
{
    const json_t *model, *recipe, *data;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_json_object(json, "model", where, &model, err));
    REMAT_TRY(remat_json_object(json, "recipe", where, &recipe, err));
    REMAT_TRY(remat_json_object(json, "data", where, &data, err));
    out->normalize = json_is_true(json_object_get(recipe, "normalize"));
    out->byte_vocabulary = json_is_true(json_object_get(data, "byte_vocabulary"));
    return read_model(model, where, out, err);
}

static enum remat_status differs(const char *key, const json_t *a, const json_t *b, struct remat_error *err)
{
    char *was = a ? json_dumps(a, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    char *is = b ? json_dumps(b, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    remat_fail(err, REMAT_USAGE,
               "the checkpoint was made with another configuration: %s was %.200s and is now %.200s; give the same, or "
               "start anew in another folder",
               key, was ? was : "not set", is ? is : "not set");
    free(was);
    free(is);
    return REMAT_USAGE;
}

enum remat_status remat_run_config_compare(const json_t *recorded, const json_t *now, struct remat_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)now, key, value)
    {
        const json_t *before = json_object_get(recorded, key);
        if (json_is_object(before) && json_is_object(value))
            REMAT_TRY(remat_run_config_compare(before, value, err));
        else if (!json_equal((json_t *)before, value))
            return differs(key, before, value, err);
    }
    json_object_foreach((json_t *)recorded, key, value)
    {
        if (!json_object_get(now, key))
            return differs(key, value, NULL, err);
    }
    return REMAT_OK;
}
