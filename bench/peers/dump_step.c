/* remat_dump_step: trains a few steps on drawn data and writes everything that another implementation needs to do, and
 * compare, the same: see torch_match.py. A tool for developers; `--help` shows what the file holds. */
#include "bench/peers/tensor_file.h"
#include "bench/results.h"
#include "core/base/rng.h"
#include "profiler/synthetic.h"
#include "runtime/exec/exec.h"
#include "solver/solver.h"
#include "trainer/planning.h"
#include "trainer/workload.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: remat_dump_step MODEL -o FILE [--steps N] [--seed N] [--device cpu|ref] [--precision f32|f64] [--threads "
    "N]\n"
    "       [--batch N] [--image N] [--classes N] [--seq N] [--vocab N] [--layers N] [--width N] [--heads N]\n"
    "       [--optimizer sgd|adamw] [--learning-rate X] [--momentum X] [--nesterov] [--weight-decay X] [--epsilon X]\n"
    "       [--solver NAME] [--budget SIZE|smallest]\n"
    "\n"
    "FILE (safetensors) holds, for each step k from 0: `step.k/INPUT` (the batch), `step.k/metrics` (sum of losses, "
    "rows,\n"
    "rows that are right, 0); and for each parameter P: `first/P`, `gradient/P` (of step 0), `last/P`; for running\n"
    "statistics the same without gradient. Its metadata holds plan, budget and the settings, as text.\n";

/* --- arguments --------------------------------------------------------------------------------------------------- */

struct settings {
    struct remat_workload_config workload;
    struct remat_planning planning;
    struct remat_size budget;
    bool smallest; /* the smallest plan that the solver can do */
    int64_t steps;
    uint64_t seed;
    float learning_rate;
    const char *path;
};

enum flag {
    STEPS = 1,
    SEED,
    DEVICE,
    PRECISION,
    THREADS,
    BATCH,
    IMAGE,
    CLASSES,
    SEQ,
    VOCAB,
    LAYERS,
    WIDTH,
    HEADS,
    OPTIMIZER,
    LEARNING_RATE,
    MOMENTUM,
    NESTEROV,
    WEIGHT_DECAY,
    EPSILON,
    SOLVER,
    BUDGET,
    HELP
};

static const struct option flags[] = {
    {"steps", 1, NULL, STEPS},
    {"seed", 1, NULL, SEED},
    {"device", 1, NULL, DEVICE},
    {"precision", 1, NULL, PRECISION},
    {"threads", 1, NULL, THREADS},
    {"batch", 1, NULL, BATCH},
    {"image", 1, NULL, IMAGE},
    {"classes", 1, NULL, CLASSES},
    {"seq", 1, NULL, SEQ},
    {"vocab", 1, NULL, VOCAB},
    {"layers", 1, NULL, LAYERS},
    {"width", 1, NULL, WIDTH},
    {"heads", 1, NULL, HEADS},
    {"optimizer", 1, NULL, OPTIMIZER},
    {"learning-rate", 1, NULL, LEARNING_RATE},
    {"momentum", 1, NULL, MOMENTUM},
    {"nesterov", 0, NULL, NESTEROV},
    {"weight-decay", 1, NULL, WEIGHT_DECAY},
    {"epsilon", 1, NULL, EPSILON},
    {"solver", 1, NULL, SOLVER},
    {"budget", 1, NULL, BUDGET},
    {"help", 0, NULL, HELP},
    {NULL, 0, NULL, 0},
};

static enum remat_status parse_number(int flag, const char *text, double *out, struct remat_error *err)
{
    char *end = NULL;
    *out = text ? strtod(text, &end) : 0.0;
    if (text && (end == text || *end || *out < 0))
        return remat_fail(err, REMAT_USAGE, "--%s: expected a number from 0 on, found \"%s\"", flags[flag - 1].name,
                          text);
    return REMAT_OK;
}

