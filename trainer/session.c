#include "trainer/session.h"

#include "core/base/json.h"
#include "trainer/checkpoint/folder.h"
#include "trainer/run_config.h"

#include <stdlib.h>
#include <string.h>

static enum remat_status open_data(struct remat_session *run, struct remat_error *err)
{
    const struct remat_workload_config *workload = &run->config->workload;
    struct remat_data_config data = run->config->data;
    data.seed = run->config->seed;
    data.augment = run->recipe.augment;
    REMAT_TRY(remat_fit_data_to_model(workload->model, &run->model_options, &data, err));
    REMAT_TRY(remat_data_open(&data, &run->source, err));
    REMAT_TRY(remat_fit_model_to_data(workload->model, &run->source, &run->model_options, err));
    REMAT_TRY(remat_loader_open(&run->source, run->recipe.batch, &run->loader, err));
    return remat_prefetch_open(&run->loader, &run->prefetch, err);
}

static enum remat_status count_steps(struct remat_session *run, struct remat_error *err)
{
    int64_t batches = remat_loader_batches(&run->loader, REMAT_TRAINING_SET);
    run->steps_per_epoch = batches / run->micro_count;
    if (run->steps_per_epoch == 0)
        return remat_fail(err, REMAT_USAGE, "the training set has %lld batches, too few for one step of %d",
                          (long long)batches, run->micro_count);
    run->total_steps = run->recipe.epochs * run->steps_per_epoch;
    if (run->recipe.steps > 0 && (run->recipe.epochs == 0 || run->recipe.steps < run->total_steps))
        run->total_steps = run->recipe.steps;
    return REMAT_OK;
}

static enum remat_status lower(struct remat_session *run, struct remat_error *err)
{
    struct remat_workload_config workload = run->config->workload;
    struct remat_lower_options eval = remat_recipe_lower(&run->recipe, REMAT_EVAL, 1);
    bool any_limit = run->config->planning.budget || run->config->planning.memory;
    workload.options = run->model_options;
    workload.lower = remat_recipe_lower(&run->recipe, REMAT_TRAIN, run->micro_count);
    workload.lower.any_options = run->config->workload.lower.any_options;
    remat_normalization(run->recipe.normalize, workload.feed_mean, workload.feed_std);
    if (run->config->planning.plan || !(any_limit || workload.lower.any_options))
        workload.times = REMAT_TIMES_ROUGH;
    REMAT_TRY(remat_workload_open(&workload, &run->workload, err));
    if (run->config->planning.plan)
        REMAT_TRY(remat_task_graph_adopt_times(&run->workload.graph, run->config->planning.plan_graph, err));
    return remat_lower(&run->workload.layers, run->workload.backend, run->workload.device, &eval, &run->eval_graph,
                       err);
}

static enum remat_status choose_plans(struct remat_session *run, struct remat_error *err)
{
    struct remat_planning planning = run->config->planning;
    planning.seed = run->config->seed;
    planning.available_bytes = run->workload.backend->ops->available_bytes(run->workload.device);
    REMAT_TRY(remat_planning_train(&planning, &run->workload.graph, &run->plan, &run->budget_bytes, err));
    return remat_planning_eval(&run->eval_graph, run->budget_bytes, &run->eval_plan, err);
}

static enum remat_status allocate(struct remat_session *run, struct remat_error *err)
{
    const struct remat_workload *w = &run->workload;
    int64_t bytes =
        run->plan.arena_bytes > run->eval_plan.arena_bytes ? run->plan.arena_bytes : run->eval_plan.arena_bytes;
    REMAT_TRY(remat_state_create(w->backend, w->device, &w->graph, &run->state, err));
    REMAT_TRY(remat_state_init_parameters(&run->state, &w->layers, run->config->seed, err));
    REMAT_TRY(w->backend->ops->memory_open(w->device, bytes, "the arena", &run->arena, err));
    REMAT_TRY(remat_runner_open(w->backend, w->device, &w->layers, &w->graph, &run->plan, &run->state, &run->arena,
                                &run->source.shape, true, &run->train, err));
    return remat_runner_open(w->backend, w->device, &w->layers, &run->eval_graph, &run->eval_plan, &run->state,
                             &run->arena, &run->source.shape, false, &run->eval, err);
}

