#include "core/plan/explain.h"

#include "core/base/size.h"
#include "core/plan/explain_parts.h"

#include <stdlib.h>
#include <string.h>

struct remat_explain_text remat_explain_bytes(int64_t bytes)
{
    struct remat_explain_text out;
    remat_size_format(bytes, out.text, sizeof out.text);
    return out;
}

struct remat_explain_text remat_explain_time(double ns)
{
    static const struct {
        double ns;
        const char *text;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    struct remat_explain_text out;
    int i = 0;
    while (i < 3 && ns < units[i].ns)
        i++;
    snprintf(out.text, sizeof out.text, i < 3 ? "%.2f %s" : "%.0f %s", ns / units[i].ns, units[i].text);
    return out;
}

static const struct remat_task *task_at(const struct remat_explain *explain, int32_t at)
{
    return &explain->graph->tasks[explain->plan->instructions[at].task];
}

bool remat_explain_repeats(const struct remat_explain *explain, int32_t at)
{
    const struct remat_instruction *instruction = &explain->plan->instructions[at];
    return instruction->kind == REMAT_RUN &&
           (task_at(explain, at)->position < 0 || explain->first_run[instruction->task] < at);
}

int64_t remat_explain_cost_ns(const struct remat_explain *explain, int32_t at)
{
    bool begins = at == 0 || at == explain->plan->finish_begin;
    int64_t once = explain->done_ns[at] - (begins ? 0 : explain->done_ns[at - 1]);
    return once * (at < explain->plan->finish_begin ? explain->graph->micro_count : 1);
}

int32_t remat_explain_overwrites(const struct remat_explain *explain, int32_t at, int32_t output)
{
    const struct remat_instruction *instruction = &explain->plan->instructions[at];
    const struct remat_view *made = &explain->plan->views[instruction->outputs[output]];
    int32_t k;
    for (k = 0; k < task_at(explain, at)->inputs_count; k++) {
        const struct remat_view *read = &explain->plan->views[instruction->inputs[k]];
        if (read->buffer == made->buffer && read->offset == made->offset)
            return k;
    }
    return -1;
}

static void note_uses(struct remat_explain *explain, int32_t at)
{
    const struct remat_instruction *instruction = &explain->plan->instructions[at];
    int32_t k;
    if (instruction->kind == REMAT_STORE || instruction->kind == REMAT_FETCH || instruction->kind == REMAT_MOVE) {
        explain->last_read[instruction->inputs[0]] = at;
        explain->made[instruction->outputs[0]] = explain->last_read[instruction->outputs[0]] = at;
    }
    if (instruction->kind != REMAT_RUN)
        return;
    if (explain->first_run[instruction->task] < 0)
        explain->first_run[instruction->task] = at;
    for (k = 0; k < task_at(explain, at)->inputs_count; k++)
        explain->last_read[instruction->inputs[k]] = at;
    for (k = 0; k < task_at(explain, at)->outputs_count; k++) {
        int32_t view = instruction->outputs[k], value = task_at(explain, at)->outputs[k];
        explain->made[view] = explain->last_read[view] = at;
        if (explain->first_made[value] < 0)
            explain->first_made[value] = at;
    }
}

/* A value that was moved is read last where it was moved to. */
static void pass_moves(struct remat_explain *explain)
{
    int32_t at;
    for (at = explain->plan->instructions_count - 1; at >= 0; at--) {
        const struct remat_instruction *move = &explain->plan->instructions[at];
        if (move->kind == REMAT_MOVE)
            explain->last_read[move->inputs[0]] = explain->last_read[move->outputs[0]];
    }
}

static void sum_live_bytes(struct remat_explain *explain)
{
    const struct remat_plan *plan = explain->plan;
    int32_t i;
    explain->live_bytes[0] = explain->graph->staging_bytes;
    for (i = 0; i < plan->buffers_count; i++)
        if (plan->buffers[i].space == REMAT_DEVICE) {
            explain->live_bytes[plan->buffers[i].begin] += plan->buffers[i].bytes;
            explain->live_bytes[plan->buffers[i].end + 1] -= plan->buffers[i].bytes;
        }
    for (i = 1; i <= plan->instructions_count; i++)
        explain->live_bytes[i] += explain->live_bytes[i - 1];
    for (i = 0; i < plan->instructions_count; i++)
        if (plan->instructions[i].kind == REMAT_MOVE) /* both buffers hold one value */
            explain->live_bytes[i] -= plan->buffers[plan->views[plan->instructions[i].outputs[0]].buffer].bytes;
}

static enum remat_status note_all(struct remat_explain *explain, struct remat_error *err)
{
    const struct remat_plan *plan = explain->plan;
    int32_t i;
    REMAT_TRY(REMAT_ALLOC(explain->made, plan->views_count, err));
    REMAT_TRY(REMAT_ALLOC(explain->last_read, plan->views_count, err));
    REMAT_TRY(REMAT_ALLOC(explain->first_made, explain->graph->values_count, err));
    REMAT_TRY(REMAT_ALLOC(explain->first_run, explain->graph->tasks_count, err));
    REMAT_TRY(REMAT_ALLOC(explain->live_bytes, (int64_t)plan->instructions_count + 1, err));
    memset(explain->made, 0xff, (size_t)plan->views_count * sizeof *explain->made);
    memset(explain->last_read, 0xff, (size_t)plan->views_count * sizeof *explain->last_read);
    memset(explain->first_made, 0xff, (size_t)explain->graph->values_count * sizeof *explain->first_made);
    memset(explain->first_run, 0xff, (size_t)explain->graph->tasks_count * sizeof *explain->first_run);
    REMAT_TRY(REMAT_ALLOC(explain->done_ns, plan->instructions_count, err));
    REMAT_TRY(remat_plan_times(explain->graph, plan, explain->done_ns, err));
    for (i = 0; i < plan->instructions_count; i++)
        note_uses(explain, i);
    pass_moves(explain);
    sum_live_bytes(explain);
    return REMAT_OK;
}

static void write_memory(const struct remat_explain *explain)
{
    const struct remat_plan *plan = explain->plan;
    fprintf(explain->stream, "Plan of %s by %s\n", explain->graph->name[0] ? explain->graph->name : "a task graph",
            plan->solver[0] ? plan->solver : "an unnamed solver");
    fprintf(explain->stream, "  arena        %s (%lld bytes)", remat_explain_bytes(plan->arena_bytes).text,
            (long long)plan->arena_bytes);
    if (plan->budget_bytes != INT64_MAX)
        fprintf(explain->stream, ", budget %s", remat_explain_bytes(plan->budget_bytes).text);
    fprintf(explain->stream, "\n  live peak    %s, fragmentation %.4f\n",
            remat_explain_bytes(plan->live_peak_bytes).text,
            plan->live_peak_bytes > 0 ? (double)plan->arena_bytes / (double)plan->live_peak_bytes : 1.0);
    if (plan->host_bytes > 0) {
        fprintf(explain->stream, "  host memory  %s (%lld bytes)", remat_explain_bytes(plan->host_bytes).text,
                (long long)plan->host_bytes);
        if (plan->host_budget_bytes != INT64_MAX)
            fprintf(explain->stream, ", at most %s", remat_explain_bytes(plan->host_budget_bytes).text);
        fputc('\n', explain->stream);
    }
    fprintf(explain->stream, "  persistent   %s beside the arena; staging %s inside it\n",
            remat_explain_bytes(explain->graph->persistent_bytes).text,
            remat_explain_bytes(explain->graph->staging_bytes).text);
}

static void write_time(const struct remat_explain *explain)
{
    const struct remat_plan *plan = explain->plan;
    double step = (double)plan->predicted_step_ns, keep_all = (double)plan->keep_all_step_ns;
    fprintf(explain->stream, "  step         %s %s", remat_explain_time(step).text,
            explain->graph->measured ? "from measured tasks" : "estimated");
    if (keep_all > 0)
        fprintf(explain->stream, ", %+.2f %% of keep-all's %s", 100 * (step / keep_all - 1),
                remat_explain_time(keep_all).text);
    fputc('\n', explain->stream);
    if (plan->lower_bound_ns > 0)
        fprintf(explain->stream, "  lower bound  %s, gap %.2f %%\n",
                remat_explain_time((double)plan->lower_bound_ns).text, 100 * (step / (double)plan->lower_bound_ns - 1));
}

static void write_moves(const struct remat_explain *explain)
{
    struct remat_plan_moves moves = remat_plan_count_moves(explain->graph, explain->plan);
    if (moves.count > 0)
        fprintf(explain->stream, "  moves        %d within the arena, %s in all, %s\n", moves.count,
                remat_explain_bytes(moves.bytes).text, remat_explain_time((double)moves.time_ns).text);
}

static void write_counts(const struct remat_explain *explain)
{
    int32_t at, k, runs = 0, repeats = 0, in_place = 0;
    int64_t extra_ns = 0, in_place_bytes = 0;
    for (at = 0; at < explain->plan->instructions_count; at++) {
        if (explain->plan->instructions[at].kind != REMAT_RUN)
            continue;
        runs++;
        if (remat_explain_repeats(explain, at)) {
            repeats++;
            extra_ns += remat_explain_cost_ns(explain, at);
        }
        for (k = 0; k < task_at(explain, at)->outputs_count; k++)
            if (remat_explain_overwrites(explain, at, k) >= 0) {
                in_place++;
                in_place_bytes += explain->graph->values[task_at(explain, at)->outputs[k]].bytes;
            }
    }
    fprintf(explain->stream, "  runs         %d, of which %d recompute and cost %s\n", runs, repeats,
            remat_explain_time((double)extra_ns).text);
    write_moves(explain);
    fprintf(explain->stream, "  in place     %d outputs over their inputs, %s in all\n", in_place,
            remat_explain_bytes(in_place_bytes).text);
}

static enum remat_status write_blocks(const struct remat_explain *explain, struct remat_error *err)
{
    struct remat_plan_block *rows;
    int32_t count;
    enum remat_status status = remat_explain_count_blocks(explain, &rows, &count, err);
    if (status == REMAT_OK)
        remat_explain_blocks(explain, rows, count);
    free(rows);
    return status;
}

static enum remat_status write_all(const struct remat_explain *explain, const struct remat_explain_options *options,
                                   struct remat_error *err)
{
    write_memory(explain);
    write_time(explain);
    write_counts(explain);
    REMAT_TRY(write_blocks(explain, err));
    remat_explain_copies(explain);
    REMAT_TRY(remat_explain_peak(explain, err));
    if (options && options->instructions)
        remat_explain_instructions(explain);
    if (fflush(explain->stream) != 0 || ferror(explain->stream))
        return remat_fail(err, REMAT_IO, "explain: cannot write the text");
    return REMAT_OK;
}

static void free_notes(struct remat_explain *explain)
{
    free(explain->made);
    free(explain->last_read);
    free(explain->first_made);
    free(explain->first_run);
    free(explain->live_bytes);
    free(explain->done_ns);
}

enum remat_status remat_plan_explain(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                     const struct remat_explain_options *options, FILE *stream, struct remat_error *err)
{
    struct remat_explain explain = {.graph = graph, .plan = plan, .stream = stream};
    enum remat_status status;
    REMAT_TRY(remat_plan_verify(graph, plan, err));
    status = note_all(&explain, err);
    if (status == REMAT_OK)
        status = write_all(&explain, options, err);
    free_notes(&explain);
    return status;
}

enum remat_status remat_plan_blocks(const struct remat_task_graph *graph, const struct remat_plan *plan,
                                    struct remat_plan_block **out, int32_t *count, struct remat_error *err)
{
    struct remat_explain explain = {.graph = graph, .plan = plan};
    enum remat_status status;
    *out = NULL;
    *count = 0;
    REMAT_TRY(remat_plan_verify(graph, plan, err));
    status = note_all(&explain, err);
    if (status == REMAT_OK)
        status = remat_explain_count_blocks(&explain, out, count, err);
    free_notes(&explain);
    return status;
}