/* Sizes of the model and the device. */
static void set_size(struct settings *s, int flag, int64_t value)
{
    struct remat_model_options *options = &s->workload.options;
    int64_t *const sizes[] = {
        [STEPS] = &s->steps,           [BATCH] = &options->batch, [IMAGE] = &options->image,
        [CLASSES] = &options->classes, [SEQ] = &options->length,  [VOCAB] = &options->vocabulary,
        [LAYERS] = &options->layers,   [WIDTH] = &options->width, [HEADS] = &options->heads,
    };
    if (flag == SEED)
        s->seed = (uint64_t)value;
    else if (flag == THREADS)
        s->workload.device_config.threads = (int32_t)value;
    else if (flag <= HEADS && sizes[flag])
        *sizes[flag] = value;
}

static void set_real(struct settings *s, int flag, float value)
{
    struct remat_lower_options *lower = &s->workload.lower;
    if (flag == LEARNING_RATE)
        s->learning_rate = value;
    else if (flag == MOMENTUM)
        lower->momentum = value;
    else if (flag == NESTEROV)
        lower->nesterov = true;
    else if (flag == WEIGHT_DECAY)
        lower->weight_decay = value;
    else if (flag == EPSILON)
        lower->epsilon = value;
}

static bool is_text(int flag)
{
    return flag == DEVICE || flag == PRECISION || flag == OPTIMIZER || flag == SOLVER || flag == BUDGET;
}

static enum remat_status set_text(struct settings *s, int flag, const char *text, struct remat_error *err)
{
    switch (flag) {
    case DEVICE:
        s->workload.device = text;
        return REMAT_OK;
    case PRECISION:
        return remat_dtype_parse(text, &s->workload.lower.dtype, err);
    case SOLVER:
        s->planning.solver = text;
        return REMAT_OK;
    case BUDGET:
        s->smallest = strcmp(text, "smallest") == 0;
        if (s->smallest)
            return REMAT_OK;
        s->planning.budget = &s->budget;
        return remat_size_parse(text, &s->budget, err);
    default:
        if (strcmp(text, "sgd") != 0 && strcmp(text, "adamw") != 0)
            return remat_fail(err, REMAT_USAGE, "--optimizer: expected sgd or adamw, found \"%s\"", text);
        return REMAT_OK;
    }
}

/* The optimizer sets the defaults that other flags change, so it is looked for first. */
static enum remat_optimizer optimizer_of(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--optimizer") == 0 && strcmp(argv[i + 1], "adamw") == 0)
            return REMAT_ADAMW;
    return REMAT_SGD;
}

static enum remat_status parse_flag(struct settings *s, int flag, const char *text, struct remat_error *err)
{
    double number = 0.0;
    if (flag == '?')
        return remat_fail(err, REMAT_USAGE, "see --help");
    if (flag == 'o') {
        s->path = text;
        return REMAT_OK;
    }
    if (is_text(flag))
        return set_text(s, flag, text, err);
    REMAT_TRY(parse_number(flag, text, &number, err));
    set_size(s, flag, (int64_t)number);
    set_real(s, flag, (float)number);
    return REMAT_OK;
}

static enum remat_status parse(int argc, char **argv, struct settings *out, struct remat_error *err)
{
    static const float mean[4] = {0.485f, 0.456f, 0.406f}, deviation[4] = {0.229f, 0.224f, 0.225f};
    int flag;
    *out = (struct settings){.steps = 3, .seed = 1, .learning_rate = 0.01f};
    out->workload.device = "cpu";
    out->workload.times = REMAT_TIMES_ROUGH;
    out->workload.lower = remat_lower_defaults(REMAT_TRAIN, optimizer_of(argc, argv));
    memcpy(out->workload.feed_mean, mean, sizeof mean);
    memcpy(out->workload.feed_std, deviation, sizeof deviation);
    while ((flag = getopt_long(argc, argv, "o:", flags, NULL)) != -1)
        REMAT_TRY(parse_flag(out, flag, optarg, err));
    if (optind != argc - 1 || !out->path || out->steps < 1)
        return remat_fail(err, REMAT_USAGE, "expected one MODEL, -o FILE and at least one step; see --help");
    out->workload.model = argv[optind];
    return REMAT_OK;
}

/* --- the run ----------------------------------------------------------------------------------------------------- */

