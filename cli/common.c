#include "cli/common.h"

#include "cli/recipe.h"
#include "core/base/memory.h"
#include "profiler/cache.h"
#include "runtime/backend/memory.h"
#include "trainer/planning.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum remat_status model_options(const struct cli_args *args, struct remat_model_options *out,
                                       struct remat_error *err)
{
    *out = (struct remat_model_options){.batch = args->batch,
                                        .image = args->image,
                                        .classes = args->classes,
                                        .length = args->length,
                                        .vocabulary = args->vocabulary,
                                        .layers = args->layers,
                                        .width = args->width,
                                        .heads = args->heads,
                                        .dropout = (float)args->dropout};
    if (!args->stem || strcmp(args->stem, "imagenet") == 0)
        out->stem = REMAT_STEM_IMAGENET;
    else if (strcmp(args->stem, "cifar") == 0)
        out->stem = REMAT_STEM_CIFAR;
    else
        return remat_fail(err, REMAT_USAGE, "--stem: expected imagenet or cifar, found \"%s\"", args->stem);
    return REMAT_OK;
}

static enum remat_status optimizer_kind(const struct cli_args *args, enum remat_optimizer *out, struct remat_error *err)
{
    if (!args->optimizer || strcmp(args->optimizer, "sgd") == 0)
        *out = REMAT_SGD;
    else if (strcmp(args->optimizer, "adamw") == 0)
        *out = REMAT_ADAMW;
    else
        return remat_fail(err, REMAT_USAGE, "--optimizer: expected sgd or adamw, found \"%s\"", args->optimizer);
    return REMAT_OK;
}

enum remat_status cli_precision(const struct cli_args *args, enum remat_dtype *out, struct remat_error *err)
{
    const char *text = args->precision ? args->precision : "f32";
    *out = strcmp(text, "bf16") == 0 ? REMAT_BF16 : REMAT_F32;
    if (*out == REMAT_BF16 || strcmp(text, "f32") == 0 || strcmp(text, "tf32") == 0)
        return REMAT_OK;
    return remat_fail(err, REMAT_USAGE, "--precision: expected f32, tf32 or bf16, found \"%s\"", text);
}

struct remat_device_config cli_device_config(const struct cli_args *args)
{
    return (struct remat_device_config){.threads = (int32_t)args->threads,
                                        .tf32 = args->precision && strcmp(args->precision, "tf32") == 0,
                                        .alternatives = args->options && strcmp(args->options, "any") == 0};
}

static enum remat_status any_options(const struct cli_args *args, bool *out, struct remat_error *err)
{
    const char *text = args->options ? args->options : "same";
    *out = strcmp(text, "any") == 0;
    if (*out || strcmp(text, "same") == 0)
        return REMAT_OK;
    return remat_fail(err, REMAT_USAGE, "--options: expected same or any, found \"%s\"", text);
}

static enum remat_status lower_options(const struct cli_args *args, struct remat_lower_options *out,
                                       struct remat_error *err)
{
    enum remat_optimizer optimizer = REMAT_SGD;
    REMAT_TRY(optimizer_kind(args, &optimizer, err));
    *out = remat_lower_defaults(REMAT_TRAIN, optimizer);
    if (args->momentum >= 0)
        out->momentum = (float)args->momentum;
    if (args->weight_decay >= 0)
        out->weight_decay = (float)args->weight_decay;
    if (args->smoothing >= 0)
        out->smoothing = (float)args->smoothing;
    if (args->max_norm >= 0)
        out->max_norm = (float)args->max_norm;
    out->nesterov = args->nesterov;
    out->micro_count = args->accumulate ? (int32_t)args->accumulate : 1;
    return cli_precision(args, &out->dtype, err);
}

