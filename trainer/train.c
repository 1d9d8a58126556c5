#include "trainer/train.h"

#include "core/base/clock.h"
#include "trainer/session.h"

#include <math.h>
#include <string.h>

/* What the loop carries besides the run. */
struct loop {
    struct remat_session *run;
    struct remat_train_result *result;
    double started, epoch_started;
    double step_seconds; /* smoothed */
};

static double learning_rate(const struct remat_session *run, int64_t step)
{
    return remat_rate_at(&run->recipe.rate, step, run->steps_per_epoch, run->total_steps);
}

static int64_t first_of_epoch(const struct remat_session *run)
{
    return run->position.step / run->steps_per_epoch * run->steps_per_epoch;
}

static int64_t end_of_epoch(const struct remat_session *run)
{
    int64_t end = first_of_epoch(run) + run->steps_per_epoch;
    return end < run->total_steps ? end : run->total_steps;
}

static void begin_epoch(struct loop *loop)
{
    struct remat_session *run = loop->run;
    int64_t first = first_of_epoch(run);
    if (run->position.step == first) {
        run->position.epoch_loss = 0;
        run->position.epoch_rows = run->position.epoch_correct = 0;
    }
    remat_runner_begin(&run->train, run->prefetch, REMAT_TRAINING_SET, run->position.step / run->steps_per_epoch,
                       (run->position.step - first) * run->micro_count, (end_of_epoch(run) - first) * run->micro_count);
    loop->epoch_started = remat_clock_seconds();
}

static enum remat_status check_loss(const struct remat_session *run, const struct remat_totals *totals,
                                    struct remat_error *err)
{
    if (totals->rows == 0)
        return remat_fail(err, REMAT_BAD_DATA, "step %lld: no row of its batch has a label",
                          (long long)run->position.step + 1);
    if (isfinite(totals->loss))
        return REMAT_OK;
    return remat_fail(err, REMAT_FAILED,
                      "step %lld: the loss is %s: training has diverged (learning rate %.3g); try a smaller learning "
                      "rate, a longer warm-up or gradient clipping; the checkpoints before it are intact",
                      (long long)run->position.step + 1, isnan(totals->loss) ? "not a number" : "infinite",
                      learning_rate(run, run->position.step));
}

static void show(struct loop *loop, double loss)
{
    struct remat_session *run = loop->run;
    const struct remat_sample_shape *shape = &run->source.shape;
    bool text = shape->kind == REMAT_TOKEN_SAMPLES;
    int64_t first = first_of_epoch(run), items = run->recipe.batch * run->micro_count * (text ? shape->length : 1);
    struct remat_exec_measure measured;
    struct remat_error ignored;
    char what[64];
    if (remat_exec_measured(run->train.exec, &measured, &ignored) != REMAT_OK)
        measured.peak_bytes = 0; /* the next step tells why */
    /* The position is behind the step just done; at an epoch's end the bar belongs to the epoch that ended. */
    if (run->position.step == first)
        first -= run->steps_per_epoch;
    snprintf(what, sizeof what, "epoch %lld/%lld", (long long)(first / run->steps_per_epoch + 1),
             (long long)((run->total_steps + run->steps_per_epoch - 1) / run->steps_per_epoch));
    remat_progress_update(
        &run->progress,
        &(struct remat_progress_state){
            .what = what,
            .done = run->position.step - first,
            .total = run->total_steps - first < run->steps_per_epoch ? run->total_steps - first : run->steps_per_epoch,
            .loss = loss,
            .items_per_second = (double)items / loop->step_seconds,
            .item = text ? "tok" : "img",
            .remaining_seconds = (double)(run->total_steps - run->position.step) * loop->step_seconds,
            .planned_bytes = run->plan.arena_bytes,
            .measured_bytes = measured.peak_bytes});
}