static void note(void *context, const char *text)
{
    struct remat_session *run = context;
    remat_progress_line(&run->progress, "%s", text);
}

/* Another graph (device, threads, libraries) continues the same run, but with other roundings. */
static void compare_graphs(struct remat_session *run, uint64_t recorded)
{
    if (recorded != remat_task_graph_hash(&run->workload.graph))
        note(
            run,
            "the checkpoint was made with another device, thread count, library version or choice of options: training "
            "goes on, but not bit for bit as it would have there");
}

static enum remat_status restore(struct remat_session *run, const char *path, struct remat_checkpoint *found,
                                 struct remat_error *err)
{
    json_t *config = run->position.config;
    REMAT_TRY(remat_run_config_compare(found->config, config, err));
    if (found->seed != run->config->seed)
        return remat_fail(err, REMAT_USAGE, "the checkpoint was made with seed %llu, and this run has %llu",
                          (unsigned long long)found->seed, (unsigned long long)run->config->seed);
    REMAT_TRY(remat_checkpoint_load(path, true, &run->state, err));
    compare_graphs(run, found->graph_hash);
    json_decref(found->config);
    run->position = *found;
    run->position.config = config;
    run->position.graph_hash = remat_task_graph_hash(&run->workload.graph);
    found->config = NULL;
    run->saved_step = run->position.step;
    return REMAT_OK;
}

static enum remat_status resume(struct remat_session *run, struct remat_error *err)
{
    struct remat_notes notes = {note, run};
    struct remat_checkpoint found;
    char *path;
    enum remat_status status = remat_checkpoint_latest(run->checkpoints, &notes, &path, &found, err);
    if (status == REMAT_MISSING_INPUT)
        return REMAT_OK;
    if (status == REMAT_OK)
        status = restore(run, path, &found, err);
    if (status == REMAT_OK)
        remat_progress_line(&run->progress, "resumed from %s", path);
    remat_checkpoint_free(&found);
    free(path);
    return status;
}

static enum remat_status refuse_old_run(const struct remat_session *run, struct remat_error *err)
{
    int64_t *steps;
    int32_t count;
    struct remat_error ignored;
    enum remat_status status = remat_checkpoint_list(run->checkpoints, &steps, &count, &ignored);
    free(steps);
    if (status == REMAT_MISSING_INPUT || count == 0)
        return REMAT_OK;
    return remat_fail(err, REMAT_USAGE, "%s holds %d checkpoints of an earlier run; resume it, or name another folder",
                      run->checkpoints, count);
}

static enum remat_status write_start(struct remat_session *run, struct remat_error *err)
{
    const struct remat_workload *w = &run->workload;
    json_t *event =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:O}", "event", "start", "step",
                  (json_int_t)run->position.step, "total_steps", (json_int_t)run->total_steps, "steps_per_epoch",
                  (json_int_t)run->steps_per_epoch, "planned_peak_bytes", (json_int_t)run->plan.arena_bytes,
                  "evaluation_peak_bytes", (json_int_t)run->eval_plan.arena_bytes, "persistent_bytes",
                  (json_int_t)w->graph.persistent_bytes, "parameters",
                  (json_int_t)remat_layer_graph_parameters(&w->layers), "solver", run->plan.solver, "device",
                  w->info.fingerprint, "plan_hash", remat_json_from_hash(remat_plan_hash(&run->plan)), "seed",
                  remat_json_from_hash(run->config->seed), "config", run->position.config);
    if (event && run->budget_bytes != INT64_MAX)
        json_object_set_new(event, "budget_bytes", json_integer(run->budget_bytes));
    return remat_log_event(run->log, event, err);
}