struct run {
    const struct settings *settings;
    struct remat_workload workload;
    struct remat_plan plan;
    struct remat_state state;
    struct remat_memory arena;
    struct remat_exec *exec;
    struct remat_tensor_file file;
    const char **gradient_names; /* by value: the parameter whose complete gradient it is, or NULL */
    int64_t step;
    enum remat_status status; /* of what the observer did */
    struct remat_error *err;
};

/* The value that an update reads is the gradient of the first cell that it writes. */
static enum remat_status name_gradients(struct run *run)
{
    const struct remat_task_graph *graph = &run->workload.graph;
    REMAT_TRY(REMAT_ALLOC(run->gradient_names, graph->values_count, run->err));
    for (int32_t i = 0; i < graph->order_count; i++) {
        const struct remat_task *task = &graph->tasks[graph->order[i]];
        if (task->op == REMAT_OP_SGD || task->op == REMAT_OP_ADAMW)
            run->gradient_names[task->inputs[0]] = graph->cells[task->cells[0].cell].name;
    }
    return REMAT_OK;
}

static enum remat_status add_gradient(struct run *run, const char *name, int32_t value, const void *address)
{
    const struct remat_tensor *tensor = &run->workload.graph.values[value].tensor;
    int64_t bytes = remat_tensor_bytes(tensor);
    char *data;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(data, bytes, run->err));
    status = run->workload.backend->ops->download(run->workload.device, data, address, bytes, run->err);
    if (status == REMAT_OK)
        status = remat_tensor_file_add(&run->file, "gradient", name, tensor, REMAT_PARAMETER, data, run->err);
    free(data);
    return status;
}

/* Copies each gradient when its producer is done: before the update, or anything that reuses its memory, runs. */
static void observe(void *context, int32_t instruction, const struct remat_task *task,
                    const struct remat_kernel_args *args)
{
    struct run *run = context;
    (void)instruction;
    for (int32_t k = 0; k < task->outputs_count && run->step == 0 && run->status == REMAT_OK; k++) {
        const char *name = run->gradient_names[task->outputs[k]];
        if (!name)
            continue;
        run->gradient_names[task->outputs[k]] = NULL; /* a plan may make it again */
        run->status = add_gradient(run, name, task->outputs[k], args->outputs[k]);
    }
}

static double element(const struct remat_state_cell *cell, int64_t i)
{
    return cell->tensor.dtype == REMAT_F64 ? ((const double *)cell->data)[i] : (double)((const float *)cell->data)[i];
}

static void set_element(const struct remat_state_cell *cell, int64_t i, double value)
{
    if (cell->tensor.dtype == REMAT_F64)
        ((double *)cell->data)[i] = value;
    else
        ((float *)cell->data)[i] = (float)value;
}

static bool ends_in(const char *name, const char *end)
{
    size_t length = strlen(name), end_length = strlen(end);
    return length >= end_length && strcmp(name + length - end_length, end) == 0;
}

/* Training starts vectors (biases, normalisations, running statistics) at 0 or 1, which would hide mistakes in how they
 * are used: here they get noise on top. The branches of bottleneck blocks start small (Goyal et al., arXiv 1706.02677,
 * start them at 0): else 50 layers magnify a rounding of the first one 10^5 times, and nothing could be compared.
 * Rounded to f32, so that both precisions start from the same numbers. */
static void disturb_vectors(const struct run *run, const struct remat_state *mirror)
{
    for (int32_t i = 0; i < mirror->count; i++) {
        const struct remat_state_cell *cell = &mirror->cells[i];
        bool model = cell->kind == REMAT_PARAMETER || cell->kind == REMAT_RUNNING_STATISTIC;
        double scale = ends_in(cell->name, ".bn3.weight") ? 0.1 : 1.0;
        for (int64_t e = 0; model && cell->tensor.dims_count == 1 && e < cell->tensor.dims[0]; e++) {
            struct remat_rng_block words =
                remat_rng(run->settings->seed, REMAT_RNG_SYNTHETIC, (uint32_t)i, 1, (uint64_t)e);
            double noise = 0.2 * (double)remat_rng_uniform(words.word[0]) - 0.1;
            set_element(cell, e, (float)(scale * (element(cell, e) + noise)));
        }
    }
}

