#include "report/timeline.h"

#include "core/base/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool report_recomputes(const struct report_timeline *timeline)
{
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++)
        if (timeline->repeats[i])
            return true;
    return false;
}

enum remat_category report_view_category(const struct report_timeline *timeline, int32_t view)
{
    int32_t value = timeline->plan.views[view].value;
    return value < 0 ? REMAT_SCRATCH : timeline->graph.values[value].category;
}

static void use_view(struct report_timeline *timeline, int32_t view, int32_t at)
{
    if (view < 0 || timeline->plan.buffers[timeline->plan.views[view].buffer].space != REMAT_DEVICE)
        return;
    if (timeline->views[view].begin < 0)
        timeline->views[view].begin = at;
    timeline->views[view].end = at;
}

static void find_intervals(struct report_timeline *timeline)
{
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++) {
        const struct remat_instruction *instruction = &timeline->plan.instructions[i];
        if (instruction->kind == REMAT_WAIT) /* until here the copy uses its memory */
            instruction = &timeline->plan.instructions[instruction->event];
        for (int32_t k = 0; k < REMAT_MAX_INPUTS; k++)
            use_view(timeline, instruction->inputs[k], i);
        for (int32_t k = 0; k < REMAT_MAX_OUTPUTS; k++)
            use_view(timeline, instruction->outputs[k], i);
        use_view(timeline, instruction->scratch, i);
    }
}

/* Whether output `made` of an instruction lies over its input `read`. */
static bool same_place(const struct remat_plan *plan, int32_t made, int32_t read)
{
    return made >= 0 && read >= 0 && plan->views[made].buffer == plan->views[read].buffer &&
           plan->views[made].offset == plan->views[read].offset;
}

static void shorten_overwritten(struct report_timeline *timeline)
{
    const struct remat_plan *plan = &timeline->plan;
    for (int32_t i = 0; i < plan->instructions_count; i++) {
        const struct remat_instruction *instruction = &plan->instructions[i];
        if (instruction->kind == REMAT_MOVE) /* counts once */
            timeline->views[instruction->inputs[0]].end = i - 1;
        for (int32_t j = 0; instruction->kind == REMAT_RUN && j < REMAT_MAX_OUTPUTS; j++)
            for (int32_t k = 0; k < REMAT_MAX_INPUTS; k++)
                if (same_place(plan, instruction->outputs[j], instruction->inputs[k]))
                    timeline->views[instruction->inputs[k]].end = i - 1;
    }
}

static int64_t view_bytes(const struct report_timeline *timeline, int32_t view)
{
    int32_t value = timeline->plan.views[view].value;
    return value < 0 ? timeline->plan.buffers[timeline->plan.views[view].buffer].bytes
                     : timeline->graph.values[value].bytes;
}

static void sum_bytes(struct report_timeline *timeline)
{
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++)
        timeline->bytes[i][REMAT_STAGING] = timeline->graph.staging_bytes;
    for (int32_t v = 0; v < timeline->plan.views_count; v++)
        for (int32_t i = timeline->views[v].begin; i >= 0 && i <= timeline->views[v].end; i++)
            timeline->bytes[i][report_view_category(timeline, v)] += view_bytes(timeline, v);
}

static enum remat_status find_starts(struct report_timeline *timeline, struct remat_error *err)
{
    double before_ns = 0;
    int64_t *done_ns;
    enum remat_status status;
    REMAT_TRY(REMAT_ALLOC(done_ns, timeline->plan.instructions_count, err));
    status = remat_plan_times(&timeline->graph, &timeline->plan, done_ns, err);
    for (int32_t i = 0; status == REMAT_OK && i < timeline->plan.instructions_count; i++) {
        before_ns = i == timeline->plan.finish_begin ? timeline->start_ns[i] : before_ns;
        timeline->start_ns[i + 1] = before_ns + (double)done_ns[i];
    }
    free(done_ns);
    return status;
}

/* A run is a recomputation if its task ran before or is an alternate. */
static enum remat_status find_repeats(struct report_timeline *timeline, struct remat_error *err)
{
    bool *seen;
    REMAT_TRY(REMAT_ALLOC(seen, timeline->graph.tasks_count, err));
    for (int32_t i = 0; i < timeline->plan.instructions_count; i++) {
        const struct remat_instruction *instruction = &timeline->plan.instructions[i];
        if (instruction->kind != REMAT_RUN)
            continue;
        timeline->repeats[i] = seen[instruction->task] || timeline->graph.tasks[instruction->task].position < 0;
        seen[instruction->task] = true;
    }
    free(seen);
    return REMAT_OK;
}

static enum remat_status derive(struct report_timeline *timeline, struct remat_error *err)
{
    int64_t count = timeline->plan.instructions_count;
    REMAT_TRY(REMAT_ALLOC(timeline->views, timeline->plan.views_count, err));
    memset(timeline->views, 0xff, (size_t)timeline->plan.views_count * sizeof *timeline->views);
    REMAT_TRY(REMAT_ALLOC(timeline->bytes, count, err));
    REMAT_TRY(REMAT_ALLOC(timeline->start_ns, count + 1, err));
    REMAT_TRY(REMAT_ALLOC(timeline->repeats, count, err));
    find_intervals(timeline);
    shorten_overwritten(timeline);
    sum_bytes(timeline);
    REMAT_TRY(find_starts(timeline, err));
    return find_repeats(timeline, err);
}

static enum remat_status read_plan(const char *path, struct report_timeline *out, struct remat_error *err)
{
    const json_t *graph;
    json_t *json;
    enum remat_status status;
    REMAT_TRY(remat_json_load(path, &json, err));
    REMAT_TRY_GOTO(remat_plan_from_json(json, path, &out->plan, err), done);
    REMAT_TRY_GOTO(remat_json_object(json, "graph", path, &graph, err), done);
    status = remat_task_graph_from_json(graph, path, &out->graph, err);
done:
    json_decref(json);
    return status;
}

enum remat_status report_timeline_load(const char *folder, const char *name, struct report_timeline *out,
                                       struct remat_error *err)
{
    char path[PATH_MAX];
    memset(out, 0, sizeof *out);
    remat_task_graph_init(&out->graph);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    REMAT_TRY(read_plan(path, out, err));
    if (remat_plan_verify(&out->graph, &out->plan, err) != REMAT_OK)
        return remat_error_prefix(err, "%s", path);
    return derive(out, err);
}

void report_timeline_free(struct report_timeline *timeline)
{
    remat_task_graph_free(&timeline->graph);
    remat_plan_free(&timeline->plan);
    free(timeline->views);
    free(timeline->bytes);
    free(timeline->start_ns);
    free(timeline->repeats);
}