static enum remat_status log_step(struct loop *loop, const struct remat_totals *totals, double rate, double seconds,
                                  struct remat_error *err)
{
    struct remat_session *run = loop->run;
    struct remat_log_step record = {
        .step = run->position.step,
        .epoch = (run->position.step - 1) / run->steps_per_epoch + 1,
        .loss = remat_totals_loss(totals),
        .learning_rate = rate,
        .samples_per_second = (double)(run->recipe.batch * run->micro_count) / seconds,
        .step_ns = (int64_t)(seconds * 1e9),
    };
    if (!run->log || (run->config->log_steps > 1 && run->position.step % run->config->log_steps != 0))
        return REMAT_OK;
    return remat_log_step(run->log, &record, err);
}

static enum remat_status step(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    struct remat_checkpoint *position = &run->position;
    double started = remat_clock_seconds(), seconds, rate = learning_rate(run, position->step);
    struct remat_step_record record = {.seed = run->config->seed,
                                       .step = position->step,
                                       .micro_count = run->micro_count,
                                       .learning_rate = (float)rate,
                                       .loss_scale = 1.0f / (float)run->micro_count};
    struct remat_totals totals;
    REMAT_TRY(remat_runner_step(&run->train, run->prefetch, &record, &totals, err));
    REMAT_TRY(check_loss(run, &totals, err));
    seconds = remat_clock_seconds() - started;
    loop->step_seconds = loop->step_seconds > 0 ? 0.95 * loop->step_seconds + 0.05 * seconds : seconds;
    position->step++;
    position->samples += run->recipe.batch * run->micro_count;
    position->epoch_loss += totals.loss;
    position->epoch_rows += totals.rows;
    position->epoch_correct += totals.correct;
    show(loop, remat_totals_loss(&totals));
    return log_step(loop, &totals, rate, seconds, err);
}

static enum remat_status evaluate(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    struct remat_train_result *result = loop->result;
    struct remat_checkpoint *position = &run->position;
    struct remat_totals train = {position->epoch_loss, position->epoch_rows, position->epoch_correct}, test;
    REMAT_TRY(remat_runner_evaluate(&run->eval, run->prefetch, remat_loader_batches(&run->loader, REMAT_TEST_SET),
                                    &test, err));
    position->epoch = position->step / run->steps_per_epoch;
    result->train_loss = remat_totals_loss(&train);
    result->train_accuracy = remat_totals_accuracy(&train);
    result->test_loss = remat_totals_loss(&test);
    result->test_accuracy = remat_totals_accuracy(&test);
    return REMAT_OK;
}

/* Evaluation, log and, if one is due, a checkpoint. */
static enum remat_status end_epoch(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    struct remat_train_result *result = loop->result;
    int32_t period = run->config->save_epochs;
    int64_t epoch = (run->position.step - 1) / run->steps_per_epoch + 1;
    double seconds;
    remat_prefetch_end(run->prefetch);
    REMAT_TRY(evaluate(loop, err));
    seconds = remat_clock_seconds() - loop->epoch_started;
    remat_progress_line(&run->progress, "epoch %lld  train loss %.4f  test loss %.4f  test accuracy %.2f %%  %.0f s",
                        (long long)epoch, result->train_loss, result->test_loss, 100 * result->test_accuracy, seconds);
    if (run->log)
        REMAT_TRY(
            remat_log_epoch(run->log,
                            &(struct remat_log_epoch){epoch, run->position.step, result->train_loss,
                                                      result->train_accuracy, result->test_loss, result->test_accuracy,
                                                      learning_rate(run, run->position.step - 1), seconds},
                            err));
    if (run->position.step == run->total_steps || (period > 0 && epoch % period == 0))
        return remat_session_save(run, err);
    return REMAT_OK;
}

static bool asked_to_stop(const struct remat_session *run)
{
    const struct remat_train_config *config = run->config;
    return (config->stop && *config->stop) || run->position.step == config->stop_step;
}

/* Finishes what the signal interrupted: the step is done, so the state can be saved. */
static enum remat_status stop(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    remat_prefetch_end(run->prefetch);
    REMAT_TRY(remat_session_save(run, err));
    return remat_fail(err, REMAT_INTERRUPTED, "stopped after step %lld of %lld%s", (long long)run->position.step,
                      (long long)run->total_steps,
                      run->checkpoints ? "; the state is saved: --resume continues it" : "; nothing was to be saved");
}