static enum remat_status add_model(struct run *run, const char *group)
{
    struct remat_state mirror;
    enum remat_status status = remat_state_mirror(&run->state, &mirror, run->err);
    for (int32_t i = 0; i < mirror.count && status == REMAT_OK; i++) {
        const struct remat_state_cell *cell = &mirror.cells[i];
        if (cell->kind == REMAT_PARAMETER || cell->kind == REMAT_RUNNING_STATISTIC)
            status =
                remat_tensor_file_add(&run->file, group, cell->name, &cell->tensor, cell->kind, cell->data, run->err);
    }
    remat_state_free(&mirror);
    return status;
}

static enum remat_status init_state(struct run *run)
{
    struct remat_state mirror;
    enum remat_status status;
    REMAT_TRY(remat_state_init_parameters(&run->state, &run->workload.layers, run->settings->seed, run->err));
    status = remat_state_mirror(&run->state, &mirror, run->err);
    if (status == REMAT_OK) {
        disturb_vectors(run, &mirror);
        status = remat_state_restore(&run->state, &mirror, run->err);
    }
    remat_state_free(&mirror);
    return status;
}

/* Squares of 8 pixels in random colours, with noise. Noise alone would look alike to deep layers, and their batch
 * normalisations would magnify rounding. */
static void draw_images(const struct remat_tensor *images, unsigned char *bytes, uint32_t stream)
{
    const int64_t *dims = images->dims;
    for (int64_t n = 0; n < dims[0]; n++)
        for (int64_t h = 0; h < dims[1]; h++)
            for (int64_t w = 0; w < dims[2]; w++) {
                uint64_t square = (uint64_t)((n * dims[1] + h / 8) * dims[2] + w / 8);
                uint64_t pixel = (uint64_t)((n * dims[1] + h) * dims[2] + w);
                struct remat_rng_block colour = remat_rng(1, REMAT_RNG_SYNTHETIC, stream, 2, square);
                struct remat_rng_block noise = remat_rng(1, REMAT_RNG_SYNTHETIC, stream, 3, pixel);
                for (int64_t c = 0; c < dims[3]; c++)
                    *bytes++ = (unsigned char)((3 * (colour.word[c] % 256) + noise.word[c] % 256) / 4);
            }
}

static enum remat_status draw_batch(struct run *run, const char *group)
{
    const struct remat_task_graph *graph = &run->workload.graph;
    int64_t bound = remat_label_bound(&run->workload.layers);
    for (int32_t i = 0; i < graph->cells_count; i++) {
        struct remat_tensor tensor;
        uint32_t stream;
        void *data;
        if (graph->cells[i].kind != REMAT_STAGING_SLOT)
            continue;
        data = remat_exec_staging(run->exec, 0, graph->cells[i].name, &tensor);
        stream = (uint32_t)((int64_t)run->settings->seed * 1000 + run->step * graph->cells_count + i);
        if (tensor.dtype == REMAT_U8)
            draw_images(&tensor, data, stream);
        else
            remat_fill_synthetic(&tensor, data, bound, stream);
        REMAT_TRY(remat_tensor_file_add(&run->file, group, strchr(graph->cells[i].name, '.') + 1, &tensor,
                                        REMAT_STAGING_SLOT, data, run->err));
    }
    return REMAT_OK;
}

static enum remat_status train_step(struct run *run)
{
    const struct remat_step_record record = {.seed = run->settings->seed,
                                             .step = run->step,
                                             .micro_count = 1,
                                             .learning_rate = run->settings->learning_rate,
                                             .loss_scale = 1.0f};
    struct remat_state_cell *metrics = remat_state_find(&run->state, "metrics");
    double sums[4];
    char group[32];
    snprintf(group, sizeof group, "step.%lld", (long long)run->step);
    REMAT_TRY(draw_batch(run, group));
    REMAT_TRY(remat_state_zero(&run->state, metrics, run->err));
    REMAT_TRY(remat_exec_micro(run->exec, 0, &record, run->err));
    REMAT_TRY(remat_exec_finish(run->exec, &record, run->err));
    REMAT_TRY(run->status);
    REMAT_TRY(remat_state_read(&run->state, metrics, sums, run->err));
    return remat_tensor_file_add(&run->file, group, "metrics", &metrics->tensor, REMAT_METRICS, sums, run->err);
}