/* With --recipe, the step is lowered exactly as training by this recipe lowers it. */
static enum remat_status lower_recipe(const struct cli_args *args, struct remat_workload_config *out,
                                      struct remat_error *err)
{
    struct remat_recipe recipe;
    REMAT_TRY(cli_recipe(args, &recipe, err));
    out->lower = remat_recipe_lower(&recipe, REMAT_TRAIN, out->lower.micro_count);
    if (out->options.batch == 0)
        out->options.batch = recipe.batch;
    remat_normalization(recipe.normalize, out->feed_mean, out->feed_std);
    return REMAT_OK;
}

enum remat_status cli_workload_config(const struct cli_args *args, struct remat_workload_config *out,
                                      struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    out->model = args->positionals[0];
    out->device = args->device ? args->device : "cpu";
    out->device_config = cli_device_config(args);
    REMAT_TRY(model_options(args, &out->options, err));
    REMAT_TRY(lower_options(args, &out->lower, err));
    if (args->recipe)
        REMAT_TRY(lower_recipe(args, out, err));
    REMAT_TRY(any_options(args, &out->lower.any_options, err));
    out->profile.refresh = args->refresh;
    out->profile.cache_path = args->cache;
    out->profile.progress = cli_progress;
    return REMAT_OK;
}

enum remat_status cli_cache_path(struct remat_profile_options *options, char *buffer, int capacity,
                                 struct remat_error *err)
{
    if (options->cache_path)
        return REMAT_OK;
    REMAT_TRY(remat_profile_cache_path(buffer, capacity, err));
    options->cache_path = buffer;
    return REMAT_OK;
}

enum remat_status cli_open_workload(const struct cli_args *args, enum remat_time_source times,
                                    struct remat_workload *out, struct remat_error *err)
{
    struct remat_workload_config config;
    char cache[512];
    enum remat_status status;
    memset(out, 0, sizeof *out);
    REMAT_TRY(cli_workload_config(args, &config, err));
    config.times = times;
    REMAT_TRY(cli_cache_path(&config.profile, cache, sizeof cache, err));
    status = remat_workload_open(&config, out, err);
    cli_progress_end();
    return status;
}

enum remat_status cli_solver(const struct cli_args *args, const struct remat_solver **out, struct remat_error *err)
{
    return remat_solver_find(args->solver, out, err);
}

enum remat_status cli_solve_options(const struct cli_args *args, const struct remat_workload *workload,
                                    struct remat_solve_options *out, struct remat_error *err)
{
    struct remat_planning planning = {.budget = args->budget_given ? &args->budget : NULL,
                                      .memory = args->memory_given ? &args->memory : NULL};
    *out = (struct remat_solve_options){.budget_bytes = INT64_MAX,
                                        .host_budget_bytes = remat_planning_host_budget(&args->offload),
                                        .time_limit_seconds = args->time_limit_seconds,
                                        .gap = args->gap_percent / 100,
                                        .seed = (uint64_t)args->seed,
                                        .threads = (int32_t)args->threads};
    planning.available_bytes = remat_available_bytes();
    if (workload->device)
        planning.available_bytes = workload->backend->ops->available_bytes(workload->device);
    return remat_planning_budget(&planning, &workload->graph, &out->budget_bytes, err);
}

void cli_progress(void *context, const char *what, double fraction)
{
    (void)context;
    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%3.0f %% %s", 100 * fraction, what);
    fflush(stderr);
}

void cli_progress_search(void *context, int64_t best_ns, int64_t proven_ns)
{
    (void)context;
    if (!isatty(STDERR_FILENO))
        return;
    if (best_ns == INT64_MAX)
        fprintf(stderr, "\r\033[Klooking for a plan that fits");
    else
        fprintf(stderr, "\r\033[Kstep %.3f ms so far, gap %.2f %% (Ctrl-C takes it)", (double)best_ns / 1e6,
                100 * ((double)best_ns / (double)proven_ns - 1));
    fflush(stderr);
}

void cli_progress_end(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

enum remat_status cli_print_json(json_t *json, struct remat_error *err)
{
    int failed = !json || json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) != 0;
    json_decref(json);
    putchar('\n');
    return failed ? remat_fail(err, REMAT_IO, "cannot write JSON to standard output") : REMAT_OK;
}