static enum remat_status save_plan(const struct remat_session *run, struct remat_error *err)
{
    json_t *json = remat_plan_to_json(&run->plan);
    char *path = NULL;
    enum remat_status status = remat_format_path(&path, err, "%s/plan.json", run->config->folder);
    /* with the graph, so that it can be explained, drawn and run again without anything else */
    if (json && json_object_set_new(json, "graph", remat_task_graph_to_json(&run->workload.graph)) != 0) {
        json_decref(json);
        json = NULL;
    }
    if (status == REMAT_OK)
        status = json ? remat_json_save(path, json, err)
                      : remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for the plan's JSON");
    json_decref(json);
    free(path);
    return status;
}

static enum remat_status open_folder(struct remat_session *run, struct remat_error *err)
{
    const int64_t *lengths;
    if (!run->config->folder)
        return REMAT_OK;
    REMAT_TRY(remat_format_path(&run->checkpoints, err, "%s/checkpoints", run->config->folder));
    remat_checkpoint_clean(run->checkpoints);
    REMAT_TRY(run->config->resume ? resume(run, err) : refuse_old_run(run, err));
    lengths = run->saved_step >= 0 ? run->position.log_bytes : NULL;
    REMAT_TRY(remat_log_open(run->config->folder, lengths, &run->log, err));
    REMAT_TRY(save_plan(run, err));
    return write_start(run, err);
}

enum remat_status remat_session_open(const struct remat_train_config *config, struct remat_session *out,
                                     struct remat_error *err)
{
    memset(out, 0, sizeof *out);
    out->config = config;
    out->recipe = config->recipe;
    out->model_options = config->workload.options;
    out->micro_count = config->micro_count > 0 ? config->micro_count : 1;
    out->saved_step = -1;
    remat_task_graph_init(&out->eval_graph);
    remat_progress_begin(&out->progress, config->progress);
    if (out->model_options.batch > 0)
        out->recipe.batch = out->model_options.batch;
    out->model_options.batch = out->recipe.batch;
    REMAT_TRY(remat_recipe_check(&out->recipe, err));
    REMAT_TRY(open_data(out, err));
    REMAT_TRY(count_steps(out, err));
    REMAT_TRY(lower(out, err));
    REMAT_TRY(choose_plans(out, err));
    REMAT_TRY(allocate(out, err));
    out->position.seed = config->seed;
    out->position.graph_hash = remat_task_graph_hash(&out->workload.graph);
    out->position.config = remat_run_config_to_json(config->workload.model, &out->model_options, &out->recipe,
                                                    out->micro_count, out->total_steps, &out->source);
    if (!out->position.config)
        return remat_fail(err, REMAT_OUT_OF_MEMORY, "out of host memory for the run's configuration");
    return open_folder(out, err);
}

void remat_session_close(struct remat_session *run)
{
    remat_prefetch_close(run->prefetch);
    remat_loader_close(&run->loader);
    remat_data_close(&run->source);
    remat_runner_close(&run->train);
    remat_runner_close(&run->eval);
    remat_memory_close(&run->arena);
    remat_state_free(&run->state);
    remat_plan_free(&run->plan);
    remat_plan_free(&run->eval_plan);
    remat_task_graph_free(&run->eval_graph);
    remat_workload_close(&run->workload);
    remat_checkpoint_free(&run->position);
    remat_log_close(run->log);
    free(run->checkpoints);
    remat_progress_end(&run->progress);
}

enum remat_status remat_session_save(struct remat_session *run, struct remat_error *err)
{
    if (!run->checkpoints || run->saved_step == run->position.step)
        return REMAT_OK;
    REMAT_TRY(remat_log_event(
        run->log, json_pack("{s:s, s:I}", "event", "checkpoint", "step", (json_int_t)run->position.step), err));
    REMAT_TRY(remat_log_sync(run->log, run->position.log_bytes, err));
    REMAT_TRY(remat_checkpoint_save(run->checkpoints, &run->state, &run->position,
                                    run->config->keep > 0 ? run->config->keep : INT32_MAX, err));
    run->saved_step = run->position.step;
    return REMAT_OK;
}
