/* remat models: what can be trained. */
#include "cli/commands.h"
#include "cli/common.h"

static enum remat_status count_parameters(const struct remat_model *model, int64_t *out, struct remat_error *err)
{
    struct remat_model_options options = {.batch = 1};
    struct remat_layer_graph layers;
    enum remat_status status = remat_model_build(model->name, &options, &layers, err);
    *out = status == REMAT_OK ? remat_layer_graph_parameters(&layers) : 0;
    remat_layer_graph_free(&layers);
    return status;
}

static enum remat_status run(const struct cli_args *args, struct remat_error *err)
{
    json_t *list = json_array();
    for (const struct remat_model *model = remat_models; model->name; model++) {
        int64_t parameters = 0;
        enum remat_status status = count_parameters(model, &parameters, err);
        if (status != REMAT_OK) {
            json_decref(list);
            return status;
        }
        if (args->json)
            json_array_append_new(list, json_pack("{s:s, s:s, s:I}", "name", model->name, "summary", model->summary,
                                                  "parameters", (json_int_t)parameters));
        else
            printf("%-12s %13lld parameters   %s\n", model->name, (long long)parameters, model->summary);
    }
    if (args->json)
        return cli_print_json(list, err);
    json_decref(list);
    return REMAT_OK;
}

const struct cli_command cli_models = {
    "models",
    "[--json]",
    "Lists the models that can be trained, with parameter counts",
    "Image models take --batch --image --classes --stem; text models --batch --seq --vocab --dropout,\n"
    "and --layers --width --heads for any size.\n\n"
    "example:\n  remat models\n",
    "json",
    0,
    0,
    run};
