#include "trainer/evaluate.h"

#include "trainer/checkpoint/folder.h"
#include "trainer/data/prefetch.h"
#include "trainer/planning.h"
#include "trainer/run_config.h"
#include "trainer/runner.h"
#include "trainer/workload.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A model in evaluation mode with its data; checkpoints of one run are loaded into it one after the other. */
struct evaluator {
    struct remat_data_source source;
    struct remat_loader loader;
    struct remat_prefetch *prefetch;
    struct remat_workload workload;
    struct remat_plan plan;
    struct remat_state state;
    struct remat_memory arena;
    struct remat_runner runner;
};

static enum remat_status open_data(const struct remat_evaluate_config *config, struct remat_recorded_run *recorded,
                                   struct evaluator *e, struct remat_error *err)
{
    struct remat_data_config data = config->data;
    data.byte_vocabulary = recorded->byte_vocabulary;
    REMAT_TRY(remat_fit_data_to_model(recorded->model, &recorded->options, &data, err));
    REMAT_TRY(remat_data_open(&data, &e->source, err));
    REMAT_TRY(remat_fit_model_to_data(recorded->model, &e->source, &recorded->options, err));
    REMAT_TRY(remat_loader_open(&e->source, recorded->options.batch, &e->loader, err));
    return remat_prefetch_open(&e->loader, &e->prefetch, err);
}

static enum remat_status open_model(const struct remat_evaluate_config *config,
                                    const struct remat_recorded_run *recorded, struct evaluator *e,
                                    struct remat_error *err)
{
    struct remat_workload *w = &e->workload;
    struct remat_workload_config workload = {.model = recorded->model,
                                             .options = recorded->options,
                                             .device = config->device ? config->device : "cpu",
                                             .device_config = config->device_config,
                                             .lower = remat_lower_defaults(REMAT_EVAL, REMAT_SGD),
                                             .times = REMAT_TIMES_ROUGH};
    workload.lower.dtype = config->precision;
    remat_normalization(recorded->normalize, workload.feed_mean, workload.feed_std);
    REMAT_TRY(remat_workload_open(&workload, w, err));
    REMAT_TRY(remat_planning_eval(&w->graph, INT64_MAX, &e->plan, err));
    REMAT_TRY(remat_state_create(w->backend, w->device, &w->graph, &e->state, err));
    REMAT_TRY(w->backend->ops->memory_open(w->device, e->plan.arena_bytes, "the arena", &e->arena, err));
    return remat_runner_open(w->backend, w->device, &w->layers, &w->graph, &e->plan, &e->state, &e->arena,
                             &e->source.shape, false, &e->runner, err);
}

static enum remat_status open_evaluator(const struct remat_evaluate_config *config,
                                        const struct remat_checkpoint *checkpoint, const char *path,
                                        struct evaluator *out, struct remat_error *err)
{
    struct remat_recorded_run recorded;
    memset(out, 0, sizeof *out);
    REMAT_TRY(remat_run_config_from_json(checkpoint->config, path, &recorded, err));
    if (config->batch > 0)
        recorded.options.batch = config->batch;
    REMAT_TRY(open_data(config, &recorded, out, err));
    return open_model(config, &recorded, out, err);
}

static void close_evaluator(struct evaluator *e)
{
    remat_prefetch_close(e->prefetch);
    remat_loader_close(&e->loader);
    remat_data_close(&e->source);
    remat_runner_close(&e->runner);
    remat_memory_close(&e->arena);
    remat_state_free(&e->state);
    remat_plan_free(&e->plan);
    remat_workload_close(&e->workload);
}