static enum remat_status run_loop(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    bool in_epoch = false;
    if (run->position.step == run->total_steps) /* resumed after the end */
        return evaluate(loop, err);
    while (run->position.step < run->total_steps) {
        if (!in_epoch)
            begin_epoch(loop);
        in_epoch = true;
        REMAT_TRY(step(loop, err));
        if (run->position.step == run->total_steps || run->position.step % run->steps_per_epoch == 0) {
            REMAT_TRY(end_epoch(loop, err));
            in_epoch = false;
        }
        if (run->position.step < run->total_steps && asked_to_stop(run))
            return stop(loop, err);
    }
    return REMAT_OK;
}

/* Gradient sums mean nothing between steps and are in no checkpoint: they must not count in the comparison of runs. */
static enum remat_status hash_state(struct remat_state *state, uint64_t *hash, struct remat_error *err)
{
    for (int32_t i = 0; i < state->count; i++)
        if (state->cells[i].kind == REMAT_GRADIENT_SUM)
            REMAT_TRY(remat_state_zero(state, &state->cells[i], err));
    return remat_state_hash(state, hash, err);
}

static enum remat_status fill_result(struct loop *loop, struct remat_error *err)
{
    struct remat_session *run = loop->run;
    struct remat_train_result *result = loop->result;
    struct remat_exec_measure measured;
    REMAT_TRY(remat_exec_measured(run->train.exec, &measured, err));
    result->steps = run->position.step;
    result->epochs = run->position.step / run->steps_per_epoch;
    result->planned_bytes = run->plan.arena_bytes;
    result->measured_bytes = measured.peak_bytes;
    result->planned_host_bytes = run->plan.host_bytes;
    result->measured_host_bytes = measured.host_peak_bytes;
    result->persistent_bytes = run->workload.graph.persistent_bytes;
    result->budget_bytes = run->budget_bytes;
    remat_memory_ladder(run->workload.backend->ops, run->workload.device,
                        run->plan.arena_bytes + run->workload.graph.persistent_bytes,
                        run->arena.bytes + run->state.memory.bytes, &result->memory);
    REMAT_TRY(hash_state(&run->state, &result->state_hash, err));
    result->seconds = remat_clock_seconds() - loop->started;
    return REMAT_OK;
}

static enum remat_status write_end(const struct loop *loop, struct remat_error *err)
{
    const struct remat_train_result *result = loop->result;
    char hash[17];
    int64_t bytes[REMAT_LOG_FILES];
    if (!loop->run->log)
        return REMAT_OK;
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)result->state_hash);
    REMAT_TRY(remat_log_event(
        loop->run->log,
        json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:f, s:o}", "event", "end", "step", (json_int_t)result->steps,
                  "state_hash", hash, "planned_peak_bytes", (json_int_t)result->planned_bytes, "measured_peak_bytes",
                  (json_int_t)result->measured_bytes, "process_peak_bytes", (json_int_t)remat_process_peak_bytes(),
                  "seconds", result->seconds, "memory", remat_memory_ladder_json(&result->memory)),
        err));
    return remat_log_sync(loop->run->log, bytes, err);
}

enum remat_status remat_train(const struct remat_train_config *config, struct remat_train_result *out,
                              struct remat_error *err)
{
    struct remat_session run;
    struct loop loop = {.run = &run, .result = out, .started = remat_clock_seconds()};
    struct remat_error ignored;
    enum remat_status status = remat_session_open(config, &run, err), filled;
    memset(out, 0, sizeof *out);
    out->train_loss = out->train_accuracy = out->test_loss = out->test_accuracy = NAN;
    if (status == REMAT_OK) {
        out->first_step = run.position.step;
        status = run_loop(&loop, err);
        filled = fill_result(&loop, status == REMAT_OK ? err : &ignored);
        status = status == REMAT_OK ? filled : status;
    }
    if (status == REMAT_OK)
        status = write_end(&loop, err);
    remat_session_close(&run);
    return status;
}