static enum remat_status make_plan(struct run *run)
{
    const struct remat_planning *planning = &run->settings->planning;
    const struct remat_solve_options options = {.budget_bytes = INT64_MAX};
    const struct remat_solver *solver;
    int64_t budget;
    if (!run->settings->smallest)
        return remat_planning_train(planning, &run->workload.graph, &run->plan, &budget, run->err);
    REMAT_TRY(remat_solver_find(planning->solver ? planning->solver : "chain", &solver, run->err));
    return remat_solve_smallest(&run->workload.graph, solver, &options, &run->plan, run->err);
}

static enum remat_status prepare(struct run *run)
{
    const struct remat_exec_options options = {.observe = observe, .context = run};
    struct remat_workload *w = &run->workload;
    REMAT_TRY(remat_workload_open(&run->settings->workload, w, run->err));
    REMAT_TRY(name_gradients(run));
    REMAT_TRY(make_plan(run));
    REMAT_TRY(remat_state_create(w->backend, w->device, &w->graph, &run->state, run->err));
    REMAT_TRY(w->backend->ops->memory_open(w->device, run->plan.arena_bytes, "the arena", &run->arena, run->err));
    REMAT_TRY(init_state(run));
    return remat_exec_create(w->backend, w->device, &w->graph, &run->plan, &run->state, &run->arena, &options,
                             &run->exec, run->err);
}

static enum remat_status write_file(const struct run *run)
{
    const struct remat_lower_options *lower = &run->settings->workload.lower;
    char text[512];
    json_t *metadata = json_object();
    enum remat_status status;
    snprintf(
        text, sizeof text,
        "{\"learning_rate\": %.17g, \"momentum\": %.17g, \"weight_decay\": %.17g, \"beta1\": %.17g, \"beta2\": %.17g, "
        "\"epsilon\": %.17g, \"nesterov\": %s}",
        (double)run->settings->learning_rate, (double)lower->momentum, (double)lower->weight_decay,
        (double)lower->beta1, (double)lower->beta2, (double)lower->epsilon, lower->nesterov ? "true" : "false");
    json_object_set_new(metadata, "optimizer", json_string(text));
    snprintf(text, sizeof text, "%lld", (long long)run->plan.arena_bytes);
    json_object_set_new(metadata, "arena_bytes", json_string(text));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)remat_plan_hash(&run->plan));
    json_object_set_new(metadata, "plan_hash", json_string(text));
    json_object_set_new(metadata, "solver", json_string(run->plan.solver));
    json_object_set_new(metadata, "device", json_string(run->workload.info.fingerprint));
    json_object_set_new(metadata, "commit", json_string(remat_build_commit()));
    status = remat_tensor_file_write(&run->file, run->settings->path, metadata, run->err);
    json_decref(metadata);
    return status;
}

static enum remat_status run_all(struct run *run)
{
    REMAT_TRY(prepare(run));
    REMAT_TRY(add_model(run, "first"));
    for (; run->step < run->settings->steps; run->step++)
        REMAT_TRY(train_step(run));
    REMAT_TRY(add_model(run, "last"));
    return write_file(run);
}

int main(int argc, char **argv)
{
    struct settings settings;
    struct remat_error err = {0};
    struct run run = {.settings = &settings, .err = &err};
    enum remat_status status;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(help, stdout);
        return 0;
    }
    status = parse(argc, argv, &settings, &err);
    if (status == REMAT_OK)
        status = run_all(&run);
    if (status != REMAT_OK)
        fprintf(stderr, "remat_dump_step: %s\n", err.message);
    remat_exec_destroy(run.exec);
    remat_memory_close(&run.arena);
    remat_state_free(&run.state);
    remat_plan_free(&run.plan);
    remat_workload_close(&run.workload);
    remat_tensor_file_free(&run.file);
    free(run.gradient_names);
    return (int)status;
}