static enum remat_status evaluate_one(struct evaluator *e, const char *path, const struct remat_checkpoint *checkpoint,
                                      struct remat_evaluation *out, struct remat_error *err)
{
    struct remat_totals totals;
    REMAT_TRY(remat_checkpoint_load(path, false, &e->state, err));
    REMAT_TRY(
        remat_runner_evaluate(&e->runner, e->prefetch, remat_loader_batches(&e->loader, REMAT_TEST_SET), &totals, err));
    *out = (struct remat_evaluation){.step = checkpoint->step,
                                     .epoch = checkpoint->epoch,
                                     .loss = remat_totals_loss(&totals),
                                     .accuracy = remat_totals_accuracy(&totals),
                                     .rows = totals.rows};
    return REMAT_OK;
}

/* The folder that holds the checkpoints: a run keeps them in "checkpoints". */
static enum remat_status find_folder(const char *given, char **out, struct remat_error *err)
{
    struct stat info;
    REMAT_TRY(remat_format_path(out, err, "%s/checkpoints", given));
    if (stat(*out, &info) == 0 && S_ISDIR(info.st_mode))
        return REMAT_OK;
    free(*out);
    return remat_format_path(out, err, "%s", given);
}

struct visit {
    const struct remat_evaluate_config *config;
    struct evaluator evaluator;
    bool open;
    void (*result)(void *context, const struct remat_evaluation *evaluation);
    void *context;
};

static enum remat_status visit(struct visit *v, const char *path, const struct remat_checkpoint *checkpoint,
                               struct remat_error *err)
{
    struct remat_evaluation evaluation;
    if (!v->open) {
        v->open = true;
        REMAT_TRY(open_evaluator(v->config, checkpoint, path, &v->evaluator, err));
    }
    REMAT_TRY(evaluate_one(&v->evaluator, path, checkpoint, &evaluation, err));
    v->result(v->context, &evaluation);
    return REMAT_OK;
}

static enum remat_status visit_latest(struct visit *v, const char *folder, struct remat_error *err)
{
    struct remat_checkpoint checkpoint;
    char *path;
    enum remat_status status = remat_checkpoint_latest(folder, &v->config->notes, &path, &checkpoint, err);
    if (status == REMAT_OK)
        status = visit(v, path, &checkpoint, err);
    remat_checkpoint_free(&checkpoint);
    free(path);
    return status;
}

static enum remat_status visit_step(struct visit *v, const char *folder, int64_t step, struct remat_error *err)
{
    struct remat_checkpoint checkpoint;
    struct remat_error damage;
    char *path;
    enum remat_status status;
    REMAT_TRY(remat_checkpoint_path(folder, step, &path, err));
    status = remat_checkpoint_open(path, &checkpoint, &damage);
    if (status == REMAT_OK)
        status = visit(v, path, &checkpoint, err);
    else if (v->config->notes.note) {
        v->config->notes.note(v->config->notes.context, damage.message);
        status = REMAT_OK;
    } else {
        status = remat_fail(err, status, "%s", damage.message);
    }
    remat_checkpoint_free(&checkpoint);
    free(path);
    return status;
}

static enum remat_status visit_all(struct visit *v, const char *folder, struct remat_error *err)
{
    int64_t *steps;
    int32_t count;
    enum remat_status status = remat_checkpoint_list(folder, &steps, &count, err);
    if (status == REMAT_OK && count == 0)
        status = remat_fail(err, REMAT_MISSING_INPUT, "%s holds no checkpoint (step-NNNNNNNN)", folder);
    for (int32_t i = 0; i < count && status == REMAT_OK; i++)
        status = visit_step(v, folder, steps[i], err);
    free(steps);
    return status;
}

enum remat_status remat_evaluate(const struct remat_evaluate_config *config,
                                 void (*result)(void *context, const struct remat_evaluation *evaluation),
                                 void *context, struct remat_error *err)
{
    struct visit v = {.config = config, .result = result, .context = context};
    char *folder;
    enum remat_status status = find_folder(config->checkpoint, &folder, err);
    if (status == REMAT_OK)
        status = config->all ? visit_all(&v, folder, err) : visit_latest(&v, folder, err);
    if (v.open)
        close_evaluator(&v.evaluator);
    free(folder);
    return status;
}
